"""Recurrence rules beside another library, and what is refused of them."""

from datetime import date, datetime, time, timedelta
from itertools import islice, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys import recurrence
from journeys.recurrence import NoRule, days_from, rule_of

rrule = pytest.importorskip("dateutil.rrule", reason="python-dateutil comes with the dev dependencies")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
starts = st.dates(date(2019, 1, 1), date(2028, 12, 31))


def _some(values: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3, unique=True).map(lambda found: ",".join(map(str, found)))


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Rules on which the two are of one mind by design: weekdays are all numbered, or none is."""
    period = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = {"FREQ": period, "INTERVAL": str(draw(st.integers(1, 5)))}
    if draw(st.booleans()):
        parts["BYMONTH"] = draw(_some(st.integers(1, 12)))
    if period != "WEEKLY" and draw(st.booleans()):
        parts["BYMONTHDAY"] = draw(_some(st.sampled_from([*range(-31, 0), *range(1, 32)])))
    if draw(st.booleans()):
        numbers = st.sampled_from(["1", "-1", "3", "+5", "-5"])
        numbered = period in ("MONTHLY", "YEARLY") and draw(st.booleans())
        day = st.sampled_from(WEEKDAYS)
        parts["BYDAY"] = draw(_some(st.builds(lambda n, d: n + d, numbers, day) if numbered else day))
    if period in ("MONTHLY", "YEARLY") and len(parts) > 2 and draw(st.booleans()):
        parts["BYSETPOS"] = draw(_some(st.sampled_from([1, 2, -1, -3])))
    if period == "WEEKLY":
        parts["WKST"] = draw(st.sampled_from(["MO", "SU"]))
    ending = draw(st.sampled_from(["", "COUNT", "UNTIL"]))
    if ending == "COUNT":
        parts["COUNT"] = str(draw(st.integers(1, 40)))
    elif ending == "UNTIL":
        parts["UNTIL"] = draw(st.dates(date(2020, 1, 1), date(2032, 1, 1))).strftime("%Y%m%d")
    return ";".join(f"{name}={value}" for name, value in parts.items())


@settings(max_examples=150, deadline=None)
@given(rules(), starts, st.integers(0, 2_000))
def test_every_day_is_what_another_library_says(text: str, starts_on: date, later: int) -> None:
    since = starts_on + timedelta(days=later)
    until = since + timedelta(days=1_500)
    other = rrule.rrulestr(text, dtstart=datetime.combine(starts_on, time()))
    expected = [
        at.date()
        for at in takewhile(
            lambda at: at.date() <= until, other.xafter(datetime.combine(since, time()), inc=True)
        )
    ]
    found = list(takewhile(lambda day: day <= until, days_from(rule_of(text), starts_on, since)))
    assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Examples of RFC 5545, section 3.8.5.3, as days from 2 September 1997.
        ("FREQ=MONTHLY;COUNT=4;BYDAY=1FR", ["1997-09-05", "1997-10-03", "1997-11-07", "1997-12-05"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=3", ["1997-09-28", "1997-10-29", "1997-11-28"]),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=3;WKST=SU;BYDAY=TU,TH", ["1997-09-02", "1997-09-04", "1997-09-16"]),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=2", ["1998-02-13", "1998-03-13"]),
        ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=2",
         ["1997-11-04", "2001-11-06"]),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", ["1997-09-04", "1997-10-07", "1997-11-06"]),
        # Plain and numbered weekdays together are either of them.
        ("FREQ=MONTHLY;COUNT=4;BYDAY=1MO,WE", ["1997-09-03", "1997-09-10", "1997-09-17", "1997-09-24"]),
    ],
)  # fmt: skip
def test_published_examples(text: str, expected: list[str]) -> None:
    start = date(1997, 9, 2)
    assert [
        day.isoformat() for day in islice(days_from(rule_of(text), start, start), len(expected))
    ] == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ""),
        ("FREQ=HOURLY", "FREQ=HOURLY"),
        ("FREQ=SECONDLY;COUNT=3", "FREQ=SECONDLY"),
        ("INTERVAL=2", "FREQ="),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=DAILY;INTERVAL=1,2", "INTERVAL=1,2"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "COUNT, UNTIL"),
        ("FREQ=DAILY;UNTIL=20270230", "UNTIL=20270230"),
        ("FREQ=DAILY;UNTIL=20270101T000000Z", "UNTIL=20270101T000000Z"),
        ("FREQ=YEARLY;BYWEEKNO=3", "BYWEEKNO=3"),
        ("FREQ=YEARLY;BYMONTH=13", "BYMONTH=13"),
        ("FREQ=WEEKLY;BYDAY=1MO", "1MO"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "BYMONTHDAY"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=MONTHLY;BYDAY=Monday", "Monday"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY=0"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ=DAILY"),
        ("FREQ=WEEKLY;WKST=MO,TU", "WKST=MO,TU"),
    ],
)
def test_what_cannot_be_taken_is_named(text: str, found: str) -> None:
    with pytest.raises(NoRule) as refused:
        rule_of(text)
    assert refused.value.found == found
    assert refused.value.expected


@pytest.mark.parametrize(
    "text",
    ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=4;BYMONTHDAY=31", "FREQ=MONTHLY;BYDAY=6MO"],
)
def test_a_rule_that_names_no_day_is_found_to_do_so(text: str) -> None:
    """Within bounds: a hundred years are looked at, and each of them once, however often it is asked."""
    start = date(2026, 1, 1)
    recurrence._days.cache_clear()
    for _ in range(10):
        assert next(days_from(rule_of(text), start, start), None) is None
    assert recurrence._days.cache_info().misses == 100


def test_a_day_that_is_rare_is_found() -> None:
    start = date(2026, 1, 1)
    days = days_from(rule_of("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO"), start, start)
    assert [day.isoformat() for day in islice(days, 2)] == ["2044-02-29", "2072-02-29"]
