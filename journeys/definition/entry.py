"""The ways to enter a journey."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.catalogue import HoldingKind
from domain.clock import LeapDayRule
from domain.lunar import LeapMonthRule
from journeys.definition.condition import Condition
from journeys.definition.words import LocalTime, Name


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
    """When such a fact arrives and the condition holds with it.

    ``values`` are fields of the fact that conditions and templates may refer to.
    """

    fact: str
    when: Condition | None = None
    values: tuple[str, ...] = ()


class EnterOnSilence(_Enter, tag="silence", frozen=True, kw_only=True):
    """At the first ``at`` by which ``days`` days have passed since the last such fact."""

    of: str
    days: Annotated[int, Meta(ge=1, le=3660)]
    at: LocalTime


Enter = EnterOnBirthday | EnterOnMaturity | EnterOnFact | EnterOnSilence


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
        case EnterOnFact(values=values):
            return ("fact", *values)
        case EnterOnSilence():
            return ("last_at", "days")
