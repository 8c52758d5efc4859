"""Tables that answer questions, made from the events alone and caught up when somebody asks.

They can be thrown away and built again; nothing decides by them.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from sqlalchemy import Connection, Engine, and_, func, select
from sqlalchemy.dialects.sqlite import insert

from domain.clock import to_micros
from domain.codec import decode_body
from domain.events import (
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    TaskCreated,
    status_of,
)
from stores.database import customer_partitions, reading, writing
from stores.schema import events, messages, projections, streams, tasks

_NAME = "ledger"
_CHUNK = 20_000
_CUSTOMER_KEY = ("partition", "stream")
_SELECT = """
SELECT seq, stream, version, kind, recorded_at, body FROM events
WHERE partition = ? AND seq > ? AND seq <= ? AND (kind LIKE 'message.%' OR kind LIKE 'task.%')
ORDER BY seq
"""
_INSERT_MESSAGE = """
INSERT INTO messages
(partition, id, stream, journey, version, step, channel, template, purpose, status, reason,
 requested_version, requested_at, sent_at)
VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?, 'requested', NULL, ?, ?, NULL)
ON CONFLICT (partition, id) DO NOTHING
"""
_UPDATE_MESSAGE = """
UPDATE messages SET status = ?, channel = coalesce(?, channel), reason = coalesce(?, reason),
                    sent_at = coalesce(?, sent_at)
WHERE partition = ? AND id = ?
"""
_INSERT_TASK = """
INSERT INTO tasks (partition, id, stream, journey, version, step, role, created_at, due_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (partition, id) DO NOTHING
"""


class LedgerEntry(Struct, frozen=True):
    """One message of the ledger. Instants are microseconds since 1970, or None."""

    id: str
    customer: str
    journey: str
    version: int
    step: str
    channel: str | None
    template: str
    purpose: str
    status: str
    reason: str | None
    requested_at: int
    sent_at: int | None


class TaskEntry(Struct, frozen=True):
    """A task for a person. Instants are microseconds since 1970."""

    id: str
    customer: str
    journey: str
    version: int
    step: str
    role: str
    created_at: int
    due_at: int


class Ledger:
    """Messages and tasks, as of the last event at the time of asking."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def catch_up(self) -> None:
        """Take in what was recorded since the last time, one transaction for each chunk."""
        with reading(self._engine) as connection:
            behind = list(_behind(connection))
        for partition, done, last in behind:
            for first in range(done, last, _CHUNK):
                with writing(self._engine) as connection:
                    _project(connection, partition, first, min(first + _CHUNK, last))

    def messages(
        self, *, customer: str | None = None, journey: str | None = None, status: str | None = None
    ) -> list[LedgerEntry]:
        """The messages that fit, by time of request, then customer and id."""
        self.catch_up()
        columns = [messages.c[name] if name != "customer" else streams.c.subject for name in _fields()]
        query = (
            select(*columns)
            .join(streams, and_(*(streams.c[key] == messages.c[key] for key in _CUSTOMER_KEY)))
            .where(messages.c.partition > 0)
            .order_by(messages.c.requested_at, streams.c.subject, messages.c.id)
        )
        if customer is not None:
            query = query.where(streams.c.subject == customer)
        if journey is not None:
            query = query.where(messages.c.journey == journey)
        if status is not None:
            query = query.where(messages.c.status == status)
        with reading(self._engine) as connection:
            return [LedgerEntry(*row) for row in connection.execute(query)]

    def tasks(self) -> list[TaskEntry]:
        """All tasks, by time of creation, then customer and id."""
        self.catch_up()
        query = (
            select(
                tasks.c.id,
                streams.c.subject,
                tasks.c.journey,
                tasks.c.version,
                tasks.c.step,
                tasks.c.role,
                tasks.c.created_at,
                tasks.c.due_at,
            )
            .join(streams, and_(*(streams.c[key] == tasks.c[key] for key in _CUSTOMER_KEY)))
            .where(tasks.c.partition > 0)
            .order_by(tasks.c.created_at, streams.c.subject, tasks.c.id)
        )
        with reading(self._engine) as connection:
            return [TaskEntry(*row) for row in connection.execute(query)]

    def find(self, message: str) -> tuple[int, int, int] | None:
        """Partition, stream and version of the request of a message; None for an unknown id."""
        self.catch_up()
        query = select(messages.c.partition, messages.c.stream, messages.c.requested_version).where(
            messages.c.partition > 0, messages.c.id == message
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row[0], row[1], row[2])

    def similar(self, message: str, *, limit: int = 3) -> list[str]:
        """Messages whose ids begin like this one."""
        start = message[:4]
        query = (
            select(messages.c.id)
            .where(messages.c.partition > 0, messages.c.id.startswith(start, autoescape=True))
            .order_by(messages.c.id)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [str(found) for found in connection.execute(query).scalars()]


def _fields() -> Sequence[str]:
    return LedgerEntry.__struct_fields__


def _behind(connection: Connection) -> Iterator[tuple[int, int, int]]:
    """Partition, the last seq taken in, and the last seq there is, where they differ."""
    query = select(projections.c.partition, projections.c.seq).where(projections.c.name == _NAME)
    done = {row[0]: row[1] for row in connection.execute(query)}
    for partition in customer_partitions(connection):
        last = connection.execute(
            select(func.max(events.c.seq)).where(events.c.partition == partition)
        ).scalar()
        if (last or 0) > done.get(partition, 0):
            yield partition, done.get(partition, 0), last or 0


def _project(connection: Connection, partition: int, after: int, upto: int) -> None:
    requested: list[tuple[object, ...]] = []
    changed: list[tuple[object, ...]] = []
    created: list[tuple[object, ...]] = []
    for _, stream, version, kind, at, stored in connection.exec_driver_sql(_SELECT, (partition, after, upto)):
        body = decode_body(kind, stored)
        match body:
            case MessageRequested():
                requested.append(
                    (
                        partition,
                        body.message,
                        stream,
                        body.journey,
                        body.version,
                        body.step,
                        body.template,
                        body.purpose,
                        version,
                        at,
                    )
                )
            case TaskCreated():
                due_at = to_micros(body.due_at)
                created.append(
                    (
                        partition,
                        body.task,
                        stream,
                        body.journey,
                        body.version,
                        body.step,
                        body.role,
                        at,
                        due_at,
                    )
                )
            case MessageSending() | MessageSuppressed():
                reason = body.rule if isinstance(body, MessageSuppressed) else None
                changed.append((status_of(kind), body.channel, reason, None, partition, body.message))
            case _:
                sent_at = at if kind == "message.accepted/1" else None
                reason = getattr(body, "reason", None)
                message = getattr(body, "message", "")
                changed.append((status_of(kind), None, reason, sent_at, partition, message))
    for statement, rows in (
        (_INSERT_MESSAGE, requested),
        (_INSERT_TASK, created),
        (_UPDATE_MESSAGE, changed),
    ):
        if rows:
            connection.exec_driver_sql(statement, rows)
    done = insert(projections).values(partition=partition, name=_NAME, seq=upto)
    connection.execute(done.on_conflict_do_update(index_elements=["partition", "name"], set_={"seq": upto}))
