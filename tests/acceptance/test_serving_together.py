"""Several workers serve one store: nothing leaves twice, nothing is stuck, whoever loses a lease goes on."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock, Thread

import pytest

from channels.base import Outcome, Outgoing
from channels.breaker import Guarded
from channels.pacing import Paced
from channels.provider import Callback, Pace, Receipt
from channels.route import Route
from domain.catalogue import Purpose
from support.postgres import fresh_database
from support.scripted import Scripted
from support.wall import MORNING, Killed, Service
from tidings.bootstrap import Tidings
from tidings.serving import Serving

STORES = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


class Post(Scripted):
    """A provider that several threads may use; before and after each taking ``at`` is called."""

    name = "post"

    def __init__(self, at: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._at = at
        self._lock = Lock()

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        return [self._one(message) for message in messages]

    def _one(self, message: Outgoing) -> Outcome:
        self._at()
        with self._lock:
            outcome = self._send(message)
        self._at()
        return outcome

    def taken(self) -> Counter[str]:
        """How often each message was taken."""
        return Counter(message.id for message in self.given)

    def receipts(self, callback: Callback) -> list[Receipt]:
        """Nobody calls back."""
        raise AssertionError


def served(folder: Path, kind: str, post: Post, **given: object) -> Service:
    url = fresh_database() if kind == "postgresql" else None
    way = Route([Guarded(Paced(post, Pace(per_second=100_000, burst=10_000)))])
    return Service(folder, post, way=way, url=url, **given)  # type: ignore[arg-type]


@STORES
@pytest.mark.parametrize("purpose", ["marketing", "service"])
def test_two_workers_that_are_killed_over_and_over(kind: str, purpose: Purpose, tmp_path: Path) -> None:
    dice, kills = random.Random(7), [12]

    def dies() -> None:
        if kills[0] and dice.random() < 0.1:
            kills[0] -= 1
            raise Killed

    post = Post(dies)
    service = served(tmp_path, kind, post, purpose=purpose, customers=60, partitions=4).ask(MORNING)
    failures: list[BaseException] = []

    def work(tidings: Tidings) -> None:
        try:
            with asyncio.Runner() as runner:
                while is_left(service):
                    try:
                        Serving(tidings, clock=service.wall).step(runner)
                    except Killed:
                        continue
        except BaseException as error:
            failures.append(error)

    opened = [service.bank.tidings for _ in range(2)]
    threads = [Thread(target=work, args=(tidings,)) for tidings in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tidings in opened:
        tidings.engine.dispose()
    assert failures == []
    assert kills == [0]
    assert service.statuses() == ["accepted"] * 60
    assert set(post.taken().values()) == {1}


def is_left(service: Service) -> bool:
    """Whether something waits to be decided or to be answered."""
    return any(service.bank.sql(f"SELECT 1 FROM {table} LIMIT 1") for table in ("inbox", "outbox", "timers"))


class Stalled(Post):
    """At its second message the whole process stands still, and then the line does for a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.stands = Event()
        self.goes_on = Event()
        self._stalls = True

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        outcomes = []
        for message in messages:
            if self._stalls and self.given:
                self._stalls = False
                self.stands.set()
                self.goes_on.wait()
                # Who looks after the lease is due by now, and comes first.
                await asyncio.sleep(0.1)
            outcomes.append(self._one(message))
        return outcomes


@STORES
def test_who_loses_the_lease_while_handing_over_sends_nothing_more_and_goes_on_with_others(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stores.journal._LEASE_MICROS", 200_000)
    monkeypatch.setattr("tidings.leaving._LOOK_SECONDS", 0.01)
    post = Stalled()
    service = served(tmp_path, kind, post, purpose="marketing", customers=12, partitions=1).ask(MORNING)
    service.wall.now = MORNING
    busy: list[bool] = []

    def stall(tidings: Tidings) -> None:
        with asyncio.Runner() as runner:
            serving = Serving(tidings, clock=service.wall)
            busy.append(serving.step(runner))
            # What it does for other partitions takes a while.
            runner.run(asyncio.sleep(0.3))
            service.ask(MORNING + timedelta(hours=1))
            service.wall.now += timedelta(hours=1)
            while serving.step(runner):
                pass

    first, second = service.bank.tidings, service.bank.tidings
    loser = Thread(target=stall, args=(first,))
    loser.start()
    post.stands.wait()
    with asyncio.Runner() as runner:
        winner = Serving(second, clock=service.wall)
        while is_left(service):
            winner.step(runner)
    post.goes_on.set()
    loser.join()
    for tidings in (first, second):
        tidings.engine.dispose()
    assert busy == [False]
    assert service.statuses() == ["accepted"] * 24
    assert set(post.taken().values()) == {1}
    assert len(post.taken()) == 24
