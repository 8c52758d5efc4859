"""Removes the bodies of old facts by their kind: of each its SHA-256 stays, so that the chain still holds.

Only what no worker looks back to goes: customers get a snapshot first. Each chunk is one transaction under
the partition's fence, and the lease is given back after it, so that workers wait for a moment only.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from time import sleep

from msgspec import Struct, field
from sqlalchemy import Engine

from domain.chain import stub
from domain.errors import LeaseLost
from stores import schema
from stores.coverage import floors_of, leave_snapshots, projected
from stores.database import reading, writing
from stores.dialect import lock, rows, update
from stores.journal import Journal
from stores.wiping import wipe, zeroing

_AT_ONCE = 5_000
# Held while bodies go: whoever places a legal hold waits for it, and so knows that nothing goes after.
_REDACTING_LOCK = 7_461_207
_TRIES, _REST_SECONDS = 20, 0.5
_SELECT_OLD = """
SELECT seq, stream, version, kind, recorded_at FROM events
WHERE partition = :partition AND seq > :after AND seq <= :upto AND recorded_at < :latest
AND kind {among kinds} AND (length(body) <> 33 OR substr(body, 1, 1) <> :zero)
ORDER BY seq LIMIT :limit
"""
_SELECT_BODIES = "SELECT seq, body FROM events WHERE partition = :partition AND seq {among seqs}"
_SELECT_SUBJECTS = """
SELECT stream, subject FROM streams WHERE partition = :partition AND stream {among streams}
"""
# Customers by id under a legal hold, asked anew in each transaction.
Spared = Callable[[], Set[str]]
Progress = Callable[[int], None]


class Due(Struct):
    """What would go in one partition: how many bodies by kind, and by kind the highest seq among them."""

    kinds: Counter[str] = field(default_factory=Counter)
    upto: dict[str, int] = {}


class Removed(Struct):
    """What went in one partition: how many bodies by kind, and the highest seq among them."""

    kinds: Counter[str] = field(default_factory=Counter)
    upto: int = 0

    @property
    def number(self) -> int:
        """How many bodies in all."""
        return self.kinds.total()


class _Old(Struct, frozen=True):
    seq: int
    stream: int
    version: int
    kind: str


def find_old(engine: Engine, partition: int, cutoffs: Mapping[str, int], *, spared: Set[str]) -> Due:
    """What is older than its kind's cutoff (microseconds since 1970) now, but for these customers."""
    due = Due()
    for some in _old(engine, partition, cutoffs):
        for event in _without(engine, partition, some, spared):
            due.kinds[event.kind] += 1
            due.upto[event.kind] = event.seq
    return due


def remove_old(
    engine: Engine,
    partition: int,
    cutoffs: Mapping[str, int],
    *,
    upto: Mapping[str, int],
    spared: Spared,
    progress: Progress,
) -> Removed:
    """Replace the body of each fact of these kinds by its stub if it was recorded before its kind's cutoff.

    ``cutoffs`` are microseconds since 1970, by kind; nothing goes beyond ``upto``, a seq by kind.
    ``progress`` is told how many have gone. Raises LeaseLost where a worker keeps the partition; what has
    gone by then stays so.
    """
    removed = Removed()
    for found in _old(engine, partition, cutoffs):
        some = [event for event in found if event.seq <= upto.get(event.kind, 0)]
        if not some:
            continue
        with _claimed(engine, partition) as journal:
            _cover(engine, journal, some)
            gone = _remove(engine, journal, some, spared)
        for event in gone:
            removed.kinds[event.kind] += 1
            removed.upto = event.seq
        progress(removed.number)
    if removed.number:
        wipe(engine, "events")
    return removed


def wait_for_removals(engine: Engine) -> None:
    """Come back when no removal is under way that has not seen what was recorded before this call."""
    with writing(engine) as connection:
        lock(connection, _REDACTING_LOCK)


def _old(engine: Engine, partition: int, cutoffs: Mapping[str, int]) -> Iterator[list[_Old]]:
    """The facts that are old enough and still have their bodies, in chunks."""
    if not cutoffs:
        return
    wanted = {
        "partition": partition,
        "kinds": sorted(cutoffs),
        "latest": max(cutoffs.values()),
        "zero": b"\x00",
    }
    after, upto = 0, projected(engine, partition)
    while True:
        with reading(engine) as connection:
            found = rows(connection, _SELECT_OLD, after=after, upto=upto, limit=_AT_ONCE, **wanted)
        yield [_Old(*row[:4]) for row in found if row[4] < cutoffs[row[3]]]
        if len(found) < _AT_ONCE:
            return
        after = found[-1][0]


def _claimed(engine: Engine, partition: int) -> Journal:
    """The partition's journal, to be entered; a worker that has it is waited for a while."""
    return _Patient(engine, partition)


class _Patient(Journal):
    def __enter__(self) -> Journal:
        for _ in range(_TRIES - 1):
            try:
                return super().__enter__()
            except LeaseLost:
                sleep(_REST_SECONDS)
        return super().__enter__()


def _cover(engine: Engine, journal: Journal, events: list[_Old]) -> None:
    """Leave snapshots of those whom a worker would still read these events of."""
    newest: dict[int, int] = {}
    for event in events:
        newest[event.stream] = event.version
    known = floors_of(engine, journal.partition, list(newest))
    behind = [stream for stream, version in newest.items() if known.get(stream, 0) < version]
    if behind:
        leave_snapshots(engine, journal, behind)


def _remove(engine: Engine, journal: Journal, events: list[_Old], spared: Spared) -> list[_Old]:
    number = journal.partition
    with journal.fenced() as connection:
        lock(connection, _REDACTING_LOCK)
        going = _without(engine, number, events, spared())
        seqs = [event.seq for event in going]
        bodies = rows(connection, _SELECT_BODIES, partition=number, seqs=seqs) if seqs else []
        stubs = [(number, seq, stub(bytes(body))) for seq, body in bodies]
        with zeroing(connection):
            update(connection, schema.events, ("body",), stubs)
    return going


def _without(engine: Engine, partition: int, events: list[_Old], spared: Set[str]) -> list[_Old]:
    if not spared or not events:
        return events
    streams = sorted({event.stream for event in events})
    with reading(engine) as connection:
        subjects = dict(rows(connection, _SELECT_SUBJECTS, partition=partition, streams=streams))
    return [event for event in events if subjects[event.stream] not in spared]
