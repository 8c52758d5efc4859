"""Calls of endpoints that journeys asked for and that have not been answered, by when they are due."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine

from domain.clock import from_micros, to_micros
from domain.codec import encode_body
from domain.events import EnrolmentWaiting, Event, WebhookCalled
from stores.database import customer_partitions, reading, writing
from stores.dialect import delete, rows, run, update
from stores.schema import calls
from stores.vault import Key, sealed, vault_of

# Who has claimed a call and does not come back leaves it to the next one after so long.
_CLAIMED_FOR = timedelta(minutes=2)
_CALLED = "webhook.called/1"

_CLAIM = """
UPDATE calls SET due_at = :held WHERE partition {among partitions} AND due_at <= :now AND call IN (
    SELECT call FROM calls WHERE partition {among partitions} AND due_at <= :now ORDER BY due_at LIMIT :limit
) RETURNING partition, call, stream, endpoint, body, tries, made_at, expires_at
"""
_SELECT_SUBJECTS = (
    "SELECT stream, subject FROM streams WHERE partition = :partition AND stream {among streams}"
)
_SELECT_CUSTOMER = """
SELECT s.subject FROM calls c JOIN streams s ON s.partition = c.partition AND s.stream = c.stream
WHERE c.partition {among partitions} AND c.call = :call AND c.endpoint = :endpoint
"""


class Call(Struct, frozen=True):
    """One call to be made: ``body`` is the stored form of the event that asked for it.

    ``tries`` came to nothing before; nobody waits for its answer after ``expires_at`` (aware UTC).
    """

    partition: int
    call: str
    customer: str
    endpoint: str
    body: bytes
    tries: int
    made_at: datetime
    expires_at: datetime


class Calls:
    """The calls of one store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._vault = vault_of(engine)
        with reading(engine) as connection:
            self._partitions = customer_partitions(connection)

    def claim(self, *, now: datetime, limit: int) -> list[Call]:
        """Up to so many calls that are due by ``now`` (aware UTC); nobody else is given them for a while."""
        with writing(self._engine) as connection:
            found = list(
                run(
                    connection,
                    _CLAIM,
                    partitions=self._partitions,
                    now=to_micros(now),
                    held=to_micros(now + _CLAIMED_FOR),
                    limit=limit,
                )
            )
            subjects: dict[tuple[int, int], str] = {}
            for partition in {row[0] for row in found}:
                streams = sorted({row[2] for row in found if row[0] == partition})
                named = rows(connection, _SELECT_SUBJECTS, partition=partition, streams=streams)
                subjects |= {(partition, stream): subject for stream, subject in named}
        clear = self._clear(found)
        return [
            Call(
                partition,
                call,
                subjects[partition, stream],
                endpoint,
                clear.get((partition, call), body),
                tries,
                from_micros(made_at),
                from_micros(expires_at),
            )
            for partition, call, stream, endpoint, body, tries, made_at, expires_at in found
        ]

    def _clear(self, found: Sequence[Sequence[Any]]) -> dict[tuple[int, str], bytes]:
        opened: dict[tuple[int, str], bytes] = {}
        for partition in {row[0] for row in found}:
            theirs = [row for row in found if row[0] == partition]
            bodies = self._vault.opened(partition, ((row[2], _CALLED, row[4]) for row in theirs))
            opened |= {(partition, row[1]): b for row, b in zip(theirs, bodies, strict=True) if b}
        return opened

    def customer_of(self, call: str, *, endpoint: str) -> str | None:
        """For whom this call of the endpoint is, as long as its answer is waited for; None for any other."""
        with reading(self._engine) as connection:
            wanted = {"partitions": self._partitions, "call": call, "endpoint": endpoint}
            return run(connection, _SELECT_CUSTOMER, **wanted).scalar_one_or_none()

    def put_off(self, waiting: Sequence[tuple[Call, datetime]]) -> None:
        """Make these calls again at their instants (aware UTC)."""
        changes = [(call.partition, call.call, to_micros(at), call.tries + 1) for call, at in waiting]
        with writing(self._engine) as connection:
            for partition in self._partitions:
                there = [change for change in changes if change[0] == partition]
                update(connection, calls, ("due_at", "tries"), there)

    def end(self, ended: Sequence[Call]) -> None:
        """These calls have been answered, or nobody waits for them any more."""
        with writing(self._engine) as connection:
            for partition in self._partitions:
                there = [(partition, call.call) for call in ended if call.partition == partition]
                delete(connection, calls, there)


def rows_of(
    events: Sequence[Event], stream: int, endpoints: Collection[str], *, key: Key | None
) -> list[tuple[object, ...]]:
    """The rows of the calls that these events ask for, without their partition; ``key`` is the customer's."""
    until = {
        event.body.work: event.body.until for event in events if isinstance(event.body, EnrolmentWaiting)
    }
    return [
        (
            event.body.call,
            stream,
            event.body.endpoint,
            sealed(key, _CALLED, encode_body(event.body)),
            0,
            to_micros(event.recorded_at),
            to_micros(event.recorded_at),
            to_micros(until[event.body.call]),
        )
        for event in events
        if isinstance(event.body, WebhookCalled) and event.body.endpoint in endpoints
    ]
