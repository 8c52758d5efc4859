"""A made-up bank for trials and the demo: no person, number or address in it is anybody's.

Its shape follows a real bank's records where they say something (docs/explanation/synthetic-bank.md): such a
constant is marked "real" and gives counts, or the nine deciles between two ends; the others are assumed.
Money is counted in units of the median month-end balance of the customer's country.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any, NamedTuple

from domain.catalogue import Envelope, HoldingKind, HoldReason
from domain.clock import add_months, month_number
from tidings.synthetic_care import LEFT, care_facts, with_a_turn
from tidings.synthetic_people import (
    HOME_WEIGHTS,
    HOMES,
    YEAR,
    Deciles,
    Person,
    drawn,
    money,
    some_day,
    telling,
)

Posting = tuple[int, float, int, str]  # day, hour, cents, category

# Who they are and what they agreed to.
AGES: Deciles = (16, 22.1, 27.4, 32.7, 38.1, 43.8, 49.4, 54.9, 59.8, 69.4, 80.8)  # real: owners, in years
RETIRED_AT = 62
JOIN = 0.10  # of all customers, in a year; real: 0.20, in a bank's first five years
TENURE_DAYS = (150, 6 * 365)  # so that everybody was 10 or older at the opening, as was everybody real
PHONE, APP, MARKETING, ONE_CHANNEL = 0.70, 0.40, 0.60, 0.30
PROVENANCES = ("signed form at the branch", "web preference page", "mobile app", "call with the service desk")

# What happens to few of them, as the chance in a year.
WITHDRAW, HOLD, COMPLAIN, VISIT = 0.05, 0.01, 0.03, 0.5
SILENCE, SILENT_DAYS = 0.12, (62, 300)  # real: nobody in fifteen months
GROWTH, GROWN_BY = 0.035, (1.24, 1.50)  # real: 3 of 1,048 settled accounts grew over 20 % three times running
HOLDS: tuple[HoldReason, ...] = ("bereavement", "hardship", "dispute", "fraud")

# Their account, month by month.
LEVELS: Deciles = (0.2, 0.6, 0.76, 0.85, 0.93, 1.03, 1.2, 1.33, 1.5, 1.76, 3)  # real: each account's median
INCOMES: Deciles = (0.05, 0.1, 0.14, 0.19, 0.23, 0.38, 0.53, 0.68, 0.82, 1.27, 2)  # real: a month's credits
SWINGS: Deciles = (-0.6, -0.29, -0.16, -0.08, -0.03, 0, 0.02, 0.07, 0.13, 0.25, 0.8)  # real: around the level
LASTING = 0.31  # real: how much of a swing is there a month later
LIKENESS = 0.12  # deviation of the rank by income from that by level; real: they correlate by 0.76
RAMP = (0.04, 0.53, 0.78, 0.93)  # real: of the level, at the end of an account's first months
ORDERS = (3048, 1945, 679, 364, 184)  # real: months with 0, 1, ... standing orders
ORDER_AMOUNTS: Deciles = (0.003, 0.009, 0.02, 0.05, 0.07, 0.08, 0.1, 0.13, 0.18, 0.24, 0.45)  # real
PAYMENTS = (1108, 2662, 1149, 499, 177, 89, 99, 173, 174, 66, 22)  # real: months with 0, 1, ... withdrawals
BY_CARD = 0.6  # of payments; real: 12 of 14,099, the rest in cash
EARNING, SECOND_CREDIT = 0.96, 0.17  # real: 274 of 6,225 months without a credit, 1.15 credits on average
CHARGED, FEE = 0.73, 0.0005  # real
PAID_INTEREST, INTEREST = 0.97, 0.002  # real share; the rate was 0.0045 a month then
PAYDAYS, ORDER_DAYS = (5, 14), (6, 15)  # real: the days of the month with most transfers
# Hours of the customer's own clock, never before 06:00.
HOURS = {"salary": (8, 11), "standing_order": (6, 7), "fee": (22, 23), "interest": (22, 23)}


class _Offer(NamedTuple):
    kind: HoldingKind
    product: str
    share: float  # of the customers
    terms: tuple[int, ...]  # in months; none for a contract without an end
    amounts: Deciles


LOAN_PAYMENTS: Deciles = (0.01, 0.05, 0.07, 0.09, 0.11, 0.13, 0.15, 0.18, 0.21, 0.25, 0.33)  # real: a month's
SAVINGS: Deciles = (0.5, 0.8, 1, 1.5, 2, 2.5, 3, 4, 6, 10, 25)
_OFFERS = (
    _Offer("card", "credit-card", 0.198, (), ()),  # real: share of owners with a card
    _Offer("loan", "personal-loan", 0.152, (12, 24, 36, 48, 60), LOAN_PAYMENTS),  # real: share and terms
    _Offer("term_deposit", "fixed-deposit", 0.34, (3, 6, 12, 12, 24, 36), SAVINGS),
    _Offer("wealth_product", "steady-income", 0.09, (3, 6, 12, 24), SAVINGS),
    _Offer("policy", "home-insurance", 0.12, (12, 12, 120), SAVINGS),
    _Offer("fund", "balanced-fund", 0.10, (), SAVINGS),
)
SECOND_DEPOSIT = 0.25  # of depositors opened another some days later, so that both mature in one week
MOVED, MOVED_BY, CLOSED_EARLY = 0.06, (-28, 14, 30, 91), 0.04  # of those with a term, in a year; days


def synthetic_bank(*, customers: int, days: int, start: date, seed: int) -> Iterator[Envelope]:
    """Facts of made-up customers, one customer after the other, each customer's in order of time.

    What happens lies in the ``days`` from ``start`` on the customer's own calendar; most customers and many
    contracts are older. Seed, start and days decide all: customer n is the same however many there are.
    """
    period = range(start.toordinal(), start.toordinal() + days)
    for number in range(1, customers + 1):
        person = _person(Random(f"{seed}/{number}"), number, period)  # noqa: S311 - repeatable, nothing is secret
        care = person._replace(chance=Random(f"{seed}/{number}/care"))  # noqa: S311
        person = with_a_turn(person, care)
        parts = (_arrival, _consents, _holdings, _account, _troubles)
        told = [fact for part in parts for fact in part(person)]
        told += care_facts(care, told)
        yield from sorted(told, key=lambda fact: fact.occurred_at)


def _person(chance: Random, number: int, period: range) -> Person:
    home = chance.choices(HOMES, HOME_WEIGHTS)[0]
    wealth = chance.random()
    earns = min(abs(wealth + chance.gauss(0, LIKENESS)), 0.999)
    orders = chance.choices(range(len(ORDERS)), ORDERS)[0]
    amounts = [drawn((chance.random() + 2 * earns) / 3, ORDER_AMOUNTS) for _ in range(orders)]
    person = Person(
        chance,
        number,
        home=home,
        born=period.start - int(drawn(chance.random(), AGES) * YEAR),
        joined=period.start - chance.randint(*TENURE_DAYS),
        period=period,
        level=int(home.unit * drawn(wealth, LEVELS)),
        income=int(home.unit * drawn(earns, INCOMES)),
        payday=chance.randint(*PAYDAYS),
        orders=tuple((chance.randint(*ORDER_DAYS), int(home.unit * amount)) for amount in amounts),
    )
    return _with_a_story(person)


def _with_a_story(person: Person) -> Person:
    chance = person.chance
    if (day := some_day(person, JOIN)) is not None:
        person = person._replace(joined=day)
    elif (day := some_day(person, GROWTH)) is not None:
        month = month_number(date.fromordinal(day)) + 1
        return person._replace(growing=range(month, month + chance.randint(3, 4)))
    day = some_day(person, SILENCE)
    return person if day is None else person._replace(silent=range(day, day + chance.randint(*SILENT_DAYS)))


def _arrival(person: Person) -> Iterator[Envelope]:
    chance, home, number = person.chance, person.home, person.number
    at = person.at(person.joined, 9 + chance.random())
    phone = f"{home.phone}{number % 10**home.digits:0{home.digits}d}"
    about = {
        "birth_date": date.fromordinal(person.born),
        "given_name": chance.choice(home.given.split()),
        "family_name": chance.choice(home.family.split()),
        "email": f"c{number}@example.com",
        "phone": phone if chance.random() < PHONE else None,
        "device": f"device-{chance.getrandbits(64):016x}" if chance.random() < APP else None,
    }
    where = {"language": home.language, "zone": home.zone, "region": home.region}
    yield telling(person, "registered", "customer.registered/1", at, **about, **where)
    at += timedelta(minutes=15)
    yield telling(person, "account", "account.opened/1", at, account=f"A{number:06d}", product="current")


def _consents(person: Person) -> Iterator[Envelope]:
    chance = person.chance
    if chance.random() >= MARKETING:
        return
    leaves = some_day(person, WITHDRAW)
    at = person.at(person.joined, 10.3 + chance.random())
    some = chance.sample(("email", "sms", "push"), chance.randint(1, 2))
    for channel in some if chance.random() < ONE_CHANNEL else ("*",):
        name = "all" if channel == "*" else channel
        said = {"purpose": "marketing", "channel": channel, "provenance": chance.choice(PROVENANCES)}
        yield telling(person, f"consent-{name}", "consent.granted/1", at, **said, text_version="2")
        if leaves is not None:
            left_at = person.at(leaves, 15)
            yield telling(person, f"withdrawal-{name}", "consent.withdrawn/1", left_at, **said)


def _holdings(person: Person) -> Iterator[Envelope]:
    chance, period = person.chance, person.period
    for offer in (offer for offer in _OFFERS if chance.random() < offer.share):
        months = chance.choice(offer.terms) if offer.terms else 0
        earliest = period.start - int(months * YEAR / 12) if months else person.joined
        opened = chance.randrange(max(person.joined, earliest), period.stop)
        yield from _contract(person, offer, opened, months, f"{offer.kind}-1")
        another = opened + chance.randint(1, 5)
        if offer.kind == "term_deposit" and another < period.stop and chance.random() < SECOND_DEPOSIT:
            yield from _contract(person, offer, another, months, f"{offer.kind}-2")


def _contract(person: Person, offer: _Offer, opened: int, months: int, name: str) -> Iterator[Envelope]:
    chance, home, holding = person.chance, person.home, f"H{person.number:06d}-{name}"
    ends = add_months(date.fromordinal(opened), months) if months else None
    said: dict[str, Any] = {"kind": offer.kind, "product": offer.product, "matures_on": ends}
    if offer.amounts:
        amount = home.unit * drawn(chance.random(), offer.amounts) * (months if offer.kind == "loan" else 1)
        said |= {"amount": money(max(1, int(amount) // 10_000) * 10_000), "currency": home.currency}
    at = person.at(opened, chance.uniform(12, 17))
    yield telling(person, name, "holding.opened/1", at, holding=holding, **said)
    last = min(ends.toordinal() + min(MOVED_BY), person.period.stop) if ends else opened
    days, fate = range(person.days_after(opened).start, last), chance.random() * YEAR
    if ends and days and fate < (MOVED + CLOSED_EARLY) * len(person.period):
        at = person.at(chance.choice(days), 11)
        moved = ends + timedelta(days=chance.choice(MOVED_BY))
        if fate < MOVED * len(person.period):
            yield telling(person, f"{name}-moved", "holding.changed/1", at, holding=holding, matures_on=moved)
        else:
            yield telling(person, f"{name}-closed", "holding.closed/1", at, holding=holding)


def _troubles(person: Person) -> Iterator[Envelope]:
    chance, complaint = person.chance, f"Q{person.number:06d}"
    if (day := some_day(person, COMPLAIN)) is not None:
        at, resolved = person.at(day, 14), day + chance.randint(2, 25)
        yield telling(person, "complaint", "complaint.filed/1", at, complaint=complaint, topic="fees")
        if resolved in person.period:
            at = person.at(resolved, 16)
            yield telling(person, "resolved", "complaint.resolved/1", at, complaint=complaint)
    if (day := some_day(person, HOLD)) is not None:
        reason, lifted = chance.choice(HOLDS), day + chance.randint(30, 150)
        yield telling(person, "hold", "care_hold.placed/1", person.at(day, 10), reason=reason)
        if lifted in person.period:
            yield telling(person, "lifted", "care_hold.lifted/1", person.at(lifted, 10), reason=reason)
    if (day := some_day(person, VISIT)) is not None and day not in person.silent:
        yield telling(person, "session", "session.started/1", person.at(day, 20), channel="web")


def _account(person: Person) -> Iterator[Envelope]:
    """Transactions, and the balance at the last one of each month; the account is never overdrawn."""
    days = person.days_after(person.joined - 1)
    told = {"account": f"A{person.number:06d}", "currency": person.home.currency}
    balance = 0 if person.joined in days else int(person.level * person.chance.uniform(0.7, 1.3))
    month, number = date.fromordinal(days.start).replace(day=1), 0
    while month.toordinal() < days.stop:
        at = None
        for day, hour, cents, category in sorted(_month(person, month, balance)):
            if day not in days or day in person.silent or balance + cents < 0:
                continue
            balance, number, at = balance + cents, number + 1, person.at(day, hour)
            said = {"amount": money(cents), "category": category}
            yield telling(person, f"tx-{number}", "transaction.posted/1", at, **told, **said)
        if at:
            name = f"balance-{month:%Y-%m}"
            yield telling(person, name, "balance.recorded/1", at, **told, amount=money(balance))
        month = add_months(month, 1)


def _month(person: Person, month: date, balance: int) -> list[Posting]:
    """What the customer means to do, so that the month ends near the balance that is wished for."""
    chance, note, first = person.chance, person.home.note, month.toordinal()
    wished, lifted = _wished(person, month, balance)
    if month == date.fromordinal(person.joined).replace(day=1):
        return [(person.joined, 11.5, wished, "deposit")]
    planned = list(_regular(person, month, balance))
    spare = balance + sum(cents for _, _, cents, _ in planned) - wished
    count = chance.choices(range(len(PAYMENTS)), PAYMENTS)[0] or int(spare > note)
    if lifted and spare < count * note:
        planned.append(_posting(chance, first + chance.randint(14, 25), "deposit", count * note - spare))
    shares = [0.1 + chance.expovariate(1) for _ in range(count)]
    for share in shares:
        cents = max(note, int(spare * share / sum(shares)))
        category, least = ("card", 1) if chance.random() < BY_CARD else ("cash", note)
        planned.append(_posting(chance, first + chance.randrange(28), category, -cents // least * least))
    return planned


def _wished(person: Person, month: date, balance: int) -> tuple[int, bool]:
    """The balance wished for at the end of the month, and whether money comes from elsewhere for it."""
    age = month_number(month) - month_number(date.fromordinal(person.joined))
    if age < len(RAMP):
        return int(person.level * RAMP[age] * person.chance.uniform(0.85, 1.15)), True
    if month_number(month) in person.growing:
        return int(balance * person.chance.uniform(*GROWN_BY)), True
    if month_number(month) in person.leaving:
        return int(balance * person.chance.uniform(*LEFT)), False
    lasts: float = (max(balance, 1) / person.level) ** LASTING
    swing = max(drawn(person.chance.random(), SWINGS), -person.income / person.level)  # soon earned back
    return int(person.level * (1 + swing) * lasts), False


def _regular(person: Person, month: date, balance: int) -> Iterator[Posting]:
    chance, unit, first = person.chance, person.home.unit, month.toordinal()
    last = add_months(month, 1).toordinal() - 1
    if chance.random() < EARNING:
        earns = "pension" if first - person.born > RETIRED_AT * YEAR else "salary"
        yield _posting(chance, first + person.payday - 1, earns, person.income)
    if chance.random() < SECOND_CREDIT:
        day, cents = first + chance.randrange(28), int(person.income * chance.uniform(0.5, 1.5))
        yield _posting(chance, day, "deposit", cents)
    for day, cents in person.orders:
        yield _posting(chance, first + day - 1, "standing_order", -cents)
    if chance.random() < CHARGED:
        yield _posting(chance, last, "fee", -int(unit * FEE))
    if chance.random() < PAID_INTEREST and (interest := int(balance * INTEREST)):
        yield _posting(chance, last, "interest", interest)


def _posting(chance: Random, day: int, category: str, cents: int) -> Posting:
    low, high = HOURS.get(category, (8, 21))
    return day, low + chance.random() * (high - low), cents, category
