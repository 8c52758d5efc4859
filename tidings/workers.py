"""Several worker processes over the partitions of one store, each with a core of its own."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized

from tidings.process import Progress, Tally

_LOOK_SECONDS = 0.2
Work = Callable[[int, Progress], Tally]
_taken: "list[Synchronized[int]]" = []


def together(work: Work, *, workers: int, progress: Progress) -> Tally:
    """What ``work`` does in each of so many processes, added up; it must share its partitions with others.

    ``work`` is given its number from 0 and whom to tell of facts taken; it has to be picklable.
    ``progress`` is told the facts taken by all of them. The first error of any ends it.
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
        whole = Tally()
        for done in working:
            whole.add(done.result())
    return whole


def _count_in(counters: "list[Synchronized[int]]") -> None:
    _taken.extend(counters)


def _work(work: Work, number: int) -> Tally:
    counter = _taken[number]

    def tell(facts: int) -> None:
        counter.value = facts

    return work(number, tell)
