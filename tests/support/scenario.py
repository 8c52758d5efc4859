"""Given-when-then for journeys: facts and time go in, exactly what was decided comes out. No store."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from domain.catalogue import FACTS, CustomFact, Envelope, Fact, rank_of
from domain.customer import Customer
from domain.events import (
    KIND_OF,
    Body,
    Event,
    MessageAccepted,
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    RulebookAdopted,
    TaskCreated,
    TimerFired,
)
from domain.fold import evolve
from journeys.engine import adopts, decide, to_judge
from journeys.rulebook import Rulebook, Rules
from tidings.documents import mark_of, shipped
from tidings.sending import prepare

_KINDS = {struct: kind for kind, struct in FACTS.items()}
_SHIPPED = shipped()
TEMPLATES = {(template.template, template.version): template for template in _SHIPPED.templates}
SHIPPED_RULEBOOK = Rulebook(
    journeys=tuple(_SHIPPED.journeys),
    templates=tuple(mark_of(template) for template in _SHIPPED.templates),
    policy=_SHIPPED.policy,
    calendars=_SHIPPED.calendars,
)
SHIPPED_RULES = Rules(SHIPPED_RULEBOOK)


B = TypeVar("B", bound=Struct)


def _kind_of(fact: Fact) -> str:
    """The name of a fact; one of the bank's own has it as its source here."""
    return fact.source if isinstance(fact, CustomFact) else _KINDS[type(fact)]


class Sent(Struct, frozen=True):
    """A message that was handed over, as a test tells it."""

    template: str
    channel: str
    at: datetime


class NotSent(Struct, frozen=True):
    """A message that the policy suppressed."""

    template: str
    rule: str
    at: datetime


class Scenario:
    """One customer's life under a rulebook, from nothing."""

    def __init__(self, *journeys: str, rules: Rules = SHIPPED_RULES, subject: str = "c-1") -> None:
        chosen = tuple(j for j in rules.rulebook.journeys if not journeys or j.journey in journeys)
        self.rules = Rules(replace(rules.rulebook, journeys=chosen))
        self.customer = Customer(subject)
        self.history: list[Event] = []

    def given(self, *told: tuple[datetime, Fact]) -> "Scenario":
        """These facts happen, each at its instant, with every wake-up that is due before it."""
        for at, fact in sorted(told, key=lambda item: (item[0], rank_of(_kind_of(item[1])))):
            self._wake_until(at, including=False)
            self._take(_kind_of(fact), at, cause=0, body=fact)
        return self

    def tell_late(self, at: datetime, fact: Fact, *, now: datetime) -> "Scenario":
        """A fact of the past comes in when it is already ``now``."""
        self._wake_until(now, including=True)
        self.customer = replace(self.customer, clock_at=max(now, self.customer.clock_at))
        self._take(_kind_of(fact), at, cause=0, body=fact)
        return self

    def until(self, at: datetime) -> "Scenario":
        """Time passes up to and including this instant."""
        self._wake_until(at, including=True)
        return self

    def adopts(self, rules: Rules) -> "Scenario":
        """Other rules come to the customer, at the instant at which their clock stands."""
        self.rules = rules
        now = self.customer.clock_at
        if adopts(self.customer, rules, now=now):
            self._take("rulebook.adopted/1", now, cause=0, body=RulebookAdopted(rulebook=rules.digest))
        return self

    def bodies(self, kind: type[B]) -> list[B]:
        """What was recorded of this kind."""
        return [event.body for event in self.history if isinstance(event.body, kind)]

    def messages(self) -> list[Sent | NotSent]:
        """Every message that was asked for, in order."""
        asked = {e.body.message: e.body for e in self.history if isinstance(e.body, MessageRequested)}
        told: list[Sent | NotSent] = []
        for event in self.history:
            match event.body:
                case MessageSending(message=message, channel=channel):
                    told.append(Sent(asked[message].template, channel, event.recorded_at))
                case MessageSuppressed(message=message, rule=rule):
                    told.append(NotSent(asked[message].template, rule, event.recorded_at))
                case _:
                    pass
        return told

    def tasks(self) -> list[tuple[str, datetime]]:
        """Every task, by role and instant."""
        return [(e.body.role, e.recorded_at) for e in self.history if isinstance(e.body, TaskCreated)]

    def _wake_until(self, at: datetime, *, including: bool) -> None:
        while (due := self.customer.next_timer) and (due[0] < at or (including and due[0] == at)):
            cause = self.customer.timers[due[1]].version
            body = TimerFired(timer=due[1], due_at=due[0])
            self._take("timer.fired/1", due[0], cause=cause, body=body)

    def _take(self, kind: str, occurred_at: datetime, *, cause: int, body: Body) -> None:
        now = max(occurred_at, self.customer.clock_at)
        event = Event(self.customer.version + 1, kind, occurred_at, now, cause, body)
        self.history.append(event)
        decided = decide(evolve(self.customer, event), event, self.rules, now)
        self.history.extend(decided.events)
        self.customer = decided.customer
        self._hand_over(to_judge(self.customer, event, decided.events), now)

    def _hand_over(self, due: Sequence[str], now: datetime) -> None:
        """What the worker does: judge every message that is due first, then record the provider's answers."""
        intents = [
            self._record(
                prepare(self.customer, message, self.rules, TEMPLATES)[0],
                now,
                self.customer.messages[message].due_version,
            )
            for message in due
        ]
        for intent in intents:
            if isinstance(intent.body, MessageSending):
                answer = MessageAccepted(message=intent.body.message, provider_id=intent.body.message)
                self._record(answer, now, intent.version)

    def _record(self, body: Body, now: datetime, cause: int) -> Event:
        version = self.customer.version + 1
        event = Event(version, KIND_OF[type(body)], now, now, cause, body)
        self.history.append(event)
        self.customer = evolve(self.customer, event)
        return event


def envelope(subject: str, at: datetime, fact: Fact) -> Envelope:
    """A fact under its literal name."""
    return Envelope(_kind_of(fact), subject, at, fact)
