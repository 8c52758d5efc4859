"""Seconds on the wall and of the processor, and the largest memory of this process."""

import resource
import time

from msgspec import Struct

_KIB_PER_MIB = 1024


class Spent(Struct, frozen=True):
    """What a stretch of work took. ``cpu_seconds`` is this process's own, with all its threads."""

    seconds: float
    cpu_seconds: float


class Stopwatch:
    """Use as a context; stretches under the same watch add up in ``spent``."""

    def __init__(self) -> None:
        self.spent = Spent(0.0, 0.0)

    def __enter__(self) -> "Stopwatch":
        self._began = (time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu = self._began
        self.spent = Spent(
            self.spent.seconds + time.perf_counter() - wall,
            self.spent.cpu_seconds + time.process_time() - cpu,
        )


def peak_rss_mb() -> float:
    """The most memory that this process, or any that it has waited for, ever held, in MiB."""
    known = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in known) / _KIB_PER_MIB


def cpu_seconds_of_children() -> float:
    """What processes that this one has waited for took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
