"""What can change a condition's answer: events of some kinds, and days that come. Pure.

Conditions look at the customer's state and at their calendar day, at nothing finer. So between events an
answer changes at the beginning of a local day only.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import assert_never

from domain.clock import at_local, in_year, local_day
from domain.customer import Customer
from domain.tally import by_day
from journeys.definition import (
    All,
    Any,
    Assets,
    AssetsFell,
    AssetsGrew,
    Attribute,
    CareHeld,
    Condition,
    Consented,
    DaysSince,
    Entered,
    EntryValue,
    FactCount,
    Holds,
    InSegment,
    MessageCount,
    Not,
    Profile,
    StepOutcomeIs,
)

PERSON = frozenset({"customer.registered/1", "customer.changed/1"})
_BALANCES = frozenset({"balance.recorded/1", "account.closed/1"})
_CONTRACTS = frozenset({"holding.opened/1", "holding.changed/1", "holding.closed/1"})
_CONSENTS = frozenset({"consent.granted/1", "consent.withdrawn/1"})
_HOLDS = frozenset({"care_hold.placed/1", "care_hold.lifted/1"})
# Who is held out counts as entered.
_ENTRIES = frozenset({"enrolment.started/1", "enrolment.held_out/1"})
_NOTED = frozenset({"profile.updated/1"})
_NOTHING: frozenset[str] = frozenset()
_MIDNIGHT = time(0)
_HOUR = timedelta(hours=1)
# No clock change moves a wall clock further than this.
_WIDEST_CHANGE = timedelta(hours=26)
# Beyond it a day is "never": the last days of the calendar cannot be told in every zone.
_LAST_DAY = date(9000, 1, 1).toordinal()


def leaves(condition: Condition) -> Iterator[Condition]:
    """The conditions without parts in the tree, from left to right."""
    match condition:
        case All(of=parts) | Any(of=parts):
            for part in parts:
                yield from leaves(part)
        case Not(of=part):
            yield from leaves(part)
        case _:
            yield condition


def heard_by(condition: Condition) -> frozenset[str]:
    """The kinds of events by which the answer can change, other segments' and the passing of days aside."""
    return _NOTHING.union(*map(_heard_by_leaf, leaves(condition)))


def segments_asked(condition: Condition) -> frozenset[str]:
    """The segments that the condition refers to."""
    return frozenset(leaf.segment for leaf in leaves(condition) if isinstance(leaf, InSegment))


def turning(condition: Condition) -> Iterator[Condition]:
    """Those of the leaves whose answers can change as days pass."""
    return filter(_can_turn, leaves(condition))


def changes_at(condition: Condition, customer: Customer, now: datetime) -> datetime | None:
    """The first instant after ``now`` at which the answer may change if nothing happens; None for never.

    It is never too late, and may be early: nothing need change at it.
    """
    return first_turn(turning(condition), customer, now)


def first_turn(turning: Iterable[Condition], customer: Customer, now: datetime) -> datetime | None:
    """The first instant after ``now`` at which one of these leaves may turn; None for never."""
    today = local_day(now, customer.zone)
    ahead = [day for leaf in turning for day in _turns(leaf, customer) if day > today]
    if not ahead:
        return None
    at = at_local(min(ahead), _MIDNIGHT, customer.zone)
    # Where the clock was put back over midnight the day has begun once before.
    while at <= now:
        at += _HOUR
    return at


def stays_for(condition: Condition, kind: str) -> timedelta | None:
    """While the last fact of the kind is no older, one more leaves the answer as it is; None for never.

    Only for kinds of which nothing is known but when one last happened. The days that are counted then lie
    below the least number that is compared with, before and after.
    """
    least = timedelta.max
    for leaf in leaves(condition):
        if kind in _heard_by_leaf(leaf):
            if not isinstance(leaf, DaysSince):
                return None
            bounds = (leaf.at_least or 0, 0 if leaf.at_most is None else leaf.at_most + 1)
            for days in (bound for bound in bounds if bound > 0):
                least = min(least, timedelta(days=days - 1) - _WIDEST_CHANGE)
    return least


def _heard_by_leaf(leaf: Condition) -> frozenset[str]:
    match leaf:
        case Assets() | AssetsGrew() | AssetsFell():
            return _BALANCES
        case Attribute(name="risk_level"):
            return PERSON | {"risk.assessed/1"}
        case Attribute():
            return PERSON
        case Holds(matures_within_days=None):
            return _CONTRACTS
        case Holds():
            return PERSON | _CONTRACTS
        case Consented():
            return _CONSENTS
        case DaysSince(fact=fact) | FactCount(fact=fact):
            return PERSON | {fact}
        case Entered():
            return PERSON | _ENTRIES
        case CareHeld():
            return _HOLDS
        case Profile():
            return _NOTED
        case EntryValue() | InSegment() | MessageCount() | StepOutcomeIs():
            # Segments may not ask for messages nor for a passage; other segments are looked at by themselves.
            return _NOTHING
        case All() | Any() | Not():
            raise AssertionError("a leaf has no parts")
        case _:
            assert_never(leaf)


def _can_turn(leaf: Condition) -> bool:
    match leaf:
        case Holds(matures_within_days=days) | Entered(within_days=days):
            return days is not None
        case Attribute(name=name):
            return name in ("age", "risk_level")
        case _:
            return isinstance(leaf, DaysSince | FactCount)


def _turns(leaf: Condition, customer: Customer) -> Iterable[date]:
    """The days with whose beginning the leaf may turn, past ones among them."""
    zone = customer.zone
    match leaf:
        case DaysSince(fact=fact, at_least=least, at_most=most):
            at = customer.last_at.get(fact)
            return [] if at is None else _later(local_day(at, zone), least, _after(most))
        case FactCount(fact=fact, in_days=days):
            tally = customer.fact_days.get(fact)
            counted = [] if tally is None else by_day(tally)
            return [later for day in counted for later in _later(day, days)]
        case Entered(journey=journey, within_days=int(days)):
            last = customer.entered.get(journey)
            return [] if last is None else _later(local_day(last.at, zone), days + 1)
        case Attribute(name="age", at_least=least, at_most=most) if customer.birth_date is not None:
            born = customer.birth_date
            # A birth that lies ahead is none yet.
            years = [born.year + age for age in (0, least, _after(most)) if age is not None]
            return [in_year(born, year, leap_day="mar-1") for year in years if year < 9000]
        case Attribute(name="risk_level") if customer.risk_valid_until is not None:
            return _later(customer.risk_valid_until, 1)
        case Holds(kinds=kinds, matures_within_days=int(days)):
            ends = [h.matures_on for h in customer.holdings.values() if h.kind in kinds and h.matures_on]
            return [day for end in ends for day in _later(end, -days, 1)]
        case _:
            return []


def _after(days: int | None) -> int | None:
    return None if days is None else days + 1


def _later(day: date, *numbers: int | None) -> Iterator[date]:
    """The days so many days later, without those that never come."""
    for number in numbers:
        if number is not None and 1 <= (ordinal := day.toordinal() + number) <= _LAST_DAY:
            yield date.fromordinal(ordinal)
