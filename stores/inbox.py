"""Facts that have been told and wait for their time: known customers only, each fact once.

Identity is (source, id), as in CloudEvents, over the whole store; the body's digest tells a repetition
from another fact under a used id.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b, sha256
from typing import TypeAlias

from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select, update

from domain.catalogue import Envelope, rank_of
from domain.clock import to_micros
from domain.codec import encode_body
from domain.errors import InputRefused
from domain.ids import partition_of
from domain.personal import personal_fields, taken_apart
from stores.address_words import AddressWords
from stores.app_inbox import erase
from stores.database import customer_partitions, reading, writing
from stores.dialect import insert, lock
from stores.letters import TAKING_LOCK, bury
from stores.schema import fact_keys, inbox, partitions, streams
from stores.vault import sealed, vault_of

_KEY_BYTES = 16
_PARAMETERS = 5_000
_LEAVING = frozenset(("customer.erased/1", "customer.merged/1"))


class Told(Struct, frozen=True):
    """A fact with the place it was read at and the bytes it was read from, for a refusal's sake.

    With ``once`` the first telling counts: the same id again is a repetition, whatever it says and whenever.
    """

    envelope: Envelope
    place: str
    raw: bytes = b""
    once: bool = False


class Refusal(Struct, frozen=True):
    """Why something was not taken: a code and values of the text catalogue, where, and what it was."""

    place: str
    code: str
    values: dict[str, object]
    raw: bytes = b""


Item: TypeAlias = Told | Refusal


class Taken(Struct, frozen=True):
    """What became of a chunk."""

    accepted: int
    repeated: int
    refused: list[Refusal]


class Inbox:
    """The way in. Each chunk is one transaction: all of it counts, or none.

    Once ``limit`` facts wait undecided no further chunk is taken, so that what waits stays within the limit
    and one chunk.
    """

    def __init__(self, engine: Engine, *, limit: int) -> None:
        self._engine = engine
        self._vault = vault_of(engine)
        self._limit = limit
        with reading(engine) as connection:
            self._partitions = len(customer_partitions(connection))

    def waiting(self, *, until: datetime) -> int:
        """How many facts wait that happened by ``until`` (aware UTC)."""
        with reading(self._engine) as connection:
            query = select(func.count()).where(
                inbox.c.partition.in_(customer_partitions(connection)),
                inbox.c.occurred_at <= to_micros(until),
            )
            return int(connection.execute(query).scalar_one())

    def knows(self, source: str, id: str) -> bool:  # noqa: A002 - CloudEvents' own word
        """Whether a fact of this identity was ever taken."""
        partition, key = identified(source, id, partitions=self._partitions)
        query = select(fact_keys.c.key).where(fact_keys.c.partition == partition, fact_keys.c.key == key)
        with reading(self._engine) as connection:
            return connection.execute(query).first() is not None

    def take(self, items: Sequence[Item], *, origin: str, at: int) -> Taken:
        """Keep new facts of known customers; put the rest, and former refusals, among the dead letters.

        ``at`` (microseconds since 1970) is when refusals are noted. A customer is known from their
        registration on, in the order given. Raises InputRefused, and takes nothing, while too many facts
        wait: the same chunk may be given again later.
        """
        with writing(self._engine) as connection:
            # Numbers are read here and written at the end: one chunk at a time. Workers need not wait.
            lock(connection, TAKING_LOCK)
            chunk = _Chunk(connection, self._partitions)
            if chunk.waiting >= self._limit:
                raise InputRefused("inbox.full", waiting=chunk.waiting, limit=self._limit)
            chunk.sort_out(items)
            chunk.write()
            refused = [(r.place, r.code, _told(r.values), r.raw) for r in chunk.refused]
            bury(connection, self._vault, refused, origin=origin, at=at)
        return Taken(chunk.accepted, chunk.repeated, chunk.refused)


class _Chunk:
    """One chunk in the making: looked up by sets, judged in order, written by sets."""

    def __init__(self, connection: Connection, customer_partitions: int) -> None:
        self._connection = connection
        self._vault = vault_of(connection)
        self._erased: set[tuple[int, int]] = set()
        self._partitions = customer_partitions
        self._streams: dict[str, tuple[int, int]] = {}
        self._new_streams: list[tuple[int, int, str]] = []
        self._new_keys: list[tuple[object, ...]] = []
        self._facts: list[tuple[int, int, int, int, int, str, bytes]] = []
        self._grown: set[int] = set()
        self._gone: dict[int, list[int]] = {}
        rows = connection.execute(
            select(
                partitions.c.partition,
                partitions.c.last_stream,
                partitions.c.last_position,
                partitions.c.facts_taken,
            )
        ).all()
        self._last_stream = {row[0]: row[1] for row in rows}
        self._last_position = {row[0]: row[2] for row in rows}
        # Counted, not looked for: however many wait, this reads one row for each partition.
        self.waiting = sum(row[2] - row[3] for row in rows)
        self.accepted = 0
        self.repeated = 0
        self.refused: list[Refusal] = []

    def sort_out(self, items: Sequence[Item]) -> None:
        """Judge each item in its order: accepted, repeated or refused."""
        told = [item for item in items if isinstance(item, Told)]
        self._look_up({item.envelope.subject for item in told})
        self._look_for_keys(item.envelope for item in told)
        known = self._known_keys([self._key(item.envelope) for item in told])
        self._words = AddressWords(self._connection, [item.envelope for item in told])
        for item in items:
            if isinstance(item, Refusal):
                self.refused.append(item)
            else:
                self._judge(item, known)
        self._pass_on(self._words.passed_on)

    def _judge(self, item: Told, known: dict[tuple[int, bytes], bytes]) -> None:
        key = self._key(item.envelope)
        body = encode_body(item.envelope.fact)
        digest = self._digest(item.envelope, body)
        found = known.get(key)
        if found == digest or (found is not None and item.once):
            self.repeated += 1
        elif found is not None:
            self._refuse(item, "fact.id_reused")
        elif not self._is_known(item.envelope):
            self._refuse(item, "fact.unknown_customer")
        elif self._speaks_of_an_erased_person(item.envelope, body):
            # Not even here is anything of it kept.
            self._refuse(Told(item.envelope, item.place), "fact.customer_erased")
        else:
            known[key] = digest
            self._new_keys.append((*key, digest))
            self._keep(item.envelope, body)
            self.accepted += 1
            if self._words.concerned:
                self._words.hear(item.envelope)

    def _pass_on(self, words: Sequence[Envelope]) -> None:
        """Keep what whoever has an address said of it for those who have it now, each once."""
        known = self._known_keys([self._key(envelope) for envelope in words])
        for envelope in words:
            key, body = self._key(envelope), encode_body(envelope.fact)
            if key not in known:
                known[key] = self._digest(envelope, body)
                self._new_keys.append((*key, known[key]))
                self._keep(envelope, body)

    def write(self) -> None:
        self._words.write()
        facts = self._sealed()
        for table, rows in ((streams, self._new_streams), (fact_keys, self._new_keys), (inbox, facts)):
            insert(self._connection, table, rows)
        for partition, gone in sorted(self._gone.items()):
            erase(self._connection, partition, gone)
        for partition in sorted(self._grown):
            self._connection.execute(
                update(partitions)
                .where(partitions.c.partition == partition)
                .values(
                    last_position=self._last_position[partition], last_stream=self._last_stream[partition]
                )
            )

    def _look_for_keys(self, told: Iterable[Envelope]) -> None:
        """Note which known customers, of whom something personal is told, have no key any more."""
        by_partition: dict[int, set[int]] = {}
        for envelope in told:
            place = self._streams.get(envelope.subject)
            if place is not None and personal_fields(envelope.kind):
                by_partition.setdefault(place[0], set()).add(place[1])
        for partition, wanted in by_partition.items():
            keys = self._vault.keys(partition, wanted)
            self._erased |= {(partition, stream) for stream, key in keys.items() if key is None}

    def _speaks_of_an_erased_person(self, envelope: Envelope, body: bytes) -> bool:
        erased = self._streams[envelope.subject] in self._erased
        return erased and taken_apart(envelope.kind, body) is not None

    def _sealed(self) -> list[tuple[object, ...]]:
        """The facts with what is personal sealed, by keys that new customers get now."""
        new: dict[int, list[int]] = {}
        for partition, stream, _ in self._new_streams:
            new.setdefault(partition, []).append(stream)
        keys = {partition: dict(self._vault.make(partition, streams)) for partition, streams in new.items()}
        known: dict[int, set[int]] = {}
        for partition, _, _, _, stream, kind, _ in self._facts:
            if personal_fields(kind) and stream not in keys.get(partition, ()):
                known.setdefault(partition, set()).add(stream)
        for partition, wanted in known.items():
            keys.setdefault(partition, {}).update(self._vault.keys(partition, wanted))
        return [
            (*row[:-1], sealed(keys[row[0]][row[4]], row[5], row[6])) if personal_fields(row[5]) else row
            for row in self._facts
        ]

    def _digest(self, envelope: Envelope, body: bytes) -> bytes:
        header = f"{envelope.kind}\x00{envelope.subject}\x00{to_micros(envelope.occurred_at)}\x00"
        told = header.encode() + body
        return blake2b(told, key=self._vault.digests, digest_size=_KEY_BYTES).digest()

    def _key(self, envelope: Envelope) -> tuple[int, bytes]:
        return identified(envelope.fact.source, envelope.fact.id, partitions=self._partitions)

    def _known_keys(self, keys: Sequence[tuple[int, bytes]]) -> dict[tuple[int, bytes], bytes]:
        by_partition: dict[int, list[bytes]] = {}
        for partition, key in keys:
            by_partition.setdefault(partition, []).append(key)
        known: dict[tuple[int, bytes], bytes] = {}
        for partition, wanted in by_partition.items():
            for start in range(0, len(wanted), _PARAMETERS):
                query = select(fact_keys.c.key, fact_keys.c.digest).where(
                    fact_keys.c.partition == partition,
                    fact_keys.c.key.in_(wanted[start : start + _PARAMETERS]),
                )
                known |= {(partition, row[0]): row[1] for row in self._connection.execute(query)}
        return known

    def _look_up(self, subjects: set[str]) -> None:
        by_partition: dict[int, list[str]] = {}
        for subject in sorted(subjects):
            by_partition.setdefault(partition_of(subject, partitions=self._partitions), []).append(subject)
        for partition, wanted in by_partition.items():
            for start in range(0, len(wanted), _PARAMETERS):
                query = select(streams.c.subject, streams.c.stream).where(
                    streams.c.partition == partition,
                    streams.c.subject.in_(wanted[start : start + _PARAMETERS]),
                )
                self._streams |= {row[0]: (partition, row[1]) for row in self._connection.execute(query)}

    def _is_known(self, envelope: Envelope) -> bool:
        subject = envelope.subject
        if subject in self._streams:
            return True
        if not envelope.kind.startswith("customer.registered/"):
            return False
        partition = partition_of(subject, partitions=self._partitions)
        stream = self._last_stream[partition] = self._last_stream[partition] + 1
        self._streams[subject] = (partition, stream)
        self._new_streams.append((partition, stream, subject))
        return True

    def _keep(self, envelope: Envelope, body: bytes) -> None:
        partition, stream = self._streams[envelope.subject]
        self._last_position[partition] += 1
        self._grown.add(partition)
        if envelope.kind in _LEAVING:
            # What lies in their mailbox is in no history: it goes at once, not when the fact is decided on.
            self._gone.setdefault(partition, []).append(stream)
        self._facts.append(
            (
                partition,
                to_micros(envelope.occurred_at),
                rank_of(envelope.kind),
                self._last_position[partition],
                stream,
                envelope.kind,
                body,
            )
        )

    def _refuse(self, item: Told, code: str) -> None:
        fact = item.envelope.fact
        values: dict[str, object] = {
            "source": fact.source,
            "id": fact.id,
            "subject": item.envelope.subject,
            "kind": item.envelope.kind,
        }
        self.refused.append(Refusal(item.place, code, values, item.raw))


def identified(source: str, id: str, *, partitions: int) -> tuple[int, bytes]:  # noqa: A002 - as above
    """Where the identity of a fact is kept, and under which key."""
    identity = f"{source}\x00{id}"
    return partition_of(identity, partitions=partitions), sha256(identity.encode()).digest()[:_KEY_BYTES]


def _told(values: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
