"""tidings audit: proof that the record is whole and that its decisions come out again."""

from functools import partial
from pathlib import Path

import click
from msgspec import to_builtins

from audit.findings import Finding, Verified
from audit.verify import verify
from domain.ports import History
from stores.archive.history import Faults
from stores.archive.manifest import load
from tidings.authoring import rules_of, templates_of
from tidings.bootstrap import Tidings, preparer
from tidings.cli.reading import Source, archive_option, opened
from tidings.cli.terminal import Advance, Terminal, common_options
from tidings.workers import together

_SHOWN = 20


@click.group("audit")
def command() -> None:
    """Checks on what was recorded."""


@command.command("verify")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, help="Processes that share the partitions (1)."
)
@archive_option
@common_options
@click.pass_context
def verify_command(ctx: click.Context, terminal: Terminal, workers: int, archive: Path | None) -> None:
    """Re-number, re-hash and re-decide the whole history; exit 1 if anything differs."""
    source = Source.named(terminal, archive)
    with opened(source) as history:
        size = history.size()
    with terminal.progress("audit.progress", size) as advance:
        verified = verify_source(source, advance, workers=workers)
    terminal.json(
        {
            "customers": verified.customers,
            "events": verified.events,
            "replayed": verified.replayed,
            "differences": verified.differences,
            "chain_breaks": verified.chain_breaks,
            "ok": verified.ok,
            "findings": [to_builtins(finding) for finding in verified.findings],
        }
    )
    show(terminal, verified)
    if archive is not None:
        terminal.tell("archive.digest", digest=load(archive).digest)
    if not verified.ok:
        ctx.exit(1)


def verify_all(tidings: Tidings, advance: Advance, *, workers: int = 1) -> Verified:
    """The whole store, checked by so many processes; findings by partition."""
    if workers == 1:
        return verify_history(tidings.history, advance)
    return verify_source(Source(tidings.settings), advance, workers=workers)


def verify_source(source: Source, advance: Advance, *, workers: int) -> Verified:
    """What the source names, checked by so many processes; findings by partition."""
    if workers == 1:
        return _share(source, 1, 0, advance)
    whole = Verified()
    for verified in together(partial(_share, source, workers), workers=workers, progress=advance):
        whole.add(verified)
    whole.findings.sort(key=lambda finding: (finding.partition, finding.seq, finding.version))
    return whole


def _share(source: Source, workers: int, number: int, advance: Advance) -> Verified:
    faults: Faults = []
    with opened(source, faults=faults) as history:
        verified = verify_history(history, advance, share=(number, workers))
    # A file that is not the one that was written explains what was found in its rows.
    verified.findings[:0] = [
        Finding(fault.code, partition, seq, "", 0, {**fault.values})
        for partition, seq, fault in faults
        if number == 0 or fault.code != "archive.unfinished"
    ]
    return verified


def verify_history(history: History, advance: Advance, *, share: tuple[int, int] = (0, 1)) -> Verified:
    """A history, or a share of it, checked by the rulebooks and templates that it holds itself."""
    prepare = preparer(templates_of(history.documents()))
    return verify(history, rules_of(history.rulebooks()), prepare, progress=advance, share=share)


def show(terminal: Terminal, verified: Verified) -> None:
    """What was checked, and each finding with its place."""
    terminal.tell(
        "audit.ok" if verified.ok else "audit.not_ok",
        customers=f"{verified.customers:,}",
        events=f"{verified.events:,}",
        replayed=f"{verified.replayed:,}",
        differences=f"{verified.differences:,}",
        chain_breaks=f"{verified.chain_breaks:,}",
    )
    for finding in verified.findings[:_SHOWN]:
        place = terminal.wording.tell("audit.place", to_builtins(finding))
        terminal.complain(f"{place} {terminal.wording.tell(finding.code, finding.values)}")
    if len(verified.findings) > _SHOWN:
        more = {"more": len(verified.findings) - _SHOWN}
        terminal.complain(terminal.wording.tell("audit.more", more))
