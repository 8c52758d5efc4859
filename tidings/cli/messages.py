"""tidings messages: the ledger of everything that was to be said."""

import click
from msgspec import to_builtins

from domain.clock import from_micros
from domain.errors import NotFound
from stores.projections import LedgerEntry
from tidings.bootstrap import bootstrap
from tidings.cli.terminal import Terminal, common_options, shown

STATUSES = ("requested", "deferred", "sending", "accepted", "rejected", "unknown", "suppressed")


@click.command("messages")
@click.option("--customer", metavar="ID", help="Only this customer's.")
@click.option("--journey", metavar="NAME", help="Only this journey's.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those that stand so.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows on a terminal.")
@common_options
def command(
    terminal: Terminal, customer: str | None, journey: str | None, status: str | None, limit: int
) -> None:
    """Every message that was asked for, sent or not, and why not. JSON lists all of them."""
    tidings = bootstrap(terminal.settings)
    history = tidings.history
    if customer is not None and history.find(customer) is None:
        near = history.similar_subjects(customer)
        raise NotFound("customer.unknown", customer=customer, near=near)
    known = tidings.in_force().rules.journeys
    if journey is not None and journey not in known:
        raise NotFound("journey.unknown", journey=journey, near=sorted(known))
    entries = tidings.ledger.messages(customer=customer, journey=journey, status=status)
    terminal.json([as_json(entry) for entry in entries])
    columns = ["requested_at", "customer", "journey", "template", "channel", "status", "reason", "id"]
    terminal.table("messages", columns, [_row(entry) for entry in entries[:limit]])
    if len(entries) > limit:
        terminal.tell("messages.more", shown=limit, total=f"{len(entries):,}")


def as_json(entry: LedgerEntry) -> dict[str, object]:
    """A ledger entry as the command line's contract has it; instants aware UTC."""
    told: dict[str, object] = to_builtins(entry)
    for field in ("requested_at", "sent_at"):
        micros = told[field]
        told[field] = from_micros(micros) if isinstance(micros, int) else None
    return told


def _row(entry: LedgerEntry) -> tuple[object, ...]:
    return (
        shown(entry.requested_at),
        entry.customer,
        entry.journey,
        entry.template,
        entry.channel,
        entry.status,
        entry.reason,
        entry.id,
    )
