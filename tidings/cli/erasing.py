"""tidings audit erase: a person goes, and the proof stays."""

import click
from msgspec import to_builtins

from tidings.bootstrap import bootstrap, wall_clock
from tidings.cli.person import person_options
from tidings.cli.terminal import Terminal, common_options
from tidings.erasing import erase, erase_again
from tidings.sanctions import Person


@click.command("erase")
@click.argument("customer", required=False)
@click.option("--again", is_flag=True, help="Carry out every erasure on record once more, after a restore.")
@click.option("--yes", is_flag=True, help="Do not ask: it cannot be taken back.")
@person_options
@common_options
def erase_command(terminal: Terminal, customer: str | None, again: bool, yes: bool, person: Person) -> None:
    """Destroy a customer's key and every copy of their data; the record stays provable."""
    if (customer is None) != again:
        raise click.UsageError("name one customer, or give --again")
    tidings = bootstrap(terminal.settings)
    if customer is None:
        known = erase_again(tidings, at=wall_clock())
        terminal.json({"erased": known})
        terminal.tell("erase.again", number=len(known))
        return
    if not yes:
        click.confirm(terminal.wording.tell("erase.sure", {"customer": customer}), abort=True, err=True)
    done = erase(tidings, customer, by=person.name, reason=person.reason, at=wall_clock())
    terminal.json(to_builtins(done))
    told = {**to_builtins(done.fate), "customer": customer, "at": f"{done.at:%Y-%m-%d %H:%M}Z", "by": done.by}
    terminal.tell("erase.done" if done.first else "erase.done_before", **told)
    terminal.tell("erase.verified", replayed=f"{done.replayed:,}", findings=done.findings)
