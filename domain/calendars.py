"""Calendars: documents that say which days are worked and which lunar months there are.

They are part of the rulebook, so that a decision is made again from the same days whatever is decreed later.
"""

from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.clock import WEEKDAYS, Weekday
from domain.errors import NotCovered
from domain.lunar import LunarMonths

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Year = Annotated[int, Meta(ge=1900, le=9000)]
Span = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}(/\d{4}-\d{2}-\d{2})?$")]
Beyond = Literal["refuse", "weekday"]
_DAY = timedelta(days=1)
# No holidays last so long: a longer span is a slip of the pen.
_MOST_DAYS_OFF = 60


class Holiday(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public holiday with its names by language and its days, such as ``2026-05-01/2026-05-05``."""

    name: Annotated[dict[str, str], Meta(min_length=1)]
    days: Annotated[tuple[Span, ...], Meta(min_length=1)]


class WorkingDays(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Weekends, public holidays and make-up days of the years that are known, first and last included.

    ``made_up`` are days of a weekend that are worked. What lies beyond the known years is refused
    (NotCovered); asked with ``beyond="weekday"``, every day there is worked that is no weekend, which holds
    until a newer version of the calendar knows better.
    """

    first_year: Year
    last_year: Year
    weekend: Annotated[tuple[Weekday, ...], Meta(max_length=6)] = ("sat", "sun")
    holidays: tuple[Holiday, ...]
    made_up: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        if self.first_year > self.last_year:
            raise ValueError("first_year lies after last_year")
        for day in (*self._named, *self.made_up):
            if not self.covers(day):
                raise ValueError(f"{day} lies outside {self.first_year} to {self.last_year}")
        for day in self.made_up:
            if not self._on_weekend(day):
                raise ValueError(f"make-up day {day} lies on no weekend")
            if day in self._named:
                raise ValueError(f"{day} is both a holiday and a make-up day")

    def covers(self, day: date) -> bool:
        """Whether holidays and make-up days of the day's year are known."""
        return self.first_year <= day.year <= self.last_year

    def is_working_day(self, day: date, *, beyond: Beyond = "refuse") -> bool:
        """Whether the day is worked. Raises NotCovered for an unknown year unless told what to take."""
        if beyond == "refuse":
            self._check(day)
        return day in self._made_up or not (day in self._named or self._on_weekend(day))

    def holiday(self, day: date, *, beyond: Beyond = "refuse") -> Holiday | None:
        """The holiday on this day, the first that is listed; None where it is none. Raises NotCovered."""
        if beyond == "refuse":
            self._check(day)
        return self._named.get(day)

    def is_holiday(self, day: date, *, beyond: Beyond = "refuse") -> bool:
        """Whether the day is a public holiday; an ordinary weekend is none. Raises NotCovered."""
        return self.holiday(day, beyond=beyond) is not None

    def on_or_after(self, day: date, *, beyond: Beyond = "refuse") -> date:
        """The day itself where it is worked, else the next one that is. Raises NotCovered."""
        return self._walk(day, step=_DAY, beyond=beyond)

    def on_or_before(self, day: date, *, beyond: Beyond = "refuse") -> date:
        """The day itself where it is worked, else the last one before that was. Raises NotCovered."""
        return self._walk(day, step=-_DAY, beyond=beyond)

    def next_working_day(self, day: date, *, beyond: Beyond = "refuse") -> date:
        """The first working day after this day. Raises NotCovered."""
        return self.on_or_after(day + _DAY, beyond=beyond)

    def previous_working_day(self, day: date, *, beyond: Beyond = "refuse") -> date:
        """The last working day before this day. Raises NotCovered."""
        return self.on_or_before(day - _DAY, beyond=beyond)

    def add_working_days(self, day: date, number: int, *, beyond: Beyond = "refuse") -> date:
        """The ``number``-th working day after this day, or before it where negative; the day itself for 0.

        Raises NotCovered.
        """
        for _ in range(abs(number)):
            move = self.next_working_day if number > 0 else self.previous_working_day
            day = move(day, beyond=beyond)
        return day

    @cached_property
    def _named(self) -> dict[date, Holiday]:
        named: dict[date, Holiday] = {}
        for holiday in self.holidays:
            for span in holiday.days:
                for day in _days_of(span):
                    named.setdefault(day, holiday)
        return named

    @cached_property
    def _made_up(self) -> frozenset[date]:
        return frozenset(self.made_up)

    def _on_weekend(self, day: date) -> bool:
        return WEEKDAYS[day.weekday()] in self.weekend

    def _walk(self, day: date, *, step: timedelta, beyond: Beyond) -> date:
        while not self.is_working_day(day, beyond=beyond):
            day += step
        return day

    def _check(self, day: date) -> None:
        if not self.covers(day):
            raise NotCovered("calendar.no_year", year=day.year, first=self.first_year, last=self.last_year)


class Calendar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a calendar: working days of a country, or lunar months, or both."""

    calendar: Name
    version: Annotated[int, Meta(ge=1)]
    title: Annotated[dict[str, str], Meta(min_length=1)]
    working: WorkingDays | None = None
    lunar: LunarMonths | None = None

    def __post_init__(self) -> None:
        if self.working is None and self.lunar is None:
            raise ValueError("a calendar has `working` days or `lunar` months")


def _days_of(span: Span) -> list[date]:
    """Every day of a span. Raises ValueError where it is none, or longer than holidays are."""
    first, _, last = span.partition("/")
    begins, ends = date.fromisoformat(first), date.fromisoformat(last or first)
    if not 0 <= (ends - begins).days < _MOST_DAYS_OFF:
        raise ValueError(f"{span} ends before it begins, or lasts {_MOST_DAYS_OFF} days or more")
    return [begins + _DAY * number for number in range((ends - begins).days + 1)]
