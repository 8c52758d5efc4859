"""Facts that answer: what customers, providers, colleagues and other systems say back."""

from typing import Annotated, Literal

from msgspec import UNSET

from domain.fact import (
    PERSONAL,
    ChannelName,
    Fact,
    LaterPersonalText,
    LaterText,
    PersonalDevice,
    PersonalText,
    Text,
)


class ComplaintFiled(Fact, frozen=True, kw_only=True, gc=False):
    """The customer complained."""

    complaint: Text
    topic: Text | None = None


class ComplaintResolved(Fact, frozen=True, kw_only=True, gc=False):
    """A complaint was resolved."""

    complaint: Text


class SurveyAnswered(Fact, frozen=True, kw_only=True, gc=False):
    """The customer answered a survey."""

    survey: Text
    score: int | None = None


class FeedbackGiven(Fact, frozen=True, kw_only=True, gc=False):
    """The customer gave an opinion without being asked."""

    topic: Text
    score: int | None = None


class ContactBounced(Fact, frozen=True, kw_only=True, gc=False):
    """A permanent failure of this address; nothing more is sent to it.

    ``message`` is the one that came back, where it is known.
    """

    channel: ChannelName
    address: PersonalText
    message: LaterText = UNSET
    reason: LaterText = UNSET


class ContactComplained(Fact, frozen=True, kw_only=True, gc=False):
    """The recipient called a message unwanted; nothing more is sent to this address.

    ``message`` is the one that they meant, where it is known.
    """

    channel: ChannelName
    address: PersonalText
    message: LaterText = UNSET


class ContactReplied(Fact, frozen=True, kw_only=True, gc=False):
    """The customer answered a message."""

    channel: ChannelName
    text: PersonalText


class ContactOptedOut(Fact, frozen=True, kw_only=True, gc=False):
    """Whoever has this address wants no more of it (STOP, 退订): it counts for the address, not the person.

    The policy's ``opt_out_stops`` says which purposes it silences. ``text`` is what they wrote.
    """

    channel: ChannelName
    address: PersonalText
    provenance: Text
    text: LaterPersonalText = UNSET
    message: LaterText = UNSET


class ContactOptedIn(Fact, frozen=True, kw_only=True, gc=False):
    """Whoever has this address takes back that they want no more of it (START). Fields as of the no."""

    channel: ChannelName
    address: PersonalText
    provenance: Text
    text: LaterPersonalText = UNSET
    message: LaterText = UNSET


class DeviceRegistered(Fact, frozen=True, kw_only=True, gc=False):
    """A device of the customer that push messages go to from now on, ``<platform>:<token>``.

    Platforms are fcm, apns and web; for the last the token is the subscription as JSON.
    """

    device: PersonalDevice


class DeviceRetired(Fact, frozen=True, kw_only=True, gc=False):
    """A device that push messages go to no more; the one before it takes its place."""

    device: PersonalDevice
    reason: LaterText = UNSET


class MessageUndelivered(Fact, frozen=True, kw_only=True, gc=False):
    """The provider took the message of this id and could not deliver it; the address may yet be good."""

    message: Text
    reason: LaterText = UNSET


class MessageSettled(Fact, frozen=True, kw_only=True, gc=False):
    """A person found out what became of a message whose outcome was unknown."""

    message: Text
    outcome: Literal["accepted", "rejected"]
    by: Text
    reason: LaterText = UNSET


class MessageDelivered(Fact, frozen=True, kw_only=True, gc=False):
    """The message of this id reached the customer's device or mailbox."""

    message: Text


class MessageOpened(Fact, frozen=True, kw_only=True, gc=False):
    """The customer opened the message."""

    message: Text


class MessageClicked(Fact, frozen=True, kw_only=True, gc=False):
    """The customer followed a link of the message."""

    message: Text
    link: Text | None = None


class TaskDone(Fact, frozen=True, kw_only=True, gc=False):
    """A person has done the task of this id. ``outcome`` is free, ``approved`` says yes to an approval."""

    task: Text
    outcome: Text = "done"
    by: Text | None = None


class WebhookAnswered(Fact, frozen=True, kw_only=True, gc=False):
    """What a webhook's endpoint answered to the call of this id."""

    call: Text
    ok: bool
    values: Annotated[dict[str, str | int | bool | None], PERSONAL] = {}
