"""The ways to enter a journey.

``when`` is asked at the moment of entry, of the customer and the entry values. Where it does not hold nobody
enters, and nothing is recorded but the fact or wake-up that led there: most of those who are asked do not
fit, and would get an event each. A request is an exception, since somebody waits for its answer.
"""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.catalogue import HoldingKind
from domain.clock import LeapDayRule
from domain.lunar import Festival, LeapMonthRule
from journeys.definition.condition import Condition
from journeys.definition.words import LocalTime, MonthDay, Name, ValueName

# Farther from its day than this nothing is planned: the day of another year would be nearer.
Offset = Annotated[int, Meta(ge=-366, le=366)]
Kinds = Annotated[tuple[HoldingKind, ...], Meta(min_length=1)]
# Values of a request that every journey has, whatever it declares.
REQUEST_VALUES = ("fact", "requested_by")


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
    end with it. Nobody enters outside the calendar's years. ``offset_days`` is how many days after the
    birthday, or before it where negative; then ``moved`` brings it to a working day. The age is that of the
    birthday itself.
    """

    at: LocalTime
    leap_day: LeapDayRule = "feb-28"
    calendar: Name | None = None
    leap_month: LeapMonthRule = "leap-else-plain"
    offset_days: Offset = 0
    moved: Moved | None = None
    when: Condition | None = None


class EnterOnDate(_Enter, tag="date", frozen=True, kw_only=True):
    """Once, at ``at`` on the day ``on``: everybody who is a customer by then, and nobody later."""

    on: date
    at: LocalTime
    when: Condition | None = None


class EnterYearly(_Enter, tag="yearly", frozen=True, kw_only=True):
    """Every year at ``at`` on one day for everybody; just one of the next four fields says which.

    ``month_day`` is a day of the year such as ``12-24``, with ``leap_day`` for 29 February; ``easter`` the
    number of days after Easter Sunday (western), -2 for Good Friday; ``festival`` a lunar festival by its
    name; ``lunar_day`` a day of a lunar month, where the 30th means the month's last. The latter two need a
    ``calendar`` that has lunar months, and never fall into a leap month. ``offset_days`` and ``moved`` are as
    for birthdays.
    """

    at: LocalTime
    month_day: MonthDay | None = None
    easter: Offset | None = None
    festival: Festival | None = None
    lunar_day: MonthDay | None = None
    calendar: Name | None = None
    leap_day: LeapDayRule = "feb-28"
    offset_days: Offset = 0
    moved: Moved | None = None
    when: Condition | None = None


class EnterOnAnniversary(_Enter, tag="anniversary", frozen=True, kw_only=True):
    """At ``at`` every full year after the customer became one, or after a contract of ``kinds`` was opened.

    The first day is that of the registration, or of the contract's opening, where the customer lived then.
    ``years`` lists which anniversaries count; none listed means all. The rest is as for birthdays. Of a
    contract there are also `holding`, `kind` and `product` to use.
    """

    of: Literal["relationship", "contract"]
    kinds: Kinds | None = None
    years: tuple[Annotated[int, Meta(ge=1, le=100)], ...] = ()
    at: LocalTime
    leap_day: LeapDayRule = "feb-28"
    offset_days: Offset = 0
    moved: Moved | None = None
    when: Condition | None = None


class EnterBySchedule(_Enter, tag="schedule", frozen=True, kw_only=True):
    """At ``at`` on each day of a recurrence rule (RFC 5545) that begins on ``starts_on``.

    ``rule`` is an RRULE such as ``FREQ=MONTHLY;BYDAY=-1FR``. It may hold FREQ (DAILY, WEEKLY, MONTHLY or
    YEARLY), INTERVAL, COUNT or UNTIL (a day), BYMONTH, BYMONTHDAY, BYDAY, BYSETPOS (monthly and yearly rules)
    and WKST. COUNT counts days of the rule from ``starts_on``, whoever is there. ``moved`` brings a day to a
    working day; days that come to the same one are one occasion, that of the first.
    """

    rule: Annotated[str, Meta(min_length=1, max_length=200)]
    starts_on: date
    at: LocalTime
    moved: Moved | None = None
    when: Condition | None = None


class EnterOnMaturity(_Enter, tag="maturity", frozen=True, kw_only=True):
    """At ``at``, ``offsets`` days from the day on which a contract of one of ``kinds`` matures.

    ``moved`` brings what falls on a day that is not worked to a working day. With ``merge_days`` contracts of
    which the last matures so many days after the first, or less, lead to one enrolment for each offset, at
    the first one's moment. Who belongs together is worked out anew with every contract that is opened,
    changed or closed: those whose own moment is ahead and that were not told of for this last day yet. So
    each contract that is open at its moment is told of once for each offset, at that moment or up to
    ``merge_days`` before it. `holding` to `matures_on` are then the first one's, and there are also
    `holdings` (the contracts, a text), `count` and `last_matures_on` to use.
    """

    kinds: Kinds
    offsets: Annotated[tuple[Offset, ...], Meta(min_length=1)]
    at: LocalTime
    moved: Moved | None = None
    merge_days: Annotated[int, Meta(ge=1, le=31)] | None = None
    when: Condition | None = None


class EnterOnFact(_Enter, tag="fact", frozen=True, kw_only=True):
    """When such a fact arrives and the condition holds with it.

    ``values`` are fields of the fact that conditions and templates may refer to.
    """

    fact: str
    when: Condition | None = None
    values: tuple[str, ...] = ()


class EnterOnRequest(_Enter, tag="request", frozen=True, kw_only=True):
    """When `journey.requested/1` names this journey: by `tidings journeys start`, or by any other source.

    ``values`` are the names of what has to be told with it, and nothing else may be. A request that lacks one
    or tells another, or for which ``when`` does not hold, is refused on record.
    """

    values: tuple[ValueName, ...] = ()
    when: Condition | None = None


class EnterOnSilence(_Enter, tag="silence", frozen=True, kw_only=True):
    """At the first ``at`` by which ``days`` days have passed since the last such fact.

    Where ``when`` does not hold then, it is asked again only after a further such fact and silence.
    """

    of: str
    days: Annotated[int, Meta(ge=1, le=3660)]
    at: LocalTime
    when: Condition | None = None


class EnterOnSegment(_Enter, tag="segment", frozen=True, kw_only=True):
    """When the customer comes into the ``classes`` of the segment, leaves them, or either.

    ``entered``: they are in one of the classes, and were in none of them before; ``left``: the other way
    round; ``changed``: their class is another one, and the one or the other is among the classes. Without
    ``classes`` it is all of them. A class in which a newer rulebook finds who is there leads nobody in.
    """

    segment: Name
    on: Literal["entered", "left", "changed"]
    classes: Annotated[tuple[Name, ...], Meta(min_length=1)] | None = None
    when: Condition | None = None


# Entries whose days are known ahead: a wake-up is planned for each.
Dated = EnterOnBirthday | EnterOnDate | EnterYearly | EnterOnAnniversary | EnterBySchedule | EnterOnMaturity
Enter = Dated | EnterOnFact | EnterOnRequest | EnterOnSegment | EnterOnSilence


def calendars_of(enter: Enter) -> tuple[str, ...]:
    """The names of the calendars by which such an entry's days are worked out."""
    moved: Moved | None = getattr(enter, "moved", None)
    named = (getattr(enter, "calendar", None), moved.calendar if moved else None)
    return tuple(name for name in named if name is not None)


def entry_values(enter: Enter) -> tuple[str, ...]:
    """The names that templates and conditions of such a journey may refer to."""
    match enter:
        case EnterOnBirthday():
            return ("age",)
        case EnterOnDate() | EnterYearly() | EnterBySchedule():
            return ("day",)
        case EnterOnAnniversary(of="contract"):
            return ("years", "day", "holding", "kind", "product")
        case EnterOnAnniversary():
            return ("years", "day")
        case EnterOnMaturity(merge_days=None):
            return ("holding", "kind", "product", "matures_on", "offset_days")
        case EnterOnMaturity():
            several = ("holdings", "count", "last_matures_on")
            return ("holding", "kind", "product", "matures_on", "offset_days", *several)
        case EnterOnFact(values=values):
            return ("fact", *values)
        case EnterOnRequest(values=values):
            return (*REQUEST_VALUES, *values)
        case EnterOnSilence():
            return ("last_at", "days")
        case EnterOnSegment():
            return ("segment", "class", "before")
