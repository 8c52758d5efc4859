"""One decision in the making: each event is folded in before the next is thought of."""

from datetime import datetime

from domain.customer import Customer
from domain.events import KIND_OF, Decision, Event, TimersPlanned
from domain.fold import evolve
from journeys.rulebook import Rules


class Turn:
    """What has been decided so far because of ``cause`` (already folded in), at ``now`` (aware UTC)."""

    def __init__(self, customer: Customer, cause: Event, rules: Rules, now: datetime) -> None:
        self.customer = customer
        self.cause = cause
        self.rules = rules
        self.now = now
        self.events: list[Event] = []

    def record(self, body: Decision, *, cause: int = 0) -> int:
        """Append a decision; gives its version, which may be the cause of what follows from it."""
        version = self.customer.version + 1
        event = Event(version, KIND_OF[type(body)], self.now, self.now, cause or self.cause.version, body)
        self.events.append(event)
        self.customer = evolve(self.customer, event)
        return version

    def plan(self, plan: TimersPlanned | None) -> None:
        """Record the plan, if there is one."""
        if plan is not None:
            self.record(plan)
