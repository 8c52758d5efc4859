"""Quiet hours on every wall clock and any holiday: never inside, never later than need be, never past."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calendars import Calendar, Holiday, WorkingDays
from domain.clock import Weekday
from domain.quiet import OnHolidays, QuietHours, quiet_until
from support.facts import at

ZONES = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("posix"))
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE = timedelta(minutes=1)
# Every third day of 2025 to 2027 is a public holiday, the first of them 1 January 2025.
FIRST = date(2025, 1, 1)
OFF = {FIRST + timedelta(days=n) for n in range(0, 3 * 365, 3)}
OWN = Calendar(
    calendar="own",
    version=1,
    title={"en": "Own"},
    working=WorkingDays(
        first_year=2025,
        last_year=2027,
        holidays=(Holiday(name={"en": "Off"}, days=tuple(day.isoformat() for day in sorted(OFF))),),
    ),
)
CALENDARS = {"own": OWN}
ON_HOLIDAYS = OnHolidays(calendar="own")
clocks = st.tuples(st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59])).map(
    lambda t: f"{t[0]:02}:{t[1]:02}"
)


def night(begins: str | None = "21:00", to: str | None = "08:00", **given: object) -> QuietHours:
    values = {"name": "night", "purposes": ("marketing",), **given}
    return QuietHours(begins=begins, to=to, **values)  # type: ignore[arg-type]


def is_quiet(window: QuietHours, moment: datetime, zone: str) -> bool:
    """Reckoned anew from the clock on the wall, minute by minute of the day."""
    wall = moment.astimezone(ZoneInfo(zone))
    now = f"{wall:%H:%M}"
    today, yesterday = WEEK[wall.weekday()], WEEK[wall.weekday() - 1]
    begins, to = window.begins or "00:00", window.to or "00:00"
    always = not window.days and window.holidays is None
    off = OFF if window.holidays else set()
    begins_today = always or today in window.days or wall.date() in off
    began_yesterday = always or yesterday in window.days or wall.date() - timedelta(days=1) in off
    if begins < to:
        return begins_today and begins <= now < to
    return (begins_today and now >= begins) or (began_yesterday and now < to)


windows = st.builds(
    lambda begins, to, days, on: night(begins, to, days=tuple(sorted(days)), holidays=on),
    clocks,
    clocks,
    st.sets(st.sampled_from(WEEK), max_size=6),
    st.none() | st.just(ON_HOLIDAYS),
) | st.just(night(None, None, holidays=ON_HOLIDAYS))
# Half of them in and around the years whose holidays are known.
moments = st.integers(0, 71 * 365 * 24 * 60).map(
    lambda n: datetime(1990, 1, 1, tzinfo=UTC) + n * MINUTE
) | st.integers(-3 * 24 * 60, (3 * 365 + 3) * 24 * 60).map(
    lambda n: datetime(2025, 1, 1, tzinfo=UTC) + n * MINUTE
)


@settings(max_examples=400, deadline=None)
@given(st.lists(windows, min_size=1, max_size=3), moments, st.sampled_from(ZONES))
def test_what_is_put_off_leaves_at_the_first_moment_that_is_not_quiet(
    several: list[QuietHours], moment: datetime, zone: str
) -> None:
    found = quiet_until(several, moment, zone, CALENDARS)
    if not any(is_quiet(window, moment, zone) for window in several):
        assert found is None
        return
    assert found is not None
    until = found.until
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
    found = quiet_until([night()], at(moment), "Europe/Prague", CALENDARS)
    assert (found.until if found else None) == (at(until) if until else None)


def test_an_end_that_the_clock_skips_comes_when_the_clock_has_skipped_it() -> None:
    found = quiet_until([night("22:00", "02:30")], at("2026-03-28 23:00"), "Europe/Prague", CALENDARS)
    assert found is not None
    assert found.until == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert f"{found.until.astimezone(ZoneInfo('Europe/Prague')):%H:%M}" == "03:30"


def test_an_end_that_the_clock_shows_twice_is_the_first_then_quiet_comes_back() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    found = quiet_until([night("22:00", "02:30")], first - timedelta(hours=2), "Europe/Prague", CALENDARS)
    assert found is not None
    assert found.until == first
    again = quiet_until([night("22:00", "02:30")], first + timedelta(minutes=45), "Europe/Prague", CALENDARS)
    assert again is not None
    assert again.until == first + timedelta(hours=1)


def test_a_window_of_every_hour_of_every_day_leaves_no_moment() -> None:
    found = quiet_until([night("00:00", "00:00")], at("2026-05-03 12:00"), "Europe/Prague", CALENDARS)
    assert found is not None
    assert found.until is None


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2025-01-03 23:59", None),
        ("2025-01-04 00:00", "2025-01-05 00:00"),
        ("2025-01-04 23:59", "2025-01-05 00:00"),
        ("2025-01-05 00:00", None),
    ],
)
def test_a_window_on_holidays_without_times_is_quiet_from_midnight_to_midnight(
    moment: str, until: str | None
) -> None:
    found = quiet_until([night(None, None, holidays=ON_HOLIDAYS)], at(moment), "Europe/Prague", CALENDARS)
    assert (found.until if found else None) == (at(until) if until else None)


def test_it_is_a_holiday_where_the_customer_lives() -> None:
    """On 3 January at 22:00 UTC it is the holiday in Shanghai, and not yet in Prague."""
    moment, whole = datetime(2025, 1, 3, 22, tzinfo=UTC), [night(None, None, holidays=ON_HOLIDAYS)]
    assert quiet_until(whole, moment, "Europe/Prague", CALENDARS) is None
    found = quiet_until(whole, moment, "Asia/Shanghai", CALENDARS)
    assert found is not None
    assert (found.day, found.until) == (date(2025, 1, 4), at("2025-01-05 00:00", "Asia/Shanghai"))


def test_the_evening_of_a_holiday_lasts_till_the_next_morning_and_its_eve_is_an_evening_like_any() -> None:
    evening = [night("18:00", "10:00", holidays=ON_HOLIDAYS)]
    assert quiet_until(evening, at("2025-01-03 20:00"), "Europe/Prague", CALENDARS) is None
    found = quiet_until(evening, at("2025-01-04 20:00"), "Europe/Prague", CALENDARS)
    assert found is not None
    assert found.until == at("2025-01-05 10:00")
    in_the_morning = quiet_until(evening, at("2025-01-05 03:00"), "Europe/Prague", CALENDARS)
    assert in_the_morning is not None
    assert in_the_morning.day == date(2025, 1, 4)


def test_weekdays_and_holidays_of_one_window_are_both_quiet() -> None:
    """4 January 2025 is a Saturday and a holiday, the 5th a Sunday, the 7th a Tuesday and a holiday."""
    off = [night("00:00", "12:00", days=("sun",), holidays=ON_HOLIDAYS)]
    for day, quiet in (("04", True), ("05", True), ("06", False), ("07", True), ("08", False)):
        found = quiet_until(off, at(f"2025-01-{day} 09:00"), "Europe/Prague", CALENDARS)
        assert (found is not None) == quiet, day


def test_a_year_that_the_calendar_does_not_know_has_no_holidays() -> None:
    whole = [night(None, None, holidays=ON_HOLIDAYS)]
    day = FIRST + timedelta(days=3 * 366)
    assert day.year == 2028
    assert quiet_until(whole, at(f"{day} 12:00"), "Europe/Prague", CALENDARS) is None


@pytest.mark.parametrize(("begins", "to"), [("21:00", None), (None, "08:00"), (None, None)])
def test_a_window_says_its_times_or_its_holidays(begins: str | None, to: str | None) -> None:
    with pytest.raises(ValueError, match="a window"):
        night(begins, to)
