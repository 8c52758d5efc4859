"""tidings audit export: all that is held on a person, for that person."""

from pathlib import Path

import click
import msgspec

from domain.errors import InputRefused
from tidings.bootstrap import bootstrap, joined, wall_clock
from tidings.cli.person import person_options, seen
from tidings.cli.terminal import Terminal, common_options
from tidings.exporting import export
from tidings.private_file import write_private
from tidings.sanctions import Person


@click.command("export")
@click.argument("customer")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="A new file, of mode 0600."
)
@click.option(
    "--archive", type=click.Path(path_type=Path), metavar="FOLDER", help="Where older events were removed to."
)
@person_options
@common_options
def export_command(
    terminal: Terminal, customer: str, out: Path, archive: Path | None, person: Person
) -> None:
    """Write everything that is held on a customer to a JSON file: who asks for it has a right to it."""
    if out.exists():
        raise InputRefused("export.file_exists", file=out)
    tidings = bootstrap(terminal.settings)
    history = tidings.history if archive is None else joined(tidings, archive)
    if history.find(customer) is not None:
        seen(terminal, person, "audit export", [customer])
    found = export(tidings, history, customer, at=wall_clock())
    content = msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
    write_private(out, content)
    counts = {"events": len(found.events), "messages": len(found.messages), "bytes": len(content)}
    terminal.json({"customer": customer, "out": str(out), "erased_at": found.erased_at, **counts})
    terminal.tell("export.done", customer=customer, file=out, **{n: f"{c:,}" for n, c in counts.items()})
    if found.erased_at is not None:
        terminal.tell("export.erased", customer=customer, at=f"{found.erased_at:%Y-%m-%d %H:%MZ}")
