"""The inbox in the app, as the store keeps it: what was sent to whom, till when, and when it was read.

It holds the words that customers read, so it is no projection: events hold only their digests. Each lies
sealed by its customer's key.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, func, or_, select, update

from domain.clock import from_micros, to_micros
from domain.ids import partition_of
from stores.database import customer_partitions, reading, writing
from stores.dialect import keep, rows
from stores.profiles import plain
from stores.schema import mailbox, streams
from stores.vault import vault_of

_SELECT_STREAMS = """
SELECT subject, stream FROM streams WHERE partition = :partition AND subject {among subjects}
"""
_SELECT_KNOWN = "SELECT message FROM mailbox WHERE partition = :partition AND message {among ids}"


class Arriving(Protocol):
    """What is put in: a message as its channel takes it (``channels.base.Outgoing``)."""

    @property
    def id(self) -> str: ...
    @property
    def customer(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def heading(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime | None: ...


class Letter(Struct, frozen=True):
    """A message as it is shown in the app. Instants are aware UTC."""

    message: str
    title: str
    body: str
    language: str
    sent_at: datetime
    expires_at: datetime | None
    read_at: datetime | None


class StoredMailbox:
    """The mailboxes of all customers. Implements ``channels.inbox.Mailbox``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._vault = vault_of(engine)
        with reading(engine) as connection:
            self._partitions = customer_partitions(connection)

    def put(self, messages: Sequence[Arriving]) -> set[str]:
        """Keep these, each once under its id, in one transaction; gives those that lie there now."""
        by_partition: dict[int, list[Arriving]] = {}
        for message in messages:
            by_partition.setdefault(self._partition(_owner(message)), []).append(message)
        kept: set[str] = set()
        with writing(self._engine) as connection:
            for partition in sorted(by_partition):
                letters = self._letters(connection, partition, by_partition[partition])
                keep(connection, mailbox, list(letters.values()))
                kept |= letters.keys()
        return kept

    def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these lie there."""
        with reading(self._engine) as connection:
            return {
                found
                for partition in self._partitions
                for (found,) in rows(connection, _SELECT_KNOWN, partition=partition, ids=sorted(set(ids)))
            }

    def letters(self, customer: str, now: datetime, *, limit: int = 100) -> list[Letter]:
        """What the customer sees at this instant (aware UTC), the newest first, without what is over."""
        partition = self._partition(customer)
        columns = [mailbox.c.stream, *(mailbox.c[name] for name in Letter.__struct_fields__)]
        order = mailbox.c.sent_at.desc(), mailbox.c.message
        query = select(*columns).where(*self._theirs(customer, now)).order_by(*order).limit(limit)
        with reading(self._engine) as connection:
            found = connection.execute(query).all()
        return self._opened(partition, found)

    def _opened(self, partition: int, found: Sequence[Row[*tuple[Any, ...]]]) -> list[Letter]:
        """Who was erased has no letters any more."""
        keys = self._vault.keys(partition, {row[0] for row in found})
        return [
            Letter(
                message,
                key.open_text(title, place=f"letter/{message}/title") or "",
                key.open_text(body, place=f"letter/{message}/body") or "",
                language,
                from_micros(sent_at),
                _instant(expires_at),
                _instant(read_at),
            )
            for stream, message, title, body, language, sent_at, expires_at, read_at in found
            if (key := keys[stream]) is not None
        ]

    def everything(self, customer: str) -> list[Letter]:
        """All that lies there for the customer, also what is over, the oldest first."""
        partition = self._partition(customer)
        columns = [mailbox.c.stream, *(mailbox.c[name] for name in Letter.__struct_fields__)]
        its, *_ = self._theirs(customer, from_micros(0))[1:]
        query = select(*columns).where(mailbox.c.partition == partition, its)
        with reading(self._engine) as connection:
            found = connection.execute(query.order_by(mailbox.c.sent_at, mailbox.c.message)).all()
        return self._opened(partition, found)

    def unread(self, customer: str, now: datetime) -> int:
        """How many of them the customer has not read."""
        query = select(func.count()).where(*self._theirs(customer, now), mailbox.c.read_at.is_(None))
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def read(self, customer: str, message: str, at: datetime) -> bool:
        """Note that the customer has read it; False where they have no such message, or had read it before.

        Whoever calls this tells the fact ``message.opened/1`` as well where it is True.
        """
        mine = *self._theirs(customer, at), mailbox.c.message == message, mailbox.c.read_at.is_(None)
        with writing(self._engine) as connection:
            done = connection.execute(update(mailbox).where(*mine).values(read_at=to_micros(at)))
            return done.rowcount == 1

    def remove_expired(self, before: datetime) -> int:
        """Remove what was over before this instant (aware UTC); gives how many."""
        removed = 0
        for partition in self._partitions:
            with writing(self._engine) as connection:
                over = mailbox.c.partition == partition, mailbox.c.expires_at < to_micros(before)
                removed += connection.execute(mailbox.delete().where(*over)).rowcount
        return removed

    def _letters(
        self, connection: Connection, partition: int, messages: Sequence[Arriving]
    ) -> dict[str, tuple[object, ...]]:
        """The rows of those messages whose customers are known and not erased, by id."""
        subjects = sorted({_owner(message) for message in messages})
        found = dict(rows(connection, _SELECT_STREAMS, partition=partition, subjects=subjects))
        keys = self._vault.keys(partition, found.values())
        return {
            message.id: (
                partition,
                message.id,
                found[_owner(message)],
                key.seal_text(plain(message.heading), place=f"letter/{message.id}/title"),
                key.seal_text(plain(message.text), place=f"letter/{message.id}/body"),
                message.language,
                to_micros(message.at),
                None if message.expires_at is None else to_micros(message.expires_at),
                None,
            )
            for message in messages
            if _owner(message) in found and (key := keys[found[_owner(message)]]) is not None
        }

    def _partition(self, customer: str) -> int:
        return partition_of(customer, partitions=len(self._partitions))

    def _theirs(self, customer: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
        partition = self._partition(customer)
        stream = (
            select(streams.c.stream)
            .where(and_(streams.c.partition == partition, streams.c.subject == customer))
            .scalar_subquery()
        )
        valid = or_(mailbox.c.expires_at.is_(None), mailbox.c.expires_at > to_micros(now))
        return mailbox.c.partition == partition, mailbox.c.stream == stream, valid


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def erase(connection: Connection, partition: int, gone: Sequence[int]) -> None:
    """Remove all that lies there for these customers, by their streams, within the caller's transaction."""
    theirs = mailbox.c.partition == partition, mailbox.c.stream.in_(gone)
    connection.execute(mailbox.delete().where(*theirs))


def _owner(message: Arriving) -> str:
    return message.customer or message.address
