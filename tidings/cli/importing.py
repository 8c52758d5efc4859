"""tidings import: facts in."""

from collections.abc import Iterable
from pathlib import Path

import click

from stores.inbox import Item
from tidings.bootstrap import bootstrap, wall_clock
from tidings.cli.terminal import Terminal, common_options
from tidings.importing.berka import read_berka
from tidings.importing.cloudevents import read_cloudevents
from tidings.importing.csvfile import read_csv
from tidings.importing.mapping import read_mapping
from tidings.importing.reading import Imported, take_in

_PATH = click.Path(path_type=Path)


@click.group("import")
def command() -> None:
    """Facts in: CloudEvents lines, CSV files, or the records of a real bank."""


@command.command("cloudevents")
@click.argument("path", type=_PATH)
@common_options
@click.pass_context
def cloudevents_command(ctx: click.Context, terminal: Terminal, path: Path) -> None:
    """CloudEvents 1.0 as JSON lines, or a file that is one JSON array."""
    _import(ctx, terminal, read_cloudevents(path, now=wall_clock()), origin=path.name)


@command.command("csv")
@click.argument("path", type=_PATH)
@click.option("--mapping", type=_PATH, help="A YAML file that tells the bank's own headings.")
@common_options
@click.pass_context
def csv_command(ctx: click.Context, terminal: Terminal, path: Path, mapping: Path | None) -> None:
    """Rows of facts, with the documented columns or a mapping of your own."""
    read = read_mapping(mapping) if mapping else None
    _import(ctx, terminal, read_csv(path, read, now=wall_clock()), origin=path.name)


@command.command("berka")
@click.argument("folder", type=_PATH)
@click.option(
    "--assume-consent", type=click.Choice(["marketing"]), help="The data hold no consent; assume this one."
)
@common_options
@click.pass_context
def berka_command(ctx: click.Context, terminal: Terminal, folder: Path, assume_consent: str | None) -> None:
    """The tables of a real Czech bank (PKDD'99); a fault in any of them refuses all."""
    _import(ctx, terminal, read_berka(folder, assume_consent=assume_consent is not None), origin="berka")


def _import(ctx: click.Context, terminal: Terminal, items: Iterable[Item], *, origin: str) -> None:
    """Take the facts in and say what became of them; exit 1 where any was refused."""
    inbox = bootstrap(terminal.settings).inbox
    with terminal.progress("import.progress", None) as advance:
        imported = take_in(items, inbox, origin=origin, at=wall_clock(), progress=advance)
    _show(terminal, imported)
    if imported.refused:
        ctx.exit(1)


def _show(terminal: Terminal, imported: Imported) -> None:
    counts = {
        "read": imported.read,
        "accepted": imported.accepted,
        "repeated": imported.repeated,
        "refused": imported.refused,
    }
    terminal.json(counts)
    terminal.tell("import.done", **{name: f"{number:,}" for name, number in counts.items()})
    for refusal in imported.refusals:
        terminal.complain(f"{refusal.place}: {terminal.wording.tell(refusal.code, refusal.values)}")
    if imported.refused > len(imported.refusals):
        more = {"more": imported.refused - len(imported.refusals)}
        terminal.complain(terminal.wording.tell("import.refused_more", more))
