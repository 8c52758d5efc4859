"""A year of many customers, from telling the facts to the ledger, with the largest memory of any process.

Each customer is registered in January, with one birthday in the year; six in ten allow marketing; three in
ten open a deposit that matures within the year or later; all pay three times, until May, and fall
silent, so that each is greeted, many are reminded and all are to be won back. The facts are made one by one.
"""

from argparse import Namespace
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from random import Random

from bench.bank import SEED, SINCE, START, judged, live_together, take
from bench.command import Figures, Size, parser, report, rounded
from bench.place import Place, settle
from bench.stopwatch import Stopwatch, cpu_seconds_of_children, peak_rss_mb
from domain.catalogue import ConsentGranted, CustomerRegistered, Envelope, HoldingOpened, TransactionPosted
from domain.clock import add_months

_CUSTOMERS = {"quick": 20_000, "full": 1_000_000}
_WORKERS = 2
_CUSTOMERS_OF_A_PARTITION = 25_000
_FEWEST_PARTITIONS = 8
_MARKETING, _DEPOSIT = 0.6, 0.3
_PAYING_DAYS = (30, 80, 130)
_ZONES = ("Europe/Prague", "Europe/London", "Asia/Shanghai", "Asia/Singapore")


def measure(size: Size, place: Place, *, customers: int | None = None, workers: int = _WORKERS) -> Figures:
    """Everything from the first fact to the ledger; making the store is left out."""
    number = customers or _CUSTOMERS[size]
    partitions = max(_FEWEST_PARTITIONS, -(-number // _CUSTOMERS_OF_A_PARTITION))
    url = place.store("million", partitions=partitions)
    empty_bytes = settle(url)
    whole = Stopwatch()
    with whole:
        facts, taken, made = take(url, _bank(number))
        tally, lived = live_together(url, workers=workers)
    store_bytes = settle(url) - empty_bytes
    return {
        "customers": number,
        "days": 365,
        "partitions": partitions,
        "facts": facts,
        "events": tally.events,
        "messages": judged(tally),
        "messages_sent": tally.messages["accepted"],
        "enrolments": dict(sorted(tally.journeys.items())),
        "seconds": rounded(whole.spent.seconds),
        "cpu_seconds": rounded(whole.spent.cpu_seconds + cpu_seconds_of_children()),
        "workers": workers,
        "seconds_making_facts": rounded(made.seconds),
        "seconds_importing": rounded(taken.seconds),
        "seconds_running_and_ledger": rounded(lived.seconds),
        "events_per_s": rounded(tally.events / lived.seconds),
        "customer_years_per_s": rounded(number / whole.spent.seconds),
        "peak_rss_mb": rounded(peak_rss_mb()),
        "store_bytes": store_bytes,
        "bytes_per_event": rounded(store_bytes / tally.events),
    }


def _bank(customers: int) -> Iterator[Envelope]:
    for number in range(1, customers + 1):
        yield from _customer(number, Random(f"{SEED}/{number}"))  # noqa: S311 - repeatable, nothing is secret


def _customer(number: int, chance: Random) -> Iterator[Envelope]:
    subject, source = f"C{number:07d}", "/bench"
    joined = SINCE + timedelta(seconds=chance.randrange(10 * 86_400))
    registered = CustomerRegistered(
        source=source,
        id=f"r-{number}",
        birth_date=date(1950, 1, 1) + timedelta(days=chance.randrange(20_000)),
        given_name="Jana",
        family_name="Kočí",
        language="en",
        zone=chance.choice(_ZONES),
        email=f"c{number}@example.com",
    )
    yield Envelope("customer.registered/1", subject, joined, registered)
    if chance.random() < _MARKETING:
        granted = ConsentGranted(source=source, id=f"c-{number}", provenance="mobile app", text_version="2")
        yield Envelope("consent.granted/1", subject, joined + timedelta(minutes=1), granted)
    if chance.random() < _DEPOSIT:
        opened = 12 + chance.randrange(120)
        deposit = HoldingOpened(
            source=source,
            id=f"h-{number}",
            holding=f"H{number}",
            kind="term_deposit",
            product="fixed-deposit",
            amount=Decimal(1_000 * chance.randint(1, 50)),
            currency="EUR",
            matures_on=add_months(START + timedelta(days=opened), chance.choice((3, 6, 12))),
        )
        yield Envelope("holding.opened/1", subject, SINCE + timedelta(days=opened, hours=14), deposit)
    for turn, day in enumerate(_PAYING_DAYS):
        at = SINCE + timedelta(days=day, seconds=chance.randrange(9 * 86_400))
        paid = TransactionPosted(
            source=source,
            id=f"t-{number}-{turn}",
            account=f"A{number}",
            amount=Decimal(-chance.randrange(100, 20_000)).scaleb(-2),
            currency="EUR",
            category="card",
        )
        yield Envelope("transaction.posted/1", subject, at, paid)


def _main() -> None:
    made = parser()
    made.add_argument("--customers", type=int, help="instead of 20,000 (quick) or 1,000,000 (full)")
    made.add_argument("--workers", type=int, default=_WORKERS, help=f"processes ({_WORKERS})")
    arguments: Namespace = made.parse_args()
    report(arguments, partial(measure, customers=arguments.customers, workers=arguments.workers))


if __name__ == "__main__":
    _main()
