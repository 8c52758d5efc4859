"""How far a fact reaches, as its kind tells: most facts lead to no decision, and must cost next to none."""

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
    return bool(cause.cause) or _leads_nowhere(customer, cause.kind, rules)


def passes_by(customer: Customer, kind: str, rules: Rules) -> bool:
    """Whether nothing follows from a fact of this kind, and ``heard`` is all that it changes.

    A worker then need not read the fact's body. ``customer`` is as before the fact.
    """
    return is_only_heard(kind) and _leads_nowhere(customer, kind, rules)


def _leads_nowhere(customer: Customer, kind: str, rules: Rules) -> bool:
    if kind in rules.fact_entries or (customer.enrolments and kind in rules.inside_facts):
        return False
    if customer.watches and kind in rules.goal_facts:
        return False
    return rules.silence_timers.get(kind, _NO_TIMERS) <= customer.timers.keys()
