"""The days of entries beside plain counting: every day of years is looked at, every contract followed."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.clock import at_local, in_year, local_day
from domain.customer import Customer
from domain.events import EnrolmentStarted
from domain.fold import evolve
from domain.holding import Holding
from domain.lunar import LUNAR_DAYS, LunarDate, LunarMonths
from journeys.definition import (
    EnterBySchedule,
    EnterOnAnniversary,
    EnterOnBirthday,
    EnterOnDate,
    EnterOnMaturity,
    EnterYearly,
    Moved,
    time_of,
)
from journeys.occasions import occasions
from journeys.rulebook import Rules
from support.facts import PRAGUE, changed, closed, opened, registered
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario
from support.strategies import ZONES, birth_dates, days, entered, entries, instants

DAY = timedelta(days=1)
CALENDARS = SHIPPED_RULES.calendars
_FOUND = CALENDARS["lunar"].lunar
assert _FOUND is not None
LUNAR: LunarMonths = _FOUND


def is_named(enter: Any, customer: Customer, first: date | None, day: date) -> bool:
    """Whether the entry means this very day, asked of the day alone."""
    other_easter = pytest.importorskip("dateutil.easter")
    rrule = pytest.importorskip("dateutil.rrule")
    match enter:
        case EnterOnDate(on=on):
            return day == on
        case EnterOnBirthday(calendar=None) | EnterOnAnniversary() | EnterYearly(month_day=str()):
            if isinstance(enter, EnterYearly):
                first = date.fromisoformat(f"1904-{enter.month_day}")
            assert first is not None
            years = day.year - first.year
            if isinstance(enter, EnterOnAnniversary) and (years < 1 or years not in (enter.years or [years])):
                return False
            return day >= first and day == in_year(first, day.year, leap_day=enter.leap_day)
        case EnterOnBirthday():
            assert customer.birth_date is not None
            born, lunar = LUNAR.from_gregorian(customer.birth_date), LUNAR.from_gregorian(day)
            is_leap = born.leap and enter.leap_month != "plain" and LUNAR.leap_month(lunar.year) == born.month
            last = is_last(lunar, day) and born.day == 30
            same = (lunar.month, lunar.leap) == (born.month, is_leap)
            return day >= customer.birth_date and same and (lunar.day == born.day or last)
        case EnterYearly(easter=int(days_after)):
            return any(
                other_easter.easter(y) + DAY * days_after == day for y in range(day.year - 1, day.year + 2)
            )
        case EnterYearly():
            month, number = (
                LUNAR_DAYS[enter.festival] if enter.festival else map(int, (enter.lunar_day or "").split("-"))
            )
            lunar = LUNAR.from_gregorian(day)
            last = is_last(lunar, day) and number == 30
            return (lunar.month, lunar.leap) == (month, False) and (lunar.day == number or last)
        case EnterBySchedule(rule=rule, starts_on=start):
            midnight = datetime.combine(day, datetime.min.time())
            begins = datetime.combine(start, datetime.min.time())
            return midnight in rrule.rrulestr(rule, dtstart=begins)
        case _:
            raise AssertionError(enter)


def is_last(lunar: LunarDate, day: date) -> bool:
    return LUNAR.from_gregorian(day + DAY).day == 1


def due_on(enter: Any, day: date, zone: str) -> datetime:
    """The moment of an entry whose day this is: by the calendar, one day after the other."""
    day += DAY * getattr(enter, "offset_days", 0)
    moved = getattr(enter, "moved", None)
    if moved is not None:
        working = CALENDARS[moved.calendar].working
        assert working is not None
        while not working.is_working_day(day, beyond="weekday"):
            day += DAY if moved.to == "after" else -DAY
    return at_local(day, time_of(enter.at), zone)


DATED = (EnterOnBirthday, EnterOnDate, EnterYearly, EnterOnAnniversary, EnterBySchedule)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(*(entries[kind] for kind in DATED)), birth_dates, days, st.sampled_from(ZONES), instants)
def test_the_next_day_is_the_first_that_looking_at_every_day_finds(
    enter: Any, born: date, since: date, zone: str, now: datetime
) -> None:
    since = in_year(since, 2024, leap_day="feb-28")
    contract = Holding("term_deposit", "", None, since)
    customer = Customer("c-1", birth_date=born, since=since, zone=zone, holdings={"d": contract})
    of_contract = isinstance(enter, EnterOnAnniversary) and enter.of == "contract"
    first = since if isinstance(enter, EnterOnAnniversary) else born
    around = local_day(now, zone) - DAY * (getattr(enter, "offset_days", 0) + 31)
    expected = next(
        (
            (due_at, day)
            for day in (around + DAY * number for number in range(450))
            if is_named(enter, customer, first, day) and (due_at := due_on(enter, day, zone)) >= now
        ),
        None,
    )
    found = occasions(customer, entered("own", enter), calendars=CALENDARS, not_before=now)
    if expected is None:
        # Beyond the days that were looked at, or never.
        assert all(local_day(o.due_at, zone) - local_day(now, zone) > DAY * 380 for o in found.values())
        return
    ((timer, occasion),) = found.items()
    assert (occasion.due_at, occasion.key.removeprefix("d:")) == (expected[0], expected[1].isoformat())
    assert timer == ("enter:own:d" if of_contract else "enter:own")
    if "years" in occasion.entry:
        assert occasion.entry["years"] == expected[1].year - since.year


DEPOSITS = ("a", "b", "c", "d")
STARTS = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


@st.composite
def contracts(draw: st.DrawFn) -> list[tuple[datetime, Any]]:
    """Contracts that are opened, told again, moved and closed over half a year; none comes back."""
    told: list[tuple[datetime, Any]] = []
    for name in DEPOSITS[: draw(st.integers(1, 4))]:
        moments = sorted(draw(st.lists(st.integers(0, 150 * 24), min_size=1, max_size=4, unique=True)))
        for number, hour in enumerate(moments):
            at = STARTS + timedelta(hours=hour, minutes=30 * draw(st.integers(0, 1)))
            day = date(2026, 1, 10) + DAY * draw(st.integers(0, 60)) * draw(st.integers(1, 3))
            fact: Any = opened(holding=name, matures_on=day)
            if number:
                fact = draw(st.sampled_from([fact, changed(holding=name, matures_on=day), closed(name)]))
            told.append((at, fact))
            if number and draw(st.booleans()):
                told.append((at + timedelta(hours=1), closed(name)))
                break
    return told


@settings(max_examples=150, deadline=None)
@given(
    contracts(),
    st.sampled_from([1, 7, 31]),
    st.none() | st.builds(Moved, calendar=st.just("cz"), to=st.sampled_from(["before", "after"])),
)
def test_each_contract_that_is_open_at_its_moment_is_told_of_just_once(
    told: list[tuple[datetime, Any]], merge_days: int, moved: Moved | None
) -> None:
    enter = EnterOnMaturity(
        kinds=("term_deposit",), offsets=(-7, 0, 3), at="10:00", moved=moved, merge_days=merge_days
    )
    journey = entered("own", enter)
    rules = Rules(replace(SHIPPED_RULEBOOK, journeys=(journey,)))
    told = [(STARTS, registered()), *drop_after_closing(told)]
    life = Scenario(rules=rules).given(*told).until(datetime(2027, 1, 1, tzinfo=UTC))

    found: Counter[tuple[str, date, int]] = Counter()
    when: dict[tuple[str, date, int], datetime] = {}
    customer = Customer("c-1")
    for event in life.history:
        if isinstance(event.body, EnrolmentStarted):
            body = event.body
            dated = {name: customer.holdings[name].matures_on for name in body.covers}
            days_told = [day for day in dated.values() if day is not None]
            assert max(days_told) - min(days_told) <= DAY * merge_days
            assert body.entry["matures_on"] == min(days_told).isoformat()
            assert body.entry["last_matures_on"] == max(days_told).isoformat()
            assert (body.entry["count"], body.entry["holdings"]) == (len(body.covers), ", ".join(body.covers))
            for name, day in dated.items():
                assert day is not None
                place = (name, day, int(str(body.entry["offset_days"])))
                found[place] += 1
                when[place] = event.recorded_at
        customer = evolve(customer, event)
    assert set(found.values()) <= {1}
    assert life.customer.timers == {}
    # Nobody is told of what is over, nor earlier than one may be told with another.
    for (_, day, offset), told_at in when.items():
        moment = due_on(enter, day + DAY * offset, PRAGUE)
        assert moment - DAY * (merge_days + 6) <= told_at <= moment

    for name in {fact.holding for _, fact in told[1:]}:
        for day in {day for _, day in lasts(told, name) if day is not None}:
            for offset in enter.offsets:
                moment = due_on(enter, day + DAY * offset, PRAGUE)
                known = [last for since, last in lasts(told, name) if since <= moment]
                if known and known[-1] == day:
                    assert found[name, day, offset] == 1, (name, day, offset)


def drop_after_closing(told: list[tuple[datetime, Any]]) -> list[tuple[datetime, Any]]:
    """Without facts of a contract that has ended."""
    ended: set[str] = set()
    kept = []
    for at, fact in sorted(told, key=lambda item: item[0]):
        if fact.holding not in ended:
            kept.append((at, fact))
        if type(fact) is type(closed("a")):
            ended.add(fact.holding)
    return kept


def lasts(told: list[tuple[datetime, Any]], name: str) -> list[tuple[datetime, date | None]]:
    """Since when a contract matures when; None since it is closed."""
    return [(at, getattr(fact, "matures_on", None)) for at, fact in told[1:] if fact.holding == name]
