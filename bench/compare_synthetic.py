"""Measures the synthetic bank beside a real bank's records and writes the table in Markdown; it only reads.

``python bench/compare_synthetic.py BERKA_DIR [--customers N] [--days D] [--seed S]``, where BERKA_DIR holds
the files of the PKDD'99 challenge. The project is installed, or the root of it is in PYTHONPATH.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, quantiles
from typing import NamedTuple

from domain.catalogue import BalanceRecorded, CustomerRegistered, HoldingOpened, TransactionPosted
from domain.clock import add_months, local_day, month_number
from tidings.synthetic import synthetic_bank

START = date(2026, 1, 1)
REAL_FIRST, REAL_LAST = date(1993, 1, 1), date(1994, 3, 30)  # 1994-03-31 is only there in part
REAL_END = date(1998, 12, 31)  # of the records of clients, cards and loans
FILLING_MONTHS = 3  # in which a new account is filled; the month by month measures leave them out
SILENCE = timedelta(days=60)
GROWTH, RUN = 1.20, 3  # over 20 % in each of three months


@dataclass
class Customer:
    """An owner and what is known of the account; money in the account's currency."""

    age: float
    opened: date
    currency: str = "CZK"
    has_card: bool = False
    loans: list[tuple[float, int]] = field(default_factory=list)  # amount, months
    postings: list[tuple[date, float]] = field(default_factory=list)
    balances: dict[int, float] = field(default_factory=dict)  # the last one of each month, by its number
    maturities: list[date] = field(default_factory=list)


class Bank(NamedTuple):
    """Customers, and the first and last day of their transactions."""

    customers: list[Customer]
    first: date
    last: date

    def settled(self, customer: Customer) -> range:
        """The whole months of the period in which the account is no longer being filled."""
        begin = max(month_number(customer.opened) + FILLING_MONTHS, month_number(self.first))
        return range(begin, month_number(self.last + timedelta(days=1)))

    def active(self) -> list[Customer]:
        return [customer for customer in self.customers if customer.postings]


def real_bank(directory: Path) -> Bank:
    births = {row["client_id"]: _birth_date(row["birth_number"]) for row in _rows(directory, "client")}
    opened = {row["account_id"]: _short_date(row["date"]) for row in _rows(directory, "account")}
    by_account: dict[str, Customer] = {}
    by_disposition: dict[str, Customer] = {}
    for row in _rows(directory, "disp"):
        if row["type"] == "OWNER":
            age = (REAL_END - births[row["client_id"]]).days / 365.25
            customer = Customer(age, opened[row["account_id"]])
            by_account[row["account_id"]] = by_disposition[row["disp_id"]] = customer
    for row in _rows(directory, "card"):
        if row["disp_id"] in by_disposition:
            by_disposition[row["disp_id"]].has_card = True
    for row in _rows(directory, "loan"):
        months, customer = int(row["duration"]), by_account[row["account_id"]]
        customer.loans.append((float(row["amount"]), months))
        customer.maturities.append(add_months(_short_date(row["date"]), months))
    for row in _rows(directory, "trans"):
        day, amount = _short_date(row["date"]), float(row["amount"])
        if day <= REAL_LAST:
            customer = by_account[row["account_id"]]
            customer.postings.append((day, amount if row["type"] == "PRIJEM" else -amount))
            customer.balances[month_number(day)] = float(row["balance"])
    return Bank(list(by_account.values()), REAL_FIRST, REAL_LAST)


def _rows(directory: Path, name: str) -> Iterator[dict[str, str]]:
    with (directory / f"{name}.asc").open(encoding="latin-1", newline="") as file:
        yield from csv.DictReader(file, delimiter=";")


def _short_date(text: str) -> date:
    return date(1900 + int(text[0:2]), int(text[2:4]), int(text[4:6]))


def _birth_date(number: str) -> date:
    month = int(number[2:4])
    return date(1900 + int(number[0:2]), month - 50 if month > 50 else month, int(number[4:6]))


def made_up_bank(*, customers: int, days: int, seed: int) -> Bank:
    known: dict[str, Customer] = {}
    zones: dict[str, str] = {}
    for told in synthetic_bank(customers=customers, days=days, start=START, seed=seed):
        fact = told.fact
        if isinstance(fact, CustomerRegistered):
            zones[told.subject] = fact.zone or "UTC"
        day = local_day(told.occurred_at, zones[told.subject])
        if isinstance(fact, CustomerRegistered) and fact.birth_date:
            known[told.subject] = Customer((START - fact.birth_date).days / 365.25, day)
        _take(known[told.subject], fact, day)
    return Bank(list(known.values()), START, START + timedelta(days=days - 1))


def _take(customer: Customer, fact: object, day: date) -> None:
    match fact:
        case HoldingOpened(kind=kind, amount=amount, matures_on=ends):
            customer.has_card |= kind == "card"
            if ends:
                customer.maturities.append(ends)
            if ends and amount and kind == "loan":
                customer.loans.append((float(amount), month_number(ends) - month_number(day)))
        case TransactionPosted(amount=amount, currency=str() as currency):
            customer.currency = currency
            customer.postings.append((day, float(amount)))
        case BalanceRecorded(amount=amount):
            customer.balances[month_number(day)] = float(amount)


def table(bank: Bank) -> dict[str, str]:
    """What is measured, row by row. Amounts are parts of the median month-end balance in their currency."""
    units = _units(bank)
    return {**_people(bank, units), **_months(bank, units), **_stories(bank)}


def _units(bank: Bank) -> dict[str, float]:
    balances: dict[str, list[float]] = defaultdict(list)
    for customer in bank.active():
        settled = bank.settled(customer)
        balances[customer.currency] += [b for month, b in customer.balances.items() if month in settled]
    return {currency: median(known) for currency, known in balances.items() if known}


def _people(bank: Bank, units: dict[str, float]) -> dict[str, str]:
    everybody = bank.customers
    loans = [
        (amount / units[c.currency], months)
        for c in everybody
        for amount, months in c.loans
        if c.currency in units
    ]
    return {
        "customers / with transactions": f"{len(everybody):,} / {len(bank.active()):,}",
        "age in years, deciles": _spread([c.age for c in everybody], "{:.0f}", parts=10),
        "with a card": _share(c.has_card for c in everybody),
        "with a loan": _share(bool(c.loans) for c in everybody),
        "loan amount": _spread([amount for amount, _ in loans], "{:.1f}"),
        "loan duration in months": _spread([months for _, months in loans], "{:.0f}"),
    }


def _months(bank: Bank, units: dict[str, float]) -> dict[str, str]:
    counts: dict[tuple[int, int], int] = defaultdict(int)
    amounts: list[float] = []
    balances: list[float] = []
    gains: list[float] = []
    for index, customer in enumerate(bank.active()):
        settled, unit = bank.settled(customer), units[customer.currency]
        for day, amount in customer.postings:
            if month_number(day) in settled:
                counts[index, month_number(day)] += 1
                amounts.append(amount / unit)
        ends = {month: balance for month, balance in customer.balances.items() if month in settled}
        balances += [balance / unit for balance in ends.values()]
        gains += [100 * (ends[m] / ends[m - 1] - 1) for m in ends if ends.get(m - 1, 0) > 0]
    return {
        "transactions in an account-month": _spread(list(counts.values()), "{:.0f}"),
        "the same, mean": f"{mean(counts.values()):.2f}",
        "credits among transactions": _share(amount > 0 for amount in amounts),
        "credit amount": _spread([amount for amount in amounts if amount > 0], "{:.3f}"),
        "debit amount": _spread([-amount for amount in amounts if amount < 0], "{:.3f}"),
        "month-end balance, deciles": _spread(balances, "{:.2f}", parts=10),
        "monthly growth in %, deciles": _spread(gains, "{:+.0f}", parts=10),
    }


def _stories(bank: Bank) -> dict[str, str]:
    active = bank.active()
    waits = [[(b - a) for a, b in pairwise(sorted({day for day, _ in c.postings}))] for c in active]
    silences = [wait.days for each in waits for wait in each if wait > SILENCE]
    back = [any(wait > SILENCE for wait in each) for each in waits]
    unended = [c for c in active if bank.last - max(day for day, _ in c.postings) > SILENCE]
    grown = [c for c in active if _has_grown(c.balances)]
    filled = [c for c in grown if _has_grown({m: b for m, b in c.balances.items() if m in bank.settled(c)})]
    due = [sum(bank.first <= day <= bank.last for day in c.maturities) for c in bank.customers]
    return {
        "silent over 60 days and back": f"{len(silences)} ({_share(back)})",
        "days of those silences": _spread(silences, "{:.0f}") if len(silences) > 1 else "none",
        "silent over 60 days at the end": f"{len(unended)} ({100 * len(unended) / len(active):.1f} %)",
        "three months over 20 %, all": f"{len(grown)} ({100 * len(grown) / len(active):.1f} %)",
        "three months over 20 %, settled": f"{len(filled)} ({100 * len(filled) / len(active):.1f} %)",
        "contracts that mature in the period": f"{sum(due)}, of {sum(map(bool, due))} customers",
    }


def _has_grown(balances: dict[int, float]) -> bool:
    def over(month: int) -> bool:
        before = balances.get(month - 1, 0)
        return month in balances and before > 0 and balances[month] > GROWTH * before

    return any(all(over(month - ago) for ago in range(RUN)) for month in balances)


def _share(answers: Iterable[bool]) -> str:
    return f"{100 * mean(answers):.1f} %"


def _spread(values: list[float] | list[int], shape: str, *, parts: int = 4) -> str:
    return " ".join(shape.format(value) for value in quantiles(values, n=parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("berka", type=Path)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.customers < 100 or asked.days < 100:
        parser.error("fewer than 100 customers or days have no shape to compare")
    real = table(real_bank(asked.berka))
    made_up = table(made_up_bank(customers=asked.customers, days=asked.days, seed=asked.seed))
    sys.stdout.write("| measure | real | synthetic |\n|---|---|---|\n")
    for measure, value in real.items():
        sys.stdout.write(f"| {measure} | {value} | {made_up[measure]} |\n")


if __name__ == "__main__":
    main()
