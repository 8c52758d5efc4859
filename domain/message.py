"""A message from its request to the answer of the provider; what has ended lives in the events only."""

from datetime import datetime

from msgspec import Struct

from domain.events import MessageRequested, MessageSending


class Message(Struct, frozen=True, gc=False):
    """A message that has not ended: as it was asked for, and the intent to send once there is one."""

    request: MessageRequested
    requested_version: int
    sending: MessageSending | None = None
    sending_version: int = 0
    sending_at: datetime | None = None
