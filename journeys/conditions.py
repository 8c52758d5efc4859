"""Conditions as Python predicates: the same tree that compliance reads decides here.

The moment is the customer's own clock. What is not known makes a condition false, as its type says; only
``not`` makes it true.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import islice, pairwise
from typing import assert_never

from msgspec.structs import astuple

from domain.assets import assets_by_month, latest_assets, outgrew, undercut
from domain.clock import day_number, full_years, local_day
from domain.consent import latest_word
from domain.customer import Customer
from domain.events import Value, Values
from domain.tally import Tally, count_since
from journeys.definition import (
    TEXT_ATTRIBUTES,
    All,
    Any,
    Assets,
    AssetsFell,
    AssetsGrew,
    Attribute,
    CareHeld,
    Condition,
    Consented,
    DaysSince,
    Entered,
    EntryValue,
    FactCount,
    Holds,
    InSegment,
    MessageCount,
    Not,
    Profile,
    StepOutcomeIs,
)

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_NO_OUTCOMES: Mapping[str, str] = {}


def holds(
    condition: Condition,
    customer: Customer,
    *,
    entry: Values,
    outcomes: Mapping[str, str] = _NO_OUTCOMES,
) -> bool:
    """Whether the condition is true of the customer and the values that the enrolment was entered with.

    ``outcomes`` are those of the enrolment's steps (``Enrolment.outcomes``); where there is none yet, none.
    """
    match condition:
        case All(of=parts):
            return all(holds(part, customer, entry=entry, outcomes=outcomes) for part in parts)
        case Any(of=parts):
            return any(holds(part, customer, entry=entry, outcomes=outcomes) for part in parts)
        case Not(of=part):
            return not holds(part, customer, entry=entry, outcomes=outcomes)
        case EntryValue(name=name):
            return _fits(entry.get(name), condition)
        case Profile(name=name):
            return _fits(customer.profile.get(name), condition)
        case AssetsGrew():
            return _assets_grew(condition, customer)
        case AssetsFell():
            return _assets_fell(condition, customer)
        case Attribute():
            return _attribute(condition, customer)
        case Holds():
            return _holds(condition, customer)
        case Consented(purpose=purpose, channel=channel, topic=topic):
            word = latest_word(customer.consents, purpose=purpose, channel=channel, topic=topic)
            return word is not None and word.granted
        case DaysSince(fact=fact, at_least=least, at_most=most):
            at = customer.last_at.get(fact)
            return at is not None and _between(_days_ago(local_day(at, customer.zone), customer), least, most)
        case Entered(journey=journey, within_days=within):
            last = customer.entered.get(journey)
            return last is not None and (
                within is None or _days_ago(local_day(last.at, customer.zone), customer) <= within
            )
        case Assets(at_least=at_least, at_most=at_most):
            now = latest_assets(customer.balances)
            return now is not None and _between(now, _amount(at_least), _amount(at_most))
        case CareHeld(reasons=None):
            return bool(customer.care_holds)
        case CareHeld(reasons=reasons):
            return any(reason in customer.care_holds for reason in reasons or ())
        case InSegment(segment=segment, classes=classes):
            found = customer.segments.get(segment)
            return found is not None and (classes is None or found in classes)
        case FactCount(fact=fact):
            return _counted(condition, [customer.fact_days.get(fact)], customer)
        case MessageCount():
            days = customer.message_days
            return _counted(condition, [days[name] for name in days if counts(condition, name)], customer)
        case StepOutcomeIs(step=step, is_one_of=ends):
            return outcomes.get(step) in ends
        case _:
            assert_never(condition)


def _fits(value: Value, condition: EntryValue | Profile) -> bool:
    """Whether the value is of the sort that is asked for, and one of those that are."""
    if condition.one_of is not None:
        return text_of(value) in condition.one_of
    number = number_of(value)
    return number is not None and _between(number, condition.at_least, condition.at_most)


def text_of(value: Value) -> str | None:
    """What the value is as a text; None for a number or nothing."""
    told = str(value).lower() if isinstance(value, bool) else value
    return told if isinstance(told, str) else None


def number_of(value: Value) -> int | float | Decimal | None:
    """What the value is as a number; None for what is none."""
    # In Python a yes is a number, too; amounts are kept as texts, so that none is rounded.
    if isinstance(value, str):
        return Decimal(value) if _DECIMAL.fullmatch(value) else None
    return None if isinstance(value, bool) else value


def measured(leaf: Condition, customer: Customer) -> tuple[str, Value]:
    """What a condition without parts looks at, under a name of its own, with the value that it sees.

    It is a number or text where the condition compares one, None where that is not known, else the answer.
    """
    match leaf:
        case Attribute(name=name) if name in TEXT_ATTRIBUTES:
            return name, getattr(customer, name) or None
        case Attribute(name=name):
            return name, _age(customer) if name == "age" else _risk_level(customer)
        case Holds(kinds=kinds, matures_within_days=within):
            which = "/".join(kinds) if within is None else f"{'/'.join(kinds)} within {within}"
            return f"holds {which}", _number_held(leaf, customer)
        case DaysSince(fact=fact):
            at = customer.last_at.get(fact)
            return f"days_since {fact}", None if at is None else _days_ago(
                local_day(at, customer.zone), customer
            )
        case Assets():
            now = latest_assets(customer.balances)
            return "assets", None if now is None else str(now)
        case InSegment(segment=segment):
            return f"in_segment {segment}", customer.segments.get(segment)
        case _:
            asked = " ".join(str(value) for value in astuple(leaf) if value is not None)
            label = f"{leaf.__struct_config__.tag} {asked}".strip()
            return label, holds(leaf, customer, entry={})


def counts(condition: MessageCount, name: str) -> bool:
    """Whether messages that are counted under this name (``message.ended_as``) are those that are meant."""
    end, *parts = name.split("/")
    wanted = (condition.purpose, condition.channel, condition.journey, condition.template)
    return end in condition.ended and all(
        want is None or want == part for want, part in zip(wanted, parts, strict=True)
    )


def number_bounds(condition: Holds | FactCount | MessageCount) -> tuple[int | None, int | None]:
    """The bounds of a number that is always known: without any, it is at least one."""
    unbounded = condition.at_least is None and condition.at_most is None
    return (1 if unbounded else condition.at_least), condition.at_most


def _counted(
    condition: FactCount | MessageCount, tallies: Sequence[Tally | None], customer: Customer
) -> bool:
    first = day_number(customer.clock_at, customer.zone) - condition.in_days + 1
    number = sum(count_since(tally, first) for tally in tallies)
    return _between(number, *number_bounds(condition))


def _between(value: float | Decimal, least: float | Decimal | None, most: float | Decimal | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _days_ago(day: date, customer: Customer) -> int:
    """How many days of the customer's calendar ago; negative for a day that lies ahead."""
    return (local_day(customer.clock_at, customer.zone) - day).days


def _attribute(condition: Attribute, customer: Customer) -> bool:
    if condition.name in TEXT_ATTRIBUTES:
        return getattr(customer, condition.name) in (condition.one_of or ())
    number = _age(customer) if condition.name == "age" else _risk_level(customer)
    # Without bounds, which validation refuses, a number that is known would do.
    return number is not None and _between(number, condition.at_least, condition.at_most)


def _age(customer: Customer) -> int | None:
    if customer.birth_date is None:
        return None
    age = full_years(customer.birth_date, local_day(customer.clock_at, customer.zone))
    return None if age < 0 else age


def _risk_level(customer: Customer) -> int | None:
    until = customer.risk_valid_until
    expired = until is not None and _days_ago(until, customer) > 0
    return None if expired else customer.risk_level


def _holds(condition: Holds, customer: Customer) -> bool:
    number = _number_held(condition, customer)
    return _between(number, *number_bounds(condition))


def _number_held(condition: Holds, customer: Customer) -> int:
    within = condition.matures_within_days
    return sum(
        holding.kind in condition.kinds
        and (
            within is None
            or (holding.matures_on is not None and 0 <= -_days_ago(holding.matures_on, customer) <= within)
        )
        for holding in customer.holdings.values()
    )


def _assets_grew(condition: AssetsGrew, customer: Customer) -> bool:
    def grew(assets: Decimal, before: Decimal) -> bool:
        return before > 0 and outgrew(before, assets, condition.over_percent)

    return _month_by_month(customer, condition.months, grew)


def _assets_fell(condition: AssetsFell, customer: Customer) -> bool:
    def fell(assets: Decimal, before: Decimal) -> bool:
        return before > 0 and undercut(before, assets, condition.over_percent)

    return _month_by_month(customer, condition.months, fell)


def _month_by_month(customer: Customer, wanted: int, fits: Callable[[Decimal, Decimal], bool]) -> bool:
    """Whether assets and those of the month before fit, in each of so many months up to the latest."""
    compared = 0
    # From the latest month back: the first pair that does not fit spares adding up the others.
    for (month, assets), (month_before, before) in pairwise(
        islice(assets_by_month(customer.balances), wanted + 1)
    ):
        if month != month_before + 1 or not fits(assets, before):
            return False
        compared += 1
    return compared == wanted
