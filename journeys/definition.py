"""The journey document as closed types: what can be said, and nothing else.

Times of day are local to the customer, ``HH:MM``; days are days of the customer's calendar.
"""

from datetime import time
from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.catalogue import ChannelName, HoldingKind, HoldReason, Purpose, Text
from domain.clock import LeapDayRule
from domain.lunar import LeapMonthRule

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Days = Annotated[int, Meta(ge=0, le=3660)]
LocalTime = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Languages = Annotated[dict[str, str], Meta(min_length=1)]
Amount = Annotated[str, Meta(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$")]
AttributeName = Literal["language", "region", "zone", "risk_level", "age"]
# These are texts and compared with ``one_of``; the others are numbers and lie in bounds.
TEXT_ATTRIBUTES = ("language", "region", "zone")


def time_of(text: LocalTime) -> time:
    """The time of day that ``HH:MM`` writes."""
    return time(int(text[:2]), int(text[3:]))


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
    """A number that the enrolment was entered with lies in the given bounds (both included)."""

    name: str
    at_least: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | None = None
    at_most: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)] | None = None


class AssetsGrew(_Condition, tag="assets_grew", frozen=True, kw_only=True):
    """Recorded assets grew by more than ``over_percent`` in each of the last ``months`` calendar months.

    Each month counts with its last balance so far. It needs ``months`` + 1 recorded months in a row, the
    first of them positive.
    """

    over_percent: Annotated[int, Meta(ge=0, le=1000)]
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
    at_least: Annotated[int, Meta(ge=0, le=1000)] | None = None
    at_most: Annotated[int, Meta(ge=0, le=1000)] | None = None
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


class CareHeld(_Condition, tag="care_held", frozen=True, kw_only=True):
    """The customer is under a care hold for one of the ``reasons``, or for any where none is given.

    False where no hold is on record.
    """

    reasons: Annotated[tuple[HoldReason, ...], Meta(min_length=1)] | None = None


Condition = (
    All
    | Any
    | Not
    | EntryValue
    | AssetsGrew
    | Attribute
    | Holds
    | Consented
    | DaysSince
    | Entered
    | Assets
    | CareHeld
)


class Moved(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A day that is not worked, as ``calendar`` says, moves to the next working day or the last before it.

    In years that the calendar does not know yet every day is worked that is no weekend. What was planned so
    moves again when a version that knows the year is published.
    """

    calendar: Name
    to: Literal["before", "after"]


class _Enter(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="by"
):
    pass


class EnterOnBirthday(_Enter, tag="birthday", frozen=True, kw_only=True):
    """Every year at ``at`` on the customer's birthday; ``leap_day`` rules 29 February in common years.

    With a ``calendar`` that has lunar months it is the lunar birthday, worked out from the birth date. Born
    in a leap month: ``leap-else-plain`` keeps it in that leap month in years that have it and else in the
    plain month of its number, ``plain`` in the plain month always. Born on day 30: on the 29th in months that
    end with it. Nobody enters outside the calendar's years.
    """

    at: LocalTime
    leap_day: LeapDayRule = "feb-28"
    calendar: Name | None = None
    leap_month: LeapMonthRule = "leap-else-plain"


class EnterOnMaturity(_Enter, tag="maturity", frozen=True, kw_only=True):
    """At ``at``, ``offsets`` days from the day on which a contract of one of ``kinds`` matures.

    ``moved`` brings what falls on a day that is not worked to a working day.
    """

    kinds: Annotated[tuple[HoldingKind, ...], Meta(min_length=1)]
    offsets: Annotated[tuple[Annotated[int, Meta(ge=-366, le=366)], ...], Meta(min_length=1)]
    at: LocalTime
    moved: Moved | None = None


class EnterOnFact(_Enter, tag="fact", frozen=True, kw_only=True):
    """When such a fact arrives and the condition holds with it."""

    fact: str
    when: Condition | None = None


class EnterOnSilence(_Enter, tag="silence", frozen=True, kw_only=True):
    """At the first ``at`` by which ``days`` days have passed since the last such fact."""

    of: str
    days: Annotated[int, Meta(ge=1, le=3660)]
    at: LocalTime


Enter = EnterOnBirthday | EnterOnMaturity | EnterOnFact | EnterOnSilence


class _Step(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="do"
):
    step: Name


class Send(_Step, tag="send", frozen=True, kw_only=True):
    """Ask for one message by the first channel that may be used. Policy judges when it leaves.

    Where it has to be put off, for quiet hours or a cap, it leaves at the first moment allowed within
    ``valid_hours``, else not at all; the policy says how long where the step does not. ``product_risk`` is
    the risk level, 1 to 5, of a product that the message recommends.
    """

    template: Name
    channels: Annotated[tuple[ChannelName, ...], Meta(min_length=1)]
    valid_hours: Annotated[int, Meta(ge=1, le=8784)] | None = None
    product_risk: Annotated[int, Meta(ge=1, le=5)] | None = None
    next: Name


class Wait(_Step, tag="wait", frozen=True, kw_only=True):
    """Go on at the first ``at`` by which ``days`` days have passed."""

    days: Days
    at: LocalTime
    next: Name


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way of a branch."""

    when: Condition
    next: Name


class Branch(_Step, tag="branch", frozen=True, kw_only=True):
    """Go the way of the first case that holds."""

    cases: Annotated[tuple[Case, ...], Meta(min_length=1)]
    otherwise: Name


class Task(_Step, tag="task", frozen=True, kw_only=True):
    """Ask a person of ``role`` for work within ``due_days``; ``title`` in each language."""

    role: Literal["relationship_manager", "call_centre", "operator"]
    title: Languages
    due_days: Days
    next: Name


class End(_Step, tag="end", frozen=True, kw_only=True):
    """The journey ends here."""


Step = Send | Wait | Branch | Task | End


class Reentry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How soon after the last entry the customer may enter again, in days of their calendar."""

    after_days: Days = 0


class Goal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The journey has done its work, and ends, when such a fact arrives."""

    fact: str


class Journey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a journey. The first of ``steps`` is where everybody begins.

    Of messages that compete for one slot under a cap, those of the higher ``priority`` go first.
    """

    journey: Name
    version: Annotated[int, Meta(ge=1)]
    title: Languages
    purpose: Purpose
    topic: Name
    priority: Annotated[int, Meta(ge=0, le=100)] = 50
    enter: Enter
    reentry: Reentry = Reentry()
    goal: Goal | None = None
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=500)]

    def step(self, name: str) -> Step:
        """The step of this name; a validated journey has every step that it names."""
        return next(step for step in self.steps if step.step == name)


def followers(step: Step) -> tuple[str, ...]:
    """The names of the steps that may come directly after this one."""
    match step:
        case Branch():
            return (*(case.next for case in step.cases), step.otherwise)
        case End():
            return ()
        case _:
            return (step.next,)


def calendars_of(enter: Enter) -> tuple[str, ...]:
    """The names of the calendars by which such an entry's days are worked out."""
    match enter:
        case EnterOnBirthday(calendar=str(name)) | EnterOnMaturity(moved=Moved(calendar=name)):
            return (name,)
        case _:
            return ()


def entry_values(enter: Enter) -> tuple[str, ...]:
    """The names that templates and conditions of such a journey may refer to."""
    match enter:
        case EnterOnBirthday():
            return ("age",)
        case EnterOnMaturity():
            return ("holding", "kind", "product", "matures_on", "offset_days")
        case EnterOnFact():
            return ("fact",)
        case EnterOnSilence():
            return ("last_at", "days")
