"""Why a condition did not hold: the parts that decided it, each with the value that it saw."""

from collections.abc import Mapping
from itertools import islice

from msgspec import Struct

from domain.assets import assets_by_month
from domain.clock import day_number, local_day
from domain.consent import latest_word
from domain.customer import Customer
from domain.events import Value, Values
from domain.tally import count_since
from journeys.conditions import counts, holds, measured
from journeys.definition import (
    All,
    Any,
    AssetsFell,
    AssetsGrew,
    CareHeld,
    Condition,
    Consented,
    Entered,
    EntryValue,
    FactCount,
    MessageCount,
    Not,
    Profile,
    StepOutcomeIs,
)

_NO_OUTCOMES: Mapping[str, str] = {}


class Leaf(Struct, frozen=True):
    """A condition without parts that was not as it should have been.

    ``wanted`` says whether it had to be true; it was the opposite. ``seen`` is what it looked at, None for
    what is not known, under a ``name`` of its own.
    """

    condition: Condition
    wanted: bool
    name: str
    seen: Value


class Asked(Struct, frozen=True):
    """Of whom and of what a condition is asked: the customer, the entry values and the steps' outcomes."""

    customer: Customer
    entry: Values
    outcomes: Mapping[str, str] = _NO_OUTCOMES

    def holds(self, condition: Condition) -> bool:
        """Whether the condition is true, as the engine says."""
        return holds(condition, self.customer, entry=self.entry, outcomes=self.outcomes)


def unmet(condition: Condition, asked: Asked, *, wanted: bool = True) -> list[Leaf]:
    """The leaves because of which the condition was not what was ``wanted``; [] where it was."""
    if asked.holds(condition) == wanted:
        return []
    match condition:
        case Not(of=part):
            return unmet(part, asked, wanted=not wanted)
        case All(of=parts) | Any(of=parts):
            # Parts that are as wanted give none.
            return [leaf for part in parts for leaf in unmet(part, asked, wanted=wanted)]
        case _:
            name, value = _seen(condition, asked)
            return [Leaf(condition, wanted, name, value)]


def _seen(leaf: Condition, asked: Asked) -> tuple[str, Value]:
    """What the leaf looked at, and what it saw there."""
    customer = asked.customer
    match leaf:
        case EntryValue(name=name):
            return name, asked.entry.get(name)
        case Profile(name=name):
            return name, customer.profile.get(name)
        case StepOutcomeIs(step=step):
            return step, asked.outcomes.get(step)
        case AssetsGrew(months=months) | AssetsFell(months=months):
            ends = list(islice(assets_by_month(customer.balances), months + 1))
            told = [f"{month // 12}-{month % 12 + 1:02}: {amount:f}" for month, amount in ends]
            return "assets", ", ".join(reversed(told)) or None
        case Consented(purpose=purpose, channel=channel, topic=topic):
            word = latest_word(customer.consents, purpose=purpose, channel=channel, topic=topic)
            said = None if word is None else f"{'yes' if word.granted else 'no'} (event {word.version})"
            return "consent", said
        case Entered(journey=journey):
            last = customer.entered.get(journey)
            return journey, None if last is None else local_day(last.at, customer.zone).isoformat()
        case CareHeld():
            return "care_holds", ", ".join(customer.care_holds) or None
        case FactCount(fact=fact, in_days=days):
            tally = customer.fact_days.get(fact)
            return fact, count_since(tally, day_number(customer.clock_at, customer.zone) - days + 1)
        case MessageCount(in_days=days):
            first = day_number(customer.clock_at, customer.zone) - days + 1
            tallies = [tally for name, tally in customer.message_days.items() if counts(leaf, name)]
            return "messages", sum(count_since(tally, first) for tally in tallies)
        case _:
            return measured(leaf, customer)
