"""The shipped table of lunar months, beside published dates, another library, and its own promises."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.customer import Customer
from domain.errors import NotCovered
from domain.lunar import FESTIVALS, Festival, LunarDate, LunarMonths
from journeys.definition import EnterOnBirthday, EnterYearly
from journeys.occasions import occasions
from support.scenario import SHIPPED_RULES
from support.strategies import entered

_FOUND = SHIPPED_RULES.calendars["lunar"].lunar
assert _FOUND is not None
LUNAR: LunarMonths = _FOUND
LAST_DAY = date(2081, 2, 8)
days = st.dates(date(1901, 2, 19), LAST_DAY)
births = st.dates(date(1901, 2, 19), date(2020, 12, 31))

# Month and day from 1990 to 2060, as the library borax has them from the Hong Kong Observatory's tables.
SPRING_FESTIVALS = """
    0127 0215 0204 0123 0210 0131 0219 0207 0128 0216 0205 0124 0212 0201 0122 0209 0129 0218 0207
    0126 0214 0203 0123 0210 0131 0219 0208 0128 0216 0205 0125 0212 0201 0122 0210 0129 0217 0206
    0126 0213 0203 0123 0211 0131 0219 0208 0128 0215 0204 0124 0212 0201 0122 0210 0130 0217 0206
    0126 0214 0202 0123 0211 0201 0219 0208 0128 0215 0204 0124 0212 0202
"""
MID_AUTUMNS = """
    1003 0922 0911 0930 0920 0909 0927 0916 1005 0924 0912 1001 0921 0911 0928 0918 1006 0925 0914
    1003 0922 0912 0930 0919 0908 0927 0915 1004 0924 0913 1001 0921 0910 0929 0917 1006 0925 0915
    1003 0922 0912 1001 0919 0908 0927 0916 1004 0924 0913 1002 0920 0910 0928 0917 1005 0925 0915
    1004 0922 0911 0930 0919 0907 0926 0916 1005 0924 0913 1002 0921 0909
"""
DRAGON_BOATS = """
    0528 0616 0605 0624 0613 0602 0620 0609 0530 0618 0606 0625 0615 0604 0622 0611 0531 0619 0608
    0528 0616 0606 0623 0612 0602 0620 0609 0530 0618 0607 0625 0614 0603 0622 0610 0531 0619 0609
    0528 0616 0605 0624 0612 0601 0620 0610 0530 0618 0607 0527 0614 0603 0622 0611 0531 0619 0608
    0529 0615 0604 0623 0613 0601 0620 0610 0530 0617 0606 0625 0614 0603
"""
DOUBLE_NINTHS = """
    1026 1016 1004 1023 1013 1101 1020 1010 1028 1017 1006 1025 1014 1004 1022 1011 1030 1019 1007
    1026 1016 1005 1023 1013 1002 1021 1009 1028 1017 1007 1025 1014 1004 1023 1011 1029 1018 1008
    1026 1016 1005 1024 1012 1001 1020 1009 1027 1017 1007 1026 1014 1003 1022 1011 1029 1018 1008
    1027 1016 1005 1024 1013 1030 1020 1009 1028 1017 1007 1025 1014 1002
"""
LANTERNS = """
    0210 0301 0218 0206 0224 0214 0304 0221 0211 0302 0219 0207 0226 0215 0205 0223 0212 0304 0221
    0209 0228 0217 0206 0224 0214 0305 0222 0211 0302 0219 0208 0226 0215 0205 0224 0212 0303 0220
    0209 0227 0217 0206 0225 0214 0305 0222 0211 0301 0218 0207 0226 0215 0205 0224 0213 0303 0220
    0209 0228 0216 0206 0225 0215 0305 0222 0211 0229 0218 0207 0226 0216
"""
LEAP_MONTHS = {
    1990: 5,
    1993: 3,
    1995: 8,
    1998: 5,
    2001: 4,
    2004: 2,
    2006: 7,
    2009: 5,
    2012: 4,
    2014: 9,
    2017: 6,
    2020: 4,
    2023: 2,
    2025: 6,
    2028: 5,
    2031: 3,
    2033: 11,
    2036: 6,
    2039: 5,
    2042: 2,
    2044: 7,
    2047: 5,
    2050: 3,
    2052: 8,
    2055: 6,
    2058: 4,
}


def _published(text: str) -> list[date]:
    return [date(year, int(word[:2]), int(word[2:])) for year, word in enumerate(text.split(), start=1990)]


def entered_on(festival: Festival) -> list[date]:
    """The days on which a journey of the festival would be entered from 1990 to 2060."""
    journey = entered("own", EnterYearly(at="09:00", festival=festival, calendar="lunar"))
    now, found = datetime(1990, 1, 1, tzinfo=UTC), []
    while now.year < 2061:
        ahead = occasions(
            Customer("c-1", zone="UTC"), journey, calendars=SHIPPED_RULES.calendars, not_before=now
        )
        found.append(ahead["enter:own"].due_at)
        now = found[-1] + timedelta(microseconds=1)
    return [at.date() for at in found if at.year < 2061]


@pytest.mark.parametrize(
    ("festival", "table"),
    [
        ("spring-festival", SPRING_FESTIVALS),
        ("lantern", LANTERNS),
        ("dragon-boat", DRAGON_BOATS),
        ("mid-autumn", MID_AUTUMNS),
        ("double-ninth", DOUBLE_NINTHS),
    ],
)
def test_festivals_are_the_published_ones_and_journeys_enter_on_them(festival: Festival, table: str) -> None:
    expected = _published(table)
    assert [LUNAR.festival(festival, year) for year in range(1990, 2061)] == expected
    assert entered_on(festival) == expected


def test_new_years_eve_is_the_day_before_the_spring_festival_however_long_its_month() -> None:
    assert entered_on("new-years-eve") == [day - timedelta(days=1) for day in _published(SPRING_FESTIVALS)]


def test_leap_months_are_the_published_ones() -> None:
    assert {y: leap for y in range(1990, 2061) if (leap := LUNAR.leap_month(y))} == LEAP_MONTHS


def test_every_day_is_what_another_library_says() -> None:
    other = pytest.importorskip("borax.calendars.lunardate", reason="borax comes with the dev dependencies")
    for ordinal in range(LUNAR.begins_on.toordinal(), LAST_DAY.toordinal() + 1):
        found = other.LunarDate.from_solar(date.fromordinal(ordinal))
        expected = LunarDate(found.year, found.month, found.day, bool(found.leap))
        assert LUNAR.from_gregorian(date.fromordinal(ordinal)) == expected


def test_festivals_of_one_year() -> None:
    assert {name: LUNAR.festival(name, 2026) for name in (*FESTIVALS, "new-years-eve")} == {
        "spring-festival": date(2026, 2, 17),
        "lantern": date(2026, 3, 3),
        "dragon-boat": date(2026, 6, 19),
        "qixi": date(2026, 8, 19),
        "mid-autumn": date(2026, 9, 25),
        "double-ninth": date(2026, 10, 18),
        "new-years-eve": date(2026, 2, 16),
    }


@given(days)
def test_a_day_becomes_a_lunar_date_and_again_the_day(day: date) -> None:
    assert LUNAR.to_gregorian(LUNAR.from_gregorian(day)) == day


@given(days, days)
def test_lunar_years_follow_the_order_of_days(one: date, other: date) -> None:
    years = [LUNAR.from_gregorian(day).year for day in sorted((one, other))]
    assert years == sorted(years)


@given(births, st.integers(1901, 2080), st.sampled_from(["leap-else-plain", "plain"]))
def test_a_birthday_lies_in_its_lunar_year_and_month(born: date, year: int, rule: str) -> None:
    lunar = LUNAR.from_gregorian(born)
    found = LUNAR.from_gregorian(LUNAR.in_year(lunar, year, leap_month=rule))  # type: ignore[arg-type]
    assert (found.year, found.month) == (year, lunar.month)
    assert found.day == lunar.day or (lunar.day, found.day) == (30, 29)
    assert found.leap == (rule != "plain" and lunar.leap and LUNAR.leap_month(year) == lunar.month)


def test_born_in_a_leap_month_has_it_in_that_leap_month_where_the_year_has_it() -> None:
    born = LUNAR.from_gregorian(date(1987, 7, 26))
    assert born == LunarDate(1987, 6, 1, leap=True)
    assert LUNAR.in_year(born, 2025, leap_month="leap-else-plain") == date(2025, 7, 25)
    assert LUNAR.in_year(born, 2025, leap_month="plain") == date(2025, 6, 25)
    assert LUNAR.in_year(born, 2026, leap_month="leap-else-plain") == date(2026, 7, 14)


def test_born_on_day_30_has_it_on_the_29th_of_a_month_that_ends_with_it() -> None:
    """In the lunar years 2024 to 2028 the last month has 29 days."""
    born = LUNAR.from_gregorian(date(1990, 1, 26))
    assert born == LunarDate(1989, 12, 30)
    for year in range(2024, 2029):
        day = LUNAR.in_year(born, year, leap_month="leap-else-plain")
        assert day == LUNAR.festival("new-years-eve", year + 1)
        assert LUNAR.from_gregorian(day) == LunarDate(year, 12, 29)


def test_what_the_table_does_not_have_is_refused_with_its_years() -> None:
    for day in (date(1901, 2, 18), LAST_DAY + timedelta(days=1)):
        with pytest.raises(NotCovered, match=r"calendar\.no_lunar_year: .*first=1901, last=2080"):
            LUNAR.from_gregorian(day)
    with pytest.raises(NotCovered, match="year=2081"):
        LUNAR.festival("mid-autumn", 2081)
    with pytest.raises(ValueError, match="no lunar date"):
        LUNAR.to_gregorian(LunarDate(2026, 6, 1, leap=True))
    with pytest.raises(ValueError, match="no lunar date"):
        LUNAR.to_gregorian(LunarDate(2025, 12, 30))


def test_after_the_last_birthday_of_the_table_there_is_none() -> None:
    journey = entered("own", EnterOnBirthday(at="09:00", calendar="lunar"))

    def is_ahead(now: datetime, born: date) -> bool:
        customer = Customer("c-1", birth_date=born)
        return bool(occasions(customer, journey, calendars=SHIPPED_RULES.calendars, not_before=now))

    assert is_ahead(datetime(2080, 2, 1, tzinfo=UTC), date(1990, 5, 1))
    assert not is_ahead(datetime(2081, 1, 1, tzinfo=UTC), date(1990, 5, 1))
    assert not is_ahead(datetime(2026, 1, 1, tzinfo=UTC), date(1900, 5, 1))


@pytest.mark.parametrize("table", ["1a000", "01752", "752", "", "0075g"])
def test_a_word_that_is_no_lunar_year_is_refused(table: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"begins_on": date(1901, 2, 19), "table": table}, LunarMonths)
