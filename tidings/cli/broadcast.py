"""tidings broadcast: one event of the bank's business, told as a fact of every customer."""

from datetime import datetime

import click

from stores.customers import every_customer, how_many
from tidings.bootstrap import bootstrap, wall_clock
from tidings.broadcasting import announce, broadcast_of, facts_of
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.importing.reading import take_in


@click.command("broadcast")
@click.argument("kind", metavar="TYPE")
@click.option(
    "--id", "ident", metavar="ID", required=True, help="Names the broadcast; repeated, it adds nothing."
)
@click.option(
    "--data", metavar="JSON", default="{}", help="The fact's fields as a JSON object (default: none)."
)
@click.option("--time", "at", type=Instant(), help="When it happened (default: now, the first time).")
@common_options
def command(terminal: Terminal, kind: str, ident: str, data: str, at: datetime | None) -> None:
    """Tell a bank's own fact (x.NAME/VERSION) of every customer; the next run decides on it.

    Journeys that are entered by this fact pick by their condition who is concerned. Broken off, it goes on
    when it is repeated.
    """
    tidings = bootstrap(terminal.settings)
    now = wall_clock()
    asked = broadcast_of(ident, kind, data, time=at or now, now=now)
    told = announce(tidings.engine, asked, anytime=at is None)
    facts = facts_of(told, every_customer(tidings.engine), now=now)
    with terminal.progress("broadcast.progress", how_many(tidings.engine)) as advance:
        taken = take_in(facts, tidings.inbox, origin=f"broadcast {ident}", at=now, progress=advance)
    counts = {"customers": taken.read, "accepted": taken.accepted, "repeated": taken.repeated}
    terminal.json({"id": ident, "type": kind, "time": told.time, **counts})
    terminal.tell("broadcast.done", **{name: f"{number:,}" for name, number in counts.items()})
