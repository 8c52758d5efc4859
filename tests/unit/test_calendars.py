"""The shipped working days, beside other sources, and what holds for every calendar."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendars import Calendar, WorkingDays
from domain.errors import NotCovered
from support.scenario import SHIPPED_RULES

_DAY = timedelta(days=1)
NAMES = ("cn", "cz", "gb-eng")
names = st.sampled_from(NAMES)
days = st.dates(date(2016, 1, 1), date(2025, 12, 31))


def working(name: str) -> WorkingDays:
    found = SHIPPED_RULES.calendars[name].working
    assert found is not None
    return found


def easter(year: int) -> date:
    """Easter Sunday. Source: the anonymous Gregorian algorithm (Meeus 1991, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    (d, e), g = divmod(b, 4), (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    (i, k), m = divmod(c, 4), (a + 11 * h) // 319
    r = (2 * e + 2 * i - k - h + m + 32) % 7
    month = (h - m + r + 90) // 25
    return date(year, month, (h - m + r + month + 19) % 32)


def test_a_year_of_decrees_of_the_state_council() -> None:
    """Notice of the General Office of the State Council on the holidays of 2025."""
    year = [date(2025, 1, 1) + _DAY * number for number in range(365)]
    unusual = [day for day in year if working("cn").is_working_day(day) == (day.weekday() > 4)]
    worked = [day for day in unusual if day.weekday() > 4]
    off = [day for day in unusual if day.weekday() < 5]
    assert [f"{day:%m-%d}" for day in worked] == ["01-26", "02-08", "04-27", "09-28", "10-11"]
    assert [f"{day:%m-%d}" for day in off] == [
        *("01-01", "01-28", "01-29", "01-30", "01-31", "02-03", "02-04", "04-04"),
        *("05-01", "05-02", "05-05", "06-02", "10-01", "10-02", "10-03", "10-06", "10-07", "10-08"),
    ]


def test_every_decreed_day_is_what_the_library_of_decrees_says() -> None:
    decrees = pytest.importorskip(
        "chinese_calendar", reason="chinesecalendar comes with the dev dependencies"
    )
    day = date(2007, 1, 1)
    while day < date(2027, 1, 1):
        assert working("cn").is_working_day(day) == decrees.is_workday(day), day
        day += _DAY


@pytest.mark.parametrize("name", ["cz", "gb-eng"])
def test_good_friday_and_easter_monday_follow_easter(name: str) -> None:
    for year in range(2015, 2041):
        found = {day: working(name).holiday(easter(year) + _DAY * day) for day in (-2, 1)}
        # Czechia has kept Good Friday since 2016.
        expected = {-2: None if (name, year) == ("cz", 2015) else "Good Friday", 1: "Easter Monday"}
        assert {day: holiday and holiday.name["en"] for day, holiday in found.items()} == expected


def test_a_bank_holiday_on_a_weekend_is_stood_for_by_a_working_day() -> None:
    """In 2027 Christmas Day is a Saturday and Boxing Day a Sunday."""
    found = [working("gb-eng").holiday(date(2027, 12, day)) for day in (27, 28)]
    assert [holiday and holiday.name["en"] for holiday in found] == ["Christmas Day", "Boxing Day"]
    assert working("gb-eng").next_working_day(date(2027, 12, 24)) == date(2027, 12, 29)


def test_every_holiday_has_its_name_in_both_languages() -> None:
    for calendar in SHIPPED_RULES.calendars.values():
        assert calendar.title.keys() == {"en", "zh-CN"}
        for holiday in calendar.working.holidays if calendar.working else ():
            assert holiday.name.keys() == {"en", "zh-CN"}


@given(names, days, days, st.integers(-40, 40))
def test_adding_working_days_keeps_the_order_of_days(name: str, one: date, other: date, number: int) -> None:
    found = [working(name).add_working_days(day, number, beyond="weekday") for day in sorted((one, other))]
    assert found == sorted(found)


@given(names, days, st.integers(-40, 40))
def test_adding_working_days_and_taking_them_off_again_changes_nothing(
    name: str, day: date, number: int
) -> None:
    begun = working(name).on_or_after(day)
    there = working(name).add_working_days(begun, number, beyond="weekday")
    assert working(name).add_working_days(there, -number, beyond="weekday") == begun
    assert number == 0 or (there > begun) == (number > 0)


@given(names, days, st.integers(1, 40))
def test_so_many_working_days_lie_between(name: str, day: date, number: int) -> None:
    there = working(name).add_working_days(day, number, beyond="weekday")
    between = [day + _DAY * n for n in range(1, (there - day).days + 1)]
    assert sum(working(name).is_working_day(d, beyond="weekday") for d in between) == number
    assert working(name).is_working_day(there, beyond="weekday")


def test_a_year_that_is_not_decreed_is_refused_unless_weekdays_are_asked_for() -> None:
    cn, may_day, saturday = working("cn"), date(2030, 5, 1), date(2030, 5, 4)
    with pytest.raises(NotCovered, match=r"calendar\.no_year: year=2030, first=2007, last=2026"):
        cn.is_working_day(may_day)
    with pytest.raises(NotCovered):
        cn.is_holiday(may_day)
    with pytest.raises(NotCovered):
        cn.add_working_days(date(2026, 12, 28), 10)
    assert not cn.covers(may_day)
    assert cn.is_working_day(may_day, beyond="weekday")
    assert not cn.is_working_day(saturday, beyond="weekday")


def document(**changes: Any) -> dict[str, Any]:
    new_year = {"name": {"en": "New Year"}, "days": ["2026-01-01/2026-01-03"]}
    part = {"first_year": 2026, "last_year": 2026, "holidays": [new_year], **changes}
    return {"calendar": "own", "version": 1, "title": {"en": "Own"}, "working": part}


def test_a_calendar_of_a_bank_is_read_with_its_spans() -> None:
    own = msgspec.convert(document(made_up=[date(2026, 1, 4)]), Calendar).working
    assert own is not None
    assert [own.is_working_day(date(2026, 1, day)) for day in range(1, 8)] == [
        *(False, False, False, True, True, True, True)
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"made_up": [date(2026, 1, 5)]}, "lies on no weekend"),
        ({"made_up": [date(2026, 1, 3)]}, "both a holiday and a make-up day"),
        ({"made_up": [date(2027, 1, 3)]}, "lies outside 2026 to 2026"),
        ({"last_year": 2025}, "first_year lies after last_year"),
        ({"weekend": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}, "length <= 6"),
        ({"holidays": [{"name": {"en": "X"}, "days": ["2026-02-30"]}]}, "day is out of range"),
        ({"holidays": [{"name": {"en": "X"}, "days": ["2026-02-03/2026-02-01"]}]}, "ends before it begins"),
        ({"holidays": [{"name": {"en": "X"}, "days": ["2026-01-01/2026-12-31"]}]}, "60 days or more"),
    ],
)
def test_a_calendar_that_contradicts_itself_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(document(**changes), Calendar)


def test_a_calendar_without_days_and_months_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="`working` days or `lunar` months"):
        msgspec.convert({"calendar": "own", "version": 1, "title": {"en": "Own"}}, Calendar)
