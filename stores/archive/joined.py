"""A store and the archive that its older events were removed into, read as the one history that they are."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from domain.errors import StoreCorrupt
from domain.ports import Ends, StoredDocument, StoredEvent, StoredRulebook
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

    def ends(self, partition: int) -> Ends:
        """Where the partition and its histories end; what was removed is here."""
        return replace(self._store.ends(partition), removed_seq=0)

    def events(self, partition: int, *, upto: int, after: int = -1) -> Iterator[StoredEvent]:
        """The partition's events by sequence number, from both; an event that differs in them is a fault."""
        stored = self._store.events(partition, upto=upto, after=after)
        ahead = next(stored, None)
        archived_upto = min(upto, self._archive.last_seq(partition))
        for event in self._archive.events(partition, upto=archived_upto, after=after):
            while ahead is not None and ahead.seq < event.seq:
                yield ahead
                ahead = next(stored, None)
            if ahead is None or ahead.seq > event.seq:
                yield event
                continue
            if replace(ahead, clear=None) != replace(event, clear=None):
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

    def subjects(self, partition: int) -> dict[int, str]:
        """The customers of the partition, by stream."""
        return self._store.subjects(partition)

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
