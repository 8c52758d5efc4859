"""Recurring jobs go on, whatever one of them does."""

from datetime import timedelta
from queue import Queue
from threading import Event

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


def test_what_is_under_way_is_waited_for() -> None:
    begun, may_end = Event(), Event()
    ended: list[bool] = []

    def slowly() -> None:
        begun.set()
        may_end.wait(10)
        ended.append(True)

    with Sweeps([Sweep("one", SOON, slowly)]):
        assert begun.wait(10)
        may_end.set()
    assert ended
