"""Under which rules something was decided: the rulebook of a moment, as the record tells it."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from domain.clock import to_micros
from domain.ports import History, StoredEvent
from journeys.rulebook import Rules


class Ruling(Struct, frozen=True):
    """A rulebook by number and digest, the version of the engine, and the policy that it holds."""

    rulebook: int
    digest: str
    engine: int
    policy: str
    policy_version: int


class Book(Struct, frozen=True):
    """A rulebook with the name that decisions cite it by."""

    number: int
    rules: Rules

    @property
    def ruling(self) -> Ruling:
        """The names under which it is cited."""
        rulebook = self.rules.rulebook
        policy = rulebook.policy
        return Ruling(self.number, self.rules.digest, rulebook.engine, policy.policy, policy.version)


class Shelf(Protocol):
    """The rules of every moment of one customer's life."""

    def at(self, moment: datetime) -> Book | None:
        """The rulebook of ``moment`` (aware UTC), by the record; None where nothing was recorded by then."""

    def of(self, version: int) -> Book | None:
        """The rulebook that the event of this version cites."""


class RecordedShelf:
    """The rules of one customer's life, from what the events of their partition cite.

    A partition cites its rulebooks in the order in which they came. Between two events of the customer that
    cite the same one there was no other; else the partition's events in between are looked at.
    """

    def __init__(
        self,
        history: History,
        partition: int,
        stored: Sequence[StoredEvent],
        rulebooks: Mapping[int, Rules],
    ) -> None:
        """``stored`` is the customer's history from its beginning, as far as it is at hand."""
        self._history = history
        self._partition = partition
        self._stored = stored
        self._rulebooks = rulebooks

    def at(self, moment: datetime) -> Book | None:
        """The rulebook of ``moment`` (aware UTC), by the record; None where nothing was recorded by then."""
        micros = to_micros(moment)
        place = bisect_right(self._stored, micros, key=lambda event: event.recorded_at)
        before = self._stored[place - 1] if place else None
        after = self._stored[place] if place < len(self._stored) else None
        if before is not None and after is not None and before.rulebook == after.rulebook:
            return self._book(before.rulebook)
        first = before.seq if before else 0
        last = after.seq if after else self._history.last_seq(self._partition) + 1
        return self._book(self._cited(micros, first, last, before.rulebook if before else 0))

    def of(self, version: int) -> Book | None:
        """The rulebook that the event of this version cites."""
        return self._book(self._stored[version - 1].rulebook)

    def _cited(self, micros: int, first: int, last: int, number: int) -> int:
        """What the last event recorded by then cites, of those from ``first`` on and before ``last``."""
        while last - first > 1:
            middle = (first + last) // 2
            found = next(self._history.events(self._partition, upto=middle, after=middle - 1), None)
            if found is None or found.recorded_at <= micros:
                first = middle
                number = found.rulebook if found else number
            else:
                last = middle
        return number

    def _book(self, number: int) -> Book | None:
        rules = self._rulebooks.get(number)
        return None if rules is None else Book(number, rules)
