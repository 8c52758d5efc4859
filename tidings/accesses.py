"""Who looked at whose personal data, and who had the store changed otherwise than by publishing.

Each is an authored object of one event, so that to record it is one short transaction that waits for nobody:
nothing is read first, and two at once are in each other's way only for a moment.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import msgspec
from eventsourcing.domain import Aggregate
from msgspec import Struct, field
from sqlalchemy import Engine

from domain.errors import StoreUnusable
from tidings.authoring import authoring_of

# Of so many customers at once it is told how many they were: a list of all is no longer about anybody.
MOST_NAMED = 1_000
_PAGE = 5_000
_S = TypeVar("_S", bound=Struct)


class Access(Aggregate):
    """One look of a person at personal data."""

    TOPIC = "access/1"

    class Created(Aggregate.Created):
        """Somebody was shown it: ``what`` is the command, ``number`` how many customers it was about."""

        TOPIC = "personal_data.read/1"
        by: str
        reason: str
        what: str
        customers: list[str]
        number: int

    def __init__(self, by: str, reason: str, what: str, customers: list[str], number: int) -> None:
        self.by, self.reason, self.what, self.customers, self.number = by, reason, what, customers, number

    @classmethod
    def create_id(cls) -> UUID:
        """A new one each time."""
        return uuid4()


class Operation(Aggregate):
    """One order of a person that is no publication, such as to remove what was archived."""

    TOPIC = "operation/1"

    class Created(Aggregate.Created):
        """It was ordered; it may have been broken off."""

        TOPIC = "operation.ordered/1"
        by: str
        reason: str
        what: str
        details: dict[str, str]

    def __init__(self, by: str, reason: str, what: str, details: dict[str, str]) -> None:
        self.by, self.reason, self.what, self.details = by, reason, what, details

    @classmethod
    def create_id(cls) -> UUID:
        """A new one each time."""
        return uuid4()


class _Stamp(Struct, frozen=True):
    """An instant as the library writes it."""

    at: datetime = field(name="_data_")


class Read(Struct, frozen=True):
    """A recorded look: ``customers`` is empty where there were more than ``MOST_NAMED``."""

    timestamp: _Stamp
    by: str
    reason: str
    what: str
    customers: list[str]
    number: int

    @property
    def at(self) -> datetime:
        """When, aware UTC."""
        return self.timestamp.at

    def concerns(self, customer: str) -> bool:
        """Whether the customer was among them, or may have been."""
        return customer in self.customers or self.number > len(self.customers)


class Ordered(Struct, frozen=True):
    """A recorded order."""

    timestamp: _Stamp
    by: str
    reason: str
    what: str
    details: dict[str, str]

    @property
    def at(self) -> datetime:
        """When, aware UTC."""
        return self.timestamp.at


def record_read(
    engine: Engine, *, by: str, why: str, what: str, customers: Sequence[str], at: datetime
) -> None:
    """Record that a person is about to be shown personal data of these customers, at ``at`` (aware UTC).

    To be called before anything is shown. ``engine`` may be open for reading only: a connection of its own is
    made. Raises StoreUnusable where it cannot be recorded; then nothing may be shown.
    """
    named = sorted(set(customers))
    given: dict[str, Any] = {"by": by, "reason": why, "what": what, "number": len(named)}
    _record(
        engine,
        Access._create(
            event_class=Access.Created,
            timestamp=at,
            customers=named if len(named) <= MOST_NAMED else [],
            **given,
        ),
    )


def record_operation(
    engine: Engine, *, by: str, why: str, what: str, at: datetime, details: Mapping[str, str] | None = None
) -> None:
    """Record, before it begins, that a person orders a change of the store at ``at`` (aware UTC)."""
    given: dict[str, Any] = {"by": by, "reason": why, "what": what, "details": dict(details or {})}
    _record(engine, Operation._create(event_class=Operation.Created, timestamp=at, **given))


def reads(engine: Engine) -> Iterator[Read]:
    """Every recorded look at personal data, the oldest first."""
    return _recorded(engine, Access.Created.TOPIC, Read)


def operations(engine: Engine) -> Iterator[Ordered]:
    """Every recorded order, the oldest first."""
    return _recorded(engine, Operation.Created.TOPIC, Ordered)


def _record(engine: Engine, noted: Aggregate) -> None:
    try:
        with authoring_of(engine) as authoring:
            authoring.save(noted)
    except StoreUnusable as error:
        reason = error.values.get("reason") or error.code.rpartition(".")[2].replace("_", " ")
        values = {"store": error.values.get("store", ""), "reason": reason}
        raise StoreUnusable("access.unrecorded", **values) from error


def _recorded(engine: Engine, topic: str, shape: type[_S]) -> Iterator[_S]:
    """What was recorded, decoded without the library, which takes ten times as long."""
    decoder = msgspec.json.Decoder(shape)
    with authoring_of(engine) as authoring:
        start: int | None = 1
        while start is not None:
            found = authoring.recorder.select_notifications(start, _PAGE, topics=[topic])
            yield from (decoder.decode(notification.state) for notification in found)
            start = found[-1].id + 1 if found else None
