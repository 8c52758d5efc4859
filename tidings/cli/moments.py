"""Instants and days that a person names: they must lie where the record can say something."""

from datetime import date, datetime
from typing import Any

import click

from audit.life import Life, window_of
from domain.clock import from_micros
from domain.errors import InputRefused
from domain.ports import History
from tidings.bootstrap import wall_clock
from tidings.cli.terminal import YEARS

_SHOWN = "%Y-%m-%d %H:%M UTC"


class Day(click.ParamType[date]):
    """A day of the customer's calendar, as ``2026-05-03``."""

    name = "DAY"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day; fails as a usage error."""
        if isinstance(value, date):
            return value
        try:
            day = date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day such as 2026-05-03", param, ctx)
        if day.year not in YEARS:
            self.fail(f"{value!r} lies outside the years {YEARS.start} to {YEARS.stop - 1}", param, ctx)
        return day


def check_lived(history: History, partition: int, at: datetime, *, begun: bool = True) -> None:
    """Refuse an instant (aware UTC) beyond both the machine's clock and the partition's.

    With ``begun`` also one before anything was recorded in the store. Raises InputRefused.
    """
    reached = max(wall_clock(), from_micros(history.reached(partition)))
    if at > reached:
        raise InputRefused("moment.ahead", at=at.strftime(_SHOWN), now=reached.strftime(_SHOWN))
    if begun and (first := _begin(history)) is not None and at < first:
        raise InputRefused("moment.before", at=at.strftime(_SHOWN), first=first.strftime(_SHOWN))


def _begin(history: History) -> datetime | None:
    """When the first event that is still at hand was recorded; None where there is none."""
    firsts = [
        event.recorded_at
        for partition in history.customer_partitions()
        if (event := next(history.events(partition, upto=1), None)) is not None
    ]
    return from_micros(min(firsts)) if firsts else None


def check_days(history: History, life: Life, first: date, last: date) -> None:
    """Refuse days that lie wholly ahead, or wholly before the record. Raises InputRefused."""
    window = window_of(first, last, life.zone_at(first))
    reached = max(wall_clock(), life.reached)
    if window.begin > reached:
        raise InputRefused("moment.ahead", at=first.isoformat(), now=reached.strftime(_SHOWN))
    begun = _begin(history)
    if begun is not None and window.end <= begun:
        raise InputRefused("moment.before", at=last.isoformat(), first=begun.strftime(_SHOWN))
