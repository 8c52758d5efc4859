"""tidings broadcast: one event of the bank's business, told as a fact of every customer or of an audience."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import click

from stores.customers import every_customer, how_many
from tidings.bootstrap import bootstrap, wall_clock
from tidings.broadcasting import announce, broadcast_of, facts_of
from tidings.cli.audience import asked as asked_audience
from tidings.cli.person import ordered, person_options
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.importing.reading import take_in
from tidings.sanctions import Person


@click.command("broadcast")
@click.argument("kind", metavar="TYPE")
@click.option(
    "--id", "ident", metavar="ID", required=True, help="Names the broadcast; repeated, it adds nothing."
)
@click.option(
    "--data", metavar="JSON", default="{}", help="The fact's fields as a JSON object (default: none)."
)
@click.option("--time", "at", type=Instant(), help="When it happened (default: now, the first time).")
@click.option(
    "--where",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Only of those of whom this condition is true now, in YAML as in a journey.",
)
@person_options
@common_options
@click.pass_context
def command(
    ctx: click.Context,
    terminal: Terminal,
    kind: str,
    ident: str,
    data: str,
    at: datetime | None,
    where: Path | None,
    person: Person,
) -> None:
    """Tell a bank's own fact (x.NAME/VERSION) of every customer; the next run decides on it.

    Journeys that are entered by this fact pick by their condition who is concerned. Broken off, it goes on
    when it is repeated.
    """
    tidings = bootstrap(terminal.settings)
    now = wall_clock()
    asked = broadcast_of(ident, kind, data, time=at or now, now=now)
    customers: Iterable[str] = every_customer(tidings.engine)
    number = how_many(tidings.engine)
    if where is not None:
        audience, condition = asked_audience(ctx, terminal, where)
        chosen = audience.subjects(condition, at=audience.clock())
        customers, number = chosen, len(chosen)
    told = announce(tidings.engine, asked, anytime=at is None)
    ordered(terminal, person, "broadcast", id=ident, type=kind, customers=number)
    facts = facts_of(told, customers, now=now)
    with terminal.progress("broadcast.progress", number) as advance:
        taken = take_in(facts, tidings.inbox, origin=f"broadcast {ident}", at=now, progress=advance)
    counts = {"customers": taken.read, "accepted": taken.accepted, "repeated": taken.repeated}
    terminal.json({"id": ident, "type": kind, "time": told.time, **counts})
    terminal.tell("broadcast.done", **{name: f"{number:,}" for name, number in counts.items()})
