"""An archive behind the ``History`` port: everything that audit asks of a store, from the folder alone."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from domain.errors import StoreCorrupt
from domain.events import KIND_OF, MessageRequested
from domain.ports import (
    WHOLE,
    Ends,
    Numbers,
    Portion,
    Size,
    StoredDocument,
    StoredEvent,
    StoredHead,
    StoredRulebook,
    numbered,
)
from stores.archive.manifest import ArchivedFile, ArchivedPartition, EventsFile, Fault, Manifest, fault_of
from stores.archive.parquet import (
    DOCUMENTS,
    HISTORIES,
    RULEBOOKS,
    read_events,
    read_history,
    read_mentions,
    read_rows,
)
from stores.retained import ORDERED, retained
from stores.vault import Vault

_OPENED_AT_ONCE = 5_000
# Partition, first seq, and what is wrong there.
Faults = list[tuple[int, int, Fault]]


class ArchivedHistory:
    """What the archive in a folder tells, each file checked against its digest before it is read.

    A file of events that is not whole raises StoreCorrupt; where ``faults`` is given it is noted there with
    its partition and first seq, and what can be read of it is. Without ``keys`` nothing personal is opened.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, keys: Vault | None = None, faults: Faults | None = None
    ) -> None:
        self._folder = folder
        self._keys = keys
        self._manifest = manifest
        self._faults = faults
        self._checked: set[str] = set()
        if faults is not None and not manifest.finished:
            faults.append((0, 0, Fault("archive.unfinished", {"folder": str(folder)})))

    @property
    def digest(self) -> str:
        """The name of the archive's state, in hex."""
        return self._manifest.digest

    def last_seq(self, partition: int) -> int:
        """The last of the partition's events that the archive has; 0 for none."""
        return self._partition(partition).last_seq

    def reached(self, partition: int) -> int:
        """When the partition's last event was recorded, in microseconds since 1970; 0 for none."""
        last = self.last_seq(partition)
        found = next(self.events(partition, upto=last, after=last - 1), None)
        return found.recorded_at if found else 0

    def size(self) -> int:
        """How many events there are in all."""
        return self._manifest.size

    def customer_partitions(self) -> Sequence[int]:
        """The partitions that hold customers, in order."""
        return sorted(number for number in self._manifest.partitions if number > 0)

    def stray_partitions(self) -> Sequence[int]:
        """Partitions that the manifest has left out."""
        known = self._manifest.partitions.keys()
        return sorted(set(range(max(known, default=-1) + 1)) - known)

    def sizes(self) -> dict[int, Size]:
        """How much there is of each partition."""
        return {
            number: Size(kept.last_seq, kept.histories.rows if kept.histories else 0)
            for number, kept in self._manifest.partitions.items()
        }

    def numbers(self, partition: int) -> Numbers:
        """What does not fit the partition's last number; how many facts were taken is not archived."""
        last_seq = self.last_seq(partition)
        events = self.events(partition, upto=last_seq)
        return Numbers(last_seq, numbered((event.seq for event in events), last_seq), 0)

    def keys_missing(self) -> int:
        """Identities of facts are not archived."""
        return 0

    def ends(self, partition: int, portion: Portion = WHOLE) -> Ends:
        """Where the partition and the portion's histories ended when it was archived."""
        kept = self._partition(partition)
        heads: dict[int, StoredHead] = {}
        timers: dict[int, int] = {}
        continued: set[int] = set()
        columns = ("stream", "version", "seq", "hash", "due_at", "continued")
        for stream, version, seq, hash_, due_at, goes_on in self._histories(partition, *columns):
            if not portion.has(stream):
                continue
            if seq:
                heads[stream] = StoredHead(version, seq, hash_)
            if goes_on:
                continued.add(stream)
            elif due_at is not None:
                timers[stream] = due_at
        return Ends(kept.last_seq, heads, set(kept.outbox), timers, continued=frozenset(continued))

    def events(
        self, partition: int, *, upto: int, after: int = -1, portion: Portion = WHOLE
    ) -> Iterator[StoredEvent]:
        """The portion's events by sequence number, a row group in memory at a time."""
        for file in self._stretches(partition, after, upto):
            read = self._read(partition, file, read_events(self._folder / file.path))
            wanted = (e for e in read if after < e.seq <= upto and portion.has(e.stream))
            while some := list(islice(wanted, _OPENED_AT_ONCE)):
                yield from self._opened(partition, some)

    def history(self, partition: int, stream: int) -> list[StoredEvent]:
        """One customer's events by version, looked for in every file of the partition."""
        upto = self.last_seq(partition)
        found = [
            event
            for file in self._stretches(partition, -1, upto)
            for event in self._read(partition, file, read_history(self._folder / file.path, stream))
            if event.seq <= upto
        ]
        return sorted(self._opened(partition, found), key=lambda event: event.version)

    def subjects(self, partition: int, portion: Portion = WHOLE) -> dict[int, str]:
        """The customers of the portion, by stream."""
        rows = self._histories(partition, "stream", "subject")
        return {stream: subject for stream, subject in rows if subject is not None and portion.has(stream)}

    def erased(self, partition: int) -> set[int]:
        """Streams that have no key, as far as the keys are at hand."""
        if self._keys is None or partition == 0:
            return set()
        return self.subjects(partition).keys() - self._keys.kept(partition)

    def retained(self, partition: int) -> dict[str, int]:
        """By kind, how far orders of retention let bodies go."""
        orders = self.events(0, upto=self.last_seq(0))
        return retained((event.body for event in orders if event.kind == ORDERED), partition)

    def find(self, subject: str) -> tuple[int, int] | None:
        """Partition and stream of a customer; None for who was never registered."""
        for partition in self.customer_partitions():
            for stream, known in self._histories(partition, "stream", "subject"):
                if known == subject:
                    return partition, stream
        return None

    def similar_subjects(self, subject: str, *, limit: int = 5) -> list[str]:
        """Customers whose ids begin like this one, for a "did you mean"."""
        start = subject[: max(1, len(subject) - 1)]
        found = {
            known
            for partition in self.customer_partitions()
            for known in self.subjects(partition).values()
            if known.startswith(start)
        }
        return sorted(found)[:limit]

    def customer_of(self, message: str) -> str | None:
        """The customer whom a message is or was to be for; None for an unknown id."""
        kind = KIND_OF[MessageRequested]
        for partition in self.customer_partitions():
            upto = self.last_seq(partition)
            for file in self._stretches(partition, -1, upto):
                read = read_mentions(self._folder / file.path, kind, f'"{message}"'.encode())
                for event in self._read(partition, file, read):
                    if event.seq <= upto:
                        return self.subjects(partition).get(event.stream)
        return None

    def rulebooks(self) -> dict[int, StoredRulebook]:
        """Every rulebook that was ever in force, by its number."""
        return {
            row[0]: StoredRulebook(row[1], row[2]) for row in self._rows(self._manifest.rulebooks, RULEBOOKS)
        }

    def documents(self) -> list[StoredDocument]:
        """Every version of every published document, by kind, name and version."""
        return [StoredDocument(*row) for row in self._rows(self._manifest.documents, DOCUMENTS)]

    def _opened(self, partition: int, events: list[StoredEvent]) -> list[StoredEvent]:
        return events if self._keys is None else self._keys.with_clear(partition, events, strict=False)

    def _partition(self, number: int) -> ArchivedPartition:
        return self._manifest.partitions.get(number, ArchivedPartition())

    def _stretches(self, partition: int, after: int, upto: int) -> list[EventsFile]:
        files = self._partition(partition).events
        return [file for file in files if file.last_seq > after and file.first_seq <= upto]

    def _histories(self, partition: int, *columns: str) -> Iterator[tuple[Any, ...]]:
        kinds = {name: HISTORIES[name] for name in columns}
        return self._rows(self._partition(partition).histories, kinds, partition)

    def _rows(
        self, file: ArchivedFile | None, columns: dict[str, str], partition: int = 0
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a file without which nothing else can be read: it must be readable."""
        if file is None:
            return
        self._check(partition, 0, file)
        yield from read_rows(self._folder / file.path, columns)

    def _read(self, partition: int, file: EventsFile, events: Iterator[StoredEvent]) -> Iterator[StoredEvent]:
        if not self._check(partition, file.first_seq, file):
            return
        try:
            yield from events
        except StoreCorrupt as error:
            self.note(partition, file.first_seq, Fault(error.code, error.values), error)

    def _check(self, partition: int, seq: int, file: ArchivedFile) -> bool:
        """Whether the file is there; what is wrong with it is noted or raised, once."""
        if file.path not in self._checked:
            self._checked.add(file.path)
            fault = fault_of(self._folder, file)
            if fault is not None:
                self.note(partition, seq, fault, None)
        return (self._folder / file.path).exists()

    def note(self, partition: int, seq: int, fault: Fault, cause: Exception | None) -> None:
        """Raise what is wrong, or remember it with its place where faults are gathered."""
        if self._faults is None:
            raise StoreCorrupt(fault.code, **fault.values) from cause
        if (partition, seq, fault) not in self._faults:
            self._faults.append((partition, seq, fault))
