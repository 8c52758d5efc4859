"""Customers, made up or of a store, lived through with one journey looked at."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from msgspec import Struct

from domain.catalogue import Envelope
from domain.customer import Customer
from domain.events import Event
from tidings.synthetic import synthetic_bank
from tidings.trying.book import Book
from tidings.trying.life import Life
from tidings.trying.passages import Watch


class Subject(Struct, frozen=True):
    """A customer as the simulation finds them, with the facts that are to come.

    ``clock_at`` is where their clock stands (aware UTC). ``adopts``: they have lived under other rules.
    """

    customer: Customer
    clock_at: datetime
    facts: Sequence[Envelope] = ()
    adopts: bool = False


class Traced(Struct, frozen=True):
    """One customer's events from the beginning of the simulation."""

    customer: str
    events: list[Event]


def made_up(*, customers: int, days: int, start: date, seed: int) -> Iterator[Subject]:
    """The synthetic bank's customers, of whom nothing is known but the facts to come."""
    clock_at = datetime.combine(start, time(0), UTC)
    bank = synthetic_bank(customers=customers, days=days, start=start, seed=seed)
    for subject, facts in groupby(bank, key=lambda fact: fact.subject):
        yield Subject(Customer(subject), clock_at, tuple(facts))


def lived(subject: Subject, book: Book, watch: Watch, *, until: datetime) -> Customer:
    """The customer at ``until`` (aware UTC); the watch counts what happened on the way."""
    watch.begin()
    life = Life(subject.customer, book, clock_at=subject.clock_at, note=watch.note)
    _live(life, subject, until)
    watch.end(life.customer)
    return life.customer


def traced(subject: Subject, book: Book, *, until: datetime) -> Traced:
    """Everything that happens to the customer up to ``until`` (aware UTC)."""
    events: list[Event] = []
    life = Life(
        subject.customer,
        book,
        clock_at=subject.clock_at,
        note=lambda _, told: events.extend(told),
        whole=True,
    )
    _live(life, subject, until)
    return Traced(subject.customer.subject, events)


def _live(life: Life, subject: Subject, until: datetime) -> None:
    life.settle()
    if subject.adopts:
        life.adopt()
    life.live(subject.facts, until=until)


def end_of(start: date, days: int) -> datetime:
    """The instant (UTC) at which so many days from the first are over."""
    return datetime.combine(start, time(0), UTC) + timedelta(days=days)
