"""The facts that a bank or a channel tells us, each under its literal, versioned name.

A name's meaning never changes: new fields get defaults, another meaning gets another version. Fields that
identify a person are marked ``PERSONAL``.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.answers import ComplaintFiled as ComplaintFiled
from domain.answers import ComplaintResolved as ComplaintResolved
from domain.answers import ContactBounced as ContactBounced
from domain.answers import ContactComplained as ContactComplained
from domain.answers import ContactOptedIn as ContactOptedIn
from domain.answers import ContactOptedOut as ContactOptedOut
from domain.answers import ContactReplied as ContactReplied
from domain.answers import DeviceRegistered as DeviceRegistered
from domain.answers import DeviceRetired as DeviceRetired
from domain.answers import FeedbackGiven as FeedbackGiven
from domain.answers import MessageClicked as MessageClicked
from domain.answers import MessageDelivered as MessageDelivered
from domain.answers import MessageOpened as MessageOpened
from domain.answers import MessageSettled as MessageSettled
from domain.answers import MessageUndelivered as MessageUndelivered
from domain.answers import SurveyAnswered as SurveyAnswered
from domain.answers import TaskDone as TaskDone
from domain.answers import WebhookAnswered as WebhookAnswered
from domain.fact import OWN_FACT as OWN_FACT
from domain.fact import PERSONAL as PERSONAL
from domain.fact import ChannelName as ChannelName
from domain.fact import Fact as Fact
from domain.fact import HoldingKind as HoldingKind
from domain.fact import HoldReason as HoldReason
from domain.fact import LaterPersonalText as LaterPersonalText
from domain.fact import LaterText as LaterText
from domain.fact import PersonalDate as PersonalDate
from domain.fact import PersonalText as PersonalText
from domain.fact import Purpose as Purpose
from domain.fact import Text as Text


class CustomerRegistered(Fact, frozen=True, kw_only=True, gc=False):
    """The person becomes a customer; told again, what it says replaces what was known.

    Until a language and a zone are told they are English and UTC. ``wechat`` is the open id that they have
    with the bank's official account.
    """

    birth_date: PersonalDate | None = None
    given_name: PersonalText | None = None
    family_name: PersonalText | None = None
    language: Text | None = None
    zone: Text | None = None
    zone_source: Text | None = None
    region: Text | None = None
    email: PersonalText | None = None
    phone: PersonalText | None = None
    device: PersonalText | None = None
    wechat: LaterPersonalText = UNSET


class CustomerChanged(Fact, frozen=True, kw_only=True, gc=False):
    """Only the fields that are given change; an empty text takes an address away."""

    birth_date: PersonalDate | None = None
    given_name: Annotated[str, Meta(max_length=320), PERSONAL] | None = None
    family_name: Annotated[str, Meta(max_length=320), PERSONAL] | None = None
    language: Text | None = None
    zone: Text | None = None
    zone_source: Text | None = None
    region: Text | None = None
    email: Annotated[str, Meta(max_length=320), PERSONAL] | None = None
    phone: Annotated[str, Meta(max_length=320), PERSONAL] | None = None
    device: Annotated[str, Meta(max_length=320), PERSONAL] | None = None
    wechat: Annotated[str, Meta(max_length=320), PERSONAL] | UnsetType | None = UNSET


class CustomerMerged(Fact, frozen=True, kw_only=True, gc=False):
    """This customer is the same person as ``into``, who goes on; nothing more is said to this one."""

    into: Text


class CustomerErased(Fact, frozen=True, kw_only=True, gc=False):
    """The person asked to be forgotten; nothing more is said to them."""

    reason: Text = "request"


class ConsentGranted(Fact, frozen=True, kw_only=True, gc=False):
    """``*`` stands for every channel or topic. Provenance says how the consent was given.

    ``text_version`` is what the customer was shown, ``captured_through`` where they said it (branch, web,
    app, telephone), ``captured_by`` the officer or system that took it down, ``captured_from`` the network
    address, number or place that it came from.
    """

    purpose: Purpose = "marketing"
    channel: Text = "*"
    topic: Text = "*"
    provenance: Text
    text_version: Text | None = None
    captured_through: LaterText = UNSET
    captured_by: LaterText = UNSET
    captured_from: LaterPersonalText = UNSET


class ConsentWithdrawn(Fact, frozen=True, kw_only=True, gc=False):
    """The customer says no; it counts against earlier and broader grants. Fields as of a grant."""

    purpose: Purpose = "marketing"
    channel: Text = "*"
    topic: Text = "*"
    provenance: Text
    text_version: LaterText = UNSET
    captured_through: LaterText = UNSET
    captured_by: LaterText = UNSET
    captured_from: LaterPersonalText = UNSET


class AccountOpened(Fact, frozen=True, kw_only=True, gc=False):
    """An account of the customer is opened."""

    account: Text
    product: Text | None = None


class AccountClosed(Fact, frozen=True, kw_only=True, gc=False):
    """An account is closed; its balances count no longer among the assets."""

    account: Text


class HoldingOpened(Fact, frozen=True, kw_only=True, gc=False):
    """A contract of the customer. ``amount`` in ``currency``; ``matures_on`` where it has a term."""

    holding: Text
    kind: HoldingKind
    product: Text | None = None
    amount: Decimal | None = None
    currency: Text | None = None
    matures_on: date | None = None


class HoldingChanged(Fact, frozen=True, kw_only=True, gc=False):
    """Only the fields that are given change."""

    holding: Text
    product: Text | None = None
    amount: Decimal | None = None
    matures_on: date | None = None


class HoldingClosed(Fact, frozen=True, kw_only=True, gc=False):
    """A contract has ended, early or at its time; nothing more is said about it."""

    holding: Text


class BalanceRecorded(Fact, frozen=True, kw_only=True, gc=False):
    """Assets of one account at the time of the fact, in ``currency``."""

    account: Text
    amount: Decimal
    currency: Text | None = None


class TransactionPosted(Fact, frozen=True, kw_only=True, gc=False):
    """``amount`` in ``currency``, negative when money leaves the account."""

    account: Text
    amount: Decimal
    currency: Text | None = None
    category: Text | None = None


class SessionStarted(Fact, frozen=True, kw_only=True, gc=False):
    """The customer signed in to a channel of the bank."""

    channel: Text


class PageViewed(Fact, frozen=True, kw_only=True, gc=False):
    """The customer looked at a page."""

    page: Text


class RiskAssessed(Fact, frozen=True, kw_only=True, gc=False):
    """The customer's risk level, 1 (lowest) to 5, was assessed."""

    level: Annotated[int, Meta(ge=1, le=5)]
    valid_until: date | None = None


class LossIncurred(Fact, frozen=True, kw_only=True, gc=False):
    """A holding lost ``amount`` of its value."""

    holding: Text
    amount: Decimal


class PointsChanged(Fact, frozen=True, kw_only=True, gc=False):
    """Loyalty points changed by ``amount`` to ``balance``."""

    amount: int
    balance: int


class CareHoldPlaced(Fact, frozen=True, kw_only=True, gc=False):
    """Marketing and greetings stop everywhere until it is lifted."""

    reason: HoldReason


class CareHoldLifted(Fact, frozen=True, kw_only=True, gc=False):
    """The reason for a care hold is over."""

    reason: HoldReason


class JourneyRequested(Fact, frozen=True, kw_only=True, gc=False):
    """Somebody asks that the customer enter ``journey``, by hand or by a program.

    ``values`` are what the journey's entry declares.
    """

    journey: Text
    values: Annotated[dict[str, str | int | float], Meta(max_length=50), PERSONAL] = {}
    requested_by: Text
    reason: Text | None = None


class CustomFact(Fact, frozen=True, kw_only=True, gc=False):
    """A bank's own fact, ``x.<name>/<version>``; journeys may start on it."""

    data: Annotated[dict[str, str | int | bool | None], PERSONAL] = {}


class Envelope(Struct, frozen=True, gc=False):
    """A fact with its name, whom it is about and when it happened (aware UTC)."""

    kind: str
    subject: str
    occurred_at: datetime
    fact: Fact


FACTS: dict[str, type[Fact]] = {
    "customer.registered/1": CustomerRegistered,
    "customer.changed/1": CustomerChanged,
    "customer.merged/1": CustomerMerged,
    "customer.erased/1": CustomerErased,
    "consent.granted/1": ConsentGranted,
    "consent.withdrawn/1": ConsentWithdrawn,
    "account.opened/1": AccountOpened,
    "account.closed/1": AccountClosed,
    "holding.opened/1": HoldingOpened,
    "holding.changed/1": HoldingChanged,
    "holding.closed/1": HoldingClosed,
    "balance.recorded/1": BalanceRecorded,
    "transaction.posted/1": TransactionPosted,
    "session.started/1": SessionStarted,
    "page.viewed/1": PageViewed,
    "risk.assessed/1": RiskAssessed,
    "complaint.filed/1": ComplaintFiled,
    "complaint.resolved/1": ComplaintResolved,
    "survey.answered/1": SurveyAnswered,
    "feedback.given/1": FeedbackGiven,
    "loss.incurred/1": LossIncurred,
    "points.changed/1": PointsChanged,
    "care_hold.placed/1": CareHoldPlaced,
    "care_hold.lifted/1": CareHoldLifted,
    "contact.bounced/1": ContactBounced,
    "contact.complained/1": ContactComplained,
    "contact.replied/1": ContactReplied,
    "contact.opted_out/1": ContactOptedOut,
    "contact.opted_in/1": ContactOptedIn,
    "device.registered/1": DeviceRegistered,
    "device.retired/1": DeviceRetired,
    "message.delivered/1": MessageDelivered,
    "message.opened/1": MessageOpened,
    "message.clicked/1": MessageClicked,
    "message.undelivered/1": MessageUndelivered,
    "message.settled/1": MessageSettled,
    "task.done/1": TaskDone,
    "webhook.answered/1": WebhookAnswered,
    "journey.requested/1": JourneyRequested,
}

_OWN_FACT = re.compile(OWN_FACT)
_RANKS = {"account": 1, "holding": 2, "transaction": 3, "balance": 4}
_WHO_FIRST = ("customer", "consent", "care_hold", "risk", "device")


def fact_type(kind: str) -> type[Fact] | None:
    """The type of a fact's data by its literal name; None for a name that nobody knows."""
    return CustomFact if _OWN_FACT.fullmatch(kind) else FACTS.get(kind)


def rank_of(kind: str) -> int:
    """Where a fact stands among those of the same instant: who somebody is comes before what they did."""
    concept = kind.partition(".")[0]
    return 0 if concept in _WHO_FIRST else _RANKS.get(concept, 5)
