"""One worker's hold on one partition: its lease, what is due, and the one transaction of a micro-batch.

Every statement names its partition and is set-based. The first statement of each writing transaction is
the fence: it touches the partition's row by owner and epoch, so a worker that lost its lease writes nothing.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple
from uuid import uuid4

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine

from domain.chain import genesis, link_event
from domain.clock import from_micros, to_micros
from domain.codec import encode_body
from domain.errors import InputRefused, LeaseLost
from domain.events import Event
from domain.ports import StoredEvent, StoredHead
from stores.database import reading, writing

_LEASE_MICROS = 30_000_000
_NOW = "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"

_CLAIM = f"""
UPDATE partitions SET owner = ?, epoch = epoch + 1, lease_until = {_NOW} + {_LEASE_MICROS}
WHERE partition = ? AND (owner IS NULL OR owner = ? OR owner = ? OR lease_until < {_NOW})
RETURNING epoch, last_seq, clock_at
"""  # noqa: S608 - constants only
_SELECT_STARTED = """
SELECT min(clock_at) FROM partitions
WHERE partition > 0 AND clock_at < ? AND (clock_at > 0 OR last_seq > 0)
"""
_OWNER = "SELECT owner FROM partitions WHERE partition = ?"
_FENCE = f"""
UPDATE partitions SET last_seq = ?, clock_at = max(clock_at, ?), lease_until = {_NOW} + {_LEASE_MICROS}
WHERE partition = ? AND owner = ? AND epoch = ?
"""  # noqa: S608 - constants only
_RELEASE = (
    "UPDATE partitions SET owner = NULL, lease_until = 0 WHERE partition = ? AND owner = ? AND epoch = ?"
)

INSERT_EVENT = """
INSERT INTO events
(partition, seq, stream, version, prev, kind, occurred_at, recorded_at, cause, rulebook, hash, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPSERT_HEAD = """
INSERT INTO heads (partition, stream, version, seq, hash) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (partition, stream) DO UPDATE
SET version = excluded.version, seq = excluded.seq, hash = excluded.hash
"""
_UPSERT_TIMER = """
INSERT INTO timers (partition, stream, due_at) VALUES (?, ?, ?)
ON CONFLICT (partition, stream) DO UPDATE SET due_at = excluded.due_at
"""
_DELETE_TIMER = "DELETE FROM timers WHERE partition = ? AND stream = ?"
_INSERT_OUTBOX = "INSERT INTO outbox (partition, message, stream) VALUES (?, ?, ?)"
_DELETE_OUTBOX = "DELETE FROM outbox WHERE partition = ? AND message = ?"
_SELECT_OUTBOX = "SELECT message, stream FROM outbox WHERE partition = ? ORDER BY message"

_SELECT_FACTS = """
SELECT occurred_at, rank, position, stream, kind, body FROM inbox
WHERE partition = ? AND occurred_at <= ? ORDER BY occurred_at, rank, position LIMIT ?
"""
_CONSUME_FACT = "DELETE FROM inbox WHERE partition = ? AND occurred_at = ? AND rank = ? AND position = ?"
_SELECT_TIMERS = """
SELECT due_at, stream FROM timers WHERE partition = ? AND due_at <= ? ORDER BY due_at, stream LIMIT ?
"""
_SELECT_SUBJECTS = """
SELECT stream, subject FROM streams WHERE partition = ? AND stream IN (SELECT value FROM json_each(?))
"""
_SELECT_HISTORIES = """
WITH RECURSIVE back (seq, prev) AS (
    SELECT e.seq, e.prev FROM heads h JOIN events e ON e.partition = h.partition AND e.seq = h.seq
    WHERE h.partition = :partition AND h.stream IN (SELECT value FROM json_each(:streams))
    UNION ALL
    SELECT e.seq, e.prev FROM back JOIN events e ON e.partition = :partition AND e.seq = back.prev
)
SELECT e.seq, e.stream, e.version, e.prev, e.kind, e.occurred_at, e.recorded_at, e.cause, e.rulebook,
       e.hash, e.body
FROM back JOIN events e ON e.partition = :partition AND e.seq = back.seq ORDER BY e.stream, e.version
"""


class PendingFact(NamedTuple):
    """A fact that waits to be decided on; the first three fields are its place in business time."""

    occurred_at: int
    rank: int
    position: int
    stream: int
    kind: str
    body: bytes


class Pending(NamedTuple):
    """What is due, complete up to ``horizon`` (microseconds): later timers may fire only up to there."""

    facts: list[PendingFact]
    timers: list[tuple[int, int]]
    horizon: int


class Stored(NamedTuple):
    """A customer as the store has them: identity, where the history ends, and all of it."""

    subject: str
    head: StoredHead
    events: list[StoredEvent]


class Changes(Struct):
    """What one micro-batch changes, gathered as rows for set-based statements."""

    events: list[tuple[object, ...]] = []
    heads: dict[int, StoredHead] = {}
    timers: dict[int, datetime | None] = {}
    outbox_added: list[tuple[str, int]] = []
    outbox_removed: list[str] = []
    consumed: list[tuple[int, int, int]] = []


def owner_name() -> str:
    """A new owner of a lease: host, namespace of process ids, process, and one of its journals."""
    return f"{socket.gethostname()}/{_pid_namespace()}/{os.getpid()}/{uuid4().hex[:8]}"


def check_clock_start(engine: Engine, since: datetime) -> None:
    """Raises InputRefused where some partition's clock has started and would have to jump to ``since``.

    What is due in between would be late. ``since`` is aware UTC.
    """
    with reading(engine) as connection:
        earliest = connection.exec_driver_sql(_SELECT_STARTED, (to_micros(since),)).scalar()
    if earliest is not None:
        clock = from_micros(earliest).isoformat()
        raise InputRefused("run.clock_jump", since=since.isoformat(), clock=clock)


class Journal:
    """The partition's log as its owner writes it. Use as a context: entering claims, leaving releases."""

    def __init__(self, engine: Engine, partition: int) -> None:
        self._engine = engine
        self.partition = partition
        self._owner = owner_name()
        self._epoch = 0
        self._last_seq = 0
        self._renewed = 0.0
        self.clock_at = from_micros(0)

    def __enter__(self) -> "Journal":
        """Claim the lease. Raises LeaseLost while another living worker holds it."""
        with writing(self._engine) as connection:
            holder = connection.exec_driver_sql(_OWNER, (self.partition,)).scalar()
            dead = str(holder) if holder and _is_dead(str(holder)) else self._owner
            row = connection.exec_driver_sql(
                _CLAIM, (self._owner, self.partition, self._owner, dead)
            ).one_or_none()
            if row is None:
                raise LeaseLost("lease.held", partition=self.partition, owner=holder)
            self._epoch, self._last_seq = row[0], row[1]
            self._renewed = monotonic()
            self.clock_at = from_micros(row[2])
        return self

    def __exit__(self, *_: object) -> None:
        with writing(self._engine) as connection:
            connection.exec_driver_sql(_RELEASE, (self.partition, self._owner, self._epoch))

    def start_clock(self, since: datetime) -> None:
        """Start the partition's clock at ``since`` (aware UTC), unless it is there or further already."""
        if since > self.clock_at:
            self.commit(Changes(), clock_at=since)
            self.clock_at = since

    def assure(self) -> None:
        """Make sure that the lease still holds before something leaves. Raises LeaseLost where it does not.

        A worker that was stalled between commit and hand-over must not send what another has settled.
        """
        if monotonic() - self._renewed > _LEASE_MICROS / 1_000_000 / 3:
            self.commit(Changes())

    def pending(self, *, until: datetime, limit: int) -> Pending:
        """Up to ``limit`` facts and as many timers that are due by ``until``, in order."""
        horizon = to_micros(until)
        with reading(self._engine) as connection:
            rows = connection.exec_driver_sql(_SELECT_FACTS, (self.partition, horizon, limit)).all()
            facts = [PendingFact(*row) for row in rows]
            if len(facts) == limit:
                # The instant of the last fact may go on in the next batch, and timers follow its facts.
                horizon = facts[-1].occurred_at - 1
            rows = connection.exec_driver_sql(_SELECT_TIMERS, (self.partition, horizon, limit)).all()
            timers = [(row[0], row[1]) for row in rows]
        if len(timers) == limit:
            horizon = timers[-1][0]
            facts = [fact for fact in facts if fact.occurred_at <= horizon]
        return Pending(facts, timers, horizon)

    def outbox(self) -> list[tuple[str, int]]:
        """Messages whose intent to send is recorded and whose outcome is not, with their customers."""
        with reading(self._engine) as connection:
            rows = connection.exec_driver_sql(_SELECT_OUTBOX, (self.partition,)).all()
        return [(row[0], row[1]) for row in rows]

    def load(self, streams: Iterable[int]) -> dict[int, Stored]:
        """These customers with their whole histories, read backwards from their heads."""
        wanted = msgspec.json.encode(sorted(streams)).decode()
        with reading(self._engine) as connection:
            subjects = connection.exec_driver_sql(_SELECT_SUBJECTS, (self.partition, wanted)).all()
            histories = select_histories(connection, self.partition, wanted)
        loaded = {row[0]: Stored(row[1], StoredHead(0, 0, genesis(row[1])), []) for row in subjects}
        for event in histories:
            stored = loaded[event.stream]
            stored.events.append(event)
            loaded[event.stream] = stored._replace(head=StoredHead(event.version, event.seq, event.hash))
        return loaded

    def append(
        self,
        changes: Changes,
        event: Event,
        *,
        stream: int,
        head: StoredHead,
        rulebook: tuple[int, str],
        body: bytes | None = None,
    ) -> StoredHead:
        """Add the event's row to the changes; gives the new end of the history.

        ``rulebook`` is number and digest of the one in force. ``body`` saves encoding again what is at
        hand in its stored form.
        """
        self._last_seq += 1
        stored = encode_body(event.body) if body is None else body
        hash_ = link_event(head.hash, event, rulebook=rulebook[1], body=stored)
        changes.events.append(
            (
                self.partition,
                self._last_seq,
                stream,
                event.version,
                head.seq,
                event.kind,
                to_micros(event.occurred_at),
                to_micros(event.recorded_at),
                event.cause,
                rulebook[0],
                hash_,
                stored,
            )
        )
        new = StoredHead(event.version, self._last_seq, hash_)
        changes.heads[stream] = new
        return new

    def commit(self, changes: Changes, *, clock_at: datetime | None = None) -> None:
        """All of a micro-batch in one transaction, or nothing. Raises LeaseLost if the lease is gone."""
        with writing(self._engine) as connection:
            self._fence(connection, clock_at)
            _many(connection, INSERT_EVENT, changes.events)
            _many(
                connection,
                UPSERT_HEAD,
                [
                    (self.partition, stream, head.version, head.seq, head.hash)
                    for stream, head in sorted(changes.heads.items())
                ],
            )
            due = sorted(changes.timers.items())
            _many(
                connection,
                _UPSERT_TIMER,
                [(self.partition, stream, to_micros(at)) for stream, at in due if at is not None],
            )
            _many(connection, _DELETE_TIMER, [(self.partition, stream) for stream, at in due if at is None])
            _many(
                connection, _INSERT_OUTBOX, [(self.partition, name, to) for name, to in changes.outbox_added]
            )
            _many(connection, _DELETE_OUTBOX, [(self.partition, name) for name in changes.outbox_removed])
            _many(connection, _CONSUME_FACT, [(self.partition, *place) for place in changes.consumed])

    def _fence(self, connection: Connection, clock_at: datetime | None) -> None:
        clock = 0 if clock_at is None else to_micros(clock_at)
        fenced = connection.exec_driver_sql(
            _FENCE, (self._last_seq, clock, self.partition, self._owner, self._epoch)
        )
        if fenced.rowcount != 1:
            raise LeaseLost("lease.lost", partition=self.partition)
        self._renewed = monotonic()


def select_histories(connection: Connection, partition: int, streams: str) -> list[StoredEvent]:
    """The whole histories of these streams (a JSON array), by stream and version."""
    rows = connection.exec_driver_sql(_SELECT_HISTORIES, {"partition": partition, "streams": streams})
    return [StoredEvent(*row) for row in rows.all()]


def _many(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        connection.exec_driver_sql(statement, list(rows))


def _is_dead(owner: str) -> bool:
    """Whether the owner was a process of this host that is no more, so nobody need wait for its lease."""
    host, namespace, process, _ = [*owner.split("/"), "", "", ""][:4]
    if (host, namespace) != (socket.gethostname(), _pid_namespace()):
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError):
        return False
    return False


def _pid_namespace() -> str:
    """What process ids of this host are told apart by: two containers may share a host's name."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "-"
