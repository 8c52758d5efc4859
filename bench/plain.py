"""A plain use of the `eventsourcing` library: an aggregate for each customer, an event for each fact.

It keeps the facts and decides nothing. What helps it is switched on: its cache holds every aggregate, nothing
is copied out of it or read again, and facts come encoded. Its recorder is its own, with its own settings.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from sqlalchemy import make_url

from bench.place import Place
from bench.stopwatch import Spent, Stopwatch
from domain.catalogue import Envelope
from domain.codec import encode_body
from tidings.process import BATCH


class Customer(Aggregate):
    """Counts what was told of one customer."""

    @event("Registered")
    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.facts = 0

    @event("Told")
    def tell(self, kind: str, body: str) -> None:
        self.facts += 1


class Plain(NamedTuple):
    """What keeping the facts took, saved one by one and saved by batches."""

    facts: int
    one_by_one: Spent
    in_batches: Spent


def keep(place: Place, facts: Sequence[Envelope]) -> Plain:
    """Keep the facts twice, each time in a database of its own."""
    return Plain(
        len(facts),
        _keep(place.empty("plain"), facts, at_once=1),
        _keep(place.empty("plain-batches"), facts, at_once=BATCH),
    )


def _keep(url: str, facts: Sequence[Envelope], *, at_once: int) -> Spent:
    application = Application[UUID](_environment(url))
    encoded = [(fact.subject, fact.kind, encode_body(fact.fact).decode()) for fact in facts]
    ids: dict[str, UUID] = {}
    watch = Stopwatch()
    with watch:
        for start in range(0, len(encoded), at_once):
            changed: dict[str, Customer] = {}
            for subject, kind, body in encoded[start : start + at_once]:
                customer = changed.get(subject)
                if customer is None:
                    customer = changed[subject] = _customer(application, ids, subject)
                customer.tell(kind, body)
            application.save(*changed.values())
    application.close()
    return watch.spent


def _customer(application: Application[UUID], ids: dict[str, UUID], subject: str) -> Customer:
    if subject in ids:
        return application.repository.get(ids[subject])
    customer = Customer(subject)
    ids[subject] = customer.id
    return customer


def _environment(url: str) -> dict[str, str]:
    parsed = make_url(url)
    helped = {
        "AGGREGATE_CACHE_MAXSIZE": "1000000",
        "AGGREGATE_CACHE_FASTFORWARD": "n",
        "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
    }
    if parsed.drivername == "sqlite":
        return {
            **helped,
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(parsed.database),
        }
    return {
        **helped,
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parsed.database),
        "POSTGRES_HOST": str(parsed.query.get("host") or parsed.host or "localhost"),
        "POSTGRES_PORT": str(parsed.query.get("port") or parsed.port or 5432),
        "POSTGRES_USER": parsed.username or "",
        "POSTGRES_PASSWORD": parsed.password or "",
    }
