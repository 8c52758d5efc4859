"""Facts that answer: what customers, providers, colleagues and other systems say back."""

from domain.fact import ChannelName, Fact, PersonalText, Text


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
    """A permanent failure of this address; nothing more is sent to it."""

    channel: ChannelName
    address: PersonalText


class ContactComplained(Fact, frozen=True, kw_only=True, gc=False):
    """The recipient called a message unwanted; nothing more is sent to this address."""

    channel: ChannelName
    address: PersonalText


class ContactReplied(Fact, frozen=True, kw_only=True, gc=False):
    """The customer answered a message."""

    channel: ChannelName
    text: PersonalText


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
    values: dict[str, str | int | bool | None] = {}
