"""The fold: what each event makes of a customer's state.

``evolve`` is pure and total: every event that can be stored is folded, in the order of its version.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache

from msgspec.structs import replace

from domain import events
from domain.clock import day_number
from domain.customer import Customer
from domain.events import Event, type_of
from domain.fold_decisions import OF_DECISIONS
from domain.fold_facts import OF_FACTS
from domain.fold_messages import OF_MESSAGES
from domain.goal import still_open
from domain.tally import one_more

# Names what ``evolve`` makes of a history: raised with every change of its meaning, so that snapshots that an
# earlier version left behind are not taken for a customer's state.
FOLD = 4
_FOLDS = OF_DECISIONS | OF_MESSAGES | OF_FACTS


def evolve(customer: Customer, event: Event) -> Customer:
    """The customer after the event, whose version must be the next one."""
    fold = _FOLDS.get(type(event.body))
    moved = customer if fold is None else fold(customer, event.body, event)
    clock_at = customer.clock_at if customer.clock_at > event.recorded_at else event.recorded_at
    if event.cause or type(event.body) is events.RulebookAdopted:
        watches = still_open(moved.watches, clock_at) if moved.watches else moved.watches
        return replace(moved, version=event.version, clock_at=clock_at, watches=watches)
    return heard(moved, event.kind, occurred_at=event.occurred_at, clock_at=clock_at)


def heard(customer: Customer, kind: str, *, occurred_at: datetime, clock_at: datetime) -> Customer:
    """The customer one version later, who knows when facts of this kind happened and no more of this one."""
    last_at = customer.last_at
    known = last_at.get(kind)
    if known is None or known < occurred_at:
        last_at = {**last_at, kind: occurred_at}
    watches = still_open(customer.watches, clock_at) if customer.watches else customer.watches
    days = customer.fact_days
    return replace(
        customer,
        version=customer.version + 1,
        clock_at=clock_at,
        last_at=last_at,
        watches=watches,
        fact_days={**days, kind: one_more(days.get(kind), day_number(occurred_at, customer.zone))},
    )


@cache
def is_only_heard(kind: str) -> bool:
    """Whether a fact of this kind changes nothing but when such facts happened: its body need not be read."""
    return type_of(kind) not in _FOLDS


def folded(customer: Customer, history: Iterable[Event]) -> Customer:
    """The customer after these events, which follow the version that they are at."""
    for event in history:
        customer = evolve(customer, event)
    return customer
