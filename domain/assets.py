"""A customer's recorded assets, month by month, exact in whatever order balances arrive."""

from collections import Counter
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

MONTHS_KEPT = 13


class MonthEnd(Struct, frozen=True, gc=False):
    """The last balance of one account in one calendar month (months since year 0), told at ``at``."""

    month: int
    amount: Decimal
    currency: str
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


def closed(balances: Balances, account: str, *, month: int, at: datetime) -> Balances:
    """The balances with nothing left on an account from this month on; earlier months stay as they were."""
    known = balances.get(account)
    if not known:
        return balances
    return with_balance(balances, account, MonthEnd(month, Decimal(0), known[-1].currency, at))


def assets_by_month(balances: Balances) -> list[tuple[int, Decimal]]:
    """Assets at the end of each month in which some balance was recorded, earliest first.

    They are told in the currency of most month-ends; balances in others are left out, no rate being
    known. An account without a balance in a month counts with the last one before it.
    """
    currency = _main_currency(balances)
    accounts = [[end for end in ends if end.currency == currency] for ends in balances.values()]
    months = sorted({end.month for ends in accounts for end in ends})
    return [(month, sum((_as_of(ends, month) for ends in accounts), Decimal(0))) for month in months]


def _main_currency(balances: Balances) -> str:
    """The currency of most month-ends; names decide between equals."""
    counted = Counter(end.currency for ends in balances.values() for end in ends)
    return min(counted, key=lambda currency: (-counted[currency], currency), default="")


def _as_of(ends: list[MonthEnd], month: int) -> Decimal:
    return next((end.amount for end in reversed(ends) if end.month <= month), Decimal(0))
