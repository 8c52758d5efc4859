"""One decision in the making: each event is folded in before the next is thought of."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from msgspec import Struct

from domain.catalogue import CustomFact, Fact
from domain.customer import Customer
from domain.events import KIND_OF, Decision, Event, TimersPlanned, Value, Values
from domain.fold import evolve
from journeys.rulebook import Rules


class Told(Struct, frozen=True):
    """A fact to be acted on: one that came in, or one that a journey has told. ``version`` is its event's."""

    kind: str
    fact: Fact
    occurred_at: datetime
    version: int
    depth: int = 0


class Call(Struct, frozen=True):
    """A journey to be entered because another one asks for it; ``version`` is the asking event's."""

    journey: str
    key: str
    entry: Values
    version: int
    depth: int


class Turn:
    """What has been decided so far because of ``cause`` (already folded in), at ``now`` (aware UTC).

    ``ahead`` is what the steps taken have set going, to be acted on after them, the first one first.
    """

    def __init__(self, customer: Customer, cause: Event, rules: Rules, now: datetime) -> None:
        self.customer = customer
        self.rules = rules
        self.now = now
        self.because = cause.version
        self.events: list[Event] = []
        self.ahead: list[Told | Call] = []
        # When what is decided now would have been, had the journey not been paused.
        self.due_at: datetime | None = None

    def record(self, body: Decision, *, cause: int = 0) -> int:
        """Append a decision; gives its version, which may be the cause of what follows from it."""
        version = self.customer.version + 1
        event = Event(version, KIND_OF[type(body)], self.now, self.now, cause or self.because, body)
        self.events.append(event)
        self.customer = evolve(self.customer, event)
        return version

    def plan(self, plan: TimersPlanned | None) -> None:
        """Record the plan, if there is one."""
        if plan is not None:
            self.record(plan)


def values_of(fact: Fact, names: Iterable[str]) -> Values:
    """These fields of a fact as entry values: amounts and days as texts, None where it says nothing."""
    data = fact.data if isinstance(fact, CustomFact) else None
    return {name: _value(data.get(name) if data is not None else getattr(fact, name, None)) for name in names}


def _value(value: object) -> Value:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool) else None
