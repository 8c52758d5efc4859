"""What ``tidings audit verify`` takes and shows of the log's tree and of checkpoints kept elsewhere."""

from functools import wraps
from pathlib import Path
from typing import Any

import click

from audit.sealed import SealedCheck
from stores.database import open_store
from tidings.cli.reading import Source, opened
from tidings.cli.terminal import Advance, F, Terminal
from tidings.proving import Elsewhere, check_proofs


def elsewhere_options(command: F) -> F:
    """Adds --checkpoint, --vkey and --published, and gives the command what they name."""

    @click.option(
        "--checkpoint",
        "checkpoints",
        metavar="FILE",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        help="A checkpoint kept elsewhere; may come again.",
    )
    @click.option(
        "--vkey", "vkeys", metavar="VKEY", multiple=True, help="The key that has signed it (our own)."
    )
    @click.option(
        "--published",
        metavar="FOLDER",
        type=click.Path(path_type=Path),
        help="A published log kept elsewhere.",
    )
    @wraps(command)
    def with_elsewhere(
        *args: Any,
        checkpoints: tuple[Path, ...],
        vkeys: tuple[str, ...],
        published: Path | None,
        **options: Any,
    ) -> Any:
        return command(*args, elsewhere=Elsewhere(checkpoints, vkeys, published), **options)

    return with_elsewhere  # type: ignore[return-value]


def check_source(source: Source, elsewhere: Elsewhere, advance: Advance) -> SealedCheck:
    """The tree of the source's store against its events and what is kept elsewhere.

    An archive alone has no tree: its events are compared with a published folder, if one is named.
    """
    alone = source.archive is not None and not source.both
    engine = None if alone else open_store(source.settings.store)
    try:
        with opened(source, faults=[]) as history:
            return check_proofs(source.settings, history, engine, elsewhere, progress=advance)
    finally:
        if engine is not None:
            engine.dispose()


def sealed_counts(check: SealedCheck) -> dict[str, int]:
    """How many entries and checkpoints were compared, and how many entries could not be."""
    counts = {"entries": check.leaves, "checkpoints": check.checkpoints}
    return counts | {"removed": check.removed, "unsealed": check.unsealed}


def show_sealed(terminal: Terminal, check: SealedCheck) -> None:
    """How much was compared, where anything was."""
    if check.leaves:
        terminal.tell("tree.compared", entries=f"{check.leaves:,}", checkpoints=f"{check.checkpoints:,}")
    if check.leaves and check.unsealed:
        terminal.tell("tree.unsealed", entries=f"{check.unsealed:,}")
    if check.removed:
        terminal.tell("tree.removed", entries=f"{check.removed:,}")
