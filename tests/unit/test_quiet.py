"""Quiet hours on every wall clock: never inside, never later than need be, never in the past."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.clock import Weekday
from domain.quiet import QuietHours, quiet_until
from support.facts import at

ZONES = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("posix"))
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE = timedelta(minutes=1)
clocks = st.tuples(st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59])).map(
    lambda t: f"{t[0]:02}:{t[1]:02}"
)


def night(begins: str = "21:00", to: str = "08:00", **given: object) -> QuietHours:
    values = {"name": "night", "purposes": ("marketing",), **given}
    return QuietHours(begins=begins, to=to, **values)  # type: ignore[arg-type]


def is_quiet(window: QuietHours, moment: datetime, zone: str) -> bool:
    """Reckoned anew from the clock on the wall, minute by minute of the day."""
    wall = moment.astimezone(ZoneInfo(zone))
    now = f"{wall:%H:%M}"
    today, yesterday = WEEK[wall.weekday()], WEEK[wall.weekday() - 1]
    begins_today = not window.days or today in window.days
    began_yesterday = not window.days or yesterday in window.days
    if window.begins < window.to:
        return begins_today and window.begins <= now < window.to
    return (begins_today and now >= window.begins) or (began_yesterday and now < window.to)


windows = st.builds(
    lambda begins, to, days: night(begins, to, days=tuple(sorted(days))),
    clocks,
    clocks,
    st.sets(st.sampled_from(WEEK), max_size=6),
)
moments = st.integers(0, 71 * 365 * 24 * 60).map(lambda n: datetime(1990, 1, 1, tzinfo=UTC) + n * MINUTE)


@settings(max_examples=400, deadline=None)
@given(st.lists(windows, min_size=1, max_size=3), moments, st.sampled_from(ZONES))
def test_what_is_put_off_leaves_at_the_first_moment_that_is_not_quiet(
    several: list[QuietHours], moment: datetime, zone: str
) -> None:
    found = quiet_until(several, moment, zone)
    if not any(is_quiet(window, moment, zone) for window in several):
        assert found is None
        return
    assert found is not None
    until = found[1]
    if until is None:
        probes = (moment + timedelta(hours=n / 2) for n in range(14 * 48))
        assert all(any(is_quiet(window, probe, zone) for window in several) for probe in probes)
        return
    assert until > moment
    assert not any(is_quiet(window, until, zone) for window in several)
    before = until - MINUTE
    steps = min(int((until - moment) / MINUTE), 3 * 24 * 60)
    for n in range(0, steps, 7):
        probe = before - n * MINUTE
        assert any(is_quiet(window, probe, zone) for window in several), (probe, until)


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-05-03 20:59", None),
        ("2026-05-03 21:00", "2026-05-04 08:00"),
        ("2026-05-04 03:00", "2026-05-04 08:00"),
        ("2026-05-04 07:59", "2026-05-04 08:00"),
        ("2026-05-04 08:00", None),
    ],
)
def test_a_night_lasts_from_its_first_minute_up_to_its_end(moment: str, until: str | None) -> None:
    found = quiet_until([night()], at(moment), "Europe/Prague")
    assert (found[1] if found else None) == (at(until) if until else None)


def test_an_end_that_the_clock_skips_comes_when_the_clock_has_skipped_it() -> None:
    found = quiet_until([night("22:00", "02:30")], at("2026-03-28 23:00"), "Europe/Prague")
    assert found is not None
    assert found[1] == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert f"{found[1].astimezone(ZoneInfo('Europe/Prague')):%H:%M}" == "03:30"


def test_an_end_that_the_clock_shows_twice_is_the_first_then_quiet_comes_back() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    found = quiet_until([night("22:00", "02:30")], first - timedelta(hours=2), "Europe/Prague")
    assert found is not None
    assert found[1] == first
    again = quiet_until([night("22:00", "02:30")], first + timedelta(minutes=45), "Europe/Prague")
    assert again is not None
    assert again[1] == first + timedelta(hours=1)


def test_a_window_of_every_hour_of_every_day_leaves_no_moment() -> None:
    found = quiet_until([night("00:00", "00:00")], at("2026-05-03 12:00"), "Europe/Prague")
    assert found is not None
    assert found[1] is None
