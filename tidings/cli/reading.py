"""Where a command reads history: in the store, or in an archive."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from msgspec import Struct

from stores.archive.history import ArchivedHistory, Faults
from stores.history import StoredHistory
from tidings.bootstrap import archived, bootstrap
from tidings.cli.terminal import F, Terminal
from tidings.settings import Settings


class Source(Struct, frozen=True):
    """What the options name; another process can open it too."""

    settings: Settings
    archive: Path | None = None

    @classmethod
    def named(cls, terminal: Terminal, archive: Path | None) -> "Source":
        """The source that a command line names."""
        return cls(terminal.settings, archive)


def archive_option(command: F) -> F:
    """Adds --archive, the folder of an archive."""
    told = "Read this archive; no store is needed."
    return click.option("--archive", metavar="FOLDER", type=click.Path(path_type=Path), help=told)(command)


@contextmanager
def opened(source: Source, *, faults: Faults | None = None) -> Iterator[StoredHistory | ArchivedHistory]:
    """The history of a source; an archive's faults are noted in ``faults``, if given, or raised."""
    if source.archive is not None:
        yield archived(source.archive, faults=faults)
        return
    tidings = bootstrap(source.settings)
    try:
        yield tidings.history
    finally:
        tidings.engine.dispose()
