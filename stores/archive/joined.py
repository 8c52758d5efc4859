"""A store and the archive that its older events were removed into, read as the one history that they are."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from domain.chain import stub
from domain.errors import StoreCorrupt
from domain.events import EVENTS
from domain.ports import (
    WHOLE,
    Ends,
    Numbers,
    Portion,
    Size,
    StoredDocument,
    StoredEvent,
    StoredRulebook,
    numbered,
)
from stores.archive.history import ArchivedHistory
from stores.archive.manifest import Fault
from stores.history import StoredHistory


class JoinedHistory:
    """What the store has, and for the rest what the archive has. Of what both have, the store's counts."""

    def __init__(self, archive: ArchivedHistory, store: StoredHistory) -> None:
        self._archive = archive
        self._store = store

    def size(self) -> int:
        """How many events there are in all."""
        return self._store.size()

    def customer_partitions(self) -> Sequence[int]:
        """The partitions that hold customers, in order."""
        return self._store.customer_partitions()

    def stray_partitions(self) -> Sequence[int]:
        """Partitions that hold histories and that the store does not count among its own."""
        return self._store.stray_partitions()

    def sizes(self) -> dict[int, Size]:
        """How much there is of each partition."""
        return self._store.sizes()

    def numbers(self, partition: int) -> Numbers:
        """The partition's own counts beside what lies in both."""
        counted, facts = self._store.numbers(partition), 0

        def seqs() -> Iterator[int]:
            nonlocal facts
            for event in self.events(partition, upto=counted.last_seq):
                facts += event.kind not in EVENTS
                yield event.seq

        missing = numbered(seqs(), counted.last_seq)
        return Numbers(counted.last_seq, missing, facts, counted.facts_taken)

    def keys_missing(self) -> int:
        """How many identities of facts the store has too few."""
        return self._store.keys_missing()

    def ends(self, partition: int, portion: Portion = WHOLE) -> Ends:
        """Where the partition and the portion's histories end; what was removed is here."""
        return replace(self._store.ends(partition, portion), removed_seq=0)

    def last_seq(self, partition: int) -> int:
        """The sequence number of the partition's last event; 0 before the first."""
        return self._store.last_seq(partition)

    def reached(self, partition: int) -> int:
        """Up to which instant (microseconds since 1970) the partition has been lived through."""
        return self._store.reached(partition)

    def events(
        self, partition: int, *, upto: int, after: int = -1, portion: Portion = WHOLE
    ) -> Iterator[StoredEvent]:
        """The portion's events by sequence number, from both; an event that differs in them is a fault."""
        stored = self._store.events(partition, upto=upto, after=after, portion=portion)
        ahead = next(stored, None)
        archived_upto = min(upto, self._archive.last_seq(partition))
        for event in self._archive.events(partition, upto=archived_upto, after=after, portion=portion):
            while ahead is not None and ahead.seq < event.seq:
                yield ahead
                ahead = next(stored, None)
            if ahead is None or ahead.seq > event.seq:
                yield event
                continue
            if not _is_same(ahead, event):
                fault = Fault("archive.event_differs", {"partition": partition, "seq": event.seq})
                self._archive.note(partition, event.seq, fault, None)
            yield ahead
            ahead = next(stored, None)
        if ahead is not None:
            yield ahead
            yield from stored

    def history(self, partition: int, stream: int) -> list[StoredEvent]:
        """One customer's events by version. Raises StoreCorrupt where neither has one of them."""
        found = {event.version: event for event in self._archive.history(partition, stream)}
        found |= {event.version: event for event in self._store.kept(partition, stream)}
        head = self._store.head(partition, stream)
        if sorted(found) != list(range(1, head + 1)):
            raise StoreCorrupt("store.history_removed", customer=self.subjects(partition).get(stream))
        return [found[version] for version in range(1, head + 1)]

    def subjects(self, partition: int, portion: Portion = WHOLE) -> dict[int, str]:
        """The customers of the portion, by stream."""
        return self._store.subjects(partition, portion)

    def erased(self, partition: int) -> set[int]:
        """Streams whose key was destroyed."""
        return self._store.erased(partition)

    def retained(self, partition: int) -> dict[str, int]:
        """By kind, how far retention went."""
        return self._store.retained(partition)

    def find(self, subject: str) -> tuple[int, int] | None:
        """Partition and stream of a customer; None for who was never registered."""
        return self._store.find(subject)

    def similar_subjects(self, subject: str) -> list[str]:
        """Customers whose ids begin like this one, for a "did you mean"."""
        return self._store.similar_subjects(subject)

    def rulebooks(self) -> dict[int, StoredRulebook]:
        """Every rulebook that was ever in force, by its number."""
        return self._store.rulebooks()

    def documents(self) -> list[StoredDocument]:
        """Every version of every published document, by kind, name and version."""
        return self._store.documents()


def _is_same(one: StoredEvent, other: StoredEvent) -> bool:
    """Whether it is one event, also where retention has removed the body of one of the two."""
    stubs = (replace(event, body=stub(event.body), clear=None) for event in (one, other))
    return next(stubs) == next(stubs)
