"""One worker's hold on one partition: its lease, what is due, and the one transaction of a micro-batch.

Every statement names its partition and is set-based. The first statement of each writing transaction is
the fence: it touches the partition's row by owner and epoch, so a worker that lost its lease writes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import starmap
from time import monotonic

from sqlalchemy import Connection, Engine

from domain.chain import genesis, link
from domain.clock import from_micros, to_micros
from domain.codec import encode_body, encode_state, state_form
from domain.customer import Customer
from domain.errors import InputRefused, LeaseLost, StoreCorrupt
from domain.events import Event
from domain.ports import StoredHead
from stores import schema
from stores.adoption import note_adopted
from stores.batch import Changes, Pending, PendingFact, Stored
from stores.database import customer_partitions, reading, writing
from stores.dialect import delete, insert, rows, run, update, upsert
from stores.histories import select_histories
from stores.owner import is_dead, owner_name
from stores.vault import Key, open_state, seal_state, sealed, vault_of

_LEASE_MICROS = 30_000_000

_CLAIM = """
UPDATE partitions SET owner = :owner, epoch = epoch + 1, lease_until = {now} + :lease
WHERE partition = :partition AND (owner IS NULL OR owner = :dead OR lease_until < {now})
RETURNING epoch, last_seq, clock_at
"""
_FENCE = """
UPDATE partitions SET last_seq = :last_seq, facts_taken = facts_taken + :taken, lease_until = {now} + :lease,
                      clock_at = CASE WHEN clock_at < :clock_at THEN :clock_at ELSE clock_at END
WHERE partition = :partition AND owner = :owner AND epoch = :epoch
"""
_RELEASE = """
UPDATE partitions SET owner = NULL, lease_until = 0
WHERE partition = :partition AND owner = :owner AND epoch = :epoch
"""
_SELECT_OWNER = "SELECT owner FROM partitions WHERE partition = :partition"
_SELECT_STARTED = """
SELECT min(clock_at) FROM partitions
WHERE partition {among partitions} AND clock_at < :since AND (clock_at > 0 OR last_seq > 0)
"""
_SELECT_OUTBOX = "SELECT message, stream, begun FROM outbox WHERE partition = :partition ORDER BY message"
_SELECT_FACTS = """
SELECT occurred_at, rank, position, stream, kind, body FROM inbox
WHERE partition = :partition AND occurred_at <= :until ORDER BY occurred_at, rank, position LIMIT :limit
"""
_SELECT_TIMERS = """
SELECT due_at, stream FROM timers
WHERE partition = :partition AND due_at <= :until ORDER BY due_at, stream LIMIT :limit
"""
_SELECT_STATES = """
SELECT s.stream, s.subject, h.version, h.seq, h.hash, n.version, n.state
FROM streams s
LEFT JOIN heads h ON h.partition = :partition AND h.stream = s.stream
LEFT JOIN snapshots n ON n.partition = :partition AND n.stream = s.stream AND n.form = :form
WHERE s.partition = :partition AND s.stream {among streams}
"""


def check_clock_start(engine: Engine, since: datetime) -> None:
    """Raises InputRefused where some partition's clock has started and would have to jump to ``since``.

    What is due in between would be late. ``since`` is aware UTC.
    """
    with reading(engine) as connection:
        earliest = run(
            connection,
            _SELECT_STARTED,
            partitions=customer_partitions(connection),
            since=to_micros(since),
        ).scalar()
    if earliest is not None:
        clock = from_micros(earliest).isoformat()
        raise InputRefused("run.clock_jump", since=since.isoformat(), clock=clock)


class Journal:
    """The partition's log as its owner writes it. Use as a context: entering claims, leaving releases."""

    def __init__(self, engine: Engine, partition: int) -> None:
        self._engine = engine
        self._vault = vault_of(engine)
        self.partition = partition
        self._owner = owner_name()
        self._epoch = 0
        self._last_seq = 0
        self._renewed = 0.0
        self.clock_at = from_micros(0)

    def __enter__(self) -> "Journal":
        """Claim the lease. Raises LeaseLost while another living worker holds it."""
        with writing(self._engine) as connection:
            holder = run(connection, _SELECT_OWNER, partition=self.partition).scalar()
            claimed = run(
                connection,
                _CLAIM,
                owner=self._owner,
                partition=self.partition,
                dead=holder if holder and is_dead(holder) else self._owner,
                lease=_LEASE_MICROS,
            ).one_or_none()
            if claimed is None:
                raise LeaseLost("lease.held", partition=self.partition, owner=holder)
            self._epoch, self._last_seq = claimed[0], claimed[1]
            self._renewed = monotonic()
            self.clock_at = from_micros(claimed[2])
        return self

    def __exit__(self, *_: object) -> None:
        with writing(self._engine) as connection:
            run(connection, _RELEASE, partition=self.partition, owner=self._owner, epoch=self._epoch)

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
        wanted = {"partition": self.partition, "limit": limit}
        with reading(self._engine) as connection:
            found = rows(connection, _SELECT_FACTS, until=horizon, **wanted)
            facts = list(starmap(PendingFact, found))
            if len(facts) == limit:
                # The instant of the last fact may go on in the next batch, and timers follow its facts.
                horizon = facts[-1].occurred_at - 1
            timers = rows(connection, _SELECT_TIMERS, until=horizon, **wanted)
        if len(timers) == limit:
            horizon = timers[-1][0]
            facts = [fact for fact in facts if fact.occurred_at <= horizon]
        return Pending(self._opened(facts), timers, horizon)

    def _opened(self, facts: list[PendingFact]) -> list[PendingFact]:
        clear = self._vault.opened(self.partition, ((f.stream, f.kind, f.body) for f in facts))
        return [
            fact if body is None else fact._replace(clear=body)
            for fact, body in zip(facts, clear, strict=True)
        ]

    def outbox(self) -> list[tuple[str, int, bool]]:
        """Messages whose intent to send is recorded and whose outcome is not, with their customers.

        The last word says whether they may have been given to their channel.
        """
        with reading(self._engine) as connection:
            found = run(connection, _SELECT_OUTBOX, partition=self.partition)
            return [(message, stream, bool(begun)) for message, stream, begun in found]

    def load(self, streams: Iterable[int]) -> dict[int, Stored]:
        """These customers: their last snapshots, and what came after, read backwards from their heads.

        Of who was erased only that they are gone. Raises StoreCorrupt where something in between is missing.
        """
        wanted, form = sorted(streams), state_form()
        keys = self._vault.keys(self.partition, wanted)
        with reading(self._engine) as connection:
            found = rows(connection, _SELECT_STATES, partition=self.partition, streams=wanted, form=form)
            grown = [
                row[0] for row in found if keys[row[0]] and row[2] is not None and row[2] > (row[5] or 0)
            ]
            histories = select_histories(connection, self.partition, grown, form=form) if grown else []
        loaded: dict[int, Stored] = {}
        for stream, subject, version, seq, hash_, past, state in found:
            key = keys[stream]
            head = StoredHead(version, seq, hash_) if version else StoredHead(0, 0, genesis(subject))
            if key is None:
                gone = encode_state(Customer(subject, version=head.version, gone=True))
                loaded[stream] = Stored(subject, head, gone, [], None)
            else:
                known = None if state is None else open_state(key, state, version=past)
                loaded[stream] = Stored(subject, head, known, [], key)
        for event in self._vault.with_clear(self.partition, histories):
            loaded[event.stream].events.append(event)
        for stream, subject, version, _, _, past, _ in found:
            if keys[stream] and len(loaded[stream].events) < (version or 0) - (past or 0):
                raise StoreCorrupt("store.history_removed", customer=subject)
        return loaded

    def append(
        self,
        changes: Changes,
        events: Sequence[Event],
        *,
        stream: int,
        head: StoredHead,
        rulebook: tuple[int, str],
        key: Key | None,
        body: bytes | None = None,
    ) -> StoredHead:
        """Add the rows of one input and of what follows from it; gives the new end of the history.

        ``rulebook`` is number and digest of the one in force, ``key`` the customer's; without one, what is
        personal is left out. ``body`` saves encoding again what is at hand of the first event in its stored
        form.
        """
        number, digest = rulebook
        partition, rows = self.partition, changes.events
        seq, prev, hash_ = self._last_seq, head.seq, head.hash
        for event in events:
            recorded_at = to_micros(event.recorded_at)
            same = event.occurred_at is event.recorded_at
            occurred_at = recorded_at if same else to_micros(event.occurred_at)
            stored = sealed(key, event.kind, encode_body(event.body)) if body is None else body
            body = None
            hash_ = link(
                hash_,
                version=event.version,
                kind=event.kind,
                occurred_at=occurred_at,
                recorded_at=recorded_at,
                cause=event.cause,
                rulebook=digest,
                body=stored,
            )
            seq += 1
            rows.append(
                (
                    partition,
                    seq,
                    stream,
                    event.version,
                    prev,
                    event.kind,
                    occurred_at,
                    recorded_at,
                    event.cause,
                    number,
                    hash_,
                    stored,
                )
            )
            prev = seq
        self._last_seq = seq
        changes.heads[stream] = new = StoredHead(events[-1].version, seq, hash_)
        return new

    def append_fact(
        self,
        changes: Changes,
        fact: PendingFact,
        *,
        head: StoredHead,
        recorded_at: datetime,
        rulebook: tuple[int, str],
    ) -> StoredHead:
        """Add the row of a fact from which nothing follows, as ``append`` would, from its stored form."""
        occurred_at, _, _, stream, kind, body, _ = fact
        number, digest = rulebook
        version, recorded = head.version + 1, to_micros(recorded_at)
        hash_ = link(
            head.hash,
            version=version,
            kind=kind,
            occurred_at=occurred_at,
            recorded_at=recorded,
            cause=0,
            rulebook=digest,
            body=body,
        )
        self._last_seq = seq = self._last_seq + 1
        place = (self.partition, seq, stream, version, head.seq)
        changes.events.append((*place, kind, occurred_at, recorded, 0, number, hash_, body))
        changes.heads[stream] = new = StoredHead(version, seq, hash_)
        return new

    def commit(self, changes: Changes, *, clock_at: datetime | None = None) -> None:
        """All of a micro-batch in one transaction, or nothing. Raises LeaseLost if the lease is gone."""
        partition, form = self.partition, state_form()
        heads = sorted(changes.heads.items())
        due = sorted(changes.timers.items())
        with self.fenced(clock_at, taken=len(changes.consumed)) as connection:
            insert(connection, schema.events, changes.events)
            upsert(
                connection,
                schema.heads,
                [(partition, stream, head.version, head.seq, head.hash) for stream, head in heads],
            )
            upsert(
                connection,
                schema.timers,
                [(partition, stream, to_micros(at)) for stream, at in due if at is not None],
            )
            delete(connection, schema.timers, [(partition, stream) for stream, at in due if at is None])
            self._commit_outbox(connection, changes)
            insert(connection, schema.calls, [(partition, *call) for call in changes.calls])
            delete(connection, schema.inbox, [(partition, *place) for place in changes.consumed])
            upsert(
                connection,
                schema.snapshots,
                [
                    (partition, stream, version, form, seal_state(key, state, version=version))
                    for stream, version, state, key in changes.snapshots
                    if key is not None
                ],
            )
            if changes.adopted is not None:
                note_adopted(connection, partition, rulebook=changes.adopted[0], stream=changes.adopted[1])

    def _commit_outbox(self, connection: Connection, changes: Changes) -> None:
        partition, begun, added = self.partition, changes.outbox_begun, changes.outbox_added
        delete(connection, schema.outbox, [(partition, name) for name in changes.outbox_removed])
        rows = [(partition, name, stream, int(name in begun)) for name, stream in added.items()]
        insert(connection, schema.outbox, rows)
        waiting = sorted(begun - added.keys())
        update(connection, schema.outbox, ("begun",), [(partition, name, 1) for name in waiting])

    @contextmanager
    def fenced(self, clock_at: datetime | None = None, *, taken: int = 0) -> Iterator[Connection]:
        """A writing transaction that the fence begins. Raises LeaseLost if the lease is gone.

        ``taken`` facts are taken out of the inbox in it.
        """
        with writing(self._engine) as connection:
            self._fence(connection, clock_at, taken=taken)
            yield connection

    def _fence(self, connection: Connection, clock_at: datetime | None, *, taken: int) -> None:
        fenced = run(
            connection,
            _FENCE,
            last_seq=self._last_seq,
            taken=taken,
            lease=_LEASE_MICROS,
            clock_at=0 if clock_at is None else to_micros(clock_at),
            partition=self.partition,
            owner=self._owner,
            epoch=self._epoch,
        )
        if fenced.rowcount != 1:
            raise LeaseLost("lease.lost", partition=self.partition)
        self._renewed = monotonic()
