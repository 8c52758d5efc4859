"""tidings audit evidence: all that is recorded of a customer, in a zip that proves itself."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
from msgspec import to_builtins

from audit.evidence.contents import Period
from domain.errors import InputRefused, NotFound
from stores.archive.history import ArchivedHistory
from stores.vault import vault_of
from tidings.bootstrap import bootstrap, wall_clock
from tidings.cli.person import person_options, seen_in
from tidings.cli.reading import Source, archive_option, opened
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.evidence.gathering import Gathered, gather
from tidings.evidence.proving import Proofs, prove
from tidings.evidence.zipped import Packed
from tidings.proving import kept_checkpoint, known_keys
from tidings.sanctions import Person


@click.command("evidence")
@click.option("--customer", required=True, metavar="ID", help="Whose history.")
@click.option("--from", "since", type=Instant(), help="What happened from this instant on (default: all).")
@click.option("--to", "until", type=Instant(), help="What happened before this instant (default: all).")
@click.option(
    "--out",
    required=True,
    metavar="FILE.zip",
    type=click.Path(path_type=Path),
    help="Where the pack is written.",
)
@click.option(
    "--checkpoint",
    "kept",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A checkpoint kept elsewhere: the pack proves that the log has grown from it.",
)
@click.option(
    "--with-key",
    is_flag=True,
    help="The customer's key too: it proves opened values, and opens all that was ever sealed of them.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@archive_option
@person_options
@common_options
def command(
    terminal: Terminal,
    customer: str,
    since: datetime | None,
    until: datetime | None,
    out: Path,
    kept: Sequence[Path],
    with_key: bool,
    force: bool,
    archive: Path | None,
    person: Person,
) -> None:
    """Facts, decisions, rules, messages, consents, proofs and reports on one customer, with a verifier."""
    # Only this command draws pages, and what draws them takes a third of a second to load.
    from tidings.evidence.packing import write_pack

    source = Source.named(terminal, archive)
    with opened(source) as history:
        try:
            gathered = gather(history, customer, Period(since, until), now=wall_clock())
        except NotFound as error:
            near = [] if isinstance(history, ArchivedHistory) else history.similar_subjects(customer)
            raise NotFound(error.code, near=near, **error.values) from None
        seen_in(terminal, person, source, "audit evidence", [customer])
        if isinstance(history, ArchivedHistory) and kept:
            raise InputRefused("evidence.no_tree")
        proofs = Proofs() if isinstance(history, ArchivedHistory) else _proofs(source, gathered, kept)
        key = _key(source, gathered) if with_key else None
        packed = write_pack(gathered, proofs, out, force=force, key=key)
    terminal.json(to_builtins(packed))
    _show(terminal, packed)


def _proofs(source: Source, gathered: Gathered, kept: Sequence[Path]) -> Proofs:
    tidings = bootstrap(source.settings)
    try:
        keys = known_keys(source.settings, tidings.engine)
        return prove(
            tidings.engine,
            gathered.place[0],
            gathered.stored,
            told=gathered.told.all,
            keys=keys,
            kept=[kept_checkpoint(path, keys) for path in kept],
        )
    finally:
        tidings.engine.dispose()


def _key(source: Source, gathered: Gathered) -> bytes:
    """The customer's key. Raises InputRefused where there is none, also for an archive without its store."""
    partition, stream = gathered.place
    if source.archive is None or source.both:
        tidings = bootstrap(source.settings)
        try:
            if key := vault_of(tidings.engine).ring().find(partition, [stream]).get(stream):
                return key
        finally:
            tidings.engine.dispose()
    raise InputRefused("evidence.no_key", customer=gathered.customer)


def _show(terminal: Terminal, packed: Packed) -> None:
    """What was written, and what of it cannot be proved."""
    terminal.tell("evidence.written", **to_builtins(packed))
    terminal.tell("evidence.digest", sha256=packed.sha256)
    if packed.words_missing:
        terminal.complain(terminal.wording.tell("evidence.words_missing", {"number": packed.words_missing}))
    if not packed.checkpoint:
        terminal.tell("evidence.no_checkpoint")
    elif packed.sealed < packed.events:
        terminal.tell("evidence.unsealed", number=packed.events - packed.sealed)
    terminal.tell("evidence.how", file=packed.file)
