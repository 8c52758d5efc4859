"""What a backtest reads: a store opened for reading only, an archive, or both; its times and customers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from heapq import nsmallest

from msgspec import Struct
from sqlalchemy import Engine

from domain.errors import InputRefused, NotFound, StoreCorrupt
from journeys.rulebook import Rules
from stores.adoption import clocks
from stores.archive.history import ArchivedHistory
from stores.archive.joined import JoinedHistory
from stores.history import StoredHistory
from stores.vault import vault_at
from tidings.authoring import rules_of
from tidings.bootstrap import archived, bootstrap, joined
from tidings.cli.reading import Source
from tidings.trying.backtest import Chosen
from tidings.trying.rulebook_times import Times, times_of


class Record(Struct, frozen=True):
    """An open history; ``engine`` is the store's, None for an archive alone."""

    history: StoredHistory | ArchivedHistory | JoinedHistory
    engine: Engine | None = None

    @property
    def latest(self) -> Rules:
        """The newest rulebook. Raises StoreCorrupt where there is none that can be read."""
        known = rules_of(self.history.rulebooks())
        if not known:
            raise StoreCorrupt("backtest.no_rulebook")
        return known[max(known)]

    def times(self, *, begun: datetime, ended: datetime) -> list[tuple[int, Times]]:
        """The partitions with their times. Raises InputRefused where the record has nothing of the period."""
        partitions = list(self.history.customer_partitions())
        every = ((number, times_of(self.history, number)) for number in partitions)
        found = [(number, times) for number, times in every if times is not None]
        if not found:
            raise InputRefused("backtest.nothing_recorded")
        first, last = min(times.first for _, times in found), max(times.last for _, times in found)
        reached = last if self.engine is None else min(clocks(self.engine, partitions))
        if ended > reached:
            raise InputRefused("backtest.beyond", ended=_shown(ended), reached=_shown(reached))
        if ended <= first or begun > last:
            raise InputRefused("backtest.nothing_then", first=_shown(first), last=_shown(last))
        return found

    def drawn(self, customers: int, *, seed: int) -> Chosen:
        """So many customers, always the same for a seed: those of the lowest shares."""
        everybody = Chosen(seed=seed)
        shares = (
            everybody.share(subject)
            for number in self.history.customer_partitions()
            for subject in self.history.subjects(number).values()
        )
        lowest = nsmallest(customers + 1, shares)
        return Chosen(below=lowest[-1], seed=seed) if len(lowest) > customers else everybody

    def one(self, customer: str) -> Chosen:
        """This customer. Raises NotFound where there is none."""
        if self.history.find(customer) is None:
            raise NotFound(
                "customer.unknown", customer=customer, near=self.history.similar_subjects(customer)
            )
        return Chosen(customer=customer)

    def size(self, chosen: Chosen) -> int:
        """How many customers are chosen."""
        if chosen.customer is not None:
            return 1
        subjects = (self.history.subjects(number).values() for number in self.history.customer_partitions())
        return sum(chosen.has(subject) for some in subjects for subject in some)


@contextmanager
def opened(source: Source) -> Iterator[Record]:
    """The history of a source."""
    if source.archive is not None and not source.both:
        yield Record(archived(source.archive, keys=vault_at(source.settings.store)))
        return
    tidings = bootstrap(source.settings, read_only=True)
    try:
        history = tidings.history if source.archive is None else joined(tidings, source.archive)
        yield Record(history, tidings.engine)
    finally:
        tidings.engine.dispose()


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
