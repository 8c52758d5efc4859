"""A bank on a store of its own: facts in, lived through in measured stretches, messages to nowhere."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import NamedTuple

from sqlalchemy import event

from bench.place import settle
from bench.stopwatch import Spent, Stopwatch
from channels.base import Accepted, Answer, NotTaken, Outcome, Outgoing, everywhere
from domain.catalogue import Envelope
from domain.clock import to_micros
from stores.inbox import Told
from tidings.bootstrap import Tidings, bootstrap
from tidings.cli.running import live_together as together
from tidings.importing.reading import CHUNK
from tidings.process import BATCH, Tally
from tidings.settings import Settings
from tidings.synthetic import synthetic_bank

SEED = 1
START = date(2026, 1, 1)
SINCE = datetime.combine(START, time(0), UTC)
DAYS = 365
UNTIL = SINCE + timedelta(days=DAYS)


class Nowhere:
    """A channel that takes every message at once and keeps none: the provider costs nothing."""

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        return [Accepted(message.id) for message in messages]

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        return [NotTaken() for _ in messages]

    async def close(self) -> None:
        pass


class Lived(NamedTuple):
    """What a run did and what it took; ``batches`` is the number of committed transactions."""

    tally: Tally
    spent: Spent
    batches: int


def opened(url: str) -> Tidings:
    """The store with channels that lead nowhere."""
    return _opened(Settings(url))


def _opened(settings: Settings) -> Tidings:
    return bootstrap(settings, channels=everywhere(Nowhere()))


def bank(customers: int) -> Iterator[Envelope]:
    """A year of the synthetic bank's facts."""
    return synthetic_bank(customers=customers, days=DAYS, start=START, seed=SEED)


def take(url: str, facts: Iterable[Envelope]) -> tuple[int, Spent, Spent]:
    """Facts into the inbox as an import does; their number, what taking cost and what making them cost."""
    tidings = opened(url)
    making, taking, number = Stopwatch(), Stopwatch(), 0
    waiting = iter(facts)
    while True:
        with making:
            chunk = [Told(fact, f"fact {number + n}") for n, fact in enumerate(islice(waiting, CHUNK), 1)]
        if not chunk:
            break
        with taking:
            taken = tidings.inbox.take(chunk, origin="bench", at=to_micros(SINCE))
        if taken.accepted != len(chunk):
            raise AssertionError(f"the inbox refused {len(chunk) - taken.accepted} facts")
        number += len(chunk)
    tidings.engine.dispose()
    settle(url)
    return number, taking.spent, making.spent


def live(
    url: str, *, until: datetime = UNTIL, since: datetime | None = SINCE, partitions: Sequence[int] = ()
) -> Lived:
    """Run partitions of the store, all unless some are named; the ledger stays behind."""
    tidings = opened(url)
    tally, watch, commits = Tally(), Stopwatch(), [0]

    def count(_: object) -> None:
        commits[0] += 1

    event.listen(tidings.engine, "commit", count)
    with watch:
        worker = tidings.worker(tally, batch=BATCH)
        for partition in partitions or tidings.history.customer_partitions():
            worker.run(partition, until=until, since=since, progress=lambda _: None)
    tidings.engine.dispose()
    return Lived(tally, watch.spent, commits[0])


def live_together(url: str, *, workers: int) -> tuple[Tally, Spent]:
    """The whole year by several processes, the ledger included; their start counts too."""
    tidings, watch = opened(url), Stopwatch()
    with watch:
        tally = together(
            tidings, until=UNTIL, since=SINCE, advance=lambda _: None, workers=workers, opener=_opened
        )
    tidings.engine.dispose()
    return tally, watch.spent


def catch_up(url: str) -> Spent:
    """Bring the ledger of messages and tasks up to date, which ``tidings run`` does at its end."""
    tidings, watch = opened(url), Stopwatch()
    with watch:
        tidings.ledger.catch_up()
    tidings.engine.dispose()
    return watch.spent


def judged(tally: Tally) -> int:
    """Messages that left and messages that were suppressed: each one was asked for, judged and recorded."""
    return sum(tally.messages.values())
