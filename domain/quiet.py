"""Hours in which nothing is to disturb a customer, on the wall clock of their own zone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from domain.calendars import Calendar, Name
from domain.catalogue import ChannelName, Purpose
from domain.clock import WEEKDAYS, Weekday, zone_of

WallClock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_DAY = timedelta(days=1)
# More windows than this in a row, without a moment between them, leave no moment at all.
_MOST_IN_A_ROW = 400
_MIDNIGHT = time(0)
Calendars = Mapping[str, Calendar]


class OnHolidays(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The public holidays of a calendar's working days.

    A day of a year that the calendar does not know is none, until a newer version of the calendar says so.
    """

    calendar: Name

    def has(self, day: date, calendars: Calendars) -> bool:
        """Whether the day is one of them."""
        known = calendars.get(self.calendar)
        working = known.working if known else None
        return working is not None and working.is_holiday(day, beyond="weekday")


class QuietHours(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"begins": "from"},
):
    """From ``from`` up to, not with, ``to``; a window whose end is not after its beginning lasts overnight.

    Equal times mean 24 hours. ``days`` and ``holidays`` are those on which the window begins: where either is
    given, on no others; where both are, on either. A window on ``holidays`` without times lasts all day.
    ``regions`` are those of the customer; none means all. Purposes and channels that are not listed are not
    held up.
    """

    name: str
    purposes: Annotated[tuple[Purpose, ...], Meta(min_length=1)]
    channels: tuple[ChannelName, ...] = ()
    begins: WallClock | None = None
    to: WallClock | None = None
    days: tuple[Weekday, ...] = ()
    regions: tuple[str, ...] = ()
    holidays: OnHolidays | None = None

    def __post_init__(self) -> None:
        if (self.begins is None) != (self.to is None):
            raise ValueError("a window has both `from` and `to`, or neither")
        if self.begins is None and self.holidays is None:
            raise ValueError("a window without `from` and `to` needs `holidays`")

    def concerns(self, *, purpose: Purpose, channel: ChannelName, region: str) -> bool:
        """Whether such a message to such a customer has to heed this window."""
        return (
            purpose in self.purposes
            and (not self.channels or channel in self.channels)
            and (not self.regions or region in self.regions)
        )

    def around(self, at: datetime, zone: str, calendars: Calendars) -> tuple[date, datetime] | None:
        """The day on which the window that ``at`` (aware UTC) lies in began, and when it is over.

        None where ``at`` lies in none.
        """
        wall = at.astimezone(zone_of(zone)).replace(tzinfo=None)
        begins, ends = _time(self.begins), _time(self.to)
        overnight = ends <= begins
        for day in (wall.date() - _DAY, wall.date()) if overnight else (wall.date(),):
            if not self._begins_on(day, calendars):
                continue
            over = datetime.combine(day + _DAY if overnight else day, ends)
            if datetime.combine(day, begins) <= wall < over:
                return day, _first_after(at, over, zone)
        return None

    def _begins_on(self, day: date, calendars: Calendars) -> bool:
        if not self.days and self.holidays is None:
            return True
        if WEEKDAYS[day.weekday()] in self.days:
            return True
        return self.holidays is not None and self.holidays.has(day, calendars)


class Quiet(Struct, frozen=True, gc=False):
    """A window that a moment lies in, the day on which it began, and the first moment that lies in none.

    ``until`` (aware UTC) is None where the windows leave no moment within a year or so.
    """

    window: QuietHours
    day: date
    until: datetime | None


def quiet_until(windows: Sequence[QuietHours], at: datetime, zone: str, calendars: Calendars) -> Quiet | None:
    """What is quiet about ``at`` (aware UTC) and for how long; None where it lies in no window."""
    first: tuple[QuietHours, date] | None = None
    moment = at
    for _ in range(_MOST_IN_A_ROW):
        around = ((window, window.around(moment, zone, calendars)) for window in windows)
        found = next(((window, *lies) for window, lies in around if lies is not None), None)
        if found is None:
            return None if first is None else Quiet(*first, moment)
        window, day, moment = found
        first = first or (window, day)
    assert first is not None  # noqa: S101 - the loop found a window each time
    return Quiet(*first, None)


def _time(text: WallClock | None) -> time:
    return _MIDNIGHT if text is None else time(int(text[:2]), int(text[3:]))


def _first_after(at: datetime, wall: datetime, zone: str) -> datetime:
    """The first instant after ``at`` at which the zone's wall clock shows ``wall``, or has just skipped it.

    Where it shows it twice and the first time is past, the second one counts: until then it is quiet.
    """
    local = wall.replace(tzinfo=zone_of(zone))
    found = local.astimezone(UTC)
    return found if found > at else local.replace(fold=1).astimezone(UTC)
