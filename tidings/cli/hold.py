"""tidings hold: customers of whom nothing may go."""

import click
from msgspec import to_builtins

from tidings.bootstrap import bootstrap, wall_clock
from tidings.cli.person import person_options
from tidings.cli.terminal import Terminal, common_options
from tidings.holds import holds, lift, place
from tidings.sanctions import Person


@click.group("hold")
def command() -> None:
    """Legal holds: nothing of a customer goes, by retention or by erasure, until it is lifted."""


@command.command("place")
@click.argument("customer")
@person_options
@common_options
def place_command(terminal: Terminal, customer: str, person: Person) -> None:
    """Keep everything of a customer from now on."""
    place(
        bootstrap(terminal.settings).engine, customer, by=person.name, reason=person.reason, at=wall_clock()
    )
    terminal.json({"customer": customer, "held": True})
    terminal.tell("hold.done", customer=customer)


@command.command("lift")
@click.argument("customer")
@person_options
@common_options
def lift_command(terminal: Terminal, customer: str, person: Person) -> None:
    """Let retention and erasure count for a customer again."""
    lift(bootstrap(terminal.settings).engine, customer, by=person.name, reason=person.reason, at=wall_clock())
    terminal.json({"customer": customer, "held": False})
    terminal.tell("hold.lifted", customer=customer)


@command.command("list")
@common_options
def list_command(terminal: Terminal) -> None:
    """Every hold that is in place, the oldest first."""
    found = holds(bootstrap(terminal.settings).engine)
    terminal.json([to_builtins(hold) for hold in found])
    if not found:
        terminal.tell("hold.nobody")
        return
    rows = [(hold.customer, f"{hold.since:%Y-%m-%d %H:%MZ}", hold.by, hold.reason) for hold in found]
    terminal.table("hold", ["customer", "since", "by", "reason"], rows)
