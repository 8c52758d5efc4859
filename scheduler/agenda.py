"""The order of facts and timers in business time: at one instant, facts come before timers.

Order matters within a customer only; across customers it is kept so that a run is easy to follow.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Generic, Protocol, TypeVar


class Dated(Protocol):
    """What happened at an instant, in microseconds since 1970."""

    @property
    def occurred_at(self) -> int: ...


F = TypeVar("F", bound=Dated)


class Agenda(Generic[F]):
    """Facts in a given order, merged with wake-ups that are known or come up on the way.

    Instants are microseconds since 1970. Wake-ups after ``horizon`` are left for another time: there
    may be facts before them that are not here. Iterate once; ``wake`` may be called on the way.
    """

    def __init__(self, facts: Sequence[F], timers: Iterable[tuple[int, int]], *, horizon: int) -> None:
        self._facts = facts
        self._timers: list[tuple[int, int]] = []
        self._horizon = horizon
        for due_at, customer in timers:
            self.wake(customer, due_at)

    def wake(self, customer: int, due_at: int) -> None:
        """Note that ``customer`` has a wake-up at ``due_at``; one that no longer holds does no harm."""
        if due_at <= self._horizon:
            heappush(self._timers, (due_at, customer))

    def __iter__(self) -> Iterator[F | tuple[int, int]]:
        """Each fact, and (due, customer) of each wake-up, in the order of their instants."""
        timers = self._timers
        for fact in self._facts:
            while timers and timers[0][0] < fact.occurred_at:
                yield heappop(timers)
            yield fact
        while timers:
            yield heappop(timers)
