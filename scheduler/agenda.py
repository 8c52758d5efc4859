"""The order of facts and timers in business time: at one instant, facts come before timers.

Order matters within a customer only; across customers it is kept so that a run is easy to follow.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Generic, TypeVar

F = TypeVar("F")


class Agenda(Generic[F]):
    """Facts in a given order, merged with wake-ups that are known or come up on the way.

    Instants are microseconds since 1970. Wake-ups after ``horizon`` are left for another time: there
    may be facts before them that are not here.
    """

    def __init__(
        self, facts: Iterable[tuple[int, F]], timers: Iterable[tuple[int, int]], *, horizon: int
    ) -> None:
        self._facts = list(facts)
        self._next_fact = 0
        self._timers: list[tuple[int, int]] = []
        self._horizon = horizon
        for due_at, customer in timers:
            self.wake(customer, due_at)

    def wake(self, customer: int, due_at: int) -> None:
        """Note that ``customer`` has a wake-up at ``due_at``; one that no longer holds does no harm."""
        if due_at <= self._horizon:
            heappush(self._timers, (due_at, customer))

    def next(self) -> F | tuple[int, int] | None:
        """The next fact, or (due, customer) of the next wake-up; None when there is nothing left."""
        if self._next_fact < len(self._facts):
            occurred_at, fact = self._facts[self._next_fact]
            if not self._timers or occurred_at <= self._timers[0][0]:
                self._next_fact += 1
                return fact
        return heappop(self._timers) if self._timers else None
