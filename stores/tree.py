"""The log's tree as it is kept: tiles, stretches and checkpoints, all in partition 0.

Hashing and signing are not done here. What one step of sealing adds is one transaction, and one sealer at a
time has it, so a step that is cut short leaves nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct
from sqlalchemy import Connection, Engine

from domain.errors import StoreCorrupt
from domain.stretches import Stretch
from stores import schema
from stores.database import reading, writing
from stores.dialect import insert, lock, rows, run, upsert

_SEALING_LOCK = 7_461_206
_BEYOND = 2**62
_HASH_BYTES = 32
_SELECT_TILE = "SELECT hashes FROM tree_tiles WHERE partition = 0 AND level = :level AND number = :number"
_SELECT_TILES = """
SELECT number, hashes FROM tree_tiles
WHERE partition = 0 AND level = :level AND number >= :first AND number < :end ORDER BY number
"""
_SELECT_LAST = """
SELECT first_leaf, of_partition, first_seq, last_seq FROM tree_stretches
WHERE partition = 0 ORDER BY first_leaf DESC LIMIT 1
"""
_SELECT_STRETCHES = """
SELECT first_leaf, of_partition, first_seq, last_seq FROM tree_stretches
WHERE partition = 0 AND first_leaf >= :first AND first_leaf < :end ORDER BY first_leaf
"""
_SELECT_STRETCH_OF_LEAF = """
SELECT first_leaf, of_partition, first_seq, last_seq FROM tree_stretches
WHERE partition = 0 AND first_leaf <= :leaf ORDER BY first_leaf DESC LIMIT 1
"""
_SELECT_STRETCH_OF_EVENT = """
SELECT first_leaf, of_partition, first_seq, last_seq FROM tree_stretches
WHERE partition = 0 AND of_partition = :of AND first_seq <= :seq ORDER BY first_seq DESC LIMIT 1
"""
_SELECT_SEALED = """
SELECT of_partition, max(last_seq) FROM tree_stretches WHERE partition = 0 GROUP BY of_partition
"""
_SELECT_RECORDED = "SELECT partition, last_seq, removed_seq FROM partitions ORDER BY partition"
_SELECT_HASHES = """
SELECT seq, hash FROM events WHERE partition = :partition AND seq > :after AND seq <= :upto ORDER BY seq
"""
_SELECT_INTRODUCED = (
    "SELECT body FROM events WHERE partition = 0 AND kind = 'signer.introduced/1' ORDER BY seq"
)
_SELECT_CHECKPOINTS = "SELECT size, made_at, note FROM checkpoints WHERE partition = 0 ORDER BY size, made_at"
_SELECT_LAST_CHECKPOINT = """
SELECT size, made_at, note FROM checkpoints WHERE partition = 0 ORDER BY size DESC, made_at DESC LIMIT 1
"""


class StoredCheckpoint(Struct, frozen=True):
    """A signed head of the tree; ``made_at`` is in microseconds since 1970."""

    size: int
    made_at: int
    note: str


class Recorded(Struct, frozen=True):
    """How far a partition's events go, and up to where they were removed into an archive."""

    last_seq: int
    removed_seq: int


class View:
    """What is read of the tree in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.size = _size(connection)

    def tile(self, level: int, number: int) -> bytes:
        """A tile's hashes as far as it goes; none for a tile that there is not."""
        found = rows(self._connection, _SELECT_TILE, level=level, number=number)
        return found[0][0] if found and isinstance(found[0][0], bytes) else b""

    def leaf_of(self, partition: int, seq: int) -> int | None:
        """The leaf that an event is; None as long as it is not sealed."""
        found = rows(self._connection, _SELECT_STRETCH_OF_EVENT, of=partition, seq=seq)
        stretch = next((_stretch(row) for row in found), None)
        if stretch is None or seq > stretch.last_seq:
            return None
        return stretch.first_leaf + seq - stretch.first_seq

    def last_checkpoint(self) -> StoredCheckpoint | None:
        """The one over the largest tree; None before the first."""
        found = run(self._connection, _SELECT_LAST_CHECKPOINT).one_or_none()
        return None if found is None else _checkpoint(found)


class StoredTree:
    """Reads the tree; ``sealing`` alone changes it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def viewing(self) -> Iterator[View]:
        """The tree as of one instant, for what reads many of its tiles."""
        with reading(self._engine) as connection:
            yield View(connection)

    def size(self) -> int:
        """How many leaves there are."""
        with self.viewing() as view:
            return view.size

    def tile(self, level: int, number: int) -> bytes:
        """A tile's hashes as far as it goes; none for a tile that there is not."""
        with self.viewing() as view:
            return view.tile(level, number)

    def tiles(self, level: int, *, first: int, end: int) -> dict[int, bytes]:
        """The hashes of a level's tiles from ``first`` to before ``end``, by number."""
        with reading(self._engine) as connection:
            found = rows(connection, _SELECT_TILES, level=level, first=first, end=end)
        # What is no bytes is no tile, whatever somebody has put there.
        return {number: hashes for number, hashes in found if isinstance(hashes, bytes)}

    def stretches(self, *, first: int = 0, end: int = _BEYOND) -> list[Stretch]:
        """The stretches that begin at leaf ``first`` or later and before ``end``, in the order of leaves."""
        with reading(self._engine) as connection:
            found = rows(connection, _SELECT_STRETCHES, first=first, end=end)
        return [_stretch(row) for row in found]

    def stretch_of_leaf(self, leaf: int) -> Stretch | None:
        """The stretch that the leaf lies in; None behind the last."""
        with reading(self._engine) as connection:
            found = rows(connection, _SELECT_STRETCH_OF_LEAF, leaf=leaf)
        return next((s for s in (_stretch(row) for row in found) if leaf < s.end_leaf), None)

    def leaf_of(self, partition: int, seq: int) -> int | None:
        """The leaf that an event is; None as long as it is not sealed."""
        with self.viewing() as view:
            return view.leaf_of(partition, seq)

    def unsealed(self) -> int:
        """How many events were recorded since the tree was last added to."""
        with reading(self._engine) as connection:
            sealed = dict(rows(connection, _SELECT_SEALED))
            found = rows(connection, _SELECT_RECORDED)
        return sum(max(0, last - sealed.get(partition, 0)) for partition, last, _ in found)

    def hashes(self, partition: int, *, after: int, upto: int) -> list[tuple[int, bytes]]:
        """Sequence numbers and chain hashes of a partition's events behind ``after`` up to ``upto``."""
        with reading(self._engine) as connection:
            return rows(connection, _SELECT_HASHES, partition=partition, after=after, upto=upto)

    def introduced(self) -> list[bytes]:
        """The bodies of the events by which keys were put on record, in their order."""
        with reading(self._engine) as connection:
            found = rows(connection, _SELECT_INTRODUCED)
        return [body for (body,) in found if isinstance(body, bytes)]

    def checkpoints(self) -> list[StoredCheckpoint]:
        """All that were signed, the smallest tree first."""
        with reading(self._engine) as connection:
            return [_checkpoint(row) for row in rows(connection, _SELECT_CHECKPOINTS)]

    def last_checkpoint(self) -> StoredCheckpoint | None:
        """The one over the largest tree; None before the first."""
        with self.viewing() as view:
            return view.last_checkpoint()

    @contextmanager
    def sealing(self) -> Iterator["Step"]:
        """One step of sealing: it waits for other sealers, and commits when the block ends."""
        with writing(self._engine) as connection:
            lock(connection, _SEALING_LOCK)
            yield Step(connection)


class Step(View):
    """What one step of sealing reads and writes, in one transaction that no other sealer has."""

    def recorded(self) -> dict[int, Recorded]:
        """How far each partition goes, in the order of partitions."""
        found = rows(self._connection, _SELECT_RECORDED)
        return {partition: Recorded(last, removed) for partition, last, removed in found}

    def sealed(self) -> dict[int, int]:
        """The last sealed event of each partition that has any."""
        return dict(rows(self._connection, _SELECT_SEALED))

    def hashes(self, partition: int, *, after: int, upto: int) -> list[bytes]:
        """The chain hashes of events behind ``after`` up to ``upto``.

        Raises StoreCorrupt where one is missing.
        """
        found = rows(self._connection, _SELECT_HASHES, partition=partition, after=after, upto=upto)
        if len(found) != upto - after:
            there = {seq for seq, _ in found}
            missing = next(seq for seq in range(after + 1, upto + 1) if seq not in there)
            raise StoreCorrupt("tree.event_gone", partition=partition, seq=missing)
        hashes = [hash_ for _, hash_ in found]
        if not all(isinstance(hash_, bytes) and len(hash_) == _HASH_BYTES for hash_ in hashes):
            raise StoreCorrupt("tree.unreadable", table="events")
        return hashes

    def add(self, stretches: Sequence[Stretch], tiles: Mapping[tuple[int, int], bytes]) -> None:
        """Add the stretches, and the tiles or what they have become."""
        told = [(0, s.first_leaf, s.partition, s.first_seq, s.last_seq) for s in stretches]
        insert(self._connection, schema.tree_stretches, told)
        upsert(self._connection, schema.tree_tiles, [(0, *key, hashes) for key, hashes in tiles.items()])
        self.size = stretches[-1].end_leaf if stretches else self.size

    def add_checkpoint(self, checkpoint: StoredCheckpoint) -> None:
        """Keep a signed head."""
        row = (0, checkpoint.size, checkpoint.made_at, checkpoint.note)
        upsert(self._connection, schema.checkpoints, [row])


def _stretch(row: Sequence[object]) -> Stretch:
    """Raises StoreCorrupt for what somebody else has put there."""
    first_leaf, partition, first_seq, last_seq = row
    match first_leaf, partition, first_seq, last_seq:
        case int(), int(), int(), int():
            return Stretch(first_leaf, partition, first_seq, last_seq)
    raise StoreCorrupt("tree.unreadable", table="tree_stretches")


def _checkpoint(row: Sequence[object]) -> StoredCheckpoint:
    size, made_at, note = row
    match size, made_at, note:
        case int(), int(), str():
            return StoredCheckpoint(size, made_at, note)
    raise StoreCorrupt("tree.unreadable", table="checkpoints")


def _size(connection: Connection) -> int:
    found = run(connection, _SELECT_LAST).one_or_none()
    return 0 if found is None else _stretch(found).end_leaf
