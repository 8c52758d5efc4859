"""Recurring jobs go on, whatever one of them does."""

from datetime import timedelta
from queue import Queue
from threading import Event

import pytest

from scheduler.sweeps import Sweep, Sweeps

SOON = timedelta(milliseconds=20)


def test_each_comes_again_and_a_failure_ends_nothing() -> None:
    told: Queue[str] = Queue()

    def fail() -> None:
        told.put("failed")
        raise RuntimeError("on purpose")

    with Sweeps([Sweep("good", SOON, lambda: told.put("done")), Sweep("bad", SOON, fail)]):
        seen = [told.get(timeout=10) for _ in range(8)]
        while not {"done", "failed"} <= set(seen) or seen.count("failed") < 2:
            seen.append(told.get(timeout=10))
    assert seen.count("failed") >= 2


def test_what_failed_is_told_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    tried = Queue[str]()

    def fail() -> None:
        tried.put("again")
        raise RuntimeError("on purpose")

    with Sweeps([Sweep("ledger", SOON, fail)]):
        tried.get(timeout=10)
        tried.get(timeout=10)
    assert "ledger failed and is tried again: RuntimeError: on purpose" in caplog.text


def test_one_that_takes_its_time_is_not_begun_again_and_holds_up_no_other() -> None:
    ticks: Queue[int] = Queue()
    running, most = [0], [0]

    def slowly() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        for _ in range(4):
            ticks.get(timeout=10)
        running[0] -= 1
        done.set()

    done = Event()
    with Sweeps([Sweep("slow", SOON, slowly), Sweep("quick", SOON, lambda: ticks.put(1))]):
        assert done.wait(30)
    assert most == [1]


def test_what_is_under_way_is_waited_for() -> None:
    begun, may_end = Event(), Event()
    ended: list[bool] = []

    def slowly() -> None:
        begun.set()
        may_end.wait(10)
        # So much work that whoever does not wait is gone before it is done.
        ended.append(sum(range(5_000_000)) > 0)

    with Sweeps([Sweep("one", SOON, slowly)]):
        assert begun.wait(10)
        may_end.set()
    assert ended
