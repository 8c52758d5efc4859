"""Tables that answer questions, made from the events alone and caught up when somebody asks.

They can be thrown away and built again; nothing decides by them.
"""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, and_, func, select

from domain.catalogue import TaskDone
from domain.clock import to_micros
from domain.codec import decode_body
from domain.errors import InputRefused
from domain.events import (
    Body,
    EnrolmentHeldOut,
    EnrolmentStarted,
    GoalReached,
    MessageAccepted,
    MessageDeferred,
    MessageRejected,
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    MessageUnknown,
    SplitTaken,
    TaskCreated,
    TaskEscalated,
    status_of,
)
from stores.database import customer_partitions, reading, writing
from stores.dialect import keep, lock, rows, update, upsert
from stores.experiments import Noted
from stores.schema import (
    events,
    messages,
    partitions,
    passages,
    projections,
    streams,
    tasks,
    ways,
)

_NAME = "ledger"
_CHUNK = 20_000
_CUSTOMER_KEY = ("partition", "stream")
_SELECT = """
SELECT stream, kind, recorded_at, body FROM events
WHERE partition = :partition AND seq > :after AND seq <= :upto
AND (kind LIKE 'message.%' OR kind IN ('task.created/1', 'task.escalated/1', 'task.done/1',
    'enrolment.started/1', 'enrolment.held_out/1', 'split.taken/1', 'goal.reached/1'))
ORDER BY seq
"""
_TASK_CHANGED = ("role", "status", "done_at")
_CHANGED = ("channel", "status", "reason", "sent_at")


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
    """A task for a person: open, escalated (to this role) or as it was done. Instants as in a LedgerEntry."""

    id: str
    customer: str
    journey: str
    version: int
    step: str
    role: str
    status: str
    created_at: int
    due_at: int
    done_at: int | None


class Ledger:
    """Messages and tasks, as of the last event at the time of asking."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def catch_up(self, *, share: tuple[int, int] = (0, 1)) -> None:
        """Take in what was recorded since the last time, one transaction for each chunk.

        ``share`` is the number, from 0, of one of several who do this together, and how many they are: each
        begins elsewhere, and leaves out what another has done.
        """
        number, of = share
        with reading(self._engine) as connection:
            partitions = customer_partitions(connection)
        start = len(partitions) * number // of
        for partition in partitions[start:] + partitions[:start]:
            with reading(self._engine) as connection:
                behind = next(_behind(connection, [partition]), None)
            if behind is None:
                continue
            _, done, last = behind
            for _ in self._catch_up(partition, done, last):
                pass

    def rebuild(self, partitions: Sequence[int], *, progress: Callable[[int], None]) -> None:
        """Throw away what these partitions' events made, and make it again.

        ``progress`` is told the number of events gone through. Who asks meanwhile helps along and sees all.
        Raises InputRefused where the first events are not in the store any more.
        """
        total = 0
        for partition in partitions:
            with writing(self._engine) as connection:
                lock(connection, partition)
                _forget(connection, partition)
            with reading(self._engine) as connection:
                behind = list(_behind(connection, [partition]))
            for _, done, last in behind:
                for taken in self._catch_up(partition, done, last):
                    total += taken
                    progress(total)

    def _catch_up(self, partition: int, done: int, last: int) -> Iterator[int]:
        """Take in the events after ``done`` up to ``last`` in chunks; gives the number of each."""
        for first in range(done, last, _CHUNK):
            upto = min(first + _CHUNK, last)
            # Events never change: reading them needs no turn at writing.
            with reading(self._engine) as connection:
                due = _taken_in(connection, partition) == first
                stretch = _gathered(connection, partition, first, upto) if due else _Stretch()
            with writing(self._engine) as connection:
                # Somebody else may be catching up, or have done so since: one at a time, and once.
                lock(connection, partition)
                if due and _taken_in(connection, partition) == first:
                    stretch.take_in(connection)
                    upsert(connection, projections, [(partition, _NAME, upto)])
            yield upto - first

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
            entries = [LedgerEntry(*row) for row in connection.execute(query)]
        return [replace(entry, reason=entry.reason or None) for entry in entries]

    def tasks(self) -> list[TaskEntry]:
        """All tasks, by time of creation, then customer and id."""
        self.catch_up()
        query = (
            select(
                *(
                    tasks.c[name] if name != "customer" else streams.c.subject
                    for name in TaskEntry.__struct_fields__
                )
            )
            .join(streams, and_(*(streams.c[key] == tasks.c[key] for key in _CUSTOMER_KEY)))
            .where(tasks.c.partition > 0)
            .order_by(tasks.c.created_at, streams.c.subject, tasks.c.id)
        )
        with reading(self._engine) as connection:
            return [TaskEntry(*row) for row in connection.execute(query)]

    def customer_of(self, message: str) -> str | None:
        """The customer whom a message is or was to be for; None for an unknown id."""
        self.catch_up()
        query = (
            select(streams.c.subject)
            .join(messages, and_(*(streams.c[key] == messages.c[key] for key in _CUSTOMER_KEY)))
            .where(messages.c.partition > 0, messages.c.id == message)
        )
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none()

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


def _forget(connection: Connection, partition: int) -> None:
    first = connection.execute(select(func.min(events.c.seq)).where(events.c.partition == partition)).scalar()
    of_partition = partitions.c.partition == partition
    removed = connection.execute(select(partitions.c.removed_seq).where(of_partition)).scalar()
    if removed or (first is not None and first > 1):
        first = first or int(str(removed)) + 1
        raise InputRefused("rebuild.history_gone", partition=partition, first=first)
    for table in (messages, tasks, passages, ways, projections):
        connection.execute(table.delete().where(table.c.partition == partition))


def _behind(connection: Connection, partitions: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Partition, the last seq taken in, and the last seq there is, where they differ."""
    for partition in partitions:
        done = _taken_in(connection, partition)
        query = select(func.max(events.c.seq)).where(events.c.partition == partition)
        last = connection.execute(query).scalar() or 0
        if last > done:
            yield partition, done, last


def _taken_in(connection: Connection, partition: int) -> int:
    """The last seq of the partition that was taken in; 0 before the first."""
    query = select(projections.c.seq).where(projections.c.partition == partition, projections.c.name == _NAME)
    return connection.execute(query).scalar() or 0


class _Stretch(Struct):
    """What the events of a stretch say: rows of what begins in it, and changes of what began before."""

    messages: list[tuple[object, ...]] = []
    tasks: list[tuple[object, ...]] = []
    changes: list[tuple[object, ...]] = []
    task_changes: list[tuple[object, ...]] = []
    noted: Noted = field(default_factory=Noted)

    def take_in(self, connection: Connection) -> None:
        keep(connection, messages, self.messages)
        keep(connection, tasks, self.tasks)
        update(connection, messages, _CHANGED, self.changes)
        # One after the other: a task may be escalated and done in one stretch.
        for change in self.task_changes:
            update(connection, tasks, _TASK_CHANGED, [change])
        self.noted.take_in(connection)


def _gathered(connection: Connection, partition: int, after: int, upto: int) -> _Stretch:
    requested: dict[str, dict[str, object]] = {}
    changed: dict[str, dict[str, object]] = {}
    stretch = _Stretch()
    for stream, kind, at, stored in rows(connection, _SELECT, partition=partition, after=after, upto=upto):
        body = decode_body(kind, stored)
        match body:
            case MessageRequested():
                requested[body.message] = _requested(partition, stream, at, body)
            case TaskCreated():
                stretch.tasks.append(_created(partition, stream, at, body))
            case TaskEscalated():
                stretch.task_changes.append((partition, body.task, body.role, "escalated", None))
            case TaskDone():
                stretch.task_changes.append((partition, body.task, None, body.outcome, at))
            case EnrolmentStarted() | EnrolmentHeldOut() | SplitTaken() | GoalReached():
                stretch.noted.note(partition, stream, at, body)
            case _:
                message = str(getattr(body, "message", ""))
                entry = requested.get(message) or changed.setdefault(message, {})
                entry.update(_change(kind, at, body))
    stretch.messages = [tuple(entry[c.name] for c in messages.columns) for entry in requested.values()]
    stretch.changes = [
        (partition, message, *(entry.get(name) for name in _CHANGED)) for message, entry in changed.items()
    ]
    return stretch


def _requested(partition: int, stream: int, at: int, body: MessageRequested) -> dict[str, object]:
    return {
        "partition": partition,
        "id": body.message,
        "stream": stream,
        "enrolment": body.enrolment,
        "journey": body.journey,
        "version": body.version,
        "step": body.step,
        "channel": None,
        "template": body.template,
        "purpose": body.purpose,
        "status": "requested",
        "reason": None,
        "requested_at": at,
        "sent_at": None,
    }


def _created(partition: int, stream: int, at: int, body: TaskCreated) -> tuple[object, ...]:
    return (
        partition,
        body.task,
        stream,
        body.journey,
        body.version,
        body.step,
        body.role,
        "open",
        at,
        to_micros(body.due_at),
        None,
    )


def _change(kind: str, at: int, body: Body) -> dict[str, object]:
    """What an event of a message's life says about it; what it does not speak of stays."""
    told: dict[str, object] = {"status": status_of(kind)}
    match body:
        case MessageSending():
            # What it was put off for is no reason any more; None would leave it as it is.
            told |= {"channel": body.channel, "reason": ""}
        case MessageDeferred():
            told |= {"channel": body.channel, "reason": body.rule}
        case MessageSuppressed():
            told |= {"channel": body.channel, "reason": body.rule}
        case MessageAccepted():
            told["sent_at"] = at
        case MessageRejected() | MessageUnknown():
            told["reason"] = body.reason
        case _:
            pass
    return told
