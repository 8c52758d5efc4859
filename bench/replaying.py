"""A customer as of an instant: how fast a history of 10,000 events is read back, decoded and folded."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

from audit.replay import replay
from audit.ruling import RecordedShelf
from audit.standing import standing
from bench.bank import SINCE, live, opened, take
from bench.command import Figures, Size, main, rounded
from bench.place import Place, settle
from bench.stopwatch import Spent, Stopwatch
from domain.catalogue import (
    BalanceRecorded,
    ConsentGranted,
    CustomerRegistered,
    Envelope,
    Fact,
    SessionStarted,
    TransactionPosted,
)
from domain.codec import restored
from domain.customer import Customer
from domain.fold import folded
from tidings.authoring import all_rules

_CUSTOMER = "C1"
_FACTS = 9_900
_ROUNDS = {"quick": 9, "full": 25}
_STEP = timedelta(hours=1)


def measure(size: Size, place: Place) -> Figures:
    """One customer with some 10,000 events, as of half way, as of the end, and what it consists of."""
    url = place.store("replaying", partitions=1)
    facts = list(_life())
    take(url, facts)
    until = facts[-1].occurred_at + timedelta(days=1)
    live(url, until=until)
    settle(url)
    tidings = opened(url)
    history, rules = tidings.history, all_rules(tidings.engine)
    whole = replay(history, _CUSTOMER)
    found = history.find(_CUSTOMER)
    if found is None:
        raise AssertionError("the customer is not in the store")

    def as_of(at: datetime | None) -> None:
        known = replay(history, _CUSTOMER, as_of=at)
        at = at or until
        book = RecordedShelf(history, known.partition, known.stored, rules).at(at)
        policy = book.rules.policy if book else None
        standing(known.customer, at=at, policy=policy, ruling=book.ruling if book else None)

    parts: dict[str, Callable[[], object]] = {
        "as_of_half_way": lambda: as_of(SINCE + (until - SINCE) / 2),
        "as_of_the_end": lambda: as_of(None),
        "read": lambda: history.history(*found),
        "decode": lambda: [restored(stored) for stored in whole.stored],
        "fold": lambda: folded(Customer(_CUSTOMER), whole.history),
    }
    taken = {name: _taken(part, rounds=_ROUNDS[size]) for name, part in parts.items()}
    tidings.engine.dispose()
    figures: Figures = {"events": len(whole.history)}
    for name, (seconds, cpu_seconds) in taken.items():
        figures |= {f"{name}_ms": rounded(seconds * 1_000), f"{name}_cpu_ms": rounded(cpu_seconds * 1_000)}
    return figures


def _taken(part: Callable[[], object], *, rounds: int) -> tuple[float, float]:
    """Seconds on the wall and of the processor, the median of so many rounds."""
    spent: list[Spent] = []
    for _ in range(rounds):
        watch = Stopwatch()
        with watch:
            part()
        spent.append(watch.spent)
    return median(s.seconds for s in spent), median(s.cpu_seconds for s in spent)


def _life() -> Iterator[Envelope]:
    """Somebody who is registered, says yes and does something every hour."""

    def told(kind: str, at: datetime, fact: Fact) -> Envelope:
        return Envelope(kind, _CUSTOMER, at, fact)

    yield told(
        "customer.registered/1", SINCE, CustomerRegistered(source="bench", id="r", zone="Europe/Prague")
    )
    yield told("consent.granted/1", SINCE, ConsentGranted(source="bench", id="c", provenance="form"))
    for number in range(_FACTS):
        at, name = SINCE + _STEP * (number + 1), f"f{number}"
        if number % 30 == 0:
            balance = BalanceRecorded(source="bench", id=name, account="a", amount=Decimal(number))
            yield told("balance.recorded/1", at, balance)
        elif number % 3 == 0:
            yield told("session.started/1", at, SessionStarted(source="bench", id=name, channel="app"))
        else:
            amount = Decimal("-10.00")
            paid = TransactionPosted(source="bench", id=name, account="a", amount=amount, currency="CZK")
            yield told("transaction.posted/1", at, paid)


if __name__ == "__main__":
    main(measure)
