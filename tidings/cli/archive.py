"""tidings archive: history as Parquet files, to be kept and read without the store."""

from datetime import datetime
from pathlib import Path

import click
from msgspec import to_builtins

from stores.archive.writing import write_archive
from tidings.bootstrap import bootstrap
from tidings.cli.terminal import Instant, Terminal, common_options


@click.command("archive")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--before", type=Instant(), help="Only what was recorded before (default: everything).")
@common_options
def command(terminal: Terminal, folder: Path, before: datetime | None) -> None:
    """Write all history to Parquet files in FOLDER; again, what came since is added."""
    history = bootstrap(terminal.settings).history
    with terminal.progress("archive.progress", history.size()) as advance:
        written = write_archive(history, folder, before=before, progress=advance)
    terminal.json({"folder": str(folder), **to_builtins(written)})
    counts = {name: f"{getattr(written, name):,}" for name in ("events", "files", "bytes", "total")}
    terminal.tell("archive.done", folder=folder, **counts)
    terminal.tell("archive.digest", digest=written.digest)
