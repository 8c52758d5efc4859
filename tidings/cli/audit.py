"""tidings audit: proof that the record is whole and that its decisions come out again."""

from functools import partial

import click
from msgspec import to_builtins

from audit.findings import Verified
from audit.verify import verify
from tidings.authoring import all_rules, all_templates
from tidings.bootstrap import Tidings, bootstrap, preparer
from tidings.cli.terminal import Advance, Terminal, common_options
from tidings.settings import Settings
from tidings.workers import together

_SHOWN = 20


@click.group("audit")
def command() -> None:
    """Checks on what was recorded."""


@command.command("verify")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, help="Processes that share the partitions (1)."
)
@common_options
@click.pass_context
def verify_command(ctx: click.Context, terminal: Terminal, workers: int) -> None:
    """Re-number, re-hash and re-decide the whole history; exit 1 if anything differs."""
    tidings = bootstrap(terminal.settings)
    with terminal.progress("audit.progress", tidings.history.size()) as advance:
        verified = verify_all(tidings, advance, workers=workers)
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
    if not verified.ok:
        ctx.exit(1)


def verify_all(tidings: Tidings, advance: Advance, *, workers: int = 1) -> Verified:
    """The whole store, checked by so many processes; findings by partition."""
    if workers == 1:
        return _verified(tidings, advance, share=(0, 1))
    whole = Verified()
    work = partial(_share, tidings.settings, workers)
    for verified in together(work, workers=workers, progress=advance):
        whole.add(verified)
    whole.findings.sort(key=lambda finding: (finding.partition, finding.seq, finding.version))
    return whole


def _share(settings: Settings, workers: int, number: int, advance: Advance) -> Verified:
    tidings = bootstrap(settings)
    try:
        return _verified(tidings, advance, share=(number, workers))
    finally:
        tidings.engine.dispose()


def _verified(tidings: Tidings, advance: Advance, *, share: tuple[int, int]) -> Verified:
    prepare = preparer(all_templates(tidings.engine))
    return verify(tidings.history, all_rules(tidings.engine), prepare, progress=advance, share=share)


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
