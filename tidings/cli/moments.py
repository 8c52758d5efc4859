"""Instants and days that a person names: they must lie where the record can say something."""

from datetime import datetime

from domain.clock import from_micros
from domain.errors import InputRefused
from domain.ports import History
from tidings.bootstrap import wall_clock

_SHOWN = "%Y-%m-%d %H:%M UTC"


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
