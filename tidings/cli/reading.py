"""Where a command reads history: in the store, in an archive, or in both, where events were removed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from msgspec import Struct

from stores.archive.history import ArchivedHistory, Faults
from stores.archive.joined import JoinedHistory
from stores.history import StoredHistory
from stores.vault import vault_at
from tidings.bootstrap import archived, bootstrap, joined
from tidings.cli.terminal import F, Terminal
from tidings.settings import Settings

AnyHistory = StoredHistory | ArchivedHistory | JoinedHistory


class Source(Struct, frozen=True):
    """What the options name; another process can open it too. ``both``: the store beside the archive."""

    settings: Settings
    archive: Path | None = None
    both: bool = False

    @classmethod
    def named(cls, terminal: Terminal, archive: Path | None) -> "Source":
        """The source that a command line names."""
        return cls(terminal.settings, archive, both=archive is not None and terminal.names_store)


def archive_option(command: F) -> F:
    """Adds --archive, the folder of an archive."""
    told = "Read this archive, no store is needed; with --store: both, the archive for what was removed."
    return click.option("--archive", metavar="FOLDER", type=click.Path(path_type=Path), help=told)(command)


@contextmanager
def opened(source: Source, *, faults: Faults | None = None) -> Iterator[AnyHistory]:
    """The history of a source; an archive's faults are noted in ``faults``, if given, or raised."""
    folder = source.archive
    if folder is not None and not source.both:
        # Its keys are those of the store that it is of, which need not be there.
        yield archived(folder, keys=vault_at(source.settings.store), faults=faults)
        return
    tidings = bootstrap(source.settings)
    try:
        yield tidings.history if folder is None else joined(tidings, folder, faults=faults)
    finally:
        tidings.engine.dispose()
