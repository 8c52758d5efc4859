"""What the resources work with: the open store and what is wired to it, given when the service starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from msgspec import Struct

from channels.provider import Callback, Provider
from channels.webhook import LateAnswer
from tidings.bootstrap import Tidings
from tidings.choices import Choices
from tidings.links import Links
from tidings.receiving import Receiver


@dataclass(frozen=True)
class ServiceSettings:
    """``brand`` is the bank's name on its pages, "" for "your bank". ``api_keys`` let programs in; without
    any, no program gets in.

    ``documented`` shows OpenAPI and its page at ``/docs``, which loads scripts from another host.
    ``serves_log`` gives the log's tree, which names nobody, to whoever asks.
    """

    brand: str = ""
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    documented: bool = False
    serves_log: bool = False


@runtime_checkable
class Echo(Protocol):
    """What a provider may have besides: it checks our address by asking for an answer once."""

    def echo(self, callback: Callback) -> str:
        """The answer that the provider expects. Raises InputRefused where it is not the provider's call."""


class Mailbox(Protocol):
    """Messages in the inbox of the bank's own app."""

    def letters(self, customer: str, now: datetime) -> Sequence[Struct]:
        """The customer's messages that make sense by now (aware UTC), newest first."""

    def read(self, customer: str, message: str, at: datetime) -> bool:
        """Note that the customer has read it; False where there is nothing to note."""


class Answers(Protocol):
    """Checks what a journey's webhook answers later."""

    def verify(self, endpoint: str, callback: Callback) -> LateAnswer:
        """What is answered to which call. Raises InputRefused."""


class Calls(Protocol):
    """Calls that journeys made to webhooks."""

    def customer_of(self, call: str, *, endpoint: str) -> str | None:
        """The customer for whom a call of the endpoint was made; None for an unknown call."""


class Parts(Struct, frozen=True):
    """Everything that a resource may use. ``clock`` gives now, aware UTC."""

    tidings: Tidings
    settings: ServiceSettings
    providers: Mapping[str, Provider]
    links: Links
    receiver: Receiver
    choices: Choices
    clock: Callable[[], datetime]
    mailbox: Mailbox | None = None
    answers: Answers | None = None
    calls: Calls | None = None

    @property
    def origin(self) -> str:
        """The origin of our own pages, as browsers tell it."""
        parts = urlsplit(self.links.public_url)
        return f"{parts.scheme}://{parts.netloc}"
