"""What Tidings should have sent for the Berka bank records, counted a second time from the raw files.

Tests compare the engine's messages, tasks and imported facts with these. The count shares no code with the
engine and does not replay anything: each programme is worked out directly from the dates of one customer.
Run as a script (``berka_oracle.py DIR UNTIL_ISO``) it writes the counts as plain lines.
"""

import csv
import sys
from calendar import isleap, monthrange
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

PRAGUE = ZoneInfo("Europe/Prague")
FACT_HOUR = 12
BIRTHDAY_HOUR = 9
MATURITY_HOUR = 10
MATURITY_OFFSETS = (-30, -7, -1, 1)
TIER_GROWTH = Decimal("1.20")
TIER_BALANCES = 4
TIER_PAUSE = timedelta(days=365)
WIN_BACK_HOUR = 12
WIN_BACK_SURVEY = timedelta(days=60)
WIN_BACK_OFFER = timedelta(days=60 + 14)
WIN_BACK_CALL = timedelta(days=60 + 14 + 14)


class ExpectedMessage(NamedTuple):
    """One message; `at` is in UTC, `status` is "sent" or "suppressed"."""

    customer: str
    journey: str
    template: str
    at: datetime
    status: str  # marketing is suppressed for want of consent, and for everybody under 18
    moment: str  # birthday: "0"; maturity: days from maturity, "-30", "-7", "-1", "1"; else ""
    contract: str  # maturity: the loan's id; else ""


class ExpectedTask(NamedTuple):
    """One task for a person at the bank; `at` is in UTC."""

    customer: str
    journey: str
    at: datetime


class Expected(NamedTuple):
    """Everything due up to the asked instant, and the number of all imported facts by kind."""

    messages: list[ExpectedMessage]
    tasks: list[ExpectedTask]
    facts: dict[str, int]


@dataclass(frozen=True)
class Loan:
    loan_id: str
    opened: date
    matures: date


@dataclass
class Customer:
    """One client who owns an account, with all that the files say about that account."""

    client_id: str
    born: date
    registered: date
    cards: int = 0
    loans: list[Loan] = field(default_factory=list)
    transactions: list[date] = field(default_factory=list)  # in the file's order
    balances: dict[int, tuple[date, Decimal]] = field(default_factory=dict)  # by month number, the last one


def expect(directory: Path, *, until: datetime, marketing_consent: bool) -> Expected:
    """Count what is due with instant <= `until` (an aware datetime)."""
    if until.tzinfo is None:
        raise ValueError("until must be an aware datetime")
    customers = read_customers(directory)
    due: list[ExpectedMessage | ExpectedTask] = []
    for customer in customers:
        due.extend(birthdays(customer, until))
        due.extend(maturities(customer))
        due.extend(tier_upgrades(customer, marketing_consent))
        due.extend(win_backs(customer, marketing_consent))
    messages = [item for item in due if isinstance(item, ExpectedMessage) and item.at <= until]
    tasks = [item for item in due if isinstance(item, ExpectedTask) and item.at <= until]
    messages.sort(key=lambda m: (m.at, m.customer, m.journey, m.template, m.contract))
    tasks.sort(key=lambda t: (t.at, t.customer, t.journey))
    return Expected(messages, tasks, count_facts(customers, marketing_consent))


def birthdays(customer: Customer, until: datetime) -> Iterator[ExpectedMessage]:
    """Every 09:00 of a birthday from the registration on; 29 February falls on the 28th in common years."""
    registered = instant(customer.registered, FACT_HOUR)
    for year in range(customer.registered.year, until.astimezone(PRAGUE).year + 1):
        at = instant(birthday_in(customer.born, year), BIRTHDAY_HOUR)
        if at >= registered:
            yield ExpectedMessage(customer.client_id, "birthday", "birthday-greeting", at, "sent", "0", "")


def maturities(customer: Customer) -> Iterator[ExpectedMessage]:
    """The four notices of each loan, without those already past when it was opened."""
    for loan in customer.loans:
        opened = instant(loan.opened, FACT_HOUR)
        for offset in MATURITY_OFFSETS:
            at = instant(loan.matures + timedelta(days=offset), MATURITY_HOUR)
            template = "maturity-ahead" if offset < 0 else "maturity-after"
            if at >= opened:
                yield ExpectedMessage(
                    customer.client_id, "maturity", template, at, "sent", str(offset), loan.loan_id
                )


def tier_upgrades(customer: Customer, consent: bool) -> Iterator[ExpectedMessage | ExpectedTask]:
    """Three months in a row of growth above 20 %; entries are at least 365 local days apart."""
    last_entry: date | None = None
    for month in sorted(customer.balances):
        day = customer.balances[month][0]
        if not has_grown(customer, month) or (last_entry is not None and day - last_entry < TIER_PAUSE):
            continue
        last_entry = day
        at = instant(day, FACT_HOUR)
        yield ExpectedMessage(
            customer.client_id, "tier-upgrade", "tier-course", at, marketing(customer, day, consent), "", ""
        )
        yield ExpectedTask(customer.client_id, "tier-upgrade", at)


def marketing(customer: Customer, day: date, consent: bool) -> str:
    """What becomes of a marketing message on this day."""
    return "sent" if consent and not is_minor(customer, day) else "suppressed"


def is_minor(customer: Customer, day: date) -> bool:
    """Whether the 18th birthday is still to come; who was born on 29 February waits for 1 March."""
    born = customer.born
    return (day.year - born.year, day.month, day.day) < (18, born.month, born.day)


def has_grown(customer: Customer, month: int) -> bool:
    """Whether the four balances up to this month's exist, each over 1.20 times the one before."""
    months = range(month - TIER_BALANCES + 1, month + 1)
    if any(m not in customer.balances for m in months):
        return False
    balances = [customer.balances[m][1] for m in months]
    return balances[0] > 0 and all(after > before * TIER_GROWTH for before, after in pairwise(balances))


def win_backs(customer: Customer, consent: bool) -> Iterator[ExpectedMessage | ExpectedTask]:
    """Each gap between days with transactions: survey, offer and call, as far as the gap reaches.

    A step whose day has a transaction is not taken: both are at noon, and the fact comes first.
    """
    days = sorted(set(customer.transactions))
    for index, day in enumerate(days):
        following = days[index + 1] if index + 1 < len(days) else date.max
        gap = following - day
        who = customer.client_id
        if gap > WIN_BACK_SURVEY:
            at = instant(day + WIN_BACK_SURVEY, WIN_BACK_HOUR)
            status = marketing(customer, day + WIN_BACK_SURVEY, consent)
            yield ExpectedMessage(who, "win-back", "win-back-survey", at, status, "", "")
        if gap > WIN_BACK_OFFER:
            at = instant(day + WIN_BACK_OFFER, WIN_BACK_HOUR)
            status = marketing(customer, day + WIN_BACK_OFFER, consent)
            yield ExpectedMessage(who, "win-back", "win-back-offer", at, status, "", "")
        if gap > WIN_BACK_CALL:
            yield ExpectedTask(who, "win-back", instant(day + WIN_BACK_CALL, WIN_BACK_HOUR))


def read_customers(directory: Path) -> list[Customer]:
    """All owners with their accounts' records; those of other people's cards are left out.

    The count is only defined for one account per owner and one owner per account; anything else is refused.
    """
    births = {row["client_id"]: birth_date(row["birth_number"]) for row in rows(directory, "client")}
    opened = {row["account_id"]: short_date(row["date"]) for row in rows(directory, "account")}

    by_account: dict[str, Customer] = {}
    by_disposition: dict[str, Customer] = {}
    owners: set[str] = set()
    for row in rows(directory, "disp"):
        if row["type"] != "OWNER":
            continue
        client_id, account_id = row["client_id"], row["account_id"]
        if client_id in owners or account_id in by_account:
            raise ValueError(f"client {client_id} and account {account_id} are not one owner of one account")
        customer = Customer(client_id, births[client_id], opened[account_id])
        owners.add(client_id)
        by_account[account_id] = by_disposition[row["disp_id"]] = customer
    if ownerless := opened.keys() - by_account.keys():
        raise ValueError(f"accounts without an owner: {sorted(ownerless)}")

    for row in rows(directory, "card"):
        if row["disp_id"] in by_disposition:
            by_disposition[row["disp_id"]].cards += 1
    for row in rows(directory, "loan"):
        day = short_date(row["date"])
        loan = Loan(row["loan_id"], day, add_months(day, int(row["duration"])))
        by_account[row["account_id"]].loans.append(loan)
    for row in rows(directory, "trans"):
        day = short_date(row["date"])
        customer = by_account[row["account_id"]]
        customer.transactions.append(day)
        customer.balances[day.year * 12 + day.month] = (day, Decimal(row["balance"]))
    return list(by_account.values())


def count_facts(customers: list[Customer], marketing_consent: bool) -> dict[str, int]:
    """The number of facts of each kind; a kind without facts is left out."""
    counts = {
        "customer.registered": len(customers),
        "consent.granted": len(customers) if marketing_consent else 0,
        "account.opened": len(customers),
        "holding.opened": sum(c.cards + len(c.loans) for c in customers),
        "transaction.posted": sum(len(c.transactions) for c in customers),
        "balance.recorded": sum(len(c.balances) for c in customers),
    }
    return {kind: count for kind, count in counts.items() if count}


def rows(directory: Path, name: str) -> Iterator[dict[str, str]]:
    with (directory / f"{name}.asc").open(encoding="latin-1", newline="") as file:
        yield from csv.DictReader(file, delimiter=";")


def instant(day: date, hour: int) -> datetime:
    """The full hour of a day in Prague, in UTC."""
    return datetime.combine(day, time(hour), PRAGUE).astimezone(UTC)


def short_date(text: str) -> date:
    """YYMMDD in 19YY; a time that follows is dropped."""
    return date(1900 + int(text[0:2]), int(text[2:4]), int(text[4:6]))


def birth_date(number: str) -> date:
    """YYMMDD in 19YY, with 50 added to the month for women."""
    month = int(number[2:4])
    return date(1900 + int(number[0:2]), month - 50 if month > 50 else month, int(number[4:6]))


def birthday_in(born: date, year: int) -> date:
    leap_day = (born.month, born.day) == (2, 29)
    return date(year, 2, 28) if leap_day and not isleap(year) else born.replace(year=year)


def add_months(day: date, months: int) -> date:
    """The same day so many months later, or that month's last day where it does not exist."""
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month0 + 1, min(day.day, monthrange(year, month0 + 1)[1]))


def report(directory: Path, until: datetime, marketing_consent: bool) -> Iterator[str]:
    expected = expect(directory, until=until, marketing_consent=marketing_consent)
    yield f"marketing consent: {'yes' if marketing_consent else 'no'}"
    for kind, count in expected.facts.items():
        yield f"fact {kind} {count}"
    messages = Counter(f"{m.journey} {m.template} {m.status}" for m in expected.messages)
    for name, count in sorted(messages.items()):
        yield f"message {name} {count}"
    for journey, count in sorted(Counter(t.journey for t in expected.tasks).items()):
        yield f"task {journey} {count}"


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: berka_oracle.py DIR UNTIL_ISO\n")
        return 2
    directory, until = Path(arguments[0]), datetime.fromisoformat(arguments[1])
    for marketing_consent in (True, False):
        for line in report(directory, until, marketing_consent):
            sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
