"""When a customer may enter by a day that is known ahead, and with which key and values.

Worked out from the customer's state and the rules alone. A wake-up only says that its moment has come: what
it leads to is worked out again when it fires.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import assert_never

from msgspec import Struct

from domain.calendars import Calendar
from domain.clock import at_local, easter_sunday, in_year, local_day
from domain.customer import Customer
from domain.events import Values
from domain.holding import Holding, occasion_of
from domain.lunar import LUNAR_DAYS, LunarDate, LunarMonths
from journeys.definition import (
    EnterBySchedule,
    EnterOnAnniversary,
    EnterOnBirthday,
    EnterOnDate,
    EnterOnMaturity,
    EnterYearly,
    Journey,
    Moved,
    month_day_of,
    time_of,
)
from journeys.recurrence import MOST_YEARS, days_from, rule_of

# Holidays that follow each other are shorter, so no day is moved so far.
_FARTHEST_MOVE = timedelta(days=62)
# A clock change may bring a moment to the day after.
_FARTHEST_SKIP = timedelta(days=2)
Calendars = Mapping[str, Calendar]
Days = Iterator[tuple[date, Values]]
Repeated = EnterOnBirthday | EnterOnDate | EnterYearly | EnterOnAnniversary | EnterBySchedule


class Occasion(Struct, frozen=True, gc=False):
    """A moment (aware UTC) at which the customer may enter; ``covers`` are the contracts it tells of."""

    due_at: datetime
    key: str
    entry: Values
    covers: tuple[str, ...] = ()


def entry_timer(journey: str) -> str:
    """The name of the wake-up for a journey that a customer can wait for only once at a time."""
    return f"enter:{journey}"


def occasions(
    customer: Customer, journey: Journey, *, calendars: Calendars, not_before: datetime
) -> dict[str, Occasion]:
    """What lies ahead, ``not_before`` included, by the name of its wake-up; {} for entries without days.

    Of days that come again it is the next one; of the last days of contracts it is all of them.
    """
    enter, timer = journey.enter, entry_timer(journey.journey)
    match enter:
        case EnterOnMaturity(merge_days=None):
            return dict(_maturities(customer, timer, enter, calendars, not_before))
        case EnterOnMaturity():
            return dict(_merged(customer, journey, enter, calendars, not_before))
        case EnterOnAnniversary(of="contract"):
            return dict(_anniversaries(customer, timer, enter, calendars, not_before))
        case EnterOnBirthday() | EnterOnDate() | EnterYearly() | EnterOnAnniversary() | EnterBySchedule():
            since = _earliest(customer, enter, not_before)
            days = _days(customer, enter, calendars, since)
            found = _next(days, customer, enter, calendars, not_before)
            return {timer: found} if found else {}
        case _:
            return {}


def _next(
    days: Days, customer: Customer, enter: Repeated, calendars: Calendars, not_before: datetime
) -> Occasion | None:
    """The first of the days whose moment is not before the given one; the key is the day itself."""
    earliest = _earliest(customer, enter, not_before)
    for day, entry in days:
        if day >= earliest:
            due_at = _due_at(customer, enter, day + _offset(enter), calendars)
            if due_at >= not_before:
                return Occasion(due_at, day.isoformat(), entry)
    return None


def _earliest(customer: Customer, enter: Repeated, not_before: datetime) -> date:
    """A day before which none can be that leads to a moment not before the given one."""
    farthest = _FARTHEST_SKIP if getattr(enter, "moved", None) is None else _FARTHEST_MOVE
    return local_day(not_before, customer.zone) - _offset(enter) - farthest


def _offset(enter: Repeated) -> timedelta:
    return timedelta(days=getattr(enter, "offset_days", 0))


def _days(customer: Customer, enter: Repeated, calendars: Calendars, since: date) -> Days:
    """The days themselves with their entry values, in order; at least those from ``since`` on."""
    match enter:
        case EnterOnDate(on=day):
            yield day, {"day": day.isoformat()}
        case EnterOnBirthday():
            if customer.birth_date is not None:
                yield from _birthdays(customer.birth_date, enter, calendars, since)
        case EnterYearly():
            for day in _yearly(enter, calendars, since):
                yield day, {"day": day.isoformat()}
        case EnterOnAnniversary():
            if customer.since is not None:
                yield from _years_after(customer.since, enter, since)
        case EnterBySchedule():
            for day in days_from(rule_of(enter.rule), enter.starts_on, since):
                yield day, {"day": day.isoformat()}
        case _:
            assert_never(enter)


def _birthdays(born: date, enter: EnterOnBirthday, calendars: Calendars, since: date) -> Days:
    """Birthdays from the day of birth on; years are those of the entry's calendar."""
    if enter.calendar is None:
        for year in range(max(since.year, born.year), since.year + MOST_YEARS):
            yield in_year(born, year, leap_day=enter.leap_day), {"age": year - born.year}
        return
    lunar = _lunar(enter.calendar, calendars)
    if lunar is None or not lunar.covers(born):
        return
    first = lunar.from_gregorian(born)
    # A lunar year's last days belong to the next Gregorian year.
    for year in range(max(since.year - 1, first.year), lunar.last_year + 1):
        yield lunar.in_year(first, year, leap_month=enter.leap_month), {"age": year - first.year}


def _yearly(enter: EnterYearly, calendars: Calendars, since: date) -> Iterator[date]:
    """The days of the year that the entry names, none where its calendar ends."""
    years = range(since.year, since.year + MOST_YEARS)
    if enter.month_day is not None:
        # The day in a leap year, so that 29 February is one.
        day = date(2000, *month_day_of(enter.month_day))
        yield from (in_year(day, year, leap_day=enter.leap_day) for year in years)
    elif enter.easter is not None:
        before = range(since.year - 1, since.year + MOST_YEARS)
        yield from (easter_sunday(year) + timedelta(days=enter.easter) for year in before)
    else:
        lunar = _lunar(enter.calendar, calendars)
        if lunar is None:
            return
        month, number = LUNAR_DAYS[enter.festival] if enter.festival else month_day_of(enter.lunar_day or "")
        for year in range(max(since.year - 1, lunar.first_year), lunar.last_year + 1):
            yield lunar.in_year(LunarDate(year, month, number), year, leap_month="plain")


def _years_after(first: date, enter: EnterOnAnniversary, since: date) -> Days:
    """The anniversaries of a day that count, from the first full year on."""
    for years in range(max(1, since.year - first.year), since.year - first.year + MOST_YEARS):
        if not enter.years or years in enter.years:
            day = in_year(first, first.year + years, leap_day=enter.leap_day)
            yield day, {"years": years, "day": day.isoformat()}


def _anniversaries(
    customer: Customer, timer: str, enter: EnterOnAnniversary, calendars: Calendars, not_before: datetime
) -> Iterator[tuple[str, Occasion]]:
    """The next anniversary of each contract."""
    since = _earliest(customer, enter, not_before)
    for name, holding in customer.holdings.items():
        if holding.kind in (enter.kinds or ()) and holding.opened_on is not None:
            days = _years_after(holding.opened_on, enter, since)
            found = _next(days, customer, enter, calendars, not_before)
            if found is not None:
                entry = {**found.entry, "holding": name, "kind": holding.kind, "product": holding.product}
                yield f"{timer}:{name}", Occasion(found.due_at, f"{name}:{found.key}", entry)


def _maturities(
    customer: Customer, timer: str, enter: EnterOnMaturity, calendars: Calendars, not_before: datetime
) -> Iterator[tuple[str, Occasion]]:
    """Every moment around the last day of each contract."""
    for name, holding, matures_on in _maturing(customer, enter):
        told = matures_on.isoformat()
        for offset in enter.offsets:
            due_at = _due_at(customer, enter, matures_on + timedelta(days=offset), calendars)
            if due_at >= not_before:
                entry = _maturity(name, holding, told, offset)
                yield f"{timer}:{name}:{offset}", Occasion(due_at, f"{name}:{told}:{offset}", entry)


def _merged(
    customer: Customer, journey: Journey, enter: EnterOnMaturity, calendars: Calendars, not_before: datetime
) -> Iterator[tuple[str, Occasion]]:
    """Every moment around the last day of the first of several contracts that are told of together.

    Only those take part whose own moment is ahead and that were not told of yet: so it does not matter in
    which order contracts come and go.
    """
    timer = entry_timer(journey.journey)
    within = timedelta(days=enter.merge_days or 0)
    maturing = sorted(_maturing(customer, enter), key=lambda found: (found[2], found[0]))
    for offset in enter.offsets:
        ahead = [
            (name, holding, day, due_at)
            for name, holding, day in maturing
            if occasion_of(journey.journey, matures_on=day, offset=offset) not in holding.told
            and (due_at := _due_at(customer, enter, day + timedelta(days=offset), calendars)) >= not_before
        ]
        while ahead:
            name, holding, first, due_at = ahead[0]
            together = [found for found in ahead if found[2] - first <= within]
            ahead = ahead[len(together) :]
            names = tuple(found[0] for found in together)
            several: Values = {
                "holdings": ", ".join(names),
                "count": len(names),
                "last_matures_on": together[-1][2].isoformat(),
            }
            entry = {**_maturity(name, holding, first.isoformat(), offset), **several}
            key = f"{name}:{first.isoformat()}:{offset}"
            yield f"{timer}:{first.isoformat()}:{offset}", Occasion(due_at, key, entry, names)


def _maturing(customer: Customer, enter: EnterOnMaturity) -> Iterator[tuple[str, Holding, date]]:
    for name, holding in customer.holdings.items():
        if holding.kind in enter.kinds and holding.matures_on is not None:
            yield name, holding, holding.matures_on


def _maturity(name: str, holding: Holding, matures_on: str, offset: int) -> Values:
    return {
        "holding": name,
        "kind": holding.kind,
        "product": holding.product,
        "matures_on": matures_on,
        "offset_days": offset,
    }


def _due_at(
    customer: Customer, enter: Repeated | EnterOnMaturity, day: date, calendars: Calendars
) -> datetime:
    """The moment on this day, or on the working day to which it is moved."""
    moved: Moved | None = getattr(enter, "moved", None)
    if moved is not None:
        day = moved_day(day, moved, calendars)
    return at_local(day, time_of(enter.at), customer.zone)


def _lunar(name: str | None, calendars: Calendars) -> LunarMonths | None:
    calendar = calendars.get(name) if name else None
    return calendar.lunar if calendar else None


def moved_day(day: date, moved: Moved | None, calendars: Calendars) -> date:
    """The day, or the working day that it is moved to."""
    calendar = calendars.get(moved.calendar) if moved else None
    if moved is None or calendar is None or calendar.working is None:
        return day
    # A contract may mature years after the last that is decreed: a provisional day is mended by adoption.
    if moved.to == "before":
        return calendar.working.on_or_before(day, beyond="weekday")
    return calendar.working.on_or_after(day, beyond="weekday")
