"""How long it takes from a fact's arrival to the hand-over of the message that it leads to.

One process tells facts at a steady rate by the wall clock, this one runs the worker over and over up to the
present; every fifth fact sends a message at once, to nowhere. A fact arrives when its chunk is due, every
50 ms, whether or not the inbox has time for it then; a message is handed over when its channel is called.
"""

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Sequence
from multiprocessing import get_context
from time import monotonic, sleep
from typing import NamedTuple

from msgspec.structs import replace

from bench.bank import Nowhere
from bench.command import Figures, Size, main, rounded
from bench.place import Place
from bench.stopwatch import peak_rss_mb
from bench.stream import SPEAKING_SHARE, TICK_SECONDS, Fed, Feed, feed, prepare, speaking
from channels.base import Outcome, Outgoing, everywhere
from domain.clock import to_micros
from tidings.bootstrap import CUSTOMER_PARTITIONS, Tidings, bootstrap, wall_clock
from tidings.process import Tally, Worker
from tidings.settings import Settings

_SECONDS = {"quick": 2.5, "full": 30.0}
# No factor in common with five, so that every customer has messages; so many that histories hardly grow.
_CUSTOMERS = {"quick": 9_999, "full": 99_999}
_SHARES = (0.25, 0.5, 0.8)
_FLOOD_RATE, _FLOOD_LIMIT = 20_000.0, 2_000
_OVERLOAD, _LIMIT_SECONDS = 2.0, 0.5
_NO_LIMIT = 1_000_000_000
_MARKETING, _SERVICE_CUSTOMERS, _SERVICE_RATE, _PROVIDER_SECONDS = 1_500, 499, 50.0, 0.002
_IDLE_SECONDS = 0.002


class Stamps(Nowhere):
    """A channel that notes whom each message was for and when it was called with it."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.whom: list[int] = []
        self.at: list[float] = []
        self._seconds = seconds

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        for message in messages:
            self.whom.append(int(message.address.partition("@")[0]))
            self.at.append(monotonic())
            if self._seconds:
                await asyncio.sleep(self._seconds)
        return await super().send(messages)


class Lived(NamedTuple):
    """What a stretch brought: ``waits`` in seconds, sorted; facts each second until the last was taken."""

    fed: Fed
    waits: list[float]
    facts_per_s: float


def measure(size: Size, place: Place) -> Figures:
    """First what the worker can sustain, then shares of it, then more than that."""
    seconds, customers = _SECONDS[size], _CUSTOMERS[size]
    url = place.store("latency", partitions=1)
    prepare(url, customers)

    def lived(name: str, rate: float, limit: int, *, url: str = url) -> Lived:
        return _live(url, Feed(url, name, rate, seconds, limit, customers))

    sustained = lived("flood", _FLOOD_RATE, _FLOOD_LIMIT).facts_per_s
    loads = {f"{share:.0%}": lived(f"{share:.0%}", sustained * share, _NO_LIMIT) for share in _SHARES}
    limit = round(sustained * _LIMIT_SECONDS)
    over = lived("over", sustained * _OVERLOAD, limit)
    place.drop("latency")
    many = place.store("partitions", partitions=CUSTOMER_PARTITIONS)
    prepare(many, customers)
    lowest = lived("many", sustained * _SHARES[0], _NO_LIMIT, url=many)
    return {
        "customers": customers,
        "seconds_each": seconds,
        "tick_ms": TICK_SECONDS * 1_000,
        "messages_per_fact": SPEAKING_SHARE,
        "sustained_facts_per_s": rounded(sustained),
        "messages": {share: len(load.waits) for share, load in loads.items()},
        "p50_ms": {share: _at(load, 0.5) for share, load in loads.items()},
        "p99_ms": {share: _at(load, 0.99) for share, load in loads.items()},
        "max_ms": {share: _at(load, 1.0) for share, load in loads.items()},
        f"with_{CUSTOMER_PARTITIONS}_partitions_at_25%": {
            "p50_ms": _at(lowest, 0.5),
            "p99_ms": _at(lowest, 0.99),
        },
        "overload": {
            "offered_facts_per_s": rounded(over.fed.offered / seconds),
            "taken_facts_per_s": rounded(over.facts_per_s),
            "refused_share": rounded(over.fed.refused / over.fed.offered),
            "refused_chunks": over.fed.refused_chunks,
            "waiting_limit": limit,
            "most_waiting": over.fed.most_waiting,
            "p50_ms": _at(over, 0.5),
            "p99_ms": _at(over, 0.99),
            "max_ms": _at(over, 1.0),
        },
        **_beside_marketing(place, seconds=seconds),
        "peak_rss_mb": rounded(peak_rss_mb()),
    }


def _beside_marketing(place: Place, *, seconds: float) -> Figures:
    """What service messages wait alone, and beside marketing that a slow provider takes one by one.

    One partition, since a worker works off one after the other.
    """
    found: dict[str, Lived] = {}
    for name, marketing, turns in (
        ("alone", 0, True),
        ("beside_marketing", _MARKETING, True),
        ("beside_marketing_without_turns", _MARKETING, False),
    ):
        url = place.store("urgent", partitions=1)
        prepare(url, _SERVICE_CUSTOMERS + _MARKETING)
        what = Feed(
            url, name, _SERVICE_RATE / SPEAKING_SHARE, seconds, _NO_LIMIT, customers=_SERVICE_CUSTOMERS
        )
        found[name] = _live(url, what, marketing=marketing, follow=turns, provider=_PROVIDER_SECONDS)
        place.drop("urgent")
    return {
        "marketing_backlog": _MARKETING,
        "provider_ms": _PROVIDER_SECONDS * 1_000,
        "service_p50_ms": {name: _at(lived, 0.5) for name, lived in found.items()},
        "service_p99_ms": {name: _at(lived, 0.99) for name, lived in found.items()},
        "service_max_ms": {name: _at(lived, 1.0) for name, lived in found.items()},
    }


def _live(url: str, what: Feed, *, marketing: int = 0, follow: bool = False, provider: float = 0.0) -> Lived:
    """Run the worker over and over until all is told and decided on.

    ``follow`` lets each run follow the present; without it and with a slow ``provider`` (seconds for each
    message) a run is as if there were no turns.
    """
    channel = Stamps(seconds=provider)
    tidings = bootstrap(Settings(url), channels=everywhere(channel))
    tally = Tally()
    worker = tidings.worker(tally)
    _run(tidings, worker)
    if provider and not follow:
        worker = replace(worker, turn=math.inf)
    ours, theirs = get_context("spawn").Pipe()
    feeder = get_context("spawn").Process(target=feed, args=(what, theirs))
    feeder.start()
    theirs.close()
    ours.recv()
    backlog = [
        speaking(f"{what.name}-m-{n}", customer=_SERVICE_CUSTOMERS + n, purpose="marketing")
        for n in range(marketing)
    ]
    tidings.inbox.take(backlog, origin="bench", at=to_micros(wall_clock()))
    fed: Fed | None = None
    began, first = monotonic(), tally.facts
    took = 0.0
    while True:
        before = tally.facts
        _run(tidings, worker, follow=follow)
        if tally.facts > before:
            took = monotonic() - began
        if fed is None and ours.poll():
            fed = ours.recv()
        elif fed is not None and tally.facts == before:
            break
        elif tally.facts == before:
            sleep(_IDLE_SECONDS)
    feeder.join()
    tidings.engine.dispose()
    return Lived(fed, _waits(fed, channel), (tally.facts - first) / took)


def _run(tidings: Tidings, worker: Worker, *, follow: bool = False) -> None:
    for partition in tidings.history.customer_partitions():
        until = wall_clock if follow else wall_clock()
        worker.run(partition, until=until, progress=lambda _: None)


def _waits(fed: Fed, channel: Stamps) -> list[float]:
    """From coming to hand-over, sorted. Messages of one customer leave in the order of their facts."""
    came: dict[int, deque[float]] = defaultdict(deque)
    for whom, at in zip(fed.whom, fed.came_at, strict=True):
        came[whom].append(at)
    waits = [
        at - came[whom].popleft() for whom, at in zip(channel.whom, channel.at, strict=True) if came[whom]
    ]
    if len(waits) != len(fed.whom):
        raise AssertionError(f"{len(waits)} messages for {len(fed.whom)} facts")
    return sorted(waits)


def _at(lived: Lived, share: float) -> float:
    """The wait in milliseconds that this share of the messages does not exceed."""
    waits = lived.waits
    return rounded(waits[min(len(waits) - 1, int(len(waits) * share))] * 1_000)


if __name__ == "__main__":
    main(measure)
