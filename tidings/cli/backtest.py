"""tidings journeys backtest: documents over recorded history, what would have been sent against what was."""

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from msgspec import Struct

from domain.errors import InputRefused, NotFound, StoreUnusable
from journeys.rulebook import Rules
from tidings.authoring import rules_of, templates_of
from tidings.cli.backtest_data import COLUMNS, cells
from tidings.cli.backtest_shown import show
from tidings.cli.backtest_source import opened
from tidings.cli.publishing import checked, tell_problems
from tidings.cli.reading import Source, archive_option
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.documents import Document, Documents, read_documents
from tidings.providers import estimates
from tidings.trying.backtest import Chosen, Found, Period, backtest
from tidings.trying.in_place import Rulebooks
from tidings.trying.rulebook_times import Times
from tidings.trying.unlike import Row
from tidings.workers import Progress, together

_PATH = click.Path(path_type=Path)
_KINDS = ("journey", "template", "calendar", "segment", "policy")
_TOO_OLD = "journey.version_old"
_ALL_OF_ONE = 10_000


@click.command("backtest")
@click.argument("paths", metavar="PATH...", nargs=-1, type=_PATH)
@click.option("--from", "begun", type=Instant(), required=True, help="Where the period begins.")
@click.option("--to", "ended", type=Instant(), required=True, help="The first instant beyond it.")
@click.option("--without", metavar="JOURNEY", multiple=True, help="Nobody enters it; may be given again.")
@click.option("--customers", type=click.IntRange(1), metavar="N", help="So many customers, drawn by --seed.")
@click.option(
    "--sample", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE", help="Instead, a share."
)
@click.option("--customer", metavar="ID", help="Instead, this one, with all that differs.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same customers.")
@click.option("--show", "shown", type=click.IntRange(0), metavar="N", help="So many differences, one by one.")
@click.option("--csv", "file", metavar="FILE", type=_PATH, help="Every difference, as CSV.")
@click.option("--channels", metavar="FILE", type=_PATH, help="Settings of channels with prices of texts.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, help="Processes that share the partitions (1)."
)
@archive_option
@common_options
@click.pass_context
def backtest_command(
    ctx: click.Context,
    terminal: Terminal,
    paths: tuple[Path, ...],
    begun: datetime,
    ended: datetime,
    without: tuple[str, ...],
    customers: int | None,
    sample: float | None,
    customer: str | None,
    seed: int,
    shown: int | None,
    file: Path | None,
    channels: Path | None,
    workers: int,
    archive: Path | None,
) -> None:
    """Documents over recorded history: what would have been sent, to whom and when, against what was.

    PATH is a file or a folder of journeys, templates, segments, calendars or a policy, which hold in place of
    those in force over the whole period. Nothing is recorded and nothing sent.
    """
    if begun >= ended:
        raise click.UsageError("--from lies after --to")
    if sum(chosen is not None for chosen in (customers, sample, customer)) > 1:
        raise click.UsageError("--customers, --sample and --customer exclude each other")
    if not paths and not without:
        raise click.UsageError("name a PATH, or a journey that is left out with --without")
    source = Source.named(terminal, archive)
    with opened(source) as record:
        latest = record.latest
        for name in without:
            if name not in latest.journeys:
                raise NotFound("journey.unknown", journey=name, near=sorted(latest.journeys))
        drafts = _checked(ctx, terminal, latest, read_documents(paths))
        times = record.times(begun=begun, ended=ended)
        if customer is not None:
            chosen = record.one(customer)
        elif customers is not None:
            chosen = record.drawn(customers, seed=seed)
        else:
            chosen = Chosen(below=sample, seed=seed)
        size = record.size(chosen)
    if shown is None:
        shown = _ALL_OF_ONE if customer else 0
    job = _Job(
        source,
        drafts,
        without,
        times,
        Period(begun, ended, chosen, shown),
        channels or terminal.settings.channels,
        workers,
    )
    if file:
        # Whether it can be written is better known before than after.
        _put_together(file, Path(), [])
    with TemporaryDirectory() as folder:
        work = partial(_share, job, Path(folder) if file else None)
        with terminal.progress("trying.progress", size) as advance:
            parts = [work(0, advance)] if workers == 1 else together(work, workers=workers, progress=advance)
        found = Found()
        for part in parts:
            found.add(part)
        found.in_order(shown=shown)
        if file:
            _put_together(file, Path(folder), [number for number, _ in times])
    show(terminal, found, drafts, without, begun=begun, ended=ended)


class _Job(Struct, frozen=True):
    """What every process has to know."""

    source: Source
    drafts: Documents
    without: tuple[str, ...]
    times: list[tuple[int, Times]]
    period: Period
    channels: Path | None
    workers: int


def _share(job: _Job, folder: Path | None, number: int, progress: Progress) -> Found:
    """What one of several processes finds, on partitions of its own."""
    period = job.period
    in_force = {n for _, times in job.times for n in times.in_force(begun=period.begun, ended=period.ended)}
    with opened(job.source) as record:
        history = record.history
        rulebooks = Rulebooks(
            rules_of(history.rulebooks()),
            templates_of(history.documents()),
            job.drafts,
            period=in_force,
            without=job.without,
        )
        price = estimates(job.channels) if job.channels else None
        whole, done = Found(), 0
        for partition in job.times[number :: job.workers]:
            with _rows(folder, partition[0]) as write:
                found = backtest(
                    period,
                    history,
                    rulebooks,
                    [partition],
                    progress=_onward(progress, done),
                    price=price,
                    write=write,
                )
            done += found.looked_at
            whole.add(found)
        return whole


def _onward(progress: Progress, done: int) -> Progress:
    return lambda more: progress(done + more)


@contextmanager
def _rows(folder: Path | None, partition: int) -> Iterator[Callable[[Row], None]]:
    """Where the differences of a partition go: a file of its own, or nowhere."""
    if folder is None:
        yield lambda row: None
        return
    with (folder / f"{partition}.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        yield lambda row: writer.writerow(cells(row))


def _put_together(file: Path, folder: Path, partitions: Sequence[int]) -> None:
    """The partitions' differences in their order. Raises StoreUnusable where the file cannot be written."""
    try:
        with file.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerow(COLUMNS)
            for partition in partitions:
                with (folder / f"{partition}.csv").open(encoding="utf-8", newline="") as part:
                    shutil.copyfileobj(part, out)
    except OSError as error:
        raise StoreUnusable("backtest.unwritable", file=str(file), reason=str(error.strerror)) from error


def _checked(
    ctx: click.Context, terminal: Terminal, latest: Rules, documents: Sequence[Document]
) -> Documents:
    """The documents, each as what it says it is. Ends the command where anything is wrong with them."""
    sorts: dict[str, list[Document]] = {kind: [] for kind in _KINDS}
    for document in documents:
        data = document.data if isinstance(document.data, dict) else {}
        # A journey may have more of these words; what it is called comes first.
        sorts[next((kind for kind in _KINDS if kind in data), "journey")].append(document)
    if len(sorts["policy"]) > 1:
        raise InputRefused("backtest.two_policies", path=sorts["policy"][1].name)
    drafts, problems = checked(
        latest,
        sorts["journey"],
        sorts["template"],
        sorts["calendar"],
        sorts["segment"],
        policy=sorts["policy"][0] if sorts["policy"] else None,
    )
    # An older version may be tried: nothing is published. What rests on the rest is looked at last.
    last = {document.name for kind in ("journey", "policy") for document in sorts[kind]}
    problems = [found for found in problems if found.code != _TOO_OLD or found.document not in last]
    if problems:
        tell_problems(terminal, problems)
        ctx.exit(1)
    return drafts
