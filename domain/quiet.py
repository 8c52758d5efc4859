"""Hours in which nothing is to disturb a customer, on the wall clock of their own zone."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from domain.catalogue import ChannelName, Purpose
from domain.clock import WEEKDAYS, Weekday, zone_of

WallClock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_DAY = timedelta(days=1)
# More windows than this in a row, without a moment between them, leave no moment at all.
_MOST_IN_A_ROW = 400


class QuietHours(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"begins": "from"},
):
    """From ``from`` up to, not with, ``to``; a window whose end is not after its beginning lasts overnight.

    Equal times mean 24 hours. ``days`` are those on which the window begins, ``regions`` those of the
    customer; none means all. Purposes and channels that are not listed are not held up.
    """

    name: str
    purposes: Annotated[tuple[Purpose, ...], Meta(min_length=1)]
    channels: tuple[ChannelName, ...] = ()
    begins: WallClock
    to: WallClock
    days: tuple[Weekday, ...] = ()
    regions: tuple[str, ...] = ()

    def concerns(self, *, purpose: Purpose, channel: ChannelName, region: str) -> bool:
        """Whether such a message to such a customer has to heed this window."""
        return (
            purpose in self.purposes
            and (not self.channels or channel in self.channels)
            and (not self.regions or region in self.regions)
        )

    def end_of(self, at: datetime, zone: str) -> datetime | None:
        """When the window that ``at`` (aware UTC) lies in is over; None where it lies in none."""
        wall = at.astimezone(zone_of(zone)).replace(tzinfo=None)
        begins, ends = _time(self.begins), _time(self.to)
        overnight = ends <= begins
        for day in (wall.date() - _DAY, wall.date()) if overnight else (wall.date(),):
            if self.days and WEEKDAYS[day.weekday()] not in self.days:
                continue
            over = datetime.combine(day + _DAY if overnight else day, ends)
            if datetime.combine(day, begins) <= wall < over:
                return _first_after(at, over, zone)
        return None


def quiet_until(
    windows: Sequence[QuietHours], at: datetime, zone: str
) -> tuple[QuietHours, datetime | None] | None:
    """The window that ``at`` lies in and the first moment that lies in none; None where ``at`` already does.

    The moment is None where the windows leave none within a year or so.
    """
    first: QuietHours | None = None
    moment = at
    for _ in range(_MOST_IN_A_ROW):
        found = next(((w, end) for w in windows if (end := w.end_of(moment, zone))), None)
        if found is None:
            return None if first is None else (first, moment)
        first, moment = first or found[0], found[1]
    assert first is not None  # noqa: S101 - the loop found a window each time
    return first, None


def _time(text: WallClock) -> time:
    return time(int(text[:2]), int(text[3:]))


def _first_after(at: datetime, wall: datetime, zone: str) -> datetime:
    """The first instant after ``at`` at which the zone's wall clock shows ``wall``, or has just skipped it.

    Where it shows it twice and the first time is past, the second one counts: until then it is quiet.
    """
    local = wall.replace(tzinfo=zone_of(zone))
    found = local.astimezone(UTC)
    return found if found > at else local.replace(fold=1).astimezone(UTC)
