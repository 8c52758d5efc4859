"""tidings audit accesses and changes: who saw personal data, and who had the store changed."""

from datetime import datetime

import click
from msgspec import to_builtins

from tidings.accesses import Ordered, Read, operations, reads
from tidings.bootstrap import bootstrap
from tidings.cli.terminal import Instant, Terminal, common_options

_NAMED = 5


@click.command("accesses")
@click.option("--customer", metavar="ID", help="Only reads of this customer's data.")
@click.option("--by", "name", metavar="NAME", help="Only this person's.")
@click.option("--from", "since", type=Instant(), help="Only from then on.")
@click.option("--to", "until", type=Instant(), help="Only before then.")
@common_options
def accesses_command(
    terminal: Terminal,
    customer: str | None,
    name: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Every look of a person at personal data: who, when, why, by which command, at whose.

    Looks at more than 1,000 customers at once do not name them, and are listed for each customer.
    """
    found = [
        read
        for read in reads(bootstrap(terminal.settings).engine)
        if _asked_for(read, name, since, until) and (customer is None or read.concerns(customer))
    ]
    terminal.json([_as_json(read) for read in found])
    if not found:
        terminal.tell("access.none")
        return
    rows = [(_instant(r.at), r.by, r.what, _whose(terminal, r), r.reason) for r in found]
    terminal.table("access", ["at", "by", "what", "customers", "reason"], rows)


@click.command("changes")
@click.option("--by", "name", metavar="NAME", help="Only this person's.")
@click.option("--from", "since", type=Instant(), help="Only from then on.")
@click.option("--to", "until", type=Instant(), help="Only before then.")
@common_options
def changes_command(
    terminal: Terminal, name: str | None, since: datetime | None, until: datetime | None
) -> None:
    """Orders of persons that changed the store and published nothing: broadcasts, rebuilding, retention.

    What was published is told by `tidings approvals given`.
    """
    every = operations(bootstrap(terminal.settings).engine)
    found = [order for order in every if _asked_for(order, name, since, until)]
    terminal.json([_as_json(order) for order in found])
    if not found:
        terminal.tell("access.no_changes")
        return
    rows = [
        (
            _instant(o.at),
            o.by,
            o.what,
            ", ".join(f"{key} {value}" for key, value in o.details.items()),
            o.reason,
        )
        for o in found
    ]
    terminal.table("access", ["at", "by", "what", "details", "reason"], rows)


def _asked_for(
    noted: Read | Ordered, name: str | None, since: datetime | None, until: datetime | None
) -> bool:
    return (
        (name is None or noted.by == name)
        and (since is None or noted.at >= since)
        and (until is None or noted.at < until)
    )


def _as_json(noted: Read | Ordered) -> dict[str, object]:
    told: dict[str, object] = to_builtins(noted)
    del told["timestamp"]
    return {"at": noted.at, **told}


def _whose(terminal: Terminal, read: Read) -> str:
    if read.number > _NAMED:
        return terminal.wording.tell("access.many", {"number": f"{read.number:,}"})
    return ", ".join(read.customers)


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}"
