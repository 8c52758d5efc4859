"""tidings messages: the ledger of everything that was to be said, and what nobody knows the outcome of."""

import click
from msgspec import to_builtins

from domain.clock import from_micros
from domain.errors import NotFound
from stores.projections import LedgerEntry
from tidings.bootstrap import bootstrap, wall_clock
from tidings.cli.person import BY, person_options, seen
from tidings.cli.terminal import Terminal, common_options, shown
from tidings.sanctions import Person
from tidings.settling import OUTCOMES, Settled, settle, unknown

STATUSES = (
    "requested", "deferred", "sending", "postponed", "accepted", "rejected", "unknown", "suppressed",
)  # fmt: skip
_INSTANTS = ("requested_at", "sent_at", "handed_at", "delivered_at", "opened_at", "clicked_at")
_MOST_OF_A_TEXT = 200


@click.group("messages", invoke_without_command=True)
@click.option("--customer", metavar="ID", help="Only this customer's.")
@click.option("--journey", metavar="NAME", help="Only this journey's.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those that stand so.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows on a terminal.")
@person_options
@common_options
def command(
    terminal: Terminal,
    customer: str | None,
    journey: str | None,
    status: str | None,
    limit: int,
    person: Person,
) -> None:
    """Every message that was asked for, sent or not, and why not. JSON lists all of them."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    tidings = bootstrap(terminal.settings)
    history = tidings.history
    if customer is not None and history.find(customer) is None:
        near = history.similar_subjects(customer)
        raise NotFound("customer.unknown", customer=customer, near=near)
    known = tidings.in_force().rules.journeys
    if journey is not None and journey not in known:
        raise NotFound("journey.unknown", journey=journey, near=sorted(known))
    entries = tidings.ledger.messages(customer=customer, journey=journey, status=status)
    about = [e.customer for e in (entries if terminal.as_json else entries[:limit])]
    seen(terminal, person, "messages", [customer] if customer else about)
    terminal.json([as_json(entry) for entry in entries])
    columns = ["requested_at", "customer", "journey", "template", "channel", "status", "delivery"]
    terminal.table("messages", [*columns, "reason", "id"], [_row(entry) for entry in entries[:limit]])
    if len(entries) > limit:
        terminal.tell("messages.more", shown=limit, total=f"{len(entries):,}")


@command.command("unknown")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows on a terminal.")
@person_options
@common_options
def unknown_command(terminal: Terminal, limit: int, person: Person) -> None:
    """Messages that a provider may have or not, and nobody knows; the longest in doubt first."""
    entries = unknown(bootstrap(terminal.settings))
    about = [e.customer for e in (entries if terminal.as_json else entries[:limit])]
    seen(terminal, person, "messages unknown", about)
    terminal.json([as_json(entry) for entry in entries])
    if not entries:
        terminal.tell("messages.none_unknown")
        return
    columns = ["since", "customer", "channel", "purpose", "provider", "status", "delivery", "reason", "id"]
    terminal.table("messages", columns, [_doubt(entry) for entry in entries[:limit]])
    if len(entries) > limit:
        terminal.tell("messages.more", shown=limit, total=f"{len(entries):,}")


@command.command("settle")
@click.argument("message", metavar="ID")
@click.option("--as", "outcome", type=click.Choice(OUTCOMES), required=True, help="What became of it.")
@click.option("--by", required=True, envvar=BY, metavar="NAME", help="Who found out (TIDINGS_BY).")
@click.option("--reason", metavar="TEXT", help="How.")
@common_options
def settle_command(terminal: Terminal, message: str, outcome: Settled, by: str, reason: str | None) -> None:
    """What a person found out of a message whose outcome is unknown, as a fact of its customer."""
    for option, text in (("--by", by), ("--reason", reason)):
        if text is not None and not 1 <= len(text) <= _MOST_OF_A_TEXT:
            raise click.BadParameter(f"1 to {_MOST_OF_A_TEXT} characters", param_hint=option)
    tidings = bootstrap(terminal.settings)
    new = settle(tidings, message, outcome, by=by, reason=reason, at=wall_clock())
    terminal.json({"message": message, "outcome": outcome, "new": new})
    terminal.tell("settle.done" if new else "settle.already", message=message, outcome=outcome)
    if new:
        terminal.tell("change.reach")


def as_json(entry: LedgerEntry) -> dict[str, object]:
    """A ledger entry as the command line's contract has it; instants aware UTC."""
    told: dict[str, object] = to_builtins(entry)
    for field in _INSTANTS:
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
        entry.delivery,
        entry.reason,
        entry.id,
    )


def _doubt(entry: LedgerEntry) -> tuple[object, ...]:
    return (
        shown(entry.handed_at),
        entry.customer,
        entry.channel,
        entry.purpose,
        entry.provider,
        entry.status,
        entry.delivery,
        entry.reason,
        entry.id,
    )
