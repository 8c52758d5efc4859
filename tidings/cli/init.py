"""tidings init: make the store and publish what is shipped."""

import click

from stores.database import store_name
from tidings.bootstrap import CUSTOMER_PARTITIONS, initialise
from tidings.cli.person import person_options
from tidings.cli.terminal import Terminal, common_options
from tidings.sanctions import Person


@click.command("init")
@click.option(
    "--partitions",
    type=click.IntRange(1, 1024),
    default=CUSTOMER_PARTITIONS,
    show_default=True,
    help="Slices of customers; fixed for the store's life.",
)
@click.option("--alone", is_flag=True, help="Let one person change the store (else changes need two).")
@person_options
@common_options
def command(terminal: Terminal, partitions: int, alone: bool, person: Person) -> None:
    """Make the store and publish the shipped programmes; again, it says what is there."""
    made, new = initialise(terminal.settings, partitions=partitions, alone=person if alone else None)
    store = store_name(terminal.settings.store)
    terminal.tell("init.made" if made else "init.there", store=store)
    if new:
        terminal.tell("init.published")
        terminal.table("init", ["kind", "name", "version"], new)
    else:
        terminal.tell("init.nothing_new")
    if made:
        terminal.tell("init.alone" if alone else "init.two")
    published = [{"kind": kind, "name": name, "version": version} for kind, name, version in new]
    terminal.json({"store": store, "made": made, "published": published})
