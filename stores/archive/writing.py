"""Writes what a store has recorded into an archive, and adds what came since; it never changes the store.

A partition's events are cut into stretches in the order of their numbers. The time of recording can go back
from one customer's event to the next one's, so the day is a column, not what decides where an event goes.
"""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict, astuple, replace

from domain.clock import from_micros, to_micros
from domain.errors import StoreCorrupt, StoreUnusable
from domain.ports import Ends, History, StoredEvent, StoredHead
from stores.archive import manifest as listed
from stores.archive.history import ArchivedHistory
from stores.archive.manifest import ArchivedFile, ArchivedPartition, EventsFile, Manifest
from stores.archive.parquet import (
    DOCUMENTS,
    HISTORIES,
    MICROS_A_DAY,
    RULEBOOKS,
    EventsWriter,
    library,
    read_events,
    write_rows,
)

ROWS_IN_FILE = 250_000
_ROWS_IN_GROUP = 20_000
_ROWS_OF_A_DAY = 5_000
_AUTHORED = 0
_LOCK = ".lock"
_NO_HEAD = StoredHead(0, 0, b"")

Progress = Callable[[int], None]


class Written(Struct):
    """What a run added: events, and the files of events that it wrote with their bytes.

    ``total`` is how many events the archive has now, ``digest`` (hex) the name of its state.
    """

    events: int = 0
    files: int = 0
    bytes: int = 0
    total: int = 0
    digest: str = ""


def write_archive(
    source: History,
    folder: Path,
    *,
    before: datetime | None,
    progress: Progress,
    rows_in_file: int = ROWS_IN_FILE,
) -> Written:
    """Bring the archive in ``folder``, made if need be, up to what ``source`` has recorded.

    With ``before`` (aware UTC) each partition ends ahead of its first event that was recorded then or later.
    A file takes ``rows_in_file`` events and the rest of their day. ``progress`` is told how many events the
    archive has. Raises StoreUnusable for a folder that cannot be used or without the Parquet library,
    StoreCorrupt where store or archive is not whole, or the archive is of another store.
    """
    library()
    try:
        with alone(folder):
            return _Archiver(source, folder, before, progress, rows_in_file).run()
    except OSError as error:
        raise StoreUnusable("archive.unwritable", folder=folder, reason=error.strerror or error) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the archive against a second writer; a process that dies lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    beginnings = {_LOCK, listed.NAME + listed.UNFINISHED}
    known = (folder / listed.NAME).exists()
    if not known and any(path.name not in beginnings for path in folder.iterdir()):
        raise StoreUnusable("archive.folder_taken", folder=folder)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreUnusable("archive.busy", folder=folder) from None
        if not (folder / listed.NAME).exists():
            # From now on the folder is known as an archive, also to a run that comes after a kill.
            listed.save(folder, Manifest())
        yield


def check_same(source: History, folder: Path, manifest: Manifest, number: int = _AUTHORED) -> None:
    """The partition's last event in the archive is the source's, where the source still has it.

    Nothing is removed from partition 0, so it tells two stores apart. Raises StoreCorrupt.
    """
    for last in manifest.partitions.get(number, ArchivedPartition()).events[-1:]:
        for event in source.events(number, after=last.last_seq - 1, upto=last.last_seq):
            if event.hash.hex() != last.last_hash:
                place = {"folder": folder, "partition": number, "seq": last.last_seq}
                raise StoreCorrupt("archive.other_store", **place)


class _Archiver:
    def __init__(
        self,
        source: History,
        folder: Path,
        before: datetime | None,
        progress: Progress,
        rows_in_file: int,
    ) -> None:
        self._source = source
        self._folder = folder
        self._before = None if before is None else to_micros(before)
        self._progress = progress
        self._rows_in_file = rows_in_file
        self._manifest = listed.load(folder)
        self._written = Written()

    def run(self) -> Written:
        listed.sweep(self._folder, self._manifest)
        for number in self._source.stray_partitions():
            raise StoreCorrupt("archive.stray_partition", partition=number)
        numbers = [_AUTHORED, *self._source.customer_partitions()]
        for number in numbers:
            self._manifest = self._manifest.with_partition(number, self._kept(number))
        for number in numbers:
            self._add_partition(number)
        self._manifest = replace(self._manifest, finished=True)
        listed.save(self._folder, self._manifest)
        listed.sweep(self._folder, self._manifest)
        self._written.total = self._manifest.size
        self._written.digest = self._manifest.digest
        return self._written

    def _add_partition(self, number: int) -> None:
        kept = self._kept(number)
        # The bound, and where each history ends there, are of one instant; what comes later is left alone.
        ends = self._source.ends(number)
        self._check_same_store(number, kept, ends)
        if ends.removed_seq > kept.written_seq:
            place = {"folder": self._folder, "partition": number}
            raise StoreCorrupt("archive.behind", **place, seq=ends.removed_seq)
        bounds = {"after": kept.written_seq, "upto": ends.last_seq}
        # What was published is needed to read any of the rest, whenever that was.
        before = None if number == _AUTHORED else self._before
        added = self._told(_events(self._source, number, **bounds, before=before))
        for grown in self._with_files(number, kept, added):
            kept = grown
            self._keep(number, kept)
        outbox = tuple(sorted(ends.outbox))
        histories = self._histories(number, kept, ends)
        kept = replace(kept, last_seq=kept.written_seq, histories=histories, outbox=outbox)
        # An event counts only together with the rulebook that it cites.
        self._add_library()
        self._keep(number, kept)

    def _kept(self, number: int) -> ArchivedPartition:
        return self._manifest.partitions.get(number, ArchivedPartition())

    def _keep(self, number: int, partition: ArchivedPartition) -> None:
        self._manifest = self._manifest.with_partition(number, partition)
        listed.save(self._folder, self._manifest)

    def _told(self, events: Iterator[StoredEvent]) -> Iterator[StoredEvent]:
        done = self._manifest.size
        for event in events:
            self._written.events += 1
            if self._written.events % _ROWS_OF_A_DAY == 0:
                self._progress(done + self._written.events)
            yield event

    def _check_same_store(self, number: int, kept: ArchivedPartition, ends: Ends) -> None:
        """The archive's last event is the store's of that number, where the store still has it."""
        if not kept.events:
            return
        last = kept.events[-1]
        if ends.last_seq < last.last_seq:
            place = {"folder": self._folder, "partition": number}
            raise StoreCorrupt("archive.ahead", **place, found=ends.last_seq, expected=last.last_seq)
        check_same(self._source, self._folder, self._manifest, number)

    def _with_files(
        self, number: int, kept: ArchivedPartition, added: Iterator[StoredEvent]
    ) -> Iterator[ArchivedPartition]:
        """The partition with one more file each time; its last one is written anew while it has room."""
        if (first := next(added, None)) is None:
            return
        events, files = chain([first], added), kept.events
        if files and files[-1].rows < self._rows_in_file:
            events = chain(self._copied(files[-1]), events)
            files = files[:-1]
        for file in self._stretches(number, events):
            files = (*files, file)
            self._written.files += 1
            self._written.bytes += file.bytes
            yield replace(kept, events=files)

    def _copied(self, file: EventsFile) -> Iterator[StoredEvent]:
        fault = listed.fault_of(self._folder, file)
        if fault is not None:
            raise StoreCorrupt(fault.code, **fault.values)
        return read_events(self._folder / file.path)

    def _stretches(self, number: int, events: Iterator[StoredEvent]) -> Iterator[EventsFile]:
        """Write the events to files, one after the other, and give each when it is on the disk."""
        unfinished = self._unfinished(f"events/partition={number}")
        writer: EventsWriter | None = None
        for group in _row_groups(events, least=min(_ROWS_OF_A_DAY, self._rows_in_file)):
            if writer is not None and self._is_full(writer, group[0]):
                yield self._finished(writer)
                writer = None
            writer = writer or EventsWriter(unfinished, partition=number)
            writer.write(group)
        if writer is not None:
            yield self._finished(writer)

    def _is_full(self, writer: EventsWriter, following: StoredEvent) -> bool:
        """A file ends with a day, unless the day is as long again as a file."""
        if writer.rows < self._rows_in_file or writer.last is None:
            return False
        return _day(writer.last) != _day(following) or writer.rows >= 2 * self._rows_in_file

    def _finished(self, writer: EventsWriter) -> EventsFile:
        writer.close()
        first, last = writer.first, writer.last
        assert first is not None  # noqa: S101 - a writer is made for the rows of a group
        assert last is not None  # noqa: S101
        days = [from_micros(event.recorded_at).date().isoformat() for event in (first, last)]
        name = f"{first.seq:012}-{last.seq:012}_{days[0]}_{days[1]}.parquet"
        file = self._put(writer.path, name, writer.rows)
        return EventsFile(
            **asdict(file),
            first_seq=first.seq,
            last_seq=last.seq,
            first_day=days[0],
            last_day=days[1],
            last_hash=last.hash.hex(),
        )

    def _histories(self, number: int, kept: ArchivedPartition, ends: Ends) -> ArchivedFile:
        """Who the histories are of, and where they end as far as the archive goes."""
        heads = dict(ends.heads)
        continued = {stream for stream, head in heads.items() if head.seq > kept.written_seq}
        if continued:
            # The store's word is about later.
            known = self._known_heads(number, kept)
            heads |= {stream: known.get(stream, _NO_HEAD) for stream in continued}
        subjects = self._source.subjects(number)
        rows = [
            (stream, subjects.get(stream), *astuple(head), ends.timers.get(stream), stream in continued)
            for stream in sorted(subjects.keys() | heads.keys())
            for head in (heads.get(stream, _NO_HEAD),)
        ]
        return self._small_file(f"histories/partition={number}", HISTORIES, rows)

    def _known_heads(self, number: int, kept: ArchivedPartition) -> dict[int, StoredHead]:
        """Where histories end by what the archive itself has."""
        archived = ArchivedHistory(self._folder, self._manifest)
        heads = archived.ends(number).heads
        for event in archived.events(number, after=kept.last_seq, upto=kept.written_seq):
            heads[event.stream] = StoredHead(event.version, event.seq, event.hash)
        return heads

    def _add_library(self) -> None:
        rulebooks = [
            (number, *astuple(stored)) for number, stored in sorted(self._source.rulebooks().items())
        ]
        documents = [astuple(stored) for stored in self._source.documents()]
        self._manifest = replace(
            self._manifest,
            rulebooks=self._small_file("rulebooks", RULEBOOKS, rulebooks),
            documents=self._small_file("documents", DOCUMENTS, documents),
        )

    def _small_file(
        self, folder: str, columns: dict[str, str], rows: Sequence[Sequence[object]]
    ) -> ArchivedFile:
        """A file that is written whole each time, named by its content."""
        unfinished = self._unfinished(folder)
        write_rows(unfinished, columns, rows)
        return self._put(unfinished, f"{listed.digest_of(unfinished)[:16]}.parquet", len(rows))

    def _unfinished(self, folder: str) -> Path:
        (self._folder / folder).mkdir(parents=True, exist_ok=True)
        return self._folder / folder / f"new{listed.UNFINISHED}"

    def _put(self, unfinished: Path, name: str, rows: int) -> ArchivedFile:
        path = unfinished.with_name(name)
        listed.put_in_place(unfinished, path)
        place = path.relative_to(self._folder).as_posix()
        return ArchivedFile(place, rows, path.stat().st_size, listed.digest_of(path))


def _events(
    source: History, partition: int, *, after: int, upto: int, before: int | None
) -> Iterator[StoredEvent]:
    """Each event once, in the order of the numbers. Raises StoreCorrupt where one is missing."""
    last = after
    for event in source.events(partition, after=after or -1, upto=upto):
        _check_next(partition, last, event.seq)
        if before is not None and event.recorded_at >= before:
            return
        last = event.seq
        yield event
    _check_next(partition, last, upto + 1)


def _check_next(partition: int, last: int, seq: int) -> None:
    if seq != last + 1:
        raise StoreCorrupt("archive.gap", partition=partition, first=last + 1, last=seq - 1)


def _row_groups(events: Iterator[StoredEvent], *, least: int) -> Iterator[list[StoredEvent]]:
    """Events as they are written together: one day, if it has at least that many, or a few."""
    group: list[StoredEvent] = []
    for event in events:
        new_day = bool(group) and _day(event) != _day(group[-1])
        if len(group) >= _ROWS_IN_GROUP or (new_day and len(group) >= least):
            yield group
            group = []
        group.append(event)
    if group:
        yield group


def _day(event: StoredEvent) -> int:
    return event.recorded_at // MICROS_A_DAY
