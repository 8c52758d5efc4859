"""A customer as they were known at an instant: the history up to then, folded anew."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from domain.codec import restored
from domain.customer import Customer
from domain.errors import NotFound
from domain.events import Event
from domain.fold import folded
from domain.ports import History


class Replayed(Struct, frozen=True):
    """The customer's history as of an instant and the state that it makes."""

    subject: str
    history: list[Event]
    customer: Customer


def replay(history: History, subject: str, *, as_of: datetime | None = None) -> Replayed:
    """What was known of a customer at ``as_of`` (aware UTC; None means now), by recorded time.

    Raises NotFound for an unknown customer, StoreCorrupt for an event that cannot be read.
    """
    found = history.find(subject)
    if found is None:
        raise NotFound("customer.unknown", customer=subject)
    events = _until((restored(stored) for stored in history.history(*found)), as_of)
    return Replayed(subject, events, folded(Customer(subject), events))


def _until(events: Iterable[Event], as_of: datetime | None) -> list[Event]:
    """Recorded time never goes back within a history, so what was known is a beginning of it."""
    known: list[Event] = []
    for event in events:
        if as_of is not None and event.recorded_at > as_of:
            break
        known.append(event)
    return known
