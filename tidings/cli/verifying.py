"""tidings audit verify: proof that the record is whole and that its decisions come out again."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from msgspec import Struct, to_builtins

from audit.findings import Finding, Verified
from audit.pieces import Piece, Sample, of_customer, sampled, shared, whole
from audit.sealed import SealedCheck
from audit.verify import verify_pieces, verify_store
from domain.errors import NotFound
from domain.ports import History
from stores.archive.history import Faults
from stores.archive.manifest import load
from tidings.authoring import rules_of, templates_of
from tidings.bootstrap import Tidings, preparer
from tidings.cli.reading import Source, archive_option, opened
from tidings.cli.sealed import check_source, elsewhere_options, sealed_counts, show_sealed
from tidings.cli.terminal import Advance, Terminal, common_options
from tidings.process import seldom_collecting
from tidings.proving import Elsewhere
from tidings.workers import together

_SHOWN, _FIELDS_SHOWN = 20, 10
_WORTH_A_PROCESS = 50_000


class Wanted(Struct, frozen=True):
    """What of the store is to be verified: all of it, unless one of these says less."""

    sample: Sample | None = None
    customer: str | None = None
    partition: int | None = None

    def pieces(self, history: History, *, workers: int = 1) -> list[Piece]:
        """The pieces for so many workers. Raises NotFound for a customer or partition that is not there."""
        if self.customer is not None:
            return of_customer(history, self.customer)
        if self.sample is not None:
            return sampled(history, self.sample, partition=self.partition)
        return whole(history, workers=workers, partition=self.partition)


ALL = Wanted()


class _Part(click.ParamType[Sample]):
    """How much of the customers: ``5%`` or ``0.05`` of them, or ``200`` of them."""

    name = "SHARE|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sample:
        """The sample, its seed not yet told; fails as a usage error."""
        if isinstance(value, Sample):
            return value
        text = str(value)
        try:
            if text.isdecimal() and int(text) > 0:
                return Sample(share=0.0, number=int(text))
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1 or not text.isascii() or "_" in text:
            self.fail(f"{text!r} is no part of the customers such as 5%, 0.05 or 200", param, ctx)
        return Sample(share=share)


@click.command("verify")
@click.option("--sample", type=_Part(), help="Only these customers: 5%, 0.05 of them, or 200 of them.")
@click.option("--seed", help="Which ones a sample takes (default: 1); the same seed, the same customers.")
@click.option("--customer", metavar="C", help="Only this customer.")
@click.option("--partition", type=click.IntRange(1), help="Only this partition.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that share the work (default: one a core, up to one a partition, where it is worth it).",
)
@elsewhere_options
@archive_option
@common_options
@click.pass_context
def command(
    ctx: click.Context,
    terminal: Terminal,
    sample: Sample | None,
    seed: str | None,
    customer: str | None,
    partition: int | None,
    workers: int | None,
    archive: Path | None,
    elsewhere: Elsewhere,
) -> None:
    """Re-number, re-hash and re-decide the whole history, or a part; exit 1 if anything differs."""
    if customer is not None and (sample is not None or partition is not None):
        raise click.UsageError("--customer names one history: it goes with neither --sample nor --partition")
    if seed is not None and sample is None:
        raise click.UsageError("--seed chooses a sample: give --sample too")
    if sample is not None and seed is not None:
        sample = Sample(sample.share, sample.number, seed)
    source, wanted = Source.named(terminal, archive), Wanted(sample, customer, partition)
    with opened(source) as history:
        _check_known(history, wanted)
        processes = workers or _processes(history, wanted)
        total = _events(history, wanted)
    with terminal.progress("audit.progress", total) as advance:
        verified = verify_source(source, advance, workers=processes, wanted=wanted)
    if wanted == ALL or elsewhere.any:
        with terminal.progress("tree.progress", total) as advance:
            sealed = check_source(source, elsewhere, advance)
        verified.add(Verified(chain_breaks=len(sealed.findings), findings=sealed.findings))
    else:
        # Of a part it would take as long as of all.
        sealed = SealedCheck()
    told = to_builtins(verified) | {"ok": verified.ok, "sample": _told(sample)}
    told["sealed"] = sealed_counts(sealed)
    order = ("customers", "events", "replayed", "differences", "chain_breaks", "ok")
    terminal.json({name: told[name] for name in [*order, *(name for name in told if name not in order)]})
    show(terminal, verified, wanted=wanted)
    show_sealed(terminal, sealed)
    if archive is not None:
        terminal.tell("archive.digest", digest=load(archive).digest)
    if not verified.ok:
        ctx.exit(1)


def verify_all(tidings: Tidings, advance: Advance, *, workers: int = 1) -> Verified:
    """The whole store, checked by so many processes; findings by partition."""
    if workers == 1:
        return verify_history(tidings.history, advance)
    return verify_source(Source(tidings.settings), advance, workers=workers)


def verify_source(source: Source, advance: Advance, *, workers: int, wanted: Wanted = ALL) -> Verified:
    """What the source names, or what is wanted of it, checked by so many processes; findings by partition."""
    faults: Faults = []
    with opened(source, faults=faults) as history:
        pieces = wanted.pieces(history, workers=workers)
        verified = verify_store(history, rules_of(history.rulebooks()))
    shares = shared(pieces, workers=min(workers, max(1, len(pieces))))
    if len(shares) == 1:
        done = [_share(source, shares, 0, advance)]
    else:
        done = together(partial(_share, source, shares), workers=len(shares), progress=advance)
    for part, met in done:
        verified.add(part)
        faults += [fault for fault in met if fault not in faults]
    verified.findings.sort(key=lambda finding: (finding.partition, finding.seq, finding.version))
    # A file that is not the one that was written explains what was found in its rows.
    for partition, seq, fault in reversed(faults):
        verified.chain_breaks += 1
        verified.findings.insert(0, Finding(fault.code, partition, seq, "", 0, {**fault.values}))
    return verified


def _share(
    source: Source, shares: Sequence[Sequence[Piece]], number: int, advance: Advance
) -> tuple[Verified, Faults]:
    faults: Faults = []
    with opened(source, faults=faults) as history:
        rules, prepare = rules_of(history.rulebooks()), preparer(templates_of(history.documents()))
        # In the order of the store: what is found is told in it.
        pieces = sorted(shares[number], key=lambda piece: (piece.partition, piece.portion.rest))
        with seldom_collecting():
            return verify_pieces(history, rules, prepare, pieces, progress=advance), faults


def verify_history(history: History, advance: Advance, *, wanted: Wanted = ALL) -> Verified:
    """A history, or what is wanted of it, checked by the rulebooks and templates that it holds itself."""
    rules, prepare = rules_of(history.rulebooks()), preparer(templates_of(history.documents()))
    verified = verify_store(history, rules)
    with seldom_collecting():
        verified.add(verify_pieces(history, rules, prepare, wanted.pieces(history), progress=advance))
    return verified


def _check_known(history: Any, wanted: Wanted) -> None:
    if wanted.customer is not None and history.find(wanted.customer) is None:
        near = history.similar_subjects(wanted.customer)
        raise NotFound("customer.unknown", near=near, customer=wanted.customer)


def _processes(history: History, wanted: Wanted) -> int:
    """One a core, but no more than there are partitions, nor than there is work for."""
    partitions = 1 if wanted.partition is not None else len(history.customer_partitions())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    events = sum(size.events for size in history.sizes().values())
    worth = 1 if wanted.customer is not None else max(1, events // _WORTH_A_PROCESS)
    return max(1, min(cores, partitions, worth))


def _events(history: History, wanted: Wanted) -> int | None:
    """How many events there are to go through; None where that is not known before."""
    if wanted.customer is not None or wanted.sample is not None:
        return None
    sizes = history.sizes()
    if wanted.partition is not None:
        return sizes[wanted.partition].events if wanted.partition in sizes else None
    return sum(size.events for size in sizes.values())


def _told(sample: Sample | None) -> dict[str, object] | None:
    if sample is None:
        return None
    part: dict[str, object] = {"number": sample.number} if sample.number else {"share": sample.share}
    return part | {"seed": sample.seed}


def show(terminal: Terminal, verified: Verified, *, wanted: Wanted = ALL) -> None:
    """What was checked, and each finding with its place."""
    if wanted.sample is not None:
        terminal.tell(
            "audit.of_sample",
            part=wanted.sample.number or f"{wanted.sample.share:.4%}",
            seed=wanted.sample.seed,
        )
    elif wanted.customer is not None:
        terminal.tell("audit.of_customer", customer=wanted.customer)
    elif wanted.partition is not None:
        terminal.tell("audit.of_partition", partition=wanted.partition)
    terminal.tell(
        "audit.ok" if verified.ok else "audit.not_ok",
        customers=f"{verified.customers:,}",
        events=f"{verified.events:,}",
        replayed=f"{verified.replayed:,}",
        differences=f"{verified.differences:,}",
        chain_breaks=f"{verified.chain_breaks:,}",
    )
    if verified.erased:
        terminal.tell("audit.erased", number=f"{verified.erased:,}")
    if verified.redacted:
        terminal.tell("audit.redacted", number=f"{verified.redacted:,}")
    for finding in verified.findings[:_SHOWN]:
        _show(terminal, finding)
    found = verified.differences + verified.chain_breaks
    if found > _SHOWN:
        terminal.complain(terminal.wording.tell("audit.more", {"more": found - _SHOWN}))


def _show(terminal: Terminal, finding: Finding) -> None:
    wording = terminal.wording
    place = "audit.place" if finding.subject else "audit.place_of_partition"
    if not finding.subject and not finding.seq and not finding.partition:
        place = "audit.place_of_store"
    told = wording.tell(finding.code, finding.values)
    terminal.complain(f"{wording.tell(place, to_builtins(finding))} {told}")
    fields = finding.values.get("fields")
    if not isinstance(fields, list):
        return
    for field in fields[:_FIELDS_SHOWN]:
        named = {
            name: wording.tell("audit.nothing") if told is None else told for name, told in field.items()
        }
        terminal.complain(f"    {wording.tell('audit.field', named)}")
    if len(fields) > _FIELDS_SHOWN:
        more = {"more": len(fields) - _FIELDS_SHOWN}
        terminal.complain(f"    {wording.tell('audit.more_fields', more)}")
    if finding.values.get("given_up"):
        terminal.complain(f"    {wording.tell('audit.given_up')}")
