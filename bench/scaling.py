"""One, two and four processes over disjoint partitions of one store.

On SQLite they queue for one writer; on PostgreSQL they need not. Each number of processes gets its own copy
of the same store, and the clock runs from when all of them are ready until the last one is done.
"""

import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier

from bench.bank import SINCE, UNTIL, bank, opened, take
from bench.command import Figures, Size, main, rounded
from bench.place import Place
from tidings.process import Tally

_CUSTOMERS = {"quick": 400, "full": 3_000}
_PROCESSES = (1, 2, 4)
_ROUNDS = {"quick": 1, "full": 3}
_PARTITIONS = 8


def measure(size: Size, place: Place) -> Figures:
    """Facts for each second with each number of processes, the best of the rounds, and the ratio to one."""
    url = place.store("scaling", partitions=_PARTITIONS)
    facts, _, _ = take(url, bank(_CUSTOMERS[size]))
    rates: dict[int, float] = {}
    for processes in _PROCESSES:
        times = []
        for _ in range(_ROUNDS[size]):
            times.append(_seconds(place.copy("scaling", "scaled"), processes))
            place.drop("scaled")
        rates[processes] = facts / min(times)
    return {
        "cores": os.cpu_count(),
        "facts": facts,
        "facts_per_s": {str(processes): rounded(rate) for processes, rate in rates.items()},
        "scaling": {str(n): rounded(rate / rates[1]) for n, rate in rates.items() if n > 1},
    }


def _seconds(url: str, processes: int) -> float:
    context = multiprocessing.get_context("spawn")
    ready: Barrier = context.Barrier(processes + 1)
    workers = [
        context.Process(target=_work, args=(url, list(range(1 + n, _PARTITIONS + 1, processes)), ready))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    ready.wait(timeout=120)
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise AssertionError(f"workers ended with {[worker.exitcode for worker in workers]}")
    return time.perf_counter() - began


def _work(url: str, partitions: list[int], ready: Barrier) -> None:
    worker = opened(url).worker(Tally())
    ready.wait(timeout=120)
    for partition in partitions:
        worker.run(partition, until=UNTIL, since=SINCE, progress=lambda _: None)


if __name__ == "__main__":
    main(measure)
