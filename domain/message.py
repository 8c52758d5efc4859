"""A message from its request to the answer of the provider; what has ended lives in the events only."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from domain.catalogue import ChannelName
from domain.events import MessageRequested, MessageSending

# What becomes of a message in the end, and what is known of one that an enrolment asked for.
MessageEnd = Literal["accepted", "rejected", "unknown", "suppressed"]
StepOutcome = Literal["accepted", "rejected", "unknown", "suppressed", "deferred"]
_DEFERRED = "message:"
# The rule by which a message is put off while its journey is paused.
PAUSED = "paused"


class Postponed(Struct, frozen=True, gc=False):
    """Why the last try came to nothing, and when to try again (aware UTC)."""

    reason: str
    provider: str
    channel: ChannelName
    until: datetime
    tries: int


class Message(Struct, frozen=True, gc=False):
    """A message that has not ended: as it was asked for, and the intent to send once there is one.

    It is judged because of the event of version ``due_version``: its request, or the wake-up that ended a
    deferral. While it is put off, ``deferred_until`` says till when. ``ended`` tells why its enrolment was
    left meanwhile, ``held`` that it is put off since its journey is paused, and ``counted_as`` what its
    sending counts under. Instants are aware UTC.
    """

    request: MessageRequested
    requested_version: int
    requested_at: datetime
    due_version: int
    deferred_until: datetime | None = None
    ended: str | None = None
    counted_as: str | None = None
    held: bool = False

    @property
    def to_be_judged(self) -> bool:
        """Whether the policy's word is due: neither on its way nor put off."""
        return self.sending is None and self.deferred_until is None

    sending: MessageSending | None = None
    sending_version: int = 0
    sending_at: datetime | None = None
    # Where it is on its way to: what the provider says of the address is about this one.
    sent_to: str | None = None
    # What became of earlier tries: who certainly did not take it, who may have, and how long to wait.
    refused_by: tuple[str, ...] = ()
    in_doubt: str = ""
    postponed: Postponed | None = None


def ended_as(end: str, request: MessageRequested, channel: ChannelName) -> str:
    """What a message that ended so is counted under; none of its parts has a stroke in it."""
    return f"{end}/{request.purpose}/{channel}/{request.journey}/{request.template}"


def deferral_timer(message: str) -> str:
    """The name of the wake-up that ends the deferral of a message."""
    return f"{_DEFERRED}{message}"


def message_of_timer(timer: str) -> str | None:
    """The message whose deferral this wake-up ends; None for a wake-up of another sort."""
    return timer.removeprefix(_DEFERRED) if timer.startswith(_DEFERRED) else None
