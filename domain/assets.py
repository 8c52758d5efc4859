"""A customer's recorded assets, month by month, exact in whatever order balances arrive."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

MONTHS_KEPT = 13


class MonthEnd(Struct, frozen=True, gc=False):
    """The last balance of one account in one calendar month (months since year 0), told at ``at``."""

    month: int
    amount: Decimal
    at: datetime


Balances = dict[str, tuple[MonthEnd, ...]]


def with_balance(balances: Balances, account: str, balance: MonthEnd) -> Balances:
    """The balances with one more; within a month the later one in business time counts."""
    known = balances.get(account, ())
    if any(end.month == balance.month and end.at > balance.at for end in known):
        return balances
    others = (end for end in known if end.month != balance.month)
    months = sorted((*others, balance), key=lambda end: end.month)
    return {**balances, account: tuple(months[-MONTHS_KEPT:])}


def assets_by_month(balances: Balances) -> list[tuple[int, Decimal]]:
    """Assets at the end of each month in which some balance was recorded, earliest first.

    An account without a balance in a month counts with the last one before it.
    """
    months = sorted({end.month for ends in balances.values() for end in ends})
    return [(month, sum((_as_of(ends, month) for ends in balances.values()), Decimal(0))) for month in months]


def _as_of(ends: tuple[MonthEnd, ...], month: int) -> Decimal:
    return next((end.amount for end in reversed(ends) if end.month <= month), Decimal(0))
