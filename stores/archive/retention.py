"""Takes out of a store what an archive provably holds, and brings it back.

A worker begins with a customer's snapshot and never looks behind it, so events up to there may go. Each
transaction is bounded and passes the partition's fence.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

from msgspec.structs import astuple
from sqlalchemy import Connection, Engine

from domain.chain import stub
from domain.clock import to_micros
from domain.errors import StoreCorrupt, StoreUnusable
from domain.ports import StoredEvent
from stores import schema
from stores.archive.manifest import ArchivedPartition, EventsFile, fault_of, load
from stores.archive.parquet import library, read_events
from stores.archive.writing import alone, check_same
from stores.coverage import floors, projected
from stores.database import reading
from stores.dialect import delete, insert, rows, run
from stores.history import StoredHistory
from stores.journal import Journal

_AT_ONCE = 5_000
_SELECT_EVENTS = """
SELECT seq, stream, version, prev, kind, occurred_at, recorded_at, cause, rulebook, hash, body
FROM events WHERE partition = :partition AND seq >= :first AND seq <= :last
"""
_SELECT_ANY = """
SELECT seq FROM events WHERE partition = :partition AND seq >= :first AND seq <= :last LIMIT 1
"""
_SET_REMOVED = """
UPDATE partitions SET removed_seq = CASE WHEN removed_seq < :seq THEN :seq ELSE removed_seq END
WHERE partition = :partition
"""
_SET_RESTORED = "UPDATE partitions SET removed_seq = 0 WHERE partition = :partition"

Progress = Callable[[int], None]


def remove_archived(engine: Engine, folder: Path, *, before: datetime, progress: Progress) -> int:
    """Remove events that were recorded before (aware UTC), that the archive has, and that snapshots cover.

    Gives how many; ``progress`` is told as they go. Each file's digest is checked right before, and each
    event compared with the archive's. What projections have not taken in yet stays. Raises StoreCorrupt where
    archive and store differ, LeaseLost where a worker has the partition; what is removed by then stays so.
    """
    removed = 0
    for number, kept in _partitions(engine, folder):
        with Journal(engine, number) as journal:
            covered = dict(floors(engine, number))
            upto = min(kept.last_seq, projected(engine, number))
            for some in _archived(engine, folder, number, kept, upto=upto):
                known = [event for event in some if event.version <= covered.get(event.stream, 0)]
                removed += _remove(journal, folder, [e for e in known if e.recorded_at < to_micros(before)])
                progress(removed)
    return removed


def restore_removed(engine: Engine, folder: Path, *, progress: Progress) -> int:
    """Bring back into the store what was removed from it; gives how many events.

    Raises StoreCorrupt where the archive does not reach as far or differs, LeaseLost as for removing.
    """
    restored = 0
    for number, kept in _partitions(engine, folder):
        upto = StoredHistory(engine).ends(number).removed_seq
        if upto > kept.last_seq:
            raise StoreCorrupt("archive.behind", folder=folder, partition=number, seq=upto)
        if not upto:
            continue
        with Journal(engine, number) as journal:
            for some in _archived(engine, folder, number, kept, upto=upto, all_files=True):
                restored += _restore(journal, folder, some)
                progress(restored)
            with journal.fenced() as connection:
                run(connection, _SET_RESTORED, partition=number)
    return restored


def _partitions(engine: Engine, folder: Path) -> Iterator[tuple[int, ArchivedPartition]]:
    """The customers' partitions as the archive has them, with nobody else writing to it."""
    library()
    load(folder)  # where there is no archive, none is begun
    history = StoredHistory(engine)
    try:
        with alone(folder):
            manifest = load(folder)
            check_same(history, folder, manifest)
            for number in history.customer_partitions():
                yield number, manifest.partitions.get(number, ArchivedPartition())
    except OSError as error:
        raise StoreUnusable("archive.unwritable", folder=folder, reason=error.strerror or error) from error


def _archived(
    engine: Engine,
    folder: Path,
    partition: int,
    kept: ArchivedPartition,
    *,
    upto: int,
    all_files: bool = False,
) -> Iterator[list[StoredEvent]]:
    """The archive's events up to a seq, a few at a time, as a rule of files of which the store has some."""
    for file in kept.events:
        if file.first_seq > upto or not (all_files or _has_some(engine, partition, file)):
            continue
        fault = fault_of(folder, file)
        if fault is not None:
            raise StoreCorrupt(fault.code, **fault.values)
        events = (event for event in read_events(folder / file.path) if event.seq <= upto)
        while some := list(islice(events, _AT_ONCE)):
            yield some


def _has_some(engine: Engine, partition: int, file: EventsFile) -> bool:
    span = {"partition": partition, "first": file.first_seq, "last": file.last_seq}
    with reading(engine) as connection:
        return bool(rows(connection, _SELECT_ANY, **span))


def _remove(journal: Journal, folder: Path, events: list[StoredEvent]) -> int:
    if not events:
        return 0
    number = journal.partition
    with journal.fenced() as connection:
        there = _same(number, folder, events, connection)
        if there:
            delete(connection, schema.events, [(number, seq) for seq in there])
            run(connection, _SET_REMOVED, partition=number, seq=there[-1])
    return len(there)


def _restore(journal: Journal, folder: Path, events: list[StoredEvent]) -> int:
    with journal.fenced() as connection:
        there = set(_same(journal.partition, folder, events, connection))
        missing = [event for event in events if event.seq not in there]
        insert(connection, schema.events, [(journal.partition, *astuple(event)[:-1]) for event in missing])
    return len(missing)


def _same(partition: int, folder: Path, events: list[StoredEvent], connection: Connection) -> list[int]:
    """Which of the archive's events the store has; there they must be the same, byte for byte.

    Of a body that retention removed since from one of the two, its stub is the same.
    """
    span = {"first": events[0].seq, "last": events[-1].seq}
    stored = {row[0]: row for row in rows(connection, _SELECT_EVENTS, partition=partition, **span)}
    there = [event for event in events if event.seq in stored]
    for event in there:
        *said, body = stored[event.seq]
        if tuple(said) != astuple(event)[:-2] or stub(bytes(body)) != stub(event.body):
            place = {"partition": partition, "seq": event.seq}
            raise StoreCorrupt("archive.other_store", folder=folder, **place)
    return [event.seq for event in there]
