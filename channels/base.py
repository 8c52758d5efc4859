"""What the engine asks of a way out, and the closed set of its answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from domain.catalogue import ChannelName, Purpose


class Outgoing(Struct, frozen=True):
    """A message at the moment of handing over. ``id`` is the idempotency key towards the provider.

    ``heading`` is the subject of an e-mail or the title of a push, "" for an SMS; ``at`` is aware UTC.
    """

    id: str
    channel: ChannelName
    address: str
    language: str
    heading: str
    text: str
    purpose: Purpose
    at: datetime


class Accepted(Struct, frozen=True):
    """The provider has it and answers for it under ``provider_id``."""

    provider_id: str


class Rejected(Struct, frozen=True):
    """The provider will never take it; the reason is the provider's."""

    reason: str


class Unknown(Struct, frozen=True):
    """The provider may or may not have it; it is not sent again blindly."""

    reason: str


class NotTaken(Struct, frozen=True):
    """The provider was asked and certainly never took it, so handing it over is safe."""


Outcome = Accepted | Rejected | Unknown
Answer = Outcome | NotTaken


class Channel(Protocol):
    """A way out. Both calls keep the order of what they are given and never raise for one message's sake."""

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand these messages over, each under its id, and say what became of each."""

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """What the provider knows of messages whose outcome was lost; Unknown where it cannot be asked."""
