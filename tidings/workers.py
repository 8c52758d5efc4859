"""Several processes over the partitions of one store, each with a core of its own."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from typing import TypeVar

_LOOK_SECONDS = 0.2
T = TypeVar("T")
Progress = Callable[[int], None]
Work = Callable[[int, Progress], T]
_taken: "list[Synchronized[int]]" = []


def together(work: Work[T], *, workers: int, progress: Progress) -> list[T]:
    """What ``work`` gives in each of so many processes.

    ``work`` is given its number from 0 and whom to tell how far it is; it has to be picklable. ``progress``
    is told the sum of all. The first error of any is raised.
    """
    context = get_context("spawn")
    counters: list[Synchronized[int]] = [context.Value("q", 0) for _ in range(workers)]
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_count_in, initargs=(counters,))
    with pool:
        working = [pool.submit(_work, work, number) for number in range(workers)]
        while wait(working, timeout=_LOOK_SECONDS).not_done:
            progress(sum(counter.value for counter in counters))
            failed = [done for done in working if done.done() and done.exception()]
            if failed:
                break
        return [done.result() for done in working]


def _count_in(counters: "list[Synchronized[int]]") -> None:
    _taken.extend(counters)


def _work(work: Work[T], number: int) -> T:
    counter = _taken[number]

    def tell(done: int) -> None:
        counter.value = done

    return work(number, tell)
