"""A customer as they were known at an instant, or as they were by then: the history folded anew.

No snapshot is used: the store keeps the newest only, which says nothing of an earlier instant, and the events
are told anyhow. Folding is the smallest part of what a replay costs.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from domain.catalogue import Fact
from domain.clock import to_micros
from domain.codec import restored
from domain.customer import Customer
from domain.errors import InputRefused, NotFound
from domain.events import Event, Withheld
from domain.fold import evolve, folded
from domain.ports import History, StoredEvent

# By what was recorded until an instant, or by what had happened until then, whenever it was told.
By = Literal["recorded", "business"]
BY: tuple[str, ...] = get_args(By)


class Replayed(Struct, frozen=True):
    """The customer's history as of an instant and the state that it makes.

    ``stored`` are the same events as they lie in the store, in the same order. ``partition`` is where they
    lie, ``last_version`` with which version the whole history ends.
    """

    subject: str
    history: list[Event]
    customer: Customer
    stored: list[StoredEvent]
    partition: int
    last_version: int


def replay(
    history: History,
    subject: str,
    *,
    as_of: datetime | None = None,
    by: By = "recorded",
    version: int | None = None,
) -> Replayed:
    """The customer as of ``as_of`` (aware UTC; None means now), or right after the event ``version``.

    By recorded time it is what was known then: every event recorded by then. By business time there are
    besides all facts that had happened by then and were told later, taken as told at ``as_of``. Decisions
    stay those that had been made by then: what was told late neither undoes one nor makes one.

    Raises NotFound for an unknown customer, InputRefused for a version that the history does not have,
    StoreCorrupt for an event that cannot be read.
    """
    found = history.find(subject)
    if found is None:
        raise NotFound("customer.unknown", customer=subject)
    partition, stream = found
    stored = history.history(partition, stream)
    last = stored[-1].version if stored else 0
    if version is not None:
        if not 0 < version <= last:
            raise InputRefused("replayed.no_version", customer=subject, version=version, last=last)
        known = stored[:version]
    elif as_of is None:
        known = stored
    else:
        known = _recorded_by(stored, as_of)
    events = [restored(event) for event in known]
    customer = folded(Customer(subject), events)
    if by == "business" and as_of is not None and version is None:
        late = list(_told_later(stored[len(known) :], as_of))
        known = [*known, *(event for event, _ in late)]
        events += [event for _, event in late]
        customer = _with_late(customer, [event for _, event in late], as_of)
    return Replayed(subject, events, customer, known, partition, last)


def _recorded_by(stored: Sequence[StoredEvent], as_of: datetime) -> list[StoredEvent]:
    """Recorded time never goes back within a history, so what was known is a beginning of it."""
    until = to_micros(as_of)
    return list(takewhile(lambda event: event.recorded_at <= until, stored))


def _told_later(stored: Sequence[StoredEvent], as_of: datetime) -> Iterator[tuple[StoredEvent, Event]]:
    """The facts among these that had happened by then."""
    for kept in stored:
        event = restored(kept)
        if isinstance(event.body, Fact | Withheld) and event.cause == 0 and event.occurred_at <= as_of:
            yield kept, event


def _with_late(customer: Customer, late: Sequence[Event], as_of: datetime) -> Customer:
    """The customer with facts that were told later, as if they had been told at ``as_of``."""
    for event in late:
        customer = replace(evolve(customer, replace(event, recorded_at=as_of)), version=event.version)
    return customer
