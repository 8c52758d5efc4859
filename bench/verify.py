"""Proof beside first processing: how fast ``tidings audit verify`` goes through what a run recorded."""

from audit.verify import verify
from bench.bank import bank, live, opened, take
from bench.command import Figures, Size, main, rounded
from bench.place import Place, settle
from bench.stopwatch import Stopwatch
from tidings.authoring import all_rules, all_templates
from tidings.bootstrap import preparer

_CUSTOMERS = {"quick": 400, "full": 3_000}
_PARTITIONS = 8


def measure(size: Size, place: Place) -> Figures:
    """Live through a year, then verify all of it; a finding is an error."""
    url = place.store("verify", partitions=_PARTITIONS)
    facts, _, _ = take(url, bank(_CUSTOMERS[size]))
    lived = live(url)
    settle(url)
    tidings, watch = opened(url), Stopwatch()
    with watch:
        rules, prepare = all_rules(tidings.engine), preparer(all_templates(tidings.engine))
        verified = verify(tidings.history, rules, prepare, progress=lambda _: None)
    tidings.engine.dispose()
    if not verified.ok:
        raise AssertionError(f"{len(verified.findings)} findings, the first: {verified.findings[0]}")
    return {
        "facts": facts,
        "events": lived.tally.events,
        "replayed": verified.replayed,
        "verify_seconds": rounded(watch.spent.seconds),
        "verify_cpu_seconds": rounded(watch.spent.cpu_seconds),
        "events_per_s": rounded(lived.tally.events / watch.spent.seconds),
        "run_events_per_s": rounded(lived.tally.events / lived.spent.seconds),
        "times_run": rounded(lived.spent.seconds / watch.spent.seconds),
        "times_run_cpu": rounded(lived.spent.cpu_seconds / watch.spent.cpu_seconds),
    }


if __name__ == "__main__":
    main(measure)
