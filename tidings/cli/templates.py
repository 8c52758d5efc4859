"""tidings templates: what has been published to be said, and what must not be said any more."""

import click

from tidings.bootstrap import bootstrap, wall_clock
from tidings.changing import withdraw
from tidings.cli.terminal import Terminal, common_options


@click.group("templates")
def command() -> None:
    """Templates: withdraw."""


@command.command("withdraw")
@click.argument("name")
@click.option("--version", type=int, metavar="V", help="Only this version (all that are published).")
@common_options
def withdraw_command(terminal: Terminal, name: str, version: int | None) -> None:
    """Nothing of this template leaves any more, until a newer version of it is published."""
    withdrawn, users = withdraw(bootstrap(terminal.settings).engine, name, version, at=wall_clock())
    journeys = [{"journey": journey, "version": number} for journey, number in users]
    terminal.json({"template": name, "withdrawn": withdrawn, "journeys": journeys})
    if withdrawn:
        terminal.tell("withdraw.done", template=name, versions=", ".join(map(str, withdrawn)))
        terminal.tell("change.reach")
    else:
        terminal.tell("withdraw.already", template=name)
    if users:
        terminal.tell("withdraw.used", template=name)
        terminal.table("journeys", ["journey", "version"], users)
