"""The Chinese lunar months as a table: days convert by looking up, never by reckoning or asking a library.

A lunar year is named by the Gregorian year in which it begins. Days are civil days of UTC+8.
"""

from bisect import bisect_right
from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.errors import NotCovered

LeapMonthRule = Literal["leap-else-plain", "plain"]
Festival = Literal[
    "spring-festival", "lantern", "dragon-boat", "qixi", "mid-autumn", "double-ninth", "new-years-eve"
]
FESTIVALS: dict[Festival, tuple[int, int]] = {
    "spring-festival": (1, 1),
    "lantern": (1, 15),
    "dragon-boat": (5, 5),
    "qixi": (7, 7),
    "mid-autumn": (8, 15),
    "double-ninth": (9, 9),
}
# The month and day of each; the 30th means the month's last.
LUNAR_DAYS: dict[Festival, tuple[int, int]] = {**FESTIVALS, "new-years-eve": (12, 30)}
_LONG = 30
_MONTH_BITS = 13


class LunarDate(Struct, frozen=True, order=True):
    """Day ``day`` (1 to 30) of month ``month`` (1 to 12), or of the leap month that follows that month."""

    year: int
    month: int
    day: int
    leap: bool = False


class _Month(Struct, frozen=True):
    begins_on: int  # as an ordinal
    year: int
    month: int
    leap: bool
    length: int


class LunarMonths(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Which lunar months there are, from the lunar year that begins on ``begins_on``.

    ``table`` has five hexadecimal digits for each lunar year. Above the lowest thirteen bits stands the
    number of the month that a leap month follows (0: none). The lowest bit is the year's first month, the
    next its second, the leap month in its place: 1 for 30 days, 0 for 29.
    """

    begins_on: date
    table: Annotated[str, Meta(pattern=r"^[0-9a-f]{5}( [0-9a-f]{5})*$")]

    def __post_init__(self) -> None:
        for number, word in enumerate(self._words()):
            leap, bits = divmod(word, 1 << _MONTH_BITS)
            if leap > 12 or (not leap and bits >> 12):
                raise ValueError(f"the table's entry {number + 1} is no lunar year")

    @property
    def first_year(self) -> int:
        """The first lunar year of the table."""
        return self.begins_on.year

    @property
    def last_year(self) -> int:
        """The last lunar year of the table."""
        return self._months[-1].year

    def covers(self, day: date) -> bool:
        """Whether the day lies in a lunar month of the table."""
        end = self._months[-1]
        return self.begins_on <= day and day.toordinal() < end.begins_on + end.length

    def from_gregorian(self, day: date) -> LunarDate:
        """The lunar date of a day. Raises NotCovered outside the table."""
        if not self.covers(day):
            raise self._not_covered(day.year)
        month = self._months[bisect_right(self._beginnings, day.toordinal()) - 1]
        return LunarDate(month.year, month.month, day.toordinal() - month.begins_on + 1, month.leap)

    def to_gregorian(self, day: LunarDate) -> date:
        """The day of a lunar date. Raises NotCovered outside the table, ValueError where there is none."""
        self._check_year(day.year)
        month = self._by_name.get((day.year, day.month, day.leap))
        if month is None or not 1 <= day.day <= month.length:
            raise ValueError(f"there is no lunar date {day}")
        return date.fromordinal(month.begins_on + day.day - 1)

    def leap_month(self, year: int) -> int | None:
        """The number of the month that a leap month follows in this lunar year. Raises NotCovered."""
        self._check_year(year)
        return next((month for month in range(1, 13) if (year, month, True) in self._by_name), None)

    def in_year(self, born: LunarDate, year: int, *, leap_month: LeapMonthRule) -> date:
        """The day on which a birthday falls in a lunar year. Raises NotCovered outside the table.

        Born in a leap month: ``leap-else-plain`` keeps it in that leap month where the year has it, else in
        the plain month of that number; ``plain`` keeps it in the plain month always. Born on day 30: in a
        month of 29 days it falls on the 29th.
        """
        self._check_year(year)
        leap = born.leap and leap_month == "leap-else-plain" and (year, born.month, True) in self._by_name
        month = self._by_name[year, born.month, leap]
        return date.fromordinal(month.begins_on + min(born.day, month.length) - 1)

    def festival(self, name: Festival, year: int) -> date:
        """The day of a festival. Raises NotCovered outside the table.

        Festivals lie in plain months. New Year's Eve of a lunar year is the day before it begins.
        """
        self._check_year(year)
        if name == "new-years-eve":
            return self.festival("spring-festival", year) - timedelta(days=1)
        month, day = FESTIVALS[name]
        return self.to_gregorian(LunarDate(year, month, day))

    @cached_property
    def _months(self) -> tuple[_Month, ...]:
        months: list[_Month] = []
        begins_on = self.begins_on.toordinal()
        for year, word in enumerate(self._words(), start=self.begins_on.year):
            leap, bits = divmod(word, 1 << _MONTH_BITS)
            for index in range(13 if leap else 12):
                is_leap = leap > 0 and index == leap
                number = index if leap and index >= leap else index + 1
                length = _LONG - 1 + (bits >> index & 1)
                months.append(_Month(begins_on, year, number, is_leap, length))
                begins_on += length
        return tuple(months)

    @cached_property
    def _beginnings(self) -> tuple[int, ...]:
        return tuple(month.begins_on for month in self._months)

    @cached_property
    def _by_name(self) -> dict[tuple[int, int, bool], _Month]:
        return {(month.year, month.month, month.leap): month for month in self._months}

    def _words(self) -> list[int]:
        return [int(word, 16) for word in self.table.split()]

    def _check_year(self, year: int) -> None:
        if not self.first_year <= year <= self.last_year:
            raise self._not_covered(year)

    def _not_covered(self, year: int) -> NotCovered:
        return NotCovered("calendar.no_lunar_year", year=year, first=self.first_year, last=self.last_year)
