"""What can be asked of a customer: one closed tree, decided, told and searched by in the same meaning."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.catalogue import ChannelName, HoldingKind, HoldReason, Purpose, Text
from domain.message import MessageEnd, StepOutcome
from domain.tally import DAYS_COUNTED
from journeys.definition.words import Amount, Days, Name

AttributeName = Literal["language", "region", "zone", "risk_level", "age"]
# These are texts and compared with ``one_of``; the others are numbers and lie in bounds.
TEXT_ATTRIBUTES = ("language", "region", "zone")
MOST_GROWTH = 1000
Number = Annotated[int, Meta(ge=0, le=1000)]
DaysCounted = Annotated[int, Meta(ge=1, le=DAYS_COUNTED)]


class _Condition(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="is"
):
    pass


class All(_Condition, tag="all", frozen=True, kw_only=True):
    """Every part holds."""

    of: tuple["Condition", ...]


class Any(_Condition, tag="any", frozen=True, kw_only=True):
    """At least one part holds."""

    of: tuple["Condition", ...]


class Not(_Condition, tag="not", frozen=True, kw_only=True):
    """The part does not hold. Where data is missing the part is false, and so its ``not`` is true."""

    of: "Condition"


class EntryValue(_Condition, tag="entry_value", frozen=True, kw_only=True):
    """A value that the enrolment was entered with, or that a step brought in since.

    A number, or a text that writes one, lies in the given bounds (both included); a text, or a yes or no
    (``true``, ``false``), is ``one_of`` those given. False where there is none, or one of another sort.
    """

    name: str
    one_of: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    at_least: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | None = None
    at_most: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | None = None


class AssetsGrew(_Condition, tag="assets_grew", frozen=True, kw_only=True):
    """Recorded assets grew by more than ``over_percent`` in each of the last ``months`` calendar months.

    Each month counts with its last balance so far. It needs ``months`` + 1 recorded months in a row, the
    first of them positive.
    """

    over_percent: Annotated[int, Meta(ge=0, le=MOST_GROWTH)]
    months: Annotated[int, Meta(ge=1, le=12)]


class AssetsFell(_Condition, tag="assets_fell", frozen=True, kw_only=True):
    """Recorded assets fell by more than ``over_percent`` in each of the last ``months`` calendar months.

    Months are as for ``assets_grew``; a fall to nothing, or below, counts.
    """

    over_percent: Annotated[int, Meta(ge=0, le=99)]
    months: Annotated[int, Meta(ge=1, le=12)]


class Attribute(_Condition, tag="attribute", frozen=True, kw_only=True):
    """What is known of the customer: a text is ``one_of`` those given, a number in the bounds (included).

    ``language``, ``region`` and ``zone`` are compared letter by letter; ``risk_level`` (1 to 5) and ``age``
    (full years by the customer's calendar, 29 February counts on 1 March in common years) have bounds. False
    where it is not known: no region, no birth date or one that lies ahead, no risk assessment or one that is
    valid no more. Language and zone are always known, English and UTC until others are told.
    """

    name: AttributeName
    one_of: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    at_least: Annotated[int, Meta(ge=0, le=200)] | None = None
    at_most: Annotated[int, Meta(ge=0, le=200)] | None = None


class Holds(_Condition, tag="holds", frozen=True, kw_only=True):
    """The number of the customer's open contracts of these ``kinds`` lies in the bounds (both included).

    Without bounds it is at least one. With ``matures_within_days`` only those count whose last day is today
    or at most so many days ahead by the customer's calendar; a contract without a last day does not. Who has
    no such contract on record has 0 of them.
    """

    kinds: Annotated[tuple[HoldingKind, ...], Meta(min_length=1)]
    at_least: Number | None = None
    at_most: Number | None = None
    matures_within_days: Days | None = None


class Consented(_Condition, tag="consented", frozen=True, kw_only=True):
    """The customer's last word on messages of this purpose, channel and topic is yes.

    False where they never said any: silence is no.
    """

    purpose: Purpose
    channel: ChannelName
    topic: Name


class DaysSince(_Condition, tag="days_since", frozen=True, kw_only=True):
    """The days since the last such fact, by the customer's calendar, lie in the bounds (both included).

    A fact of today is 0 days ago. False where there never was one, whatever the bounds: "not for 30 days, or
    never" is the ``not`` of ``at_most: 29``.
    """

    fact: str
    at_least: Days | None = None
    at_most: Days | None = None


class Entered(_Condition, tag="entered", frozen=True, kw_only=True):
    """The customer has entered the journey, in any version: ever, or at most ``within_days`` days ago.

    Days are of the customer's calendar, today is 0. False where they never did; true in the journey's own
    branches.
    """

    journey: Name
    within_days: Days | None = None


class Assets(_Condition, tag="assets", frozen=True, kw_only=True):
    """Recorded assets, as they are now, lie in the bounds (both included), written as texts: ``"100000"``.

    They count in the currency of most of the customer's balances; others are left out. False where no balance
    was ever recorded, whatever the bounds.
    """

    at_least: Amount | None = None
    at_most: Amount | None = None


class Profile(_Condition, tag="profile", frozen=True, kw_only=True):
    """What journeys have noted about the customer under this name, as for ``entry_value``.

    False where nothing was noted.
    """

    name: Name
    one_of: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    at_least: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | None = None
    at_most: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | None = None


class CareHeld(_Condition, tag="care_held", frozen=True, kw_only=True):
    """The customer is under a care hold for one of the ``reasons``, or for any where none is given.

    False where no hold is on record.
    """

    reasons: Annotated[tuple[HoldReason, ...], Meta(min_length=1)] | None = None


class InSegment(_Condition, tag="in_segment", frozen=True, kw_only=True):
    """The customer is in one of the ``classes`` of the segment, or in any of them where none are given.

    It is the class that is recorded of the customer. False where they are in none.
    """

    segment: Name
    classes: Annotated[tuple[Name, ...], Meta(min_length=1)] | None = None


class FactCount(_Condition, tag="fact_count", frozen=True, kw_only=True):
    """The number of such facts in the last ``in_days`` days lies in the bounds (both included).

    Without bounds it is at least one. Today is the last of these days: 1 means today alone. Each fact counts
    on the day of its business time that the customer's calendar showed when it was told; a change of zone
    later moves none. Of whom no such fact was told the number is 0.
    """

    fact: str
    at_least: Number | None = None
    at_most: Number | None = None
    in_days: DaysCounted


class MessageCount(_Condition, tag="message_count", frozen=True, kw_only=True):
    """The number of messages that ended in one of these ways in the last ``in_days`` days lies in the bounds.

    Without bounds it is at least one. ``accepted``: the provider took it; ``unknown``: whether it did cannot
    be told; ``rejected``: it refused; ``suppressed``: the policy forbade it. What is put off or on its way
    has not ended. Only messages of the given ``journey`` (any version), ``template`` (any version),
    ``channel`` and ``purpose`` count; what is not given is not looked at. A message counts on the day of the
    customer's calendar on which it ended, and today is the last day. Who got none has 0.
    """

    ended: Annotated[tuple[MessageEnd, ...], Meta(min_length=1)]
    journey: Name | None = None
    template: Name | None = None
    channel: ChannelName | None = None
    purpose: Purpose | None = None
    at_least: Number | None = None
    at_most: Number | None = None
    in_days: DaysCounted


class StepOutcomeIs(_Condition, tag="step_outcome", frozen=True, kw_only=True):
    """What became of the message that ``step`` of this very enrolment asked for, when it last did.

    ``deferred``: the policy has put it off, and it still waits. The others as in ``message_count``. False
    where the step was not come to. Only in branches, after the step and at least one wait.
    """

    step: Name
    is_one_of: Annotated[tuple[StepOutcome, ...], Meta(min_length=1)]


Condition = (
    All
    | Any
    | Not
    | EntryValue
    | AssetsGrew
    | AssetsFell
    | Attribute
    | Holds
    | Consented
    | DaysSince
    | Entered
    | Assets
    | CareHeld
    | Profile
    | InSegment
    | FactCount
    | MessageCount
    | StepOutcomeIs
)
