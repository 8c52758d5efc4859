"""What the engine asks of a way out, and the closed set of its answers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol, get_args

from msgspec import Struct

from domain.catalogue import ChannelName, Purpose

# What a provider refuses for good: this message, the address for any message, or what its owner said no to.
Refused = Literal["message", "address", "opted_out"]


class Image(Struct, frozen=True):
    """A picture that travels inside an e-mail; its HTML shows it as ``cid:<name>``."""

    name: str
    media_type: str
    data: bytes


class Outgoing(Struct, frozen=True, omit_defaults=True):
    """A message at the moment of handing over. ``id`` is the idempotency key towards the provider.

    ``heading`` is the subject of an e-mail or the title of a push, "" for an SMS; ``text`` is JSON for
    WeChat. ``html`` is a whole document, "" where there is none, and then ``text`` says all. ``at`` is when
    the policy let it leave, ``expires_at`` till when it makes sense (both aware UTC). ``unsubscribe`` is the
    HTTPS address of one-click unsubscription (RFC 8058), "" where none is due. ``refused_by`` are the
    providers that have certainly not taken it so far, once for each try; ``in_doubt`` is the only one that
    may have it, "" for none.
    """

    id: str
    channel: ChannelName
    address: str
    language: str
    heading: str
    text: str
    purpose: Purpose
    at: datetime
    html: str = ""
    images: tuple[Image, ...] = ()
    topic: str = ""
    customer: str = ""
    unsubscribe: str = ""
    expires_at: datetime | None = None
    refused_by: tuple[str, ...] = ()
    in_doubt: str = ""


class Accepted(Struct, frozen=True):
    """The provider has it and answers for it under ``provider_id``."""

    provider_id: str
    provider: str = ""


class Retry(Struct, frozen=True):
    """The provider certainly did not take it, and may later, or another may: after so long at the earliest.

    ``after`` of None leaves it to the backoff. ``provider`` is "" where none was asked at all.
    """

    reason: str
    after: timedelta | None = None
    provider: str = ""


class Rejected(Struct, frozen=True):
    """The provider will never take it; the reason is the provider's, ``refused`` what it is about."""

    reason: str
    refused: Refused = "message"
    provider: str = ""


class Unknown(Struct, frozen=True):
    """The provider may or may not have it; it is not sent again blindly."""

    reason: str
    provider: str = ""


class NotTaken(Struct, frozen=True):
    """The provider was asked and certainly never took it, so handing it over is safe."""


Outcome = Accepted | Retry | Rejected | Unknown
Answer = Accepted | Rejected | Unknown | NotTaken


class Channel(Protocol):
    """A way out. Calls keep the order of what they are given and never raise for one message's sake."""

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand these messages over, each under its id, and say what became of each."""

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """What the provider knows of messages whose outcome was lost; Unknown where it cannot be asked.

        ``text`` may be "" here, where the words are lost: who knows messages by their words gives Unknown.
        """

    async def close(self) -> None:
        """Let go of connections. It may be used again afterwards, also by another event loop."""


def everywhere(channel: Channel) -> dict[ChannelName, Channel]:
    """This one way out for every channel."""
    return {name: channel for name in get_args(ChannelName)}
