"""Who has which address now: made from the events when somebody asks, by digests and never by the address.

It can be thrown away and made again; nothing decides by it.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from msgspec import Struct, field
from sqlalchemy import Connection, Engine, and_, func, select

from domain.catalogue import CustomerErased, CustomerMerged, DeviceRetired, Fact
from domain.codec import decode_body, decode_state, restored
from domain.customer import Customer
from domain.fact import ChannelName
from domain.fold import folded
from stores.addresses import digest_of, told_by
from stores.database import customer_partitions, reading, writing
from stores.dialect import delete, keep, lock, rows, upsert
from stores.journal import Journal
from stores.schema import contacts, events, partitions, projections, streams
from stores.vault import vault_of

_NAME = "contacts"
_CHUNK = 20_000
_LOADED = 1_000
_SELECT = """
SELECT stream, kind, body FROM events
WHERE partition = :partition AND seq > :after AND seq <= :upto
AND (kind IN ('customer.registered/1', 'customer.changed/1', 'customer.merged/1', 'customer.erased/1',
    'device.registered/1', 'device.retired/1'))
ORDER BY seq
"""
_SELECT_KNOWN = """
SELECT channel, digest, stream FROM contacts WHERE partition = :partition AND stream {among streams}
"""
_SELECT_ALL = "SELECT stream FROM heads WHERE partition = :partition ORDER BY stream"
Held = set[tuple[str, bytes]]


class Contacts:
    """Addresses and their holders, as of the last event at the time of asking."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def holders(self, channel: ChannelName, address: str) -> list[str]:
        """The customers who have this address now, in order; of push, any of their devices."""
        self.catch_up()
        digest = digest_of(channel, address, key=vault_of(self._engine).digests)
        query = (
            select(streams.c.subject)
            .join(contacts, and_(*(streams.c[key] == contacts.c[key] for key in ("partition", "stream"))))
            .where(contacts.c.channel == channel, contacts.c.digest == digest)
        )
        found: list[str] = []
        with reading(self._engine) as connection:
            # One part at a time, since the partition leads the key.
            for partition in customer_partitions(connection):
                of_partition = query.where(contacts.c.partition == partition)
                found += [str(subject) for subject in connection.execute(of_partition).scalars()]
        return sorted(found)

    def catch_up(self) -> None:
        """Take in what was recorded since the last time, one transaction for each chunk."""
        with reading(self._engine) as connection:
            partitions = customer_partitions(connection)
        for partition in partitions:
            with reading(self._engine) as connection:
                done, last, removed = _behind(connection, partition)
            if removed > done:
                self._from_states(partition, last)
                continue
            for first in range(done, last, _CHUNK):
                self._take_in(partition, first, min(first + _CHUNK, last))

    def forget(self) -> None:
        """Throw the table away; who asks next makes it again."""
        with reading(self._engine) as connection:
            partitions = customer_partitions(connection)
        for partition in partitions:
            with writing(self._engine) as connection:
                lock(connection, partition)
                _forget(connection, partition)

    def _take_in(self, partition: int, first: int, upto: int) -> None:
        with reading(self._engine) as connection:
            due = _reached(connection, partition) == first
            change = _gathered(connection, partition, first, upto) if due else _Change()
        with writing(self._engine) as connection:
            # Somebody else may be catching up, or have done so since: one at a time, and once.
            lock(connection, partition)
            if due and _reached(connection, partition) == first:
                change.take_in(connection, partition)
                upsert(connection, projections, [(partition, _NAME, upto)])

    def _from_states(self, partition: int, last: int) -> None:
        """What came since lies in an archive in part, but states tell who has which address all the same."""
        with reading(self._engine) as connection:
            everybody = iter([row[0] for row in rows(connection, _SELECT_ALL, partition=partition)])
        held: list[tuple[object, ...]] = []
        key = vault_of(self._engine).digests
        while chunk := list(islice(everybody, _LOADED)):
            for stream, stored in Journal(self._engine, partition).load(chunk).items():
                known = Customer(stored.subject) if stored.state is None else decode_state(stored.state)
                customer = folded(known, map(restored, stored.events))
                held += [(partition, *address, stream) for address in _of(customer, key)]
        with writing(self._engine) as connection:
            lock(connection, partition)
            _forget(connection, partition)
            keep(connection, contacts, held)
            upsert(connection, projections, [(partition, _NAME, last)])


class _Change(Struct):
    """What a stretch of events makes of the addresses of those whom it speaks of."""

    before: dict[int, Held] = field(default_factory=dict)
    after: dict[int, Held] = field(default_factory=dict)

    def take_in(self, connection: Connection, partition: int) -> None:
        gone, come = [], []
        for stream, held in self.after.items():
            former = self.before.get(stream, set())
            gone += [(partition, *address, stream) for address in sorted(former - held)]
            come += [(partition, *address, stream) for address in sorted(held - former)]
        delete(connection, contacts, gone)
        keep(connection, contacts, come)


def _gathered(connection: Connection, partition: int, after: int, upto: int) -> _Change:
    found = rows(connection, _SELECT, partition=partition, after=after, upto=upto)
    vault = vault_of(connection)
    clear = vault.opened(partition, found)
    told = [(row[0], decode_body(row[1], body or row[2])) for row, body in zip(found, clear, strict=True)]
    changed = sorted({stream for stream, _ in told})
    change = _Change()
    if not changed:
        return change
    for channel, digest, stream in rows(connection, _SELECT_KNOWN, partition=partition, streams=changed):
        change.before.setdefault(stream, set()).add((channel, bytes(digest)))
    change.after = {stream: set(change.before.get(stream, ())) for stream in changed}
    for stream, body in told:
        if isinstance(body, Fact):
            _hear(change.after[stream], body, vault.digests)
    return change


def _hear(held: Held, fact: Fact, key: bytes) -> None:
    """Change what the customer holds as the fact says; ``key`` is that of digests."""
    match fact:
        case CustomerMerged() | CustomerErased():
            held.clear()
        case DeviceRetired():
            held.discard(("push", digest_of("push", fact.device, key=key)))
        case _:
            for channel, address in told_by(fact):
                if channel != "push" or not address:
                    # One number and one mailbox each; devices are several.
                    held -= {known for known in held if known[0] == channel}
                if address:
                    held.add((channel, digest_of(channel, address, key=key)))


def _of(customer: Customer, key: bytes) -> Iterator[tuple[str, bytes]]:
    if customer.gone:
        return
    push = [("push", device) for device in customer.devices]
    addresses: Sequence[tuple[str, str]] = [*customer.addresses.items(), *push]
    yield from {(channel, digest_of(channel, address, key=key)) for channel, address in addresses}  # type: ignore[arg-type]


def _behind(connection: Connection, partition: int) -> tuple[int, int, int]:
    """The last seq taken in, the last there is, and the last that was removed into an archive."""
    last = connection.execute(select(func.max(events.c.seq)).where(events.c.partition == partition)).scalar()
    removed = connection.execute(
        select(partitions.c.removed_seq).where(partitions.c.partition == partition)
    ).scalar()
    return _reached(connection, partition), last or 0, int(str(removed or 0))


def _reached(connection: Connection, partition: int) -> int:
    query = select(projections.c.seq).where(projections.c.partition == partition, projections.c.name == _NAME)
    return connection.execute(query).scalar() or 0


def _forget(connection: Connection, partition: int) -> None:
    connection.execute(contacts.delete().where(contacts.c.partition == partition))
    connection.execute(
        projections.delete().where(projections.c.partition == partition, projections.c.name == _NAME)
    )
