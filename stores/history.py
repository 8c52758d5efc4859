"""Reading what was recorded, for audit, projections and people; it never writes."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Engine, Select, Table, func, select

from domain.codec import decode_state, state_digest, state_form
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
    StoredHead,
    StoredRulebook,
)
from stores.database import customer_partitions, reading
from stores.dialect import run
from stores.histories import select_histories
from stores.library import as_bytes, published
from stores.retained import ORDERED, retained
from stores.schema import (
    events,
    fact_keys,
    heads,
    inbox,
    outbox,
    partitions,
    rulebooks,
    snapshots,
    streams,
    timers,
)
from stores.vault import Key, open_state, vault_of

_CHUNK = 20_000
_AT_ONCE = 1_000
_SELECT_EVENTS = """
SELECT seq, stream, version, prev, kind, occurred_at, recorded_at, cause, rulebook, hash, body
FROM events WHERE partition = :partition AND seq > :after AND seq <= :upto ORDER BY seq LIMIT :limit
"""

_SELECT_PORTION = """
SELECT seq, stream, version, prev, kind, occurred_at, recorded_at, cause, rulebook, hash, body
FROM events WHERE partition = :partition AND seq > :after AND seq <= :upto
AND abs(stream) % :of = :rest ORDER BY seq LIMIT :limit
"""
_SELECT_GAPS = """
SELECT before + 1, seq - 1 FROM (
    SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS before
    FROM events WHERE partition = :partition AND seq <= :upto
) numbered WHERE seq <> before + 1 ORDER BY seq
"""
_COUNT_FACTS = """
SELECT count(CASE WHEN NOT (kind {among kinds}) THEN 1 END), coalesce(max(seq), 0)
FROM events WHERE partition = :partition AND seq <= :upto
"""


class StoredHistory:
    """The store behind the ``History`` port."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._vault = vault_of(engine)

    def customer_partitions(self) -> Sequence[int]:
        """The partitions that hold customers, in order."""
        with reading(self._engine) as connection:
            return customer_partitions(connection)

    def size(self) -> int:
        """How many events there are in all, as the partitions count them."""
        with reading(self._engine) as connection:
            return int(str(connection.execute(select(func.sum(partitions.c.last_seq))).scalar_one()))

    def stray_partitions(self) -> Sequence[int]:
        """Partitions that hold histories and have no row of their own, or lie behind a gap of such rows."""
        with reading(self._engine) as connection:
            rows = set(connection.execute(select(partitions.c.partition)).scalars())
            used = set(connection.execute(select(streams.c.partition).distinct()).scalars())
        return sorted((used | set(range(max(rows, default=0) + 1))) - rows)

    def sizes(self) -> dict[int, Size]:
        """How much there is of each partition, by its own count and by its customers' names."""
        known = select(streams.c.partition, func.count()).group_by(streams.c.partition)
        with reading(self._engine) as connection:
            customers = {row[0]: int(row[1]) for row in connection.execute(known)}
            rows = connection.execute(select(partitions.c.partition, partitions.c.last_seq)).all()
        return {row[0]: Size(row[1], customers.get(row[0], 0)) for row in rows}

    def numbers(self, partition: int) -> Numbers:
        """The partition's own counts beside what lies in it, read in one transaction."""
        count = select(partitions.c.last_seq, partitions.c.facts_taken, partitions.c.last_position).where(
            partitions.c.partition == partition
        )
        waiting = select(func.count()).where(inbox.c.partition == partition)
        with reading(self._engine) as connection:
            last_seq, taken, told = map(int, map(str, connection.execute(count).one()))
            waits = int(connection.execute(waiting).scalar_one())
            wanted = {"partition": partition, "upto": last_seq}
            gaps = [(row[0], row[1]) for row in run(connection, _SELECT_GAPS, **wanted)]
            facts, end = run(connection, _COUNT_FACTS, kinds=sorted(EVENTS), **wanted).one()
        if end < last_seq:
            gaps.append((end + 1, last_seq))
        return Numbers(last_seq, gaps, facts, (taken, told - waits))

    def keys_missing(self) -> int:
        """How many identities of facts are missing, by how many facts each partition was told."""
        told = select(func.sum(partitions.c.last_position)).where(partitions.c.partition > 0)
        kept = select(func.count()).select_from(fact_keys)
        with reading(self._engine) as connection:
            return int(connection.execute(told).scalar() or 0) - int(connection.execute(kept).scalar_one())

    def ends(self, partition: int, portion: Portion = WHOLE) -> Ends:
        """Where the partition and the portion's histories end, read in one transaction."""
        count = select(partitions.c.last_seq, partitions.c.removed_seq).where(
            partitions.c.partition == partition
        )
        ends = _of(heads, partition, portion, heads.c.stream, heads.c.version, heads.c.seq, heads.c.hash)
        awaited = _of(outbox, partition, portion, outbox.c.message)
        due = _of(timers, partition, portion, timers.c.stream, timers.c.due_at)
        states = _of(
            *(snapshots, partition, portion), snapshots.c.stream, snapshots.c.version, snapshots.c.state
        ).where(snapshots.c.form == state_form())
        with reading(self._engine) as connection:
            last_seq, removed_seq = map(int, map(str, connection.execute(count).one()))
            return Ends(
                last_seq=last_seq,
                removed_seq=removed_seq,
                heads={row[0]: StoredHead(row[1], row[2], row[3]) for row in connection.execute(ends)},
                outbox={str(message) for message in connection.execute(awaited).scalars()},
                timers={row[0]: row[1] for row in connection.execute(due)},
                snapshots=self._snapshots(connection, partition, states),
            )

    def _snapshots(
        self, connection: Connection, partition: int, states: Select[Any]
    ) -> dict[int, tuple[int, bytes]]:
        found: dict[int, tuple[int, bytes]] = {}
        for some in connection.execute(states).partitions(_AT_ONCE):
            keys = self._vault.keys(partition, [row[0] for row in some])
            found |= {
                stream: (version, _digest(keys[stream], state, version)) for stream, version, state in some
            }
        return found

    def last_seq(self, partition: int) -> int:
        """The sequence number of the partition's last event; 0 before the first."""
        return self._of_partition(partition)[0]

    def reached(self, partition: int) -> int:
        """The partition's clock: up to when it has been lived through, in microseconds since 1970."""
        return self._of_partition(partition)[1]

    def _of_partition(self, partition: int) -> tuple[int, int]:
        query = select(partitions.c.last_seq, partitions.c.clock_at).where(
            partitions.c.partition == partition
        )
        with reading(self._engine) as connection:
            last_seq, clock_at = connection.execute(query).one()
        return int(str(last_seq)), int(str(clock_at))

    def events(
        self, partition: int, *, upto: int, after: int = -1, portion: Portion = WHOLE
    ) -> Iterator[StoredEvent]:
        """The portion's events by sequence number up to ``upto``, in chunks that fit in memory."""
        if portion.streams:
            with reading(self._engine) as connection:
                found = select_histories(connection, partition, sorted(portion.streams))
            found = sorted((e for e in found if after < e.seq <= upto), key=lambda event: event.seq)
            yield from self._vault.with_clear(partition, found, strict=False)
            return
        statement = _SELECT_EVENTS if portion.of == 1 else _SELECT_PORTION
        some = {} if portion.of == 1 else {"rest": portion.rest, "of": portion.of}
        while True:
            with reading(self._engine) as connection:
                rows = run(
                    connection, statement, partition=partition, after=after, upto=upto, limit=_CHUNK, **some
                ).all()
            yield from self._vault.with_clear(partition, [StoredEvent(*row) for row in rows], strict=False)
            if len(rows) < _CHUNK:
                return
            after = rows[-1][0]

    def history(self, partition: int, stream: int) -> list[StoredEvent]:
        """One customer's events by version. Raises StoreCorrupt where some are no longer in the store."""
        events = self.kept(partition, stream)
        if len(events) < self.head(partition, stream):
            raise StoreCorrupt("store.history_removed", customer=self.subjects(partition).get(stream))
        return events

    def head(self, partition: int, stream: int) -> int:
        """The version with which a history ends; 0 for one that has not begun."""
        query = select(heads.c.version).where(heads.c.partition == partition, heads.c.stream == stream)
        with reading(self._engine) as connection:
            return int(str(connection.execute(query).scalar() or 0))

    def kept(self, partition: int, stream: int) -> list[StoredEvent]:
        """Those of one customer's events that the store still has, by version."""
        with reading(self._engine) as connection:
            found = select_histories(connection, partition, [stream])
        return self._vault.with_clear(partition, found, strict=False)

    def subjects(self, partition: int, portion: Portion = WHOLE) -> dict[int, str]:
        """The customers of the portion, by stream."""
        query = _of(streams, partition, portion, streams.c.stream, streams.c.subject)
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query).all()}

    def erased(self, partition: int) -> set[int]:
        """Streams that have no key, or none any more."""
        return set() if partition == 0 else self.subjects(partition).keys() - self._vault.kept(partition)

    def retained(self, partition: int) -> dict[str, int]:
        """By kind, how far orders of retention let bodies go."""
        query = select(events.c.body).where(events.c.partition == 0, events.c.kind == ORDERED)
        with reading(self._engine) as connection:
            return retained(map(bytes, connection.execute(query).scalars()), partition)

    def find(self, subject: str) -> tuple[int, int] | None:
        """Partition and stream of a customer; None for who was never registered."""
        query = select(streams.c.partition, streams.c.stream).where(
            streams.c.subject == subject, streams.c.partition.in_(self.customer_partitions())
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row[0], row[1])

    def similar_subjects(self, subject: str, *, limit: int = 5) -> list[str]:
        """Customers whose ids begin like this one, for a "did you mean"."""
        start = subject[: max(1, len(subject) - 1)]
        query = (
            select(streams.c.subject)
            .where(streams.c.partition > 0, streams.c.subject.startswith(start, autoescape=True))
            .order_by(streams.c.subject)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [str(found) for found in connection.execute(query).scalars()]

    def rulebooks(self) -> dict[int, StoredRulebook]:
        """Every rulebook that was ever in force, by its number."""
        query = select(rulebooks.c.number, rulebooks.c.digest, rulebooks.c.body).where(
            rulebooks.c.partition == 0
        )
        with reading(self._engine) as connection:
            found = connection.execute(query).all()
        return {number: StoredRulebook(digest, as_bytes(body)) for number, digest, body in found}

    def documents(self) -> list[StoredDocument]:
        """Every version of every published document, by kind, name and version."""
        return published(self._engine)


def _of(table: Table, partition: int, portion: Portion, *columns: Column[Any]) -> Select[Any]:
    """These columns of the portion's rows in a table that has a partition and a stream."""
    query = select(*columns).where(table.c.partition == partition)
    if portion.streams:
        return query.where(table.c.stream.in_(portion.streams))
    if portion.of == 1:
        return query
    return query.where(func.abs(table.c.stream) % portion.of == portion.rest)


def _digest(key: Key | None, sealed: bytes, version: int) -> bytes:
    """The digest of a snapshot's state, which nobody shares where the snapshot cannot be read."""
    try:
        state = None if key is None else open_state(key, sealed, version=version)
        return b"" if state is None else state_digest(decode_state(state))
    except StoreCorrupt:
        return b""
