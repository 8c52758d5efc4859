"""tidings run: live through time by the virtual clock."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

import click
from msgspec import to_builtins

from domain.errors import InputRefused, LeaseLost
from stores.adoption import behind
from stores.journal import check_clock_start
from stores.wall_clock import served_since
from tidings.bootstrap import Tidings, bootstrap
from tidings.cli.terminal import Advance, Instant, Terminal, common_options
from tidings.memory import Room
from tidings.process import BATCH, Tally
from tidings.settings import Settings
from tidings.workers import together

_LOOK_AGAIN_SECONDS = 0.1


@click.command("run")
@click.option("--until", type=Instant(), required=True, help="Live up to and including this instant.")
@click.option(
    "--from",
    "since",
    type=Instant(),
    help="Where the clock of a new store starts: nothing due before it is sent.",
)
@click.option("--join", is_flag=True, help="Share the partitions with other workers that run.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, help="Processes that share the partitions (1)."
)
@common_options
def command(terminal: Terminal, until: datetime, since: datetime | None, join: bool, workers: int) -> None:
    """All facts and timers up to an instant, in their order; messages go to the sandbox."""
    if since is not None and since > until:
        raise click.BadParameter("--from lies after --until")
    tidings = bootstrap(terminal.settings)
    if (served := served_since(tidings.engine)) is not None:
        store = terminal.settings.shown_store
        raise InputRefused("run.served", store=store, since=f"{served:%Y-%m-%d %H:%MZ}")
    with terminal.progress("run.progress", to_do(tidings, until=until)) as advance:
        if workers == 1:
            tally = live(tidings, until=until, since=since, advance=advance, join=join)
        else:
            tally = live_together(tidings, until=until, since=since, advance=advance, workers=workers)
    show(terminal, tally)
    terminal.json(to_builtins(tally))


def to_do(tidings: Tidings, *, until: datetime) -> int:
    """How many facts wait until then, and customers have to be looked at for a new rulebook."""
    return tidings.inbox.waiting(until=until) + tidings.to_look_at()


def live(
    tidings: Tidings,
    *,
    until: datetime,
    since: datetime | None = None,
    advance: Advance,
    batch: int = BATCH,
    room: Room | None = None,
    join: bool = False,
) -> Tally:
    """Run every partition of the store up to ``until``; gives what was done.

    ``since`` is where the clock of a new store starts. With ``join``, partitions that other workers have are
    left to them, and taken over should one of them die; it ends when all partitions are there. Raises
    InputRefused where a clock would have to jump or another worker has newer rules, LeaseLost for a
    partition in other hands without ``join``.
    """
    if since is not None:
        check_clock_start(tidings.engine, since)
    tally = _worked_off(tidings, until, since, advance, join=join, batch=batch, room=room)
    tidings.ledger.catch_up()
    return tally


def _worked_off(
    tidings: Tidings,
    until: datetime,
    since: datetime | None,
    advance: Advance,
    *,
    join: bool,
    batch: int = BATCH,
    room: Room | None = None,
    first: int = 0,
    workers: int = 1,
) -> Tally:
    """All partitions at ``until``; one of several workers begins where no other does."""
    tally = Tally()
    worker = tidings.worker(tally, batch=batch, room=room)
    partitions = list(tidings.history.customer_partitions())
    start = len(partitions) * first // workers
    waiting = partitions[start:] + partitions[:start]
    done = 0
    while waiting:
        held: list[int] = []
        for partition in waiting:
            try:
                done += worker.run(partition, until=until, since=since, progress=_onward(advance, done))
            except LeaseLost:
                if not join:
                    raise
                held.append(partition)
        if held:
            time.sleep(_LOOK_AGAIN_SECONDS)
        waiting = behind(tidings.engine, held, until=until, rulebook=worker.rulebook_number)
    return tally


def live_together(
    tidings: Tidings,
    *,
    until: datetime,
    since: datetime | None = None,
    advance: Advance,
    workers: int,
    opener: Callable[[Settings], Tidings] = bootstrap,
) -> Tally:
    """The same by several processes, each of which opens the store by ``opener`` (a function of a module)."""
    if since is not None:
        check_clock_start(tidings.engine, since)
    work = partial(_share, tidings.settings, opener, until, since, workers)
    whole = Tally()
    for tally in together(work, workers=workers, progress=advance):
        whole.add(tally)
    tidings.ledger.catch_up()
    return whole


def _share(
    settings: Settings,
    opener: Callable[[Settings], Tidings],
    until: datetime,
    since: datetime | None,
    workers: int,
    number: int,
    advance: Advance,
) -> Tally:
    tidings = opener(settings)
    try:
        tally = _worked_off(tidings, until, since, advance, join=True, first=number, workers=workers)
        tidings.ledger.catch_up(share=(number, workers))
        return tally
    finally:
        tidings.engine.dispose()


def _onward(advance: Advance, done: int) -> Advance:
    return lambda more: advance(done + more)


def show(terminal: Terminal, tally: Tally) -> None:
    """What a run did, as sentences and tables."""
    terminal.tell("run.done", facts=f"{tally.facts:,}", events=f"{tally.events:,}")
    if tally.planned:
        terminal.tell("run.planned", planned=f"{tally.planned:,}")
    for code, counts in (
        ("run.messages", tally.messages),
        ("run.suppressed", tally.suppressed),
        ("run.deferred", tally.deferred),
        ("run.journeys", tally.journeys),
    ):
        if counts:
            names = [(terminal.wording.tell(name), number) for name, number in sorted(counts.items())]
            terminal.write()
            terminal.table(code, ["name", "number"], names)
