"""A customer's recorded assets, month by month, exact in whatever order balances arrive."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from operator import attrgetter

from msgspec import Struct

MONTHS_KEPT = 13
_NOTHING = Decimal(0)
_MONTH = attrgetter("month")


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
    place = bisect_left(known, balance.month, key=_MONTH)
    later = known[place:]
    if later and later[0].month == balance.month:
        if later[0].at > balance.at:
            return balances
        later = later[1:]
    return {**balances, account: (*known[:place], balance, *later)[-MONTHS_KEPT:]}


def closed(balances: Balances, account: str, *, month: int, at: datetime) -> Balances:
    """The balances with nothing left on an account from this month on; earlier months stay as they were."""
    known = balances.get(account)
    if not known:
        return balances
    return with_balance(balances, account, MonthEnd(month, Decimal(0), known[-1].currency, at))


def assets_by_month(balances: Balances) -> Iterator[tuple[int, Decimal]]:
    """Assets at the end of each month in which some balance was recorded, latest first.

    They are told in the currency of most month-ends; balances in others are left out, no rate being
    known. An account without a balance in a month counts with the last one before it.
    """
    accounts = _in_one_currency(balances)
    for month in sorted({end.month for ends in accounts for end in ends}, reverse=True):
        yield month, sum([_as_of(ends, month) for ends in accounts], _NOTHING)


def latest_assets(balances: Balances) -> Decimal | None:
    """Assets as of the latest month: the first of ``assets_by_month``; None where there is no balance."""
    accounts = [ends[-1].amount for ends in _in_one_currency(balances) if ends]
    return sum(accounts, _NOTHING) if accounts else None


def outgrew(before: Decimal, after: Decimal, percent: int) -> bool:
    """Whether assets grew by more than so many per cent of what they were before."""
    return after > before * (Decimal(100 + percent) / 100)


def growth(balances: Balances, *, most: int) -> list[int]:
    """For 1, 2 ... of the latest months: by more than how many whole per cent assets grew in each of them.

    It ends with the first month without one before it, or that did not grow from something positive.
    Per cent are counted up to ``most``.
    """
    told: list[int] = []
    for (month, after), (month_before, before) in pairwise(assets_by_month(balances)):
        if month != month_before + 1 or before <= 0 or not outgrew(before, after, 0):
            break
        percent = most
        if not outgrew(before, after, most):
            percent = int(after / before * 100) - 99
            while not outgrew(before, after, percent):
                percent -= 1
        told.append(min([percent, *told[-1:]]))
    return told


def undercut(before: Decimal, after: Decimal, percent: int) -> bool:
    """Whether assets fell by more than so many per cent of what they were before."""
    return after < before * (Decimal(100 - percent) / 100)


def decline(balances: Balances) -> list[int]:
    """For 1, 2 ... of the latest months: by more than how many whole per cent assets fell in each of them.

    It ends with the first month without one before it, or that did not fall from something positive. Per cent
    are counted up to 99.
    """
    told: list[int] = []
    for (month, after), (month_before, before) in pairwise(assets_by_month(balances)):
        if month != month_before + 1 or before <= 0 or not undercut(before, after, 0):
            break
        percent = min(99, int((before - after) / before * 100))
        while not undercut(before, after, percent):
            percent -= 1
        told.append(min([percent, *told[-1:]]))
    return told


def _in_one_currency(balances: Balances) -> list[tuple[MonthEnd, ...]]:
    """The month-ends in the currency of most of them; names decide between equals."""
    currencies = [end.currency for ends in balances.values() for end in ends]
    if len(set(currencies)) < 2:
        return list(balances.values())
    counted = Counter(currencies)
    main = min(counted, key=lambda currency: (-counted[currency], currency))
    return [tuple(end for end in ends if end.currency == main) for ends in balances.values()]


def _as_of(ends: tuple[MonthEnd, ...], month: int) -> Decimal:
    for end in reversed(ends):
        if end.month <= month:
            return end.amount
    return _NOTHING
