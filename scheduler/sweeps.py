"""The few jobs that recur as long as a process serves, on APScheduler; never one for each customer."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from msgspec import Struct

log = logging.getLogger("tidings.sweeps")


class Sweep(Struct, frozen=True):
    """Something to do every so often; it is not begun again while it still runs."""

    name: str
    every: timedelta
    do: Callable[[], object]


class Sweeps:
    """Use as a context: entering starts the clockwork, leaving waits for what is under way."""

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(max(1, len(sweeps)))}, timezone="UTC"
        )
        for sweep in sweeps:
            self._scheduler.add_job(
                _guarded,
                "interval",
                args=[sweep],
                id=sweep.name,
                seconds=sweep.every.total_seconds(),
                coalesce=True,
                max_instances=1,
            )

    def __enter__(self) -> "Sweeps":
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scheduler.shutdown(wait=True)


def _guarded(sweep: Sweep) -> None:
    """One failure must not end the others, nor the next turn of the same."""
    try:
        sweep.do()
    except Exception as error:
        log.warning("%s failed and is tried again: %s: %s", sweep.name, type(error).__name__, error)
