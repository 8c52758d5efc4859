"""Tables that answer questions, made from the events alone and caught up when somebody asks.

They can be thrown away and built again; nothing decides by them.
"""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, and_, func, select

from domain.errors import InputRefused
from stores import memberships
from stores.database import customer_partitions, reading, writing
from stores.dialect import lock, upsert
from stores.enrolments import Group, inside
from stores.memberships import Member
from stores.schema import (
    enrolments,
    events,
    messages,
    partitions,
    passages,
    projections,
    segments,
    streams,
    tasks,
    ways,
)
from stores.stretch import Stretch, gathered

_NAME = "ledger"
_CHUNK = 20_000
# Shorter beginnings of ids are no names.
_SHORTEST_BEGINNING = 4
_CUSTOMER_KEY = ("partition", "stream")


class LedgerEntry(Struct, frozen=True):
    """One message of the ledger. Instants are microseconds since 1970, or None.

    ``status`` is how far its sending came, ``delivery`` beside it what came back: delivered, undelivered,
    bounced, complained, or "". ``tries`` counts how often it was handed over, the last time at ``handed_at``;
    ``in_doubt`` says that a provider may have it and nobody knows. ``delivered_at``, ``opened_at`` and
    ``clicked_at`` are when it first was.
    """

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
    provider: str
    tries: int
    in_doubt: bool
    delivery: str
    handed_at: int | None
    delivered_at: int | None
    opened_at: int | None
    clicked_at: int | None


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
    """Messages, tasks, members of segments and who is inside, as of the last event at the time of asking."""

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
                stretch = gathered(connection, partition, first, upto) if due else Stretch()
            with writing(self._engine) as connection:
                # Somebody else may be catching up, or have done so since: one at a time, and once.
                lock(connection, partition)
                if due and _taken_in(connection, partition) == first:
                    stretch.take_in(connection)
                    upsert(connection, projections, [(partition, _NAME, upto)])
            yield upto - first

    def messages(
        self,
        *,
        customer: str | None = None,
        journey: str | None = None,
        status: str | None = None,
        id: str | None = None,  # noqa: A002 - the column's name
        in_doubt: bool = False,
    ) -> list[LedgerEntry]:
        """The messages that fit, by time of request, then customer and id; or those in doubt only."""
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
        if id is not None:
            query = query.where(messages.c.id == id)
        if in_doubt:
            query = query.where(messages.c.in_doubt > 0)
        with reading(self._engine) as connection:
            entries = [LedgerEntry(*row) for row in connection.execute(query)]
        return [
            replace(entry, reason=entry.reason or None, in_doubt=bool(entry.in_doubt)) for entry in entries
        ]

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

    def segment_sizes(self) -> dict[tuple[str, str], int]:
        """The number of customers by segment and class."""
        self.catch_up()
        return memberships.counts(self._engine)

    def members(self, segment: str, *, before: int | None = None) -> list[Member]:
        """Who is in the segment, or was by all that was recorded ``before``. Raises InputRefused."""
        if before is not None:
            return memberships.members_before(self._engine, segment, before)
        self.catch_up()
        return memberships.members(self._engine, segment)

    def inside(self, journey: str) -> list[Group]:
        """Who is inside the journey, by where they stand and what they were sent."""
        self.catch_up()
        with reading(self._engine) as connection:
            return inside(connection, customer_partitions(connection), journey)

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

    def named(self, message: str, *, limit: int = 3) -> list[tuple[str, str]]:
        """Messages of this id, or else whose ids begin so, with their customers; 4 characters at least."""
        self.catch_up()
        query = (
            select(messages.c.id, streams.c.subject)
            .join(streams, and_(*(streams.c[key] == messages.c[key] for key in _CUSTOMER_KEY)))
            .where(messages.c.partition > 0)
            .order_by(messages.c.id)
            .limit(limit)
        )
        alike = messages.c.id.startswith(message, autoescape=True)
        of_that_name = messages.c.id == message
        with reading(self._engine) as connection:
            found = connection.execute(query.where(of_that_name)).all()
            if not found and len(message) >= _SHORTEST_BEGINNING:
                found = connection.execute(query.where(alike)).all()
        return [(str(name), str(subject)) for name, subject in found]

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
    for table in (messages, tasks, segments, passages, ways, enrolments, projections):
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
