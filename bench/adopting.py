"""What it costs to publish a journey to customers who are there: publishing, the sweep, the facts meanwhile.

``python -m bench.adopting``; it is not among the benchmarks of ``make bench``.
"""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from bench.bank import SINCE, UNTIL, Lived, bank, live, opened, take
from bench.command import Figures, Size, main, rounded
from bench.grown import Seed, grow, seed_of, subject_of
from bench.place import Place, Unavailable, settle
from bench.stopwatch import Spent, Stopwatch
from domain.catalogue import Envelope, TransactionPosted
from journeys.definition import End, Enter, EnterOnBirthday, EnterOnFact, Journey
from tidings.authoring import publish
from tidings.bootstrap import wall_clock
from tidings.documents import Documents

_CUSTOMERS = 950
_TIMES = {"quick": 22, "full": 105}
_FACTS = 20_000
_TELLING = 400
_KINDS_UNTIL_LAST_FACT = """
SELECT kind, count(*) FROM events WHERE partition = 1 AND seq > ? AND seq <=
(SELECT max(seq) FROM events WHERE partition = 1 AND kind = 'transaction.posted/1') GROUP BY kind
"""


def measure(size: Size, place: Place) -> Figures:
    """On a small store and on one that is so many times larger."""
    if place.kind != "sqlite":
        raise Unavailable("large stores are grown by SQLite's own calls so far")
    url = place.store("seed", partitions=1)
    take(url, bank(_CUSTOMERS))
    live(url, since=SINCE)
    settle(url)
    seed, times = seed_of(url), _TIMES[size]
    large = grow(place, "large", seed, times=times)
    settle(large)
    plain, both = place.copy("large", "plain"), place.copy("large", "both")
    in_small, in_large = _published(url), _published(large)
    _published(both)
    sweep = live(large, until=UNTIL, since=None)
    nothing_new = live(large, until=UNTIL, since=None)
    _publish(large, EnterOnFact(fact="x.anything/1"), name="by-fact")
    same_wake_ups = live(large, until=UNTIL, since=None)
    customers = len(seed.streams) * times
    return {
        "customers": customers,
        "events": len(seed.events) * times,
        "publish_ms_small": rounded(in_small.seconds * 1e3),
        "publish_ms_large": rounded(in_large.seconds * 1e3),
        "planned": sweep.tally.planned,
        "sweep_cpu_us_per_customer": rounded(sweep.spent.cpu_seconds / customers * 1e6),
        "sweep_customers_per_cpu_second": rounded(customers / sweep.spent.cpu_seconds),
        "sweep_customers_per_second": rounded(customers / sweep.spent.seconds),
        "run_ms_nothing_new": rounded(nothing_new.spent.seconds * 1e3),
        "run_ms_same_wake_ups": rounded(same_wake_ups.spent.seconds * 1e3),
        **_meanwhile(plain, both, seed, times=times),
    }


def _meanwhile(plain: str, both: str, seed: Seed, *, times: int) -> Figures:
    """The same facts with and without a sweep beside them."""
    alone = _with_facts(plain)
    beside = _with_facts(both)
    engine = opened(both).engine
    with engine.connect() as connection:
        order = connection.exec_driver_sql(_KINDS_UNTIL_LAST_FACT, (len(seed.events) * times,)).all()
    engine.dispose()
    counted = {str(kind): int(number) for kind, number in order}
    return {
        "facts": alone.tally.facts,
        "facts_cpu_seconds": rounded(alone.spent.cpu_seconds),
        "facts_and_sweep_cpu_seconds": rounded(beside.spent.cpu_seconds),
        "adopted_when_the_last_fact_is_done": counted.get("rulebook.adopted/1", 0),
        "adopted_in_the_end": beside.tally.planned,
    }


def _with_facts(url: str) -> Lived:
    take(url, _told())
    return live(url, until=UNTIL + timedelta(minutes=1), since=None)


def _told() -> Iterator[Envelope]:
    for number in range(_FACTS):
        stream = number % _TELLING + 1
        fact = TransactionPosted(
            source="/bench", id=f"a-{number}", account=f"A{stream}", amount=Decimal("-1.00"), currency="EUR"
        )
        yield Envelope(
            "transaction.posted/1", subject_of(stream), UNTIL + timedelta(milliseconds=number), fact
        )


def _published(url: str) -> Spent:
    return _publish(url, EnterOnBirthday(at="18:00"), name="own")


def _publish(url: str, enter: Enter, *, name: str) -> Spent:
    own = Journey(
        journey=name,
        version=1,
        title={"en": "Own"},
        purpose="care",
        topic="greetings",
        enter=enter,
        steps=(End(step="end"),),
    )
    tidings, watch = opened(url), Stopwatch()
    with watch:
        publish(tidings.engine, Documents([own], []), at=wall_clock())
    tidings.engine.dispose()
    return watch.spent


if __name__ == "__main__":
    main(measure)
