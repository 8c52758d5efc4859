"""Conditions as Python predicates: the same tree that compliance reads decides here."""

from decimal import Decimal
from itertools import islice, pairwise
from typing import assert_never

from domain.assets import assets_by_month
from domain.customer import Customer
from domain.events import Values
from journeys.definition import All, Any, AssetsGrew, Condition, EntryValue, Not


def holds(condition: Condition, customer: Customer, *, entry: Values) -> bool:
    """Whether the condition is true of the customer and the values that the enrolment was entered with."""
    match condition:
        case All(of=parts):
            return all(holds(part, customer, entry=entry) for part in parts)
        case Any(of=parts):
            return any(holds(part, customer, entry=entry) for part in parts)
        case Not(of=part):
            return not holds(part, customer, entry=entry)
        case EntryValue():
            return _in_bounds(condition, entry.get(condition.name))
        case AssetsGrew():
            return _assets_grew(condition, customer)
        case _:
            assert_never(condition)


def _in_bounds(condition: EntryValue, value: object) -> bool:
    if not isinstance(value, int | float):
        return False
    return (condition.at_least is None or value >= condition.at_least) and (
        condition.at_most is None or value <= condition.at_most
    )


def _assets_grew(condition: AssetsGrew, customer: Customer) -> bool:
    factor = Decimal(100 + condition.over_percent) / 100
    months = islice(assets_by_month(customer.balances), condition.months + 1)
    compared, earliest = 0, Decimal(0)
    # From the latest month back: the first pair that does not fit spares adding up the others.
    for (month, assets), (month_before, assets_before) in pairwise(months):
        if month != month_before + 1 or assets <= assets_before * factor:
            return False
        compared, earliest = compared + 1, assets_before
    return compared == condition.months and earliest > 0
