"""Whether a fact costs more in a large store than in a small one.

The same number of customers, spread evenly over stores of several sizes, tell the same facts at a moment when
nothing else is due. First one fact each, where loading the history is nearly all; then twenty each.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

from bench.bank import SINCE, UNTIL, bank, live, take
from bench.command import Figures, Size, main, rounded
from bench.grown import Seed, grow, seed_of, subject_of
from bench.place import Place, settle
from domain.catalogue import Envelope, TransactionPosted

_TIMES = {
    "sqlite": {"quick": (1, 3, 10), "full": (1, 3, 10, 30, 100)},
    "postgresql": {"quick": (1, 10), "full": (1, 10, 100)},
}
_CUSTOMERS = 950  # who make about 100,000 events in a year
_TELLING = 900
_FACTS_EACH = 20
_ROUNDS = 3
Round = dict[int, dict[str, float]]


def measure(size: Size, place: Place) -> Figures:
    """The same facts on stores of every size, in rounds; ratios are those of the largest to the smallest."""
    url = place.store("seed", partitions=1)
    take(url, bank(_CUSTOMERS))
    live(url, since=SINCE)
    settle(url)
    seed = seed_of(url)
    urls = {times: grow(place, f"grown-{times}", seed, times=times) for times in _TIMES[place.kind][size]}
    sizes = {times: settle(url) for times, url in urls.items()}
    rounds = [_round(urls, number) for number in range(_ROUNDS)]
    return {
        "events_of_a_customer": rounded(len(seed.events) / len(seed.streams)),
        "curve": [_point(seed, times, sizes[times], rounds) for times in urls],
        "cost_ratio": _ratio(rounds, "cpu_us_per_fact"),
        "cost_ratio_wall": _ratio(rounds, "us_per_fact"),
        "cost_ratio_first_fact": _ratio(rounds, "cpu_us_per_first_fact"),
        "cost_ratio_further_fact": _ratio(rounds, "cpu_us_per_further_fact"),
        "cost_ratio_import": _ratio(rounds, "import_cpu_us_per_fact"),
    }


def _ratio(rounds: list[Round], name: str) -> float:
    """Largest to smallest within each round, since the machine may be busier in one than in another."""
    return rounded(median(found[max(found)][name] / found[min(found)][name] for found in rounds))


def _round(urls: dict[int, str], number: int) -> Round:
    """What facts cost on each store, by how many times the seed is in it.

    Everywhere it is the same customers again, so that their histories grow alike.
    """
    at = UNTIL + timedelta(minutes=number * 2)
    return {times: _costs(url, times=times, at=at) for times, url in urls.items()}


def _costs(url: str, *, times: int, at: datetime) -> dict[str, float]:
    found = _cost(url, times=times, each=1, at=at)
    found |= _cost(url, times=times, each=_FACTS_EACH, at=at + timedelta(minutes=1))
    further = _FACTS_EACH * found["cpu_us_per_fact"] - found["cpu_us_per_first_fact"]
    return found | {"cpu_us_per_further_fact": further / (_FACTS_EACH - 1)}


def _point(seed: Seed, times: int, store_bytes: int, rounds: list[Round]) -> dict[str, float]:
    return {
        "events": len(seed.events) * times,
        "customers": len(seed.streams) * times,
        "store_bytes": store_bytes,
        **{name: rounded(median(found[times][name] for found in rounds)) for name in rounds[0][times]},
    }


def _cost(url: str, *, times: int, each: int, at: datetime) -> dict[str, float]:
    """Microseconds for each fact; all of them happen within the minute from ``at``."""
    facts, taken, _ = take(url, _told(times, each, at))
    lived = live(url, until=at + timedelta(seconds=59), since=None)
    if lived.tally.facts != facts or lived.tally.messages:
        raise AssertionError(f"{lived.tally} for {facts} facts: something else was due")
    if each == 1:
        return {
            "us_per_first_fact": lived.spent.seconds / facts * 1e6,
            "cpu_us_per_first_fact": lived.spent.cpu_seconds / facts * 1e6,
        }
    return {
        "us_per_fact": lived.spent.seconds / facts * 1e6,
        "cpu_us_per_fact": lived.spent.cpu_seconds / facts * 1e6,
        "import_us_per_fact": taken.seconds / facts * 1e6,
        "import_cpu_us_per_fact": taken.cpu_seconds / facts * 1e6,
    }


def _told(times: int, each: int, at: datetime) -> Iterator[Envelope]:
    for turn in range(each):
        for customer in range(_TELLING):
            stream = customer * times + 1
            fact = TransactionPosted(
                source="/bench",
                id=f"g-{stream}-{at:%H%M}-{turn}",
                account=f"A{stream}",
                amount=Decimal("-10.00"),
                currency="EUR",
                category="card",
            )
            yield Envelope("transaction.posted/1", subject_of(stream), at + timedelta(seconds=turn), fact)


if __name__ == "__main__":
    main(measure)
