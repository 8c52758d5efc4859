"""Authored objects (journeys, templates, policies) as aggregates of the `eventsourcing` library, our tables.

Everything lies in partition 0, one stream for each originator id. A notification's id is its ``seq``,
which is gapless and in the order of commits, so whoever tails it misses nothing. Never used for customers:
they go through ``stores.journal``.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    DataError,
    IntegrityError,
    Notification,
    ProcessRecorder,
    Recorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError as DatabaseIntegrityError

from domain.chain import genesis, link
from domain.clock import to_micros
from domain.ports import StoredHead
from stores import schema
from stores.database import reading, writing
from stores.dialect import insert, run, upsert

_PARTITION = 0
_LOWEST, _HIGHEST = -(2**62), 2**62
_POLL_SECONDS = 0.1
_PAGE = 500

# The first statement of a writing transaction: whoever has it writes alone, so seq is the order of commits.
_FENCE = """
UPDATE partitions SET last_seq = last_seq + :count WHERE partition = 0 RETURNING last_seq, last_stream
"""
_SET_LAST_STREAM = "UPDATE partitions SET last_stream = :last_stream WHERE partition = 0"
_SELECT_ENDS = """
SELECT s.subject, s.stream, h.version, h.seq, h.hash
FROM streams s JOIN heads h ON h.partition = s.partition AND h.stream = s.stream
WHERE s.partition = 0 AND s.subject {among subjects}
"""
_SELECT_HISTORY = """
WITH RECURSIVE back (seq, prev, version) AS (
    SELECT e.seq, e.prev, e.version
    FROM streams s
    JOIN heads h ON h.partition = 0 AND h.stream = s.stream
    JOIN events e ON e.partition = 0 AND e.seq = h.seq
    WHERE s.partition = 0 AND s.subject = :subject
    UNION ALL
    SELECT e.seq, e.prev, e.version FROM back JOIN events e ON e.partition = 0 AND e.seq = back.prev
    WHERE back.version - 1 > :gt
)
SELECT e.version, e.kind, e.body
FROM back JOIN events e ON e.partition = 0 AND e.seq = back.seq
WHERE back.version > :gt AND back.version <= :lte ORDER BY e.version * :direction LIMIT :limit
"""
_SELECT_NOTIFICATIONS = """
SELECT e.seq, s.subject, e.version, e.kind, e.body
FROM events e CROSS JOIN streams s
WHERE e.partition = 0 AND s.partition = 0 AND s.stream = e.stream
AND e.seq > :after AND e.seq <= :stop AND (:every = 1 OR e.kind {among topics})
ORDER BY e.seq LIMIT :limit
"""
_SELECT_LAST_SEQ = "SELECT max(seq) FROM events WHERE partition = 0"
# Strictly forward: a notification that lies before the one kept has been processed.
_ADVANCE_TRACKING = """
INSERT INTO tracking (partition, application, notification_id) VALUES (0, :application, :number)
ON CONFLICT (partition, application) DO UPDATE SET notification_id = excluded.notification_id
WHERE tracking.notification_id < excluded.notification_id
RETURNING notification_id
"""
_SELECT_TRACKING = "SELECT notification_id FROM tracking WHERE partition = 0 AND application = :application"


def utc_now() -> datetime:
    """The wall clock, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class AuthoredStore:
    """What the recorders share: the store, the clock (aware UTC) and the type that originator ids have."""

    engine: Engine
    clock: Callable[[], datetime] = utc_now
    originator_id_type: type[UUID] | type[str] = UUID
    # SQLite wakes waiting writers by chance: ten threads without rest made one wait 8 s of the 10 s it has.
    _turn: Lock = field(default_factory=Lock, init=False)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that one thread at a time has; what a constraint refuses is the library's error."""
        with self._turn, writing(self.engine) as connection:
            try:
                yield connection
            except DatabaseIntegrityError as error:
                raise IntegrityError(str(error.orig)) from error


class _AuthoredRecorder(Recorder):
    def __init__(self, store: AuthoredStore) -> None:
        self._store = store


class AuthoredAggregateRecorder(_AuthoredRecorder, AggregateRecorder):
    """Appends to and reads the histories of authored objects."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Append all of the events or none.

        Raises IntegrityError unless each version follows the one before; a history may begin at any. Raises
        DataError for an originator id of another type than the store's.
        """
        with self._store.writing() as connection:
            return self._insert_events(connection, stored_events, **kwargs)

    def _insert_events(
        self, connection: Connection, stored_events: Sequence[StoredEvent], **_: Any
    ) -> Sequence[int] | None:
        _append(connection, stored_events, store=self._store)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The events with ``gt`` < version <= ``lte``, by version; none for an unknown originator id."""
        wanted = {
            "subject": str(originator_id),
            "gt": _LOWEST if gt is None else gt,
            "lte": _HIGHEST if lte is None else lte,
            "direction": -1 if desc else 1,
            "limit": _HIGHEST if limit is None else limit,
        }
        with reading(self._store.engine) as connection:
            rows = run(connection, _SELECT_HISTORY, **wanted).all()
        return [StoredEvent(originator_id, version, kind, body) for version, kind, body in rows]


class AuthoredApplicationRecorder(AuthoredAggregateRecorder, ApplicationRecorder):
    """Also reads all authored objects' events in the order in which they were committed."""

    def _insert_events(
        self, connection: Connection, stored_events: Sequence[StoredEvent], **_: Any
    ) -> Sequence[int] | None:
        return _append(connection, stored_events, store=self._store)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Up to ``limit`` events from ``start`` (or the first) to ``stop`` (or the last), by id."""
        first = _LOWEST if start is None else start
        wanted = {
            "after": first - 1 if inclusive_of_start else first,
            "stop": _HIGHEST if stop is None else stop,
            "topics": list(topics),
            "every": int(not topics),
            "limit": limit,
        }
        with reading(self._store.engine) as connection:
            rows = run(connection, _SELECT_NOTIFICATIONS, **wanted).all()
        id_of = self._store.originator_id_type
        return [
            Notification(id_of(subject), version, kind, body, id=seq)
            for seq, subject, version, kind, body in rows
        ]

    def max_notification_id(self) -> int | None:
        """The last event's id; None while there is no event."""
        with reading(self._store.engine) as connection:
            return run(connection, _SELECT_LAST_SEQ).scalar()

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """An iterator over the events after ``gt`` that waits for new ones, of any process, until stopped."""
        return PollingSubscription(self, gt, topics)


class AuthoredTrackingRecorder(_AuthoredRecorder, TrackingRecorder):
    """Keeps how far each upstream application's notifications were processed."""

    def insert_tracking(self, tracking: Tracking) -> None:
        """Move on to the notification. Raises IntegrityError unless it lies after the one kept."""
        with self._store.writing() as connection:
            _advance(connection, tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        """The last notification of the application that was processed; None while there is none."""
        with reading(self._store.engine) as connection:
            return run(connection, _SELECT_TRACKING, application=application_name).scalar()


class AuthoredProcessRecorder(AuthoredTrackingRecorder, AuthoredApplicationRecorder, ProcessRecorder):
    """Keeps events and how far the upstream was processed together, so that neither is there alone."""

    def _insert_events(
        self,
        connection: Connection,
        stored_events: Sequence[StoredEvent],
        *,
        tracking: Tracking | None = None,
        **kwargs: Any,
    ) -> Sequence[int] | None:
        ids = super()._insert_events(connection, stored_events, **kwargs)
        if tracking is not None:
            _advance(connection, tracking)
        return ids


class PollingSubscription(Subscription[ApplicationRecorder]):
    """Asks the recorder again while there is nothing new; any thread may stop it."""

    def __init__(self, recorder: ApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._page: deque[Notification] = deque()
        self._stopping = Event()

    def stop(self) -> None:
        """End the iteration, at once if it waits."""
        super().stop()
        self._stopping.set()

    def __next__(self) -> Notification:
        while not self._page and not self._stopping.is_set():
            self._turn_page()
            if not self._page:
                self._stopping.wait(_POLL_SECONDS)
        if self._stopping.is_set():
            raise StopIteration
        return self._page.popleft()

    def _turn_page(self) -> None:
        self._page.extend(
            self._recorder.select_notifications(
                self._last_notification_id, _PAGE, topics=self._topics, inclusive_of_start=False
            )
        )
        if self._page:
            self._last_notification_id = self._page[-1].id


class _Batch:
    """Events on their way in: looked up by sets, chained in order, written by sets."""

    def __init__(
        self, connection: Connection, store: AuthoredStore, *, events: Sequence[StoredEvent]
    ) -> None:
        last_seq, self._last_stream = run(connection, _FENCE, count=len(events)).one()
        self._seq = last_seq - len(events)
        # Read behind the fence: the writer that waited longest must not note the earliest time.
        self._recorded_at = to_micros(store.clock())
        self._id_type = store.originator_id_type
        subjects = sorted({str(event.originator_id) for event in events})
        rows = run(connection, _SELECT_ENDS, subjects=subjects)
        self._ends = {row[0]: (row[1], StoredHead(row[2], row[3], row[4])) for row in rows.all()}
        self._streams: list[tuple[object, ...]] = []
        self._events: list[tuple[object, ...]] = []
        self._heads: dict[int, StoredHead] = {}

    def add(self, event: StoredEvent) -> int:
        self._check_id(event)
        subject = str(event.originator_id)
        stream, head = self._ends.get(subject) or self._begin(subject, event.originator_version)
        if event.originator_version != head.version + 1:
            raise IntegrityError(
                f"{subject}: expected version {head.version + 1}, found {event.originator_version}"
            )
        new = self._chain(event, stream, head)
        self._heads[stream] = new
        self._ends[subject] = (stream, new)
        return new.seq

    def write(self, connection: Connection) -> None:
        if self._streams:
            run(connection, _SET_LAST_STREAM, last_stream=self._last_stream)
        insert(connection, schema.streams, self._streams)
        insert(connection, schema.events, self._events)
        ends = sorted(self._heads.items())
        upsert(
            connection,
            schema.heads,
            [(_PARTITION, stream, end.version, end.seq, end.hash) for stream, end in ends],
        )

    def _check_id(self, event: StoredEvent) -> None:
        # Reading gives every id the store's type: one of the other type would spoil the log for ever.
        if not isinstance(event.originator_id, self._id_type):
            raise DataError(
                f"originator id {event.originator_id!r}: expected a {self._id_type.__name__},"
                f" found a {type(event.originator_id).__name__}"
            )

    def _begin(self, subject: str, first_version: int) -> tuple[int, StoredHead]:
        self._last_stream += 1
        self._streams.append((_PARTITION, self._last_stream, subject))
        return self._last_stream, StoredHead(first_version - 1, 0, genesis(subject))

    def _chain(self, event: StoredEvent, stream: int, head: StoredHead) -> StoredHead:
        version, kind, body, at = event.originator_version, event.topic, event.state, self._recorded_at
        hash_ = link(
            head.hash,
            version=version,
            kind=kind,
            occurred_at=at,
            recorded_at=at,
            cause=0,
            rulebook="",
            body=body,
        )
        self._seq += 1
        self._events.append(
            (_PARTITION, self._seq, stream, version, head.seq, kind, at, at, 0, 0, hash_, body)
        )
        return StoredHead(version, self._seq, hash_)


def _append(connection: Connection, events: Sequence[StoredEvent], *, store: AuthoredStore) -> list[int]:
    """The sequence numbers that the events got. What it raises must roll the transaction back."""
    if not events:
        return []
    batch = _Batch(connection, store, events=events)
    ids = [batch.add(event) for event in events]
    batch.write(connection)
    return ids


def _advance(connection: Connection, tracking: Tracking) -> None:
    name, number = tracking.application_name, tracking.notification_id
    if run(connection, _ADVANCE_TRACKING, application=name, number=number).one_or_none() is None:
        raise IntegrityError(f"{name}: notification {number} does not lie after the one processed last")
