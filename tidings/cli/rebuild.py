"""tidings rebuild: make the tables that answer questions again, from the events alone."""

from functools import partial

import click

from tidings.bootstrap import bootstrap
from tidings.cli.person import ordered, person_options
from tidings.cli.terminal import Advance, Terminal, common_options
from tidings.sanctions import Person
from tidings.settings import Settings
from tidings.workers import together


@click.command("rebuild")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, help="Processes that share the partitions (1)."
)
@person_options
@common_options
def command(terminal: Terminal, workers: int, person: Person) -> None:
    """Throw the ledger of messages and tasks away and make it again from the events.

    The tables for audiences are thrown away too; the next `tidings audience` makes them.
    """
    tidings = bootstrap(terminal.settings)
    ordered(terminal, person, "rebuild")
    history = tidings.history
    partitions = list(history.customer_partitions())
    events = history.size()
    with terminal.progress("rebuild.progress", events) as advance:
        if workers == 1:
            tidings.ledger.rebuild(partitions, progress=advance)
        else:
            shares = [partitions[number::workers] for number in range(workers)]
            together(partial(_share, terminal.settings, shares), workers=workers, progress=advance)
    made = {"messages": len(tidings.ledger.messages()), "tasks": len(tidings.ledger.tasks())}
    terminal.tell("rebuild.done", **{name: f"{number:,}" for name, number in made.items()})
    terminal.json(made)


def _share(settings: Settings, shares: list[list[int]], number: int, advance: Advance) -> None:
    tidings = bootstrap(settings)
    try:
        tidings.ledger.rebuild(shares[number], progress=advance)
    finally:
        tidings.engine.dispose()
