"""Messages that have been asked for, as the policy sees them."""

from datetime import datetime
from typing import Any

from domain.catalogue import ChannelName, Purpose
from domain.events import MessageRequested
from domain.message import Message

ALL: tuple[ChannelName, ...] = ("email", "sms", "push")


def asked(
    purpose: Purpose = "marketing",
    *,
    at: datetime,
    name: str = "m-1",
    channels: tuple[ChannelName, ...] = ALL,
    **given: Any,
) -> Message:
    """A message on offers, requested at this instant (aware UTC)."""
    request = MessageRequested(
        message=name,
        enrolment="e-1",
        journey="offers",
        version=1,
        step="tell",
        visit=1,
        channels=channels,
        template="offer",
        template_version=1,
        purpose=purpose,
        topic="offers",
        variables={},
        **given,
    )
    return Message(request, requested_version=1, requested_at=at, due_version=1)
