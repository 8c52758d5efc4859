"""The customers of a store as they stand now, read slice by slice; nothing is claimed, nothing written."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import chain

from msgspec.structs import replace
from sqlalchemy import Engine

from domain.catalogue import Envelope, Fact, fact_type
from domain.chain import is_stub
from domain.clock import from_micros
from domain.codec import restored
from domain.ids import share_of
from domain.ports import StoredEvent
from stores.adoption import EVERYBODY, adopted, clocks, customers_after, lagging
from stores.database import reading
from stores.histories import select_histories
from stores.history import StoredHistory
from stores.journal import Journal
from stores.vault import vault_of
from tidings.adopting import Sweep
from tidings.authoring import InForce
from tidings.memory import state_of
from tidings.trying.book import Book
from tidings.trying.simulation import Subject

SLICE = 200


class Audience:
    """Everybody in a store, and which rules they have yet to come under."""

    def __init__(self, engine: Engine, current: InForce) -> None:
        self.engine = engine
        self._current = current
        self.partitions = list(StoredHistory(engine).customer_partitions())
        self._clocks = dict(zip(self.partitions, clocks(engine, self.partitions), strict=True))
        self._starts: dict[int, int] = {}

    @property
    def clock_at(self) -> datetime:
        """Where the store has come to (aware UTC): the furthest of its partitions."""
        return max(self._clocks.values())

    @property
    def size(self) -> int:
        """How many customers there are, at most."""
        return sum(found.last_stream for found in adopted(self.engine, self.partitions))

    def under(self, partition: int, tried: Book) -> Callable[[Subject], Subject]:
        """What makes of a customer one who comes under these rules, as if they had been published now."""
        if tried.rules.digest == self._current.rules.digest:
            return lambda subject: subject
        number = self._current.number + 1
        adopts = Sweep(self.engine, partition, number=number, rules=tried.rules).reached < EVERYBODY
        return lambda subject: replace(subject, adopts=adopts)

    def slices(self, partition: int) -> Iterator[list[tuple[int, Subject]]]:
        """All customers of a partition who have a history, by stream, some at a time.

        They adopt where they have yet to come under the rules in force.
        """
        last = 0
        while streams := customers_after(self.engine, partition, last, limit=SLICE):
            last = streams[-1]
            yield list(self._found(partition, streams).items())

    def sampled(self, customers: int, *, seed: int) -> Iterator[tuple[int, Subject]]:
        """So many customers with their partitions, the same for a seed: those of the lowest digests."""
        history = StoredHistory(self.engine)
        drawn = nsmallest(
            customers,
            (
                (share_of("sample", str(seed), subject), partition, stream)
                for partition in self.partitions
                for stream, subject in history.subjects(partition).items()
            ),
        )
        for _, partition, stream in drawn:
            yield from self.found(partition, stream)

    def found(self, partition: int, stream: int) -> Iterator[tuple[int, Subject]]:
        """This customer, with the partition."""
        for subject in self._found(partition, [stream]).values():
            yield partition, subject

    def _found(self, partition: int, streams: Sequence[int]) -> dict[int, Subject]:
        number = self._current.number
        passed = [stream for stream in streams if stream > self._start(partition)]
        late = lagging(self.engine, partition, passed, rulebook=number) if passed else set()
        # A journal that is not entered claims nothing: it only reads.
        loaded = Journal(self.engine, partition).load(streams)
        clock_at = self._clocks[partition]
        return {
            stream: Subject(state_of(stored), clock_at, adopts=stream in late)
            for stream, stored in sorted(loaded.items())
        }

    def _start(self, partition: int) -> int:
        """After which customer the sweep for the rules in force goes on."""
        if partition not in self._starts:
            sweep = Sweep(self.engine, partition, number=self._current.number, rules=self._current.rules)
            self._starts[partition] = sweep.reached
        return self._starts[partition]

    def with_facts_again(
        self, partition: int, found: Sequence[tuple[int, Subject]], *, replayed: int, until: datetime
    ) -> Iterator[tuple[int, Subject]]:
        """These customers, to whom the facts of the last ``replayed`` days happen again.

        Each comes so many days later, and again after as many, up to ``until`` (aware UTC), as another fact:
        its id says so. What it says, days of contracts too, stays as it was.
        """
        streams = [stream for stream, _ in found]
        with reading(self.engine) as connection:
            happened = select_histories(connection, partition, streams)
        stored = vault_of(self.engine).with_clear(partition, happened)
        now, span = self._clocks[partition], timedelta(days=replayed)
        again: dict[int, list[StoredEvent]] = {stream: [] for stream in streams}
        for event in stored:
            if now - span < from_micros(event.occurred_at) <= now and _comes_again(event):
                again[event.stream].append(event)
        for stream, subject in found:
            told = (_later(event, subject.customer.subject, span, until) for event in again[stream])
            yield stream, replace(subject, facts=tuple(chain.from_iterable(told)))


def _comes_again(event: StoredEvent) -> bool:
    """Whether it is a fact that is still there, and not one on who somebody is: nobody comes anew."""
    is_fact = fact_type(event.kind) is not None and not is_stub(event.body)
    return is_fact and not event.kind.startswith("customer.")


def _later(event: StoredEvent, subject: str, span: timedelta, until: datetime) -> Iterator[Envelope]:
    fact, at = restored(event).body, from_micros(event.occurred_at) + span
    assert isinstance(fact, Fact)  # noqa: S101 - only facts come again
    number = 1
    while at <= until:
        yield Envelope(event.kind, subject, at, replace(fact, id=f"{fact.id}/again-{number}"))
        at, number = at + span, number + 1
