"""Who is watched for a journey's goal, and for how long."""

from datetime import datetime, timedelta

from msgspec import Struct

from domain.clock import local_day
from domain.events import Values

# A goal that is told later than this after it happened is not counted.
TOLD_WITHIN = timedelta(days=31)
# Days of a calendar are no multiples of 24 hours, and a customer may move to another zone meanwhile.
_SLACK = timedelta(days=3)


class Watch(Struct, frozen=True):
    """One entry into a journey, or one that was held out, until its goal is reached or can be no more.

    ``since`` is the instant of entry (aware UTC); the goal counts on the day of entry and ``days`` after it.
    """

    journey: str
    version: int
    entry: Values
    since: datetime
    days: int

    def days_until(self, at: datetime, zone: str) -> int | None:
        """On which day after the entry ``at`` lies, by the calendar of ``zone``; None outside the window."""
        days = (local_day(at, zone) - local_day(self.since, zone)).days
        return days if at >= self.since and days <= self.days else None

    def is_over(self, now: datetime) -> bool:
        """Whether nothing that is told at ``now`` or later can count any more."""
        return now > self.since + timedelta(days=self.days) + TOLD_WITHIN + _SLACK


Watches = dict[str, Watch]


def still_open(watches: Watches, now: datetime) -> Watches:
    """Those that something told at ``now`` may still count for; the same object where that is all."""
    if not any(watch.is_over(now) for watch in watches.values()):
        return watches
    return {name: watch for name, watch in watches.items() if not watch.is_over(now)}
