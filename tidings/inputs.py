"""One input of one customer, and everything that follows from it at once.

Workers record what comes of it, simulations only look at it: both live by the same lines, so that what was
tried is what will happen. Nothing here reads a clock or a store, or sends anything.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from channels.base import Outcome, Outgoing
from domain.customer import Customer
from domain.events import KIND_OF, Body, Event, RulebookAdopted, TimerFired
from domain.fold import evolve
from journeys.engine import adopts, decide, to_judge
from journeys.rulebook import Rules
from tidings import sending
from tidings.sending import Templates


class Input(NamedTuple):
    """What happened to a customer at an instant (aware UTC); ``cause`` as in ``Event``."""

    kind: str
    occurred_at: datetime
    cause: int
    body: Body


class Taken(NamedTuple):
    """The customer afterwards, the events in order, the input first, and the messages that may leave."""

    customer: Customer
    events: list[Event]
    leaving: Sequence[Outgoing]


def fired(customer: Customer, due: tuple[datetime, str]) -> Input:
    """The wake-up that is due: its instant and its name."""
    at, name = due
    cause = customer.timers[name].version
    return Input(KIND_OF[TimerFired], at, cause, TimerFired(timer=name, due_at=at))


def answered(customer: Customer, message: Outgoing, outcome: Outcome, *, at: datetime) -> Input:
    """What the provider said at ``at`` (aware UTC) of a message that was handed over."""
    state = customer.messages[message.id]
    tries = state.postponed.tries if state.postponed else 0
    body = sending.outcome_event(message, outcome, at=at, tries=tries)
    return Input(KIND_OF[type(body)], at, state.sending_version, body)


def adopted(customer: Customer, rules: Rules, *, clock_at: datetime) -> Input | None:
    """That these rules are in force now; None where nothing follows from it."""
    now = max(customer.clock_at, clock_at)
    if not adopts(customer, rules, now=now):
        return None
    return Input(KIND_OF[RulebookAdopted], now, 0, RulebookAdopted(rulebook=rules.digest))


def take(before: Customer, given: Input, *, clock_at: datetime, rules: Rules, templates: Templates) -> Taken:
    """Fold the input in, decide, and judge the messages that are due.

    ``clock_at`` is where the partition's clock stood when the run began (aware UTC).
    """
    now = max(given.occurred_at, before.clock_at, clock_at)
    event = Event(before.version + 1, given.kind, given.occurred_at, now, given.cause, given.body)
    decided = decide(evolve(before, event), event, rules, now)
    customer, events = decided.customer, [event, *decided.events]
    leaving: list[Outgoing] = []
    for message in to_judge(customer, event, decided.events):
        body, rendered = sending.prepare(customer, message, rules, templates)
        cause = customer.messages[message].due_version
        word = Event(customer.version + 1, KIND_OF[type(body)], now, now, cause, body)
        customer = evolve(customer, word)
        events.append(word)
        if rendered is not None:
            leaving.append(sending.outgoing(customer, message, rendered, rules=rules, templates=templates))
    return Taken(customer, events, leaving)
