"""tidings tasks: work that journeys asked of people."""

import click
from msgspec import to_builtins

from domain.clock import from_micros
from tidings.bootstrap import bootstrap
from tidings.cli.person import person_options, seen
from tidings.cli.terminal import Terminal, common_options, shown
from tidings.sanctions import Person


@click.command("tasks")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows on a terminal.")
@person_options
@common_options
def command(terminal: Terminal, limit: int, person: Person) -> None:
    """Tasks for relationship managers and the call centre, with their deadlines."""
    entries = bootstrap(terminal.settings).ledger.tasks()
    seen(terminal, person, "tasks", [e.customer for e in (entries if terminal.as_json else entries[:limit])])
    told = []
    for entry in entries:
        values: dict[str, object] = to_builtins(entry)
        values["created_at"] = from_micros(entry.created_at)
        values["due_at"] = from_micros(entry.due_at)
        values["done_at"] = None if entry.done_at is None else from_micros(entry.done_at)
        told.append(values)
    terminal.json(told)
    rows = [
        (
            shown(e.created_at),
            e.customer,
            e.journey,
            e.step,
            terminal.wording.tell(e.role),
            shown(e.due_at),
            terminal.wording.tell(f"task.{e.status}") if e.status in ("open", "escalated") else e.status,
        )
        for e in entries[:limit]
    ]
    terminal.table("tasks", ["created_at", "customer", "journey", "step", "role", "due_at", "status"], rows)
    if len(entries) > limit:
        terminal.tell("messages.more", shown=limit, total=f"{len(entries):,}")
