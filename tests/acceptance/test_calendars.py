"""Journeys whose days follow a calendar, and what a newer version of one does to who is there."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from audit.replay import replay
from domain.calendars import Calendar, Holiday
from domain.catalogue import CustomerChanged
from domain.errors import InputRefused
from domain.events import EnrolmentStarted
from journeys.definition import End, Enter, EnterOnBirthday, EnterOnMaturity, Journey, Moved
from journeys.rulebook import Rules, canonical
from journeys.validation import problems
from support.bank import PUBLISHED_AT, Bank
from support.facts import at, opened, registered
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario, envelope
from tidings.authoring import decode_rulebook, publish
from tidings.documents import Documents

NEW_YEAR = at("2026-01-01 12:00")
SHANGHAI = "Asia/Shanghai"
CN = SHIPPED_RULES.calendars["cn"]
LUNAR_BIRTHDAY = EnterOnBirthday(at="09:00", calendar="lunar")
MOVED_ON = Moved(calendar="cn", to="after")


def own(enter: Enter) -> Journey:
    return Journey(
        journey="own",
        version=1,
        title={"en": "Own"},
        purpose="care",
        topic="greetings",
        enter=enter,
        steps=(End(step="end"),),
    )


def life(enter: Enter) -> Scenario:
    return Scenario(rules=Rules(replace(SHIPPED_RULEBOOK, journeys=(own(enter),))))


def born(day: date) -> Any:
    return registered(birth_date=day, zone=SHANGHAI)


def started(scenario: Scenario) -> list[tuple[datetime, EnrolmentStarted]]:
    """Every entry and when it was."""
    return [
        (event.recorded_at, event.body)
        for event in scenario.history
        if isinstance(event.body, EnrolmentStarted)
    ]


def entries(scenario: Scenario) -> list[tuple[str, Any]]:
    """Local day and age of each entry by birthday."""
    return [(body.key, body.entry["age"]) for _, body in started(scenario)]


def test_a_lunar_birthday_comes_each_lunar_year_with_the_age_that_it_counts() -> None:
    """Born on 8/15: the Mid-Autumn Festival."""
    told = life(LUNAR_BIRTHDAY).given((NEW_YEAR, born(date(1990, 10, 3)))).until(at("2028-12-31 12:00"))
    assert entries(told) == [("2026-09-25", 36), ("2027-09-15", 37), ("2028-10-03", 38)]
    assert started(told)[0][0] == at("2026-09-25 09:00", SHANGHAI)


def test_a_birthday_late_in_the_lunar_year_counts_lunar_years_also_across_new_year() -> None:
    """Born on 11/12 of 1989, which in 2014, for a leap month before it, comes only in January."""
    start = at("2014-01-01 12:00")
    told = life(LUNAR_BIRTHDAY).given((start, born(date(1989, 12, 9)))).until(at("2016-02-01 12:00"))
    assert entries(told) == [("2015-01-02", 25), ("2015-12-22", 26)]


def test_born_in_a_leap_month_comes_by_the_rule_of_the_journey() -> None:
    start, person = at("2025-01-01 12:00"), born(date(1987, 7, 26))
    kept = life(LUNAR_BIRTHDAY).given((start, person)).until(at("2026-12-31 12:00"))
    assert entries(kept) == [("2025-07-25", 38), ("2026-07-14", 39)]
    plain = life(replace(LUNAR_BIRTHDAY, leap_month="plain")).given((start, person))
    assert entries(plain.until(at("2026-12-31 12:00"))) == [("2025-06-25", 38), ("2026-07-14", 39)]


def test_born_on_day_30_comes_on_the_29th_where_the_month_ends_with_it() -> None:
    told = life(LUNAR_BIRTHDAY).given((NEW_YEAR, born(date(1990, 1, 26)))).until(at("2026-12-31 12:00"))
    assert entries(told) == [("2026-02-16", 36)]


def test_a_birth_before_the_table_leads_to_nothing_until_it_is_corrected() -> None:
    told = life(LUNAR_BIRTHDAY).given((NEW_YEAR, born(date(1899, 10, 3))))
    assert told.customer.timers == {}
    mended = CustomerChanged(source="/test", id="mended", birth_date=date(1990, 10, 3))
    told.given((at("2026-02-01 12:00"), mended)).until(at("2026-12-31 12:00"))
    assert entries(told) == [("2026-09-25", 36)]


@pytest.mark.parametrize(("to", "expected"), [("before", "2026-09-30"), ("after", "2026-10-08")])
def test_a_maturity_in_the_golden_week_moves_to_a_working_day(to: Any, expected: str) -> None:
    enter = EnterOnMaturity(
        kinds=("term_deposit",), offsets=(0,), at="10:00", moved=Moved(calendar="cn", to=to)
    )
    told = life(enter).given(
        (NEW_YEAR, born(date(1990, 1, 1))), (NEW_YEAR, opened(matures_on=date(2026, 10, 3)))
    )
    told.until(at("2026-12-31 12:00"))
    ((entered_at, entry),) = started(told)
    assert entered_at == at(f"{expected} 10:00", SHANGHAI)
    assert entry.entry["matures_on"] == "2026-10-03"


def test_a_weekend_that_is_worked_moves_nothing() -> None:
    enter = EnterOnMaturity(kinds=("term_deposit",), offsets=(0,), at="10:00", moved=MOVED_ON)
    told = life(enter).given(
        (NEW_YEAR, born(date(1990, 1, 1))), (NEW_YEAR, opened(matures_on=date(2026, 10, 10)))
    )
    assert [timer.due_at for timer in told.customer.timers.values()] == [at("2026-10-10 10:00", SHANGHAI)]


def decreed(calendar: Calendar) -> Calendar:
    """The calendar with a further year, of which only Labour Day is known."""
    assert calendar.working is not None
    may = Holiday(name={"en": "Labour Day"}, days=("2027-05-01/2027-05-05",))
    more = replace(calendar.working, last_year=2027, holidays=(*calendar.working.holidays, may))
    return replace(calendar, version=2, working=more)


def test_a_decree_that_is_published_later_moves_what_was_planned_by_weekdays(tmp_path: Path) -> None:
    def due() -> list[Any]:
        tidings = bank.tidings
        timers = replay(tidings.history, "c-1").customer.timers
        tidings.engine.dispose()
        return [timer.due_at for name, timer in timers.items() if name.startswith("enter:own:")]

    bank = Bank(tmp_path)
    bank.publish(own(EnterOnMaturity(kinds=("term_deposit",), offsets=(0,), at="10:00", moved=MOVED_ON)))
    person, deposit = born(date(1990, 1, 1)), opened(matures_on=date(2027, 5, 1))
    bank.take([envelope("c-1", NEW_YEAR, person), envelope("c-1", NEW_YEAR, deposit)])
    bank.run(at("2026-11-01 12:00"))
    assert due() == [at("2027-05-03 10:00", SHANGHAI)]  # 1 May is a Saturday
    tidings = bank.tidings
    new = publish(tidings.engine, Documents([], [], calendars=(decreed(CN),)), at=PUBLISHED_AT)
    tidings.engine.dispose()
    assert new == [("calendar", "cn", 2)]
    assert bank.run(at("2026-12-01 12:00")).planned == 1
    assert due() == [at("2027-05-06 10:00", SHANGHAI)]
    assert bank.verify().ok


def test_a_rulebook_carries_its_calendars_through_its_canonical_bytes() -> None:
    again = decode_rulebook(canonical(SHIPPED_RULEBOOK))
    assert again == SHIPPED_RULEBOOK
    assert {calendar.calendar for calendar in again.calendars} == {"cn", "cz", "gb-eng", "lunar"}


def test_only_a_calendar_that_an_entry_uses_changes_what_is_planned() -> None:
    newer = replace(SHIPPED_RULEBOOK, calendars=(*SHIPPED_RULEBOOK.calendars, decreed(CN)))
    assert Rules(newer).plans_like(SHIPPED_RULES)
    enter = EnterOnMaturity(kinds=("term_deposit",), offsets=(0,), at="10:00", moved=MOVED_ON)
    one, other = (Rules(replace(book, journeys=(own(enter),))) for book in (SHIPPED_RULEBOOK, newer))
    assert not one.plans_like(other)


@pytest.mark.parametrize(
    ("enter", "path"),
    [
        (replace(LUNAR_BIRTHDAY, calendar="cn"), ("enter", "calendar")),
        (
            EnterOnMaturity(
                kinds=("loan",), offsets=(0,), at="10:00", moved=Moved(calendar="lunar", to="after")
            ),
            ("enter", "moved", "calendar"),
        ),
    ],
)
def test_a_calendar_without_what_the_entry_needs_is_a_problem_with_its_place(enter: Enter, path: Any) -> None:
    (found,) = problems(own(enter), SHIPPED_RULES.templates, SHIPPED_RULES.calendars)
    assert (found.code, found.path) == ("journey.unknown_calendar", path)


def test_a_journey_by_an_unknown_calendar_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"document\.invalid.*journey\.unknown_calendar"):
        Bank(tmp_path).publish(own(replace(LUNAR_BIRTHDAY, calendar="nowhere")))
