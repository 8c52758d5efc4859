"""Legal holds: of a customer under one nothing goes, by retention or erasure, until it is lifted."""

from datetime import datetime

from eventsourcing.persistence import IntegrityError
from msgspec import Struct
from sqlalchemy import Engine

from domain.errors import InputRefused, NotFound
from stores.history import StoredHistory
from stores.redaction import wait_for_removals
from tidings.personal_orders import LegalHold, PersonalOrders


class Hold(Struct, frozen=True):
    """A hold that is in place: on whom, since when (aware UTC), who placed it and why."""

    customer: str
    since: datetime
    by: str
    reason: str


def place(engine: Engine, customer: str, *, by: str, reason: str, at: datetime) -> None:
    """Hold everything of a customer from now on; when this comes back, nothing more is removed.

    Raises NotFound for an unknown customer, InputRefused where there is a hold already.
    """
    history = StoredHistory(engine)
    if history.find(customer) is None:
        near = history.similar_subjects(customer)
        raise NotFound("customer.unknown", customer=customer, near=near)
    with PersonalOrders(engine) as orders:
        hold = orders.found(LegalHold, LegalHold.create_id(customer)) or LegalHold.begin(customer, at=at)
        _refuse_twice(hold)
        hold.trigger_event(LegalHold.Placed, by=by, reason=reason, timestamp=at)
        try:
            orders.save(hold)
        except IntegrityError:
            # Somebody else was first.
            raise InputRefused("hold.at_once", customer=customer) from None
    wait_for_removals(engine)


def lift(engine: Engine, customer: str, *, by: str, reason: str, at: datetime) -> None:
    """Lift the hold on a customer. Raises InputRefused where there is none."""
    with PersonalOrders(engine) as orders:
        hold = orders.found(LegalHold, LegalHold.create_id(customer))
        if hold is None or hold.placed is None:
            raise InputRefused("hold.none", customer=customer)
        hold.trigger_event(LegalHold.Lifted, by=by, reason=reason, timestamp=at)
        try:
            orders.save(hold)
        except IntegrityError:
            raise InputRefused("hold.at_once", customer=customer) from None


def is_held(engine: Engine, customer: str) -> bool:
    """Whether a customer's data must be kept now. Retention asks this, and so must every erasure."""
    with PersonalOrders(engine) as orders:
        hold = orders.found(LegalHold, LegalHold.create_id(customer))
    return hold is not None and hold.placed is not None


def holds(engine: Engine) -> list[Hold]:
    """Every hold that is in place, the oldest first."""
    with PersonalOrders(engine) as orders:
        customers, placed = {}, {}
        for event in orders.recorded(LegalHold.Created, LegalHold.Placed, LegalHold.Lifted):
            match event:
                case LegalHold.Created():
                    customers[event.originator_id] = event.customer
                case LegalHold.Placed():
                    placed[event.originator_id] = (event.timestamp, event.by, event.reason)
                case _:
                    placed.pop(event.originator_id, None)
    return [Hold(customers[ident], *told) for ident, told in placed.items()]


def _refuse_twice(hold: LegalHold) -> None:
    if hold.placed is not None:
        since, by, _ = hold.placed
        raise InputRefused("hold.placed", customer=hold.customer, by=by, since=f"{since:%Y-%m-%d %H:%MZ}")
