"""Proof beside first processing: how fast ``tidings audit verify`` goes through what a run recorded.

With one process each and with two: the same facts are lived through on two stores, and each is verified by as
many processes as have lived it. The second store has all customers in one partition, which one process has to
live alone and two verify together.
"""

from audit.pieces import whole
from bench.bank import bank, live, live_together, opened, take
from bench.command import Figures, Size, main, rounded
from bench.place import Place, settle
from bench.stopwatch import Spent, Stopwatch, peak_rss_mb
from tidings.bootstrap import Tidings
from tidings.cli.reading import Source
from tidings.cli.verifying import verify_history, verify_source
from tidings.settings import Settings

_CUSTOMERS = {"quick": 400, "full": 3_000}
_PARTITIONS = 8
_WORKERS = 2


def measure(size: Size, place: Place) -> Figures:
    """Live through a year, then verify all of it; a finding is an error."""
    url = place.store("verify", partitions=_PARTITIONS)
    facts, _, _ = take(url, bank(_CUSTOMERS[size]))
    lived = live(url)
    settle(url)
    before = peak_rss_mb()
    replayed, alone = _verified(url, workers=1)
    grown = peak_rss_mb() - before
    tidings = opened(url)
    at_once = max(_customers_of(tidings))
    tidings.engine.dispose()
    place.drop("verify")
    events = lived.tally.events
    return {
        "facts": facts,
        "events": events,
        "replayed": replayed,
        "verify_seconds": rounded(alone.seconds),
        "verify_cpu_seconds": rounded(alone.cpu_seconds),
        "events_per_s": rounded(events / alone.seconds),
        "run_events_per_s": rounded(events / lived.spent.seconds),
        "times_run": rounded(lived.spent.seconds / alone.seconds),
        "times_run_cpu": rounded(lived.spent.cpu_seconds / alone.cpu_seconds),
        "customers_at_once": at_once,
        "grown_rss_mb": rounded(grown),
        **_together(place, size, partitions=_PARTITIONS, prefix="two"),
        **_together(place, size, partitions=1, prefix="one_partition_two"),
    }


def _together(place: Place, size: Size, *, partitions: int, prefix: str) -> Figures:
    """The same bank lived and verified by two processes; their start counts on both sides."""
    url = place.store("together", partitions=partitions)
    take(url, bank(_CUSTOMERS[size]))
    _, lived = live_together(url, workers=_WORKERS)
    settle(url)
    _, spent = _verified(url, workers=_WORKERS)
    place.drop("together")
    return {
        f"{prefix}_verify_seconds": rounded(spent.seconds),
        f"{prefix}_times_run": rounded(lived.seconds / spent.seconds),
    }


def _verified(url: str, *, workers: int) -> tuple[int, Spent]:
    """Decisions that were made again, and what it took."""
    tidings, watch = opened(url), Stopwatch()
    with watch:
        if workers == 1:
            verified = verify_history(tidings.history, lambda _: None)
        else:
            verified = verify_source(Source(Settings(url)), lambda _: None, workers=workers)
    tidings.engine.dispose()
    if not verified.ok:
        raise AssertionError(f"{len(verified.findings)} findings, the first: {verified.findings[0]}")
    return verified.replayed, watch.spent


def _customers_of(tidings: Tidings) -> list[int]:
    """How many customers each piece has, whose states are in memory together."""
    history = tidings.history
    return [len(history.subjects(piece.partition, piece.portion)) for piece in whole(history)]


if __name__ == "__main__":
    main(measure)
