"""Instants and calendar days. Every instant is aware UTC; a wall clock needs its zone's name."""

import calendar
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

LeapDayRule = Literal["feb-28", "mar-1"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def to_micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware instant; the form in which stores keep and order time."""
    return (at - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC instant that ``to_micros`` turned into a number."""
    return EPOCH + _MICROSECOND * micros


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The zone by its IANA name. Raises ZoneInfoNotFoundError or ValueError for an unknown one."""
    return ZoneInfo(name)


@lru_cache(maxsize=65536)
def at_local(day: date, at: time, zone: str) -> datetime:
    """The instant, in UTC, when the wall clock of ``zone`` shows ``at`` on ``day``.

    A time skipped by a clock change is read with the offset before it; a time that
    occurs twice means the first. Raises ZoneInfoNotFoundError for an unknown zone.
    Source: RFC 5545 section 3.3.5, form 3 (local time with time zone reference).
    """
    return datetime.combine(day, at, zone_of(zone)).astimezone(UTC)


def local_day(at: datetime, zone: str) -> date:
    """The calendar day that the wall clock of ``zone`` shows at this instant."""
    return at.astimezone(zone_of(zone)).date()


def day_number(at: datetime, zone: str) -> int:
    """``local_day`` as a number (``date.toordinal``), at half the price for days that come again."""
    turn, before = _turn_of_day(zone, at.toordinal())
    return local_day(at, zone).toordinal() if turn is None else before + (at >= turn)


@lru_cache(maxsize=65536)
def _turn_of_day(zone: str, day: int) -> tuple[datetime | None, int]:
    """The instant of this UTC day from which the zone shows another day, and the day that it shows before.

    None on days on which the zone's clock changes: they may show midnight twice, or never.
    """
    begins = datetime.fromordinal(day).replace(tzinfo=UTC)
    first, last = (at.astimezone(zone_of(zone)) for at in (begins, begins + timedelta(days=1)))
    offset = first.utcoffset()
    if offset is None or offset != last.utcoffset():
        return None, 0
    return datetime.combine(first.date() + timedelta(days=1), time(0), UTC) - offset, first.toordinal()


def first_at_local(after: datetime, *, days: int, at: time, zone: str) -> datetime:
    """The first instant at which ``zone``'s wall clock shows ``at`` and ``days`` whole days have passed.

    Days are counted on the wall clock, so a clock change in between moves nothing.
    """
    wall = after.astimezone(zone_of(zone))
    day = wall.date() + timedelta(days=days)
    found = at_local(day if wall.time() <= at else day + timedelta(days=1), at, zone)
    # In an hour that the clock shows twice, the first showing of ``at`` may lie before ``after``.
    return found if found >= after else at_local(day + timedelta(days=1), at, zone)


def in_year(day: date, year: int, *, leap_day: LeapDayRule) -> date:
    """The anniversary of ``day`` in ``year``; 29 February follows the rule in common years."""
    if (day.month, day.day) == (2, 29) and not calendar.isleap(year):
        return date(year, 2, 28) if leap_day == "feb-28" else date(year, 3, 1)
    return day.replace(year=year)


def full_years(since: date, day: date) -> int:
    """The years that have gone by on ``day``; 29 February counts on 1 March in common years."""
    return day.year - since.year - (in_year(since, day.year, leap_day="mar-1") > day)


def easter_sunday(year: int) -> date:
    """Easter Sunday of the western churches.

    Source: the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, chapter 8).
    """
    moon, (century, place) = year % 19, divmod(year, 100)
    leap_centuries, odd_centuries = divmod(century, 4)
    leaps, odd_years = divmod(place, 4)
    epact = (19 * moon + century - leap_centuries - (8 * century + 13) // 25 + 15) % 30
    weekday = (32 + 2 * odd_centuries + 2 * leaps - epact - odd_years) % 7
    late = (moon + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def add_months(day: date, months: int) -> date:
    """The same day ``months`` later (months >= 0); a day that does not exist becomes the month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def month_number(day: date) -> int:
    """Months since year 0, so that consecutive calendar months differ by one."""
    return day.year * 12 + day.month - 1
