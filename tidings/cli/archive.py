"""tidings archive: history as Parquet files, to be kept and read without the store; and retention by it."""

from datetime import datetime
from pathlib import Path

import click
from msgspec import to_builtins

from stores.archive.retention import remove_archived, restore_removed
from stores.archive.writing import write_archive
from tidings.bootstrap import Tidings, bootstrap, wall_clock
from tidings.cli.person import ordered, person_options
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.sanctions import Person
from tidings.sealing import Sealer
from tidings.signers import assured_keys


@click.command("archive")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--before", type=Instant(), help="Only what was recorded before (default: everything).")
@click.option("--remove", is_flag=True, help="Then remove it from the store; needs --before.")
@click.option("--restore", is_flag=True, help="Bring back into the store what was removed; archive nothing.")
@person_options
@common_options
def command(
    terminal: Terminal, folder: Path, before: datetime | None, remove: bool, restore: bool, person: Person
) -> None:
    """Write all history to Parquet files in FOLDER; again, what came since is added."""
    if remove and before is None:
        raise click.UsageError("--remove needs --before: an instant that says how much may go")
    if restore and (remove or before is not None):
        raise click.UsageError("--restore stands alone: it brings back all that was removed")
    tidings = bootstrap(terminal.settings)
    if restore:
        ordered(terminal, person, "archive restore", folder=folder)
        _restore(terminal, tidings, folder)
        return
    if remove:
        ordered(terminal, person, "archive remove", folder=folder, before=before)
    history = tidings.history
    with terminal.progress("archive.progress", history.size()) as advance:
        written = write_archive(history, folder, before=before, progress=advance)
    counts = {name: f"{getattr(written, name):,}" for name in ("events", "files", "bytes", "total")}
    terminal.tell("archive.done", folder=folder, **counts)
    terminal.tell("archive.digest", digest=written.digest)
    removed = _remove(terminal, tidings, folder, before) if remove and before is not None else 0
    terminal.json({"folder": str(folder), **to_builtins(written), "removed": removed})


def _remove(terminal: Terminal, tidings: Tidings, folder: Path, before: datetime) -> int:
    # What goes unsealed could never be sealed.
    keys = assured_keys(terminal.settings, tidings.engine, clock=wall_clock)
    Sealer(tidings.engine, keys, clock=wall_clock).seal()
    # The ledger reads events in the store only: it must have taken in what goes.
    tidings.ledger.catch_up()
    with terminal.progress("archive.removing", None) as advance:
        removed = remove_archived(tidings.engine, folder, before=before, progress=advance)
    terminal.tell("archive.removed", removed=f"{removed:,}")
    return removed


def _restore(terminal: Terminal, tidings: Tidings, folder: Path) -> None:
    with terminal.progress("archive.restoring", None) as advance:
        restored = restore_removed(tidings.engine, folder, progress=advance)
    terminal.tell("archive.restored", restored=f"{restored:,}")
    terminal.json({"folder": str(folder), "restored": restored})
