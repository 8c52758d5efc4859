"""Recurrence rules (RFC 5545): which days a rule names, worked out year by year.

A part of the standard: periods of a day or longer, and what people say of days. Source: RFC 5545 section
3.3.10. The rule's own wording is kept in the document; decisions follow from these functions alone.
"""

import calendar
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import lru_cache

from msgspec import Struct

# A rule that names no day for so long is taken to name none. The Gregorian calendar repeats in 28 years but
# for its leap centuries.
MOST_YEARS = 100
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_PERIODS = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_NTH = re.compile(r"([+-]?[1-9][0-9]?)?(MO|TU|WE|TH|FR|SA|SU)")
_EXPECTED = {
    "FREQ": ", ".join(_PERIODS),
    "INTERVAL": "1 to 366",
    "COUNT": "1 to 10000",
    "UNTIL": "YYYYMMDD",
    "BYMONTH": "1 to 12",
    "BYMONTHDAY": "1 to 31, -1 to -31",
    "BYDAY": ", ".join(_WEEKDAYS),
    "BYSETPOS": "1 to 366, -1 to -366",
    "WKST": ", ".join(_WEEKDAYS),
}


class NoRule(ValueError):
    """The text is no rule that is taken: ``found`` stands where ``expected`` should."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found = found
        self.expected = expected


class Rule(Struct, frozen=True):
    """A rule, read. ``weekdays`` are pairs of a number (0: every such day) and a weekday, 0 for Monday."""

    period: str
    interval: int = 1
    count: int | None = None
    until: date | None = None
    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()
    positions: tuple[int, ...] = ()
    week_begins: int = 0


@lru_cache(maxsize=1024)
def rule_of(text: str) -> Rule:
    """The rule that a text such as ``FREQ=MONTHLY;BYDAY=-1FR`` says. Raises NoRule."""
    parts: dict[str, str] = {}
    for piece in text.split(";"):
        name, _, value = piece.partition("=")
        if name not in _EXPECTED or not value or name in parts:
            raise NoRule(piece, ", ".join(f"{known}=" for known in _EXPECTED))
        parts[name] = value
    period = parts.get("FREQ", "")
    if period not in _PERIODS:
        raise NoRule(f"FREQ={period}", _EXPECTED["FREQ"])
    if "COUNT" in parts and "UNTIL" in parts:
        raise NoRule("COUNT, UNTIL", "COUNT / UNTIL")
    long = period in ("MONTHLY", "YEARLY")
    if "BYSETPOS" in parts and not (long and parts.keys() & {"BYMONTH", "BYMONTHDAY", "BYDAY"}):
        raise NoRule("BYSETPOS", "FREQ=MONTHLY, FREQ=YEARLY; BYDAY, BYMONTHDAY")
    if "BYMONTHDAY" in parts and period == "WEEKLY":
        raise NoRule("BYMONTHDAY", "FREQ=DAILY, FREQ=MONTHLY, FREQ=YEARLY")
    return Rule(
        period=period,
        interval=_numbers(parts, "INTERVAL", range(1, 367), single=True)[0] if "INTERVAL" in parts else 1,
        count=_numbers(parts, "COUNT", range(1, 10_001), single=True)[0] if "COUNT" in parts else None,
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        months=_numbers(parts, "BYMONTH", range(1, 13)),
        month_days=_numbers(parts, "BYMONTHDAY", range(-31, 32)),
        weekdays=_weekdays(parts.get("BYDAY", ""), numbered=long),
        positions=_numbers(parts, "BYSETPOS", range(-366, 367)),
        week_begins=_week_begins(parts.get("WKST", "MO")),
    )


def days_from(rule: Rule, starts_on: date, day: date) -> Iterator[date]:
    """The days of the rule from ``day`` on, in order; ``starts_on`` is its first day that may count."""
    day = max(day, starts_on)
    for year in range(day.year, min(day.year + MOST_YEARS, date.max.year)):
        found = _counted(rule, starts_on, year) if rule.count else _days(rule, starts_on, year)
        yield from found[bisect_left(found, day) :]
        if (rule.until and year >= rule.until.year) or (rule.count and _before(rule, starts_on, year + 1)[1]):
            return


@lru_cache(maxsize=4096)
def _before(rule: Rule, starts_on: date, year: int) -> tuple[int, bool]:
    """How many days of the rule lie before a year, whatever its COUNT says, and whether that is all."""
    number = 0
    for earlier in range(starts_on.year, year):
        number += len(_days(rule, starts_on, earlier))
    return number, rule.count is not None and number >= rule.count


def _counted(rule: Rule, starts_on: date, year: int) -> tuple[date, ...]:
    left = (rule.count or 0) - _before(rule, starts_on, year)[0]
    return _days(rule, starts_on, year)[: max(0, left)]


@lru_cache(maxsize=4096)
def _days(rule: Rule, starts_on: date, year: int) -> tuple[date, ...]:
    """Every day of the rule in a year, but for its COUNT."""
    is_named = _filter(rule, starts_on)
    found: list[date] = []
    for first, last in _periods(rule, starts_on, year):
        named = [day for day in _span(first, last) if is_named(day)]
        found += _at_positions(named, rule.positions) if rule.positions else named
    return tuple(day for day in found if day >= starts_on and (rule.until is None or day <= rule.until))


def _periods(rule: Rule, starts_on: date, year: int) -> Iterator[tuple[date, date]]:
    """The periods of the year that the interval lets through, by first and last day."""
    if rule.period == "YEARLY":
        if (year - starts_on.year) % rule.interval == 0:
            yield date(year, 1, 1), date(year, 12, 31)
    elif rule.period == "MONTHLY":
        for month in range(1, 13):
            if ((year - starts_on.year) * 12 + month - starts_on.month) % rule.interval == 0:
                yield date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
    else:
        # Shorter ones are told day by day: a week may lie in two years.
        yield date(year, 1, 1), date(year, 12, 31)


def _filter(rule: Rule, starts_on: date) -> Callable[[date], bool]:
    """Whether a day within a period that counts is named."""
    month_days, months, weekdays = rule.month_days, rule.months, rule.weekdays
    if not (month_days or weekdays):
        if rule.period in ("MONTHLY", "YEARLY"):
            month_days = (starts_on.day,)
            months = months or ((starts_on.month,) if rule.period == "YEARLY" else ())
        elif rule.period == "WEEKLY":
            weekdays = ((0, starts_on.weekday()),)
    by_year = rule.period == "YEARLY" and not months
    begins = starts_on - timedelta(days=(starts_on.weekday() - rule.week_begins) % 7)

    def is_named(day: date) -> bool:
        if months and day.month not in months:
            return False
        if rule.period == "DAILY" and (day - starts_on).days % rule.interval:
            return False
        if rule.period == "WEEKLY" and (day - begins).days // 7 % rule.interval:
            return False
        if month_days:
            length = calendar.monthrange(day.year, day.month)[1]
            if day.day not in month_days and day.day - length - 1 not in month_days:
                return False
        return not weekdays or _is_nth(day, weekdays, by_year=by_year)

    return is_named


def _is_nth(day: date, weekdays: tuple[tuple[int, int], ...], *, by_year: bool) -> bool:
    """Whether the day is one of these weekdays, counted within its month or its year."""
    if by_year:
        place, length = day.timetuple().tm_yday, 366 if calendar.isleap(day.year) else 365
    else:
        place, length = day.day, calendar.monthrange(day.year, day.month)[1]
    nth, last = (place - 1) // 7 + 1, -((length - place) // 7 + 1)
    return any(weekday == day.weekday() and number in (0, nth, last) for number, weekday in weekdays)


def _at_positions(days: list[date], positions: tuple[int, ...]) -> list[date]:
    places = {position - 1 if position > 0 else len(days) + position for position in positions}
    return [day for place, day in enumerate(days) if place in places]


def _span(first: date, last: date) -> Iterator[date]:
    return (date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1))


def _numbers(parts: dict[str, str], name: str, within: range, *, single: bool = False) -> tuple[int, ...]:
    if name not in parts:
        return ()
    found = parts[name].split(",")
    if single and len(found) > 1:
        raise NoRule(f"{name}={parts[name]}", _EXPECTED[name])
    numbers = []
    for text in found:
        if not re.fullmatch(r"[+-]?[0-9]{1,5}", text) or int(text) == 0 or int(text) not in within:
            raise NoRule(f"{name}={parts[name]}", _EXPECTED[name])
        numbers.append(int(text))
    return tuple(sorted(set(numbers)))


def _weekdays(text: str, *, numbered: bool) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for part in text.split(",") if text else []:
        match = _NTH.fullmatch(part)
        number = int(match[1] or 0) if match else 0
        if match is None or (number and not numbered) or abs(number) > 53:
            raise NoRule(part, _EXPECTED["BYDAY"])
        found.append((number, _WEEKDAYS.index(match[2])))
    return tuple(sorted(set(found)))


def _week_begins(text: str) -> int:
    if text not in _WEEKDAYS:
        raise NoRule(f"WKST={text}", _EXPECTED["WKST"])
    return _WEEKDAYS.index(text)


def _until(text: str) -> date:
    try:
        if re.fullmatch(r"[0-9]{8}", text):
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        pass
    raise NoRule(f"UNTIL={text}", _EXPECTED["UNTIL"])
