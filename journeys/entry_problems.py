"""Everything that is wrong with the entry of a journey beyond its shape, its facts and its condition."""

from collections.abc import Iterator, Mapping
from datetime import date

from domain.calendars import Calendar
from journeys.definition import (
    REQUEST_VALUES,
    Enter,
    EnterBySchedule,
    EnterOnAnniversary,
    EnterOnRequest,
    EnterYearly,
    MonthDay,
    Moved,
    month_day_of,
)
from journeys.problem import Problem
from journeys.recurrence import MOST_YEARS, NoRule, days_from, rule_of
from journeys.rulebook import CUSTOMER_VARIABLES

_DAYS = ("month_day", "easter", "festival", "lunar_day")
_LONGEST_LUNAR_MONTH = 30


def of_entry(enter: Enter, calendars: Mapping[str, Calendar]) -> Iterator[Problem]:
    yield from _of_calendars(enter, calendars)
    match enter:
        case EnterYearly():
            yield from _of_day(enter)
        case EnterOnAnniversary():
            yield from _of_kinds(enter)
        case EnterBySchedule():
            yield from _of_rule(enter)
        case EnterOnRequest():
            yield from _of_values(enter)
        case _:
            pass


def _of_calendars(enter: Enter, calendars: Mapping[str, Calendar]) -> Iterator[Problem]:
    """Calendars that do not exist, or lack the part that the entry needs."""
    lunar: str | None = getattr(enter, "calendar", None)
    moved: Moved | None = getattr(enter, "moved", None)
    if lunar is not None:
        fit = [known.calendar for known in calendars.values() if known.lunar]
        if lunar not in fit:
            told = {"found": lunar, "expected": ", ".join(sorted(fit))}
            yield Problem("journey.unknown_calendar", ("enter", "calendar"), told)
    if moved is not None:
        fit = [known.calendar for known in calendars.values() if known.working]
        if moved.calendar not in fit:
            told = {"found": moved.calendar, "expected": ", ".join(sorted(fit))}
            yield Problem("journey.unknown_calendar", ("enter", "moved", "calendar"), told)


def _of_day(enter: EnterYearly) -> Iterator[Problem]:
    given = [name for name in _DAYS if getattr(enter, name) is not None]
    if len(given) != 1:
        told = {"found": ", ".join(given) or "-", "expected": ", ".join(_DAYS)}
        yield Problem("journey.not_one_day", ("enter",), told)
        return
    is_lunar = given[0] in ("festival", "lunar_day")
    if is_lunar != (enter.calendar is not None):
        code = "journey.calendar_missing" if is_lunar else "journey.calendar_unused"
        yield Problem(code, ("enter", given[0]), {"field": given[0]})
    if enter.month_day is not None and not _is_day(enter.month_day):
        yield Problem("journey.no_such_day", ("enter", "month_day"), {"found": enter.month_day})
    if enter.lunar_day is not None and month_day_of(enter.lunar_day)[1] > _LONGEST_LUNAR_MONTH:
        yield Problem("journey.no_such_day", ("enter", "lunar_day"), {"found": enter.lunar_day})


def _is_day(month_day: MonthDay) -> bool:
    try:
        date(2000, *month_day_of(month_day))
    except ValueError:
        return False
    return True


def _of_kinds(enter: EnterOnAnniversary) -> Iterator[Problem]:
    if enter.of == "contract" and enter.kinds is None:
        yield Problem("journey.kinds_missing", ("enter", "of"), {})
    if enter.of == "relationship" and enter.kinds is not None:
        yield Problem("journey.kinds_unused", ("enter", "kinds"), {})


def _of_rule(enter: EnterBySchedule) -> Iterator[Problem]:
    """A rule that cannot be read, and one that never comes to a day."""
    try:
        rule = rule_of(enter.rule)
    except NoRule as error:
        told = {"found": error.found, "expected": error.expected}
        yield Problem("journey.bad_rule", ("enter", "rule"), told)
        return
    if next(days_from(rule, enter.starts_on, enter.starts_on), None) is None:
        told = {"rule": enter.rule, "years": str(MOST_YEARS), "starts_on": enter.starts_on.isoformat()}
        yield Problem("journey.rule_never", ("enter", "rule"), told)


def _of_values(enter: EnterOnRequest) -> Iterator[Problem]:
    taken = {*REQUEST_VALUES, *CUSTOMER_VARIABLES}
    for number, name in enumerate(enter.values):
        if name in taken:
            yield Problem("journey.value_taken", ("enter", "values", number), {"found": name})
        taken.add(name)
