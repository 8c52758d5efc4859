"""Workers under a constant stream of facts are killed ten times: they tell what one left alone tells."""

import os
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from signal import SIGKILL
from threading import Thread
from time import sleep

import pytest

from domain.catalogue import Envelope
from stores.adoption import behind
from stores.inbox import Told
from support.bank import Bank
from support.postgres import fresh_database
from support.stream import LOOK_AGAIN_SECONDS, Provider, work
from tidings.synthetic import synthetic_bank

START = date(2026, 1, 1)
DAYS, STRETCH_DAYS = 182, 26
CHUNK = 100
KILLS = 10
SEED = int(os.environ.get("TIDINGS_TEST_SEED", "11"))


def stretches(told: Sequence[Envelope]) -> dict[datetime, list[Envelope]]:
    """The facts by the end of their stretch of business time; the bank tells each customer's in order."""
    ends = [
        datetime(START.year, 1, 1, tzinfo=UTC) + timedelta(days=day, hours=12)
        for day in range(STRETCH_DAYS, DAYS + STRETCH_DAYS, STRETCH_DAYS)
    ]
    found: dict[datetime, list[Envelope]] = {end: [] for end in ends}
    for fact in told:
        found[next(end for end in ends if fact.occurred_at <= end)].append(fact)
    return found


class Life:
    """The bank's facts told stretch by stretch, and the processes that live through them."""

    def __init__(self, bank: Bank, told: Sequence[Envelope], *, workers: int) -> None:
        self._bank = bank
        self._context = get_context("spawn")
        self._stretches = stretches(told)
        self._told = RawValue("i", 0)
        self._record = bank.outbox.with_suffix(".taken")
        self.provider = Provider(self._record)
        self._join = workers > 1
        self._feeder = Thread(target=self._feed, daemon=True)
        self._feeder.start()
        self.workers = [self._begin() for _ in range(workers)]

    def kill(self, victim: int) -> None:
        """SIGKILL one of the workers, which must be at work, and start another in its place."""
        process = self.workers[victim]
        assert process.pid is not None
        os.kill(process.pid, SIGKILL)
        process.join()
        assert process.exitcode == -SIGKILL, f"a worker had ended before it was killed; seed {SEED}"
        self.workers[victim] = self._begin()

    def wait_for(self, events: int) -> None:
        """Until so many events are committed."""
        while self._bank.committed() < events:
            assert any(worker.is_alive() for worker in self.workers), f"all ended early; seed {SEED}"
            assert self._feeder.is_alive() or self._told.value == len(self._stretches)
            sleep(LOOK_AGAIN_SECONDS)

    def end(self) -> None:
        """Until everything is lived through."""
        for worker in self.workers:
            worker.join(timeout=100)
            assert worker.exitcode == 0
        self._feeder.join(timeout=1)
        assert not self._feeder.is_alive()

    def _begin(self) -> BaseProcess:
        settings, ends = self._bank.settings, list(self._stretches)
        arguments = (settings, self._record, ends, self._told)
        worker = self._context.Process(target=work, args=arguments, kwargs={"join": self._join}, daemon=True)
        worker.start()
        return worker

    def _feed(self) -> None:
        """One stretch ahead of the workers, in chunks that are small, so that they come all the time."""
        tidings = self._bank.tidings
        inbox, ends = tidings.inbox, list(self._stretches)
        partitions = list(tidings.history.customer_partitions())
        for number, facts in enumerate(self._stretches.values(), 1):
            for first in range(0, len(facts), CHUNK):
                chunk = [Told(fact, "stream") for fact in facts[first : first + CHUNK]]
                assert inbox.take(chunk, origin="stream", at=0).refused == []
            self._told.value = number
            while number > 1 and behind(tidings.engine, partitions, until=ends[number - 2], rulebook=1):
                sleep(LOOK_AGAIN_SECONDS)
        tidings.engine.dispose()


@pytest.fixture(scope="module")
def told() -> list[Envelope]:
    return list(synthetic_bank(customers=240, days=DAYS, start=START, seed=SEED))


@pytest.fixture(scope="module")
def undisturbed(told: list[Envelope], tmp_path_factory: pytest.TempPathFactory) -> tuple[Bank, list[str]]:
    """All facts told before one run in one partition, and what the provider took."""
    bank = Bank(tmp_path_factory.mktemp("undisturbed"), partitions=1)
    provider = Provider(bank.outbox.with_suffix(".taken"))
    bank.channels = provider.channels
    assert bank.take(told).refused == []
    bank.run(max(stretches(told)))
    return bank, provider.taken()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(("store", "workers"), [("sqlite", 1), ("postgresql", 3)])
def test_killed_ten_times_under_load_it_tells_the_same_and_sends_nothing_twice(
    store: str, workers: int, told: list[Envelope], undisturbed: tuple[Bank, list[str]], tmp_path: Path
) -> None:
    steady, taken = undisturbed
    bank = Bank(tmp_path, partitions=6, url=fresh_database() if store == "postgresql" else None)
    chance = random.Random(SEED)
    total = steady.committed()
    life = Life(bank, told, workers=workers)
    for moment in sorted(chance.sample(range(total // 20, total * 9 // 10), KILLS)):
        life.wait_for(moment)
        sleep(chance.random() * 0.02)
        life.kill(chance.randrange(workers))
    life.end()
    assert bank.histories() == steady.histories()
    assert bank.ledger() == steady.ledger()
    assert sorted(life.provider.taken()) == sorted(taken)
    assert len({line.split()[0] for line in taken}) == len(taken) > 100
    assert bank.verify().findings == []
