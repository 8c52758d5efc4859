"""Days, hours and zones."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clock import (
    add_months,
    at_local,
    easter_sunday,
    first_at_local,
    from_micros,
    in_year,
    to_micros,
)

ZONES = ("Europe/Prague", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
days = st.dates(date(1971, 1, 1), date(2060, 12, 31))
hours = st.times().map(lambda at: at.replace(second=0, microsecond=0))
zones = st.sampled_from(ZONES)
instants = st.datetimes(datetime(1970, 1, 2), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
EASTERS = """
    0415 0331 0419 0411 0403 0416 0407 0330 0412 0404 0423 0415 0331 0420 0411 0327 0416 0408 0323
    0412 0404 0424 0408 0331 0420 0405 0327 0416 0401 0421 0412 0404 0417 0409 0331 0420 0405 0328
    0416 0401 0421 0413 0328 0417 0409 0325 0413 0405 0425 0410 0401 0421 0406 0329 0417 0409 0325
    0414 0405 0418 0410 0402 0421 0406 0329 0418 0402 0422 0414 0330 0418
"""


@given(instants)
def test_microseconds_and_back_are_the_same_instant(at: datetime) -> None:
    assert from_micros(to_micros(at)) == at


@given(days, hours, zones)
def test_a_local_time_is_what_the_wall_clock_shows_unless_it_is_skipped(
    day: date, at: time, zone: str
) -> None:
    instant = at_local(day, at, zone)
    wall = instant.astimezone(ZoneInfo(zone))
    skipped = wall.replace(tzinfo=None) != datetime.combine(day, at)
    local = datetime.combine(day, at)
    offsets = {ZoneInfo(zone).utcoffset(local.replace(fold=fold)) for fold in (0, 1)}
    assert not skipped or len(offsets) == 2
    assert instant.tzinfo is UTC


def test_a_skipped_time_is_read_with_the_offset_before_it() -> None:
    # On 29 March 2026 Prague goes from 01:59 to 03:00.
    assert at_local(date(2026, 3, 29), time(2, 30), "Europe/Prague") == datetime(
        2026, 3, 29, 1, 30, tzinfo=UTC
    )


def test_a_time_that_occurs_twice_means_the_first() -> None:
    assert at_local(date(2026, 10, 25), time(2, 30), "Europe/Prague") == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )


@given(days, st.sampled_from(["feb-28", "mar-1"]), st.integers(1971, 2060))
def test_an_anniversary_lies_in_its_year_on_its_day(day: date, rule: str, year: int) -> None:
    found = in_year(day, year, leap_day=rule)  # type: ignore[arg-type]
    assert found.year == year
    leap = (day.month, day.day) == (2, 29)
    assert leap or (found.month, found.day) == (day.month, day.day)


def test_easter_is_when_the_published_tables_have_it() -> None:
    """From 1990 to 2060, and in all centuries of the Gregorian calendar as another library works it out."""
    other = pytest.importorskip("dateutil.easter", reason="python-dateutil comes with the dev dependencies")
    found = [easter_sunday(year).strftime("%m%d") for year in range(1990, 2061)]
    assert found == EASTERS.split()
    assert all(easter_sunday(year) == other.easter(year) for year in range(1583, 4100))


@given(instants, st.integers(0, 400), hours, zones)
def test_whole_days_have_passed_at_the_first_hour(after: datetime, count: int, at: time, zone: str) -> None:
    found = first_at_local(after, days=count, at=at, zone=zone)
    wall_then = after.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wall_found = found.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    skew = timedelta(hours=1)  # a skipped hour shows as a later one
    assert timedelta(0) <= wall_found - wall_then - timedelta(days=count) + skew
    assert wall_found - wall_then <= timedelta(days=count + 1) + skew


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(1996, 2, 29), 12, date(1997, 2, 28)),
        (date(1993, 1, 31), 1, date(1993, 2, 28)),
        (date(1993, 12, 15), 1, date(1994, 1, 15)),
        (date(1993, 7, 5), 0, date(1993, 7, 5)),
        (date(1996, 2, 29), 60, date(2001, 2, 28)),
    ],
)
def test_a_day_that_does_not_exist_becomes_the_months_last(day: date, months: int, then: date) -> None:
    assert add_months(day, months) == then
