"""How far a fact reaches, as its kind tells: most facts lead to no decision, and must cost next to none."""

from datetime import datetime

from domain import catalogue as facts
from domain import events
from domain.customer import Customer
from domain.events import Event
from domain.fold import is_only_heard
from journeys.rulebook import Rules

PERSON_FACTS = (facts.CustomerRegistered, facts.CustomerChanged)
HOLDING_FACTS = (facts.HoldingOpened, facts.HoldingChanged, facts.HoldingClosed)
LEAVING_FACTS = (facts.CustomerMerged, facts.CustomerErased)
_FAR_REACHING = frozenset(
    {events.TimerFired, events.RulebookAdopted, *PERSON_FACTS, *HOLDING_FACTS, *LEAVING_FACTS}
)
_NO_TIMERS: frozenset[str] = frozenset()


def nothing_follows(customer: Customer, cause: Event, rules: Rules) -> bool:
    """Whether the kind of the cause tells at once that there is nothing to decide, as it mostly does."""
    if type(cause.body) in _FAR_REACHING:
        return False
    return bool(cause.cause) or (
        cause.kind not in rules.segments.heard and _leads_nowhere(customer, cause.kind, rules)
    )


def passes_by(customer: Customer, kind: str, rules: Rules, now: datetime) -> bool:
    """Whether nothing follows at ``now`` from a fact of this kind, and ``heard`` is all that it changes.

    A worker then need not read the fact's body. ``customer`` is as before the fact.
    """
    return (
        is_only_heard(kind)
        and _leads_nowhere(customer, kind, rules)
        and (kind not in rules.segments.calm or _leaves_classes(customer, kind, rules, now))
    )


def _leaves_classes(customer: Customer, kind: str, rules: Rules, now: datetime) -> bool:
    """Whether the last such fact is so young that one more changes no class; the first one may.

    Wake-ups stay where they are: an early one looks again when it fires. What is due now is to be looked at.
    """
    last_at, segments = customer.last_at.get(kind), rules.segments
    if last_at is None or now - last_at > segments.calm[kind]:
        return False
    for timer in segments.timers_of[kind]:
        pending = customer.timers.get(timer)
        if pending is not None and pending.due_at <= now:
            return False
    return True


def _leads_nowhere(customer: Customer, kind: str, rules: Rules) -> bool:
    if kind in rules.fact_entries or (customer.enrolments and kind in rules.inside_facts):
        return False
    if customer.watches and kind in rules.goal_facts:
        return False
    return rules.silence_timers.get(kind, _NO_TIMERS) <= customer.timers.keys()
