"""tidings journeys simulate, dry-run: what a journey would do, before it is published."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import click
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from domain.clock import EPOCH
from domain.errors import InputRefused, NotFound
from journeys.definition import Journey
from stores.database import store_name
from tidings.bootstrap import Tidings, bootstrap
from tidings.cli.person import person_options, seen
from tidings.cli.publishing import checked, tell_problems
from tidings.cli.terminal import F, Terminal, common_options
from tidings.cli.trying_shown import Assumed, simulated, tried
from tidings.documents import Documents, read_document, read_documents
from tidings.sanctions import Person
from tidings.settings import DEFAULT_STORE, Settings
from tidings.trying.audience import Audience
from tidings.trying.book import Book, alone, beside, book_of, shipped_book
from tidings.trying.dry_run import Trial, Tried, dry_run
from tidings.trying.passages import Watch
from tidings.trying.simulation import Subject, end_of, lived, made_up, traced
from tidings.trying.told import passage, sentences
from tidings.workers import Progress, together

_SUFFIXES = (".yaml", ".yml")
_START = date(2026, 1, 1)


def _drafts(command: F) -> F:
    """Adds --template, --calendar, --segment and --policy, as `publish` has them."""
    path = click.Path(path_type=Path)
    policy = click.option("--policy", metavar="PATH", type=path, help="A policy instead of the one in force.")
    command = policy(command)
    for name, told in (
        ("segment", "A segment, or a folder of them; may be given again."),
        ("calendar", "A calendar, or a folder of them, put beside those that are known; may be given again."),
        ("template", "A template that the journey uses, or a folder of them; may be given again."),
    ):
        option = click.option(f"--{name}", f"{name}s", metavar="PATH", multiple=True, type=path, help=told)
        command = option(command)
    return command


@click.command("simulate")
@click.argument("journey", metavar="PATH|NAME")
@_drafts
@click.option("--customers", type=click.IntRange(1), default=1_000, show_default=True, help="Made-up ones.")
@click.option("--days", type=click.IntRange(1, 3660), default=365, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same customers.")
@click.option(
    "--from", "start", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="The first day (2026-01-01)."
)
@click.option(
    "--sample", type=click.IntRange(1), metavar="N", help="Instead, so many customers of the store."
)
@click.option(
    "--beside", "among", is_flag=True, help="Beside all other journeys; the caps count them together."
)
@click.option("--trace", is_flag=True, help="One customer's way, as sentences.")
@click.option("--customer", metavar="ID", help="Whose way --trace tells (the first who enters).")
@person_options
@common_options
@click.pass_context
def simulate_command(
    ctx: click.Context,
    terminal: Terminal,
    journey: str,
    templates: tuple[Path, ...],
    calendars: tuple[Path, ...],
    segments: tuple[Path, ...],
    policy: Path | None,
    customers: int,
    days: int,
    seed: int,
    start: datetime | None,
    sample: int | None,
    among: bool,
    trace: bool,
    customer: str | None,
    person: Person,
) -> None:
    """A journey lived through by made-up customers, or by some of the store, in memory.

    The journey is a file, or one in force. Nothing is recorded and nothing sent.
    """
    if sample is not None and start is not None:
        raise click.UsageError("--from is for made-up customers; with --sample the store's clock tells")
    if customer is not None and not trace:
        raise click.UsageError("--customer belongs to --trace")
    tidings = usual_store(terminal, asked_for=sample is not None)
    known = book_of(tidings.in_force()) if tidings else shipped_book()
    chosen, drafts = _chosen(ctx, terminal, known, journey, templates, calendars, segments, policy)
    if among or sample is not None:
        # Customers of a store may be inside other journeys, and go on there.
        book = beside(known, drafts)
    else:
        book = alone(beside(known, replace(drafts, journeys=[])), chosen)
    crowd = (
        _of_store(tidings, book, sample, seed=seed, days=days, customer=customer)
        if tidings and sample is not None
        else _made_up(start.date() if start else _START, customers, seed=seed, days=days, customer=customer)
    )
    if trace:
        subject = _traced(chosen, book, crowd, customer)
        if subject is not None and tidings is not None and sample is not None:
            seen(terminal, person, "journeys simulate", [subject.customer.subject])
        _trace(terminal, chosen, book, crowd, subject)
        return
    watch, number = Watch(), 0
    with terminal.progress("trying.progress", sample or customers) as advance:
        for number, subject in enumerate(crowd.subjects, 1):
            lived(subject, book, watch, until=crowd.until)
            advance(number)
    simulated(
        terminal, chosen, watch.of(chosen.journey), customers=number, begun=crowd.begun, until=crowd.until
    )


@click.command("dry-run")
@click.argument("path", type=click.Path(path_type=Path))
@_drafts
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="How far ahead.")
@click.option(
    "--replay-last",
    "replayed",
    type=click.IntRange(1, 3660),
    metavar="D",
    help="The facts of the last D days happen again.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, help="Processes that share the partitions (1)."
)
@common_options
@click.pass_context
def dry_run_command(
    ctx: click.Context,
    terminal: Terminal,
    path: Path,
    templates: tuple[Path, ...],
    calendars: tuple[Path, ...],
    segments: tuple[Path, ...],
    policy: Path | None,
    days: int,
    replayed: int | None,
    workers: int,
) -> None:
    """A journey on every customer of the store, beside all published ones, for some days ahead.

    Everybody is lived through with it and without it, in memory. The store is opened for reading only.
    """
    tidings = bootstrap(terminal.settings, read_only=True)
    known = book_of(tidings.in_force())
    chosen, drafts = _chosen(ctx, terminal, known, str(path), templates, calendars, segments, policy)
    book = beside(known, drafts)
    audience = _audience(tidings)
    begun, until = audience.clock_at, audience.clock_at + timedelta(days=days)
    work = partial(_share, terminal.settings, chosen.journey, drafts, until, replayed, workers)
    with terminal.progress("trying.progress", audience.size) as advance:
        parts = [work(0, advance)] if workers == 1 else together(work, workers=workers, progress=advance)
    found = Tried()
    for part in parts:
        found.add(part)
    assumed = Assumed(
        begun=begun,
        until=until,
        by_fact=tuple(name for name in book.rules.journeys if name not in book.rules.timed),
        by_silence=tuple(sorted({j.journey for group in book.rules.silences.values() for j in group})),
        facts_waiting=tidings.inbox.waiting(until=until),
        replayed=replayed,
        in_force=book.rules.digest == known.rules.digest,
    )
    tried(terminal, chosen, found, assumed)


COMMANDS = (simulate_command, dry_run_command)


def _share(
    settings: Settings,
    journey: str,
    drafts: Documents,
    until: datetime,
    replayed: int | None,
    workers: int,
    number: int,
    progress: Progress,
) -> Tried:
    """What one of several processes finds, on partitions of its own."""
    tidings = bootstrap(settings, read_only=True)
    try:
        audience = Audience(tidings.engine, tidings.in_force())
        known = book_of(tidings.in_force())
        trial = Trial(journey, known, beside(known, drafts), until, replayed)
        return dry_run(trial, audience, audience.partitions[number::workers], progress=progress)
    finally:
        tidings.engine.dispose()


class _Crowd(Struct, frozen=True):
    """Who is lived through, one after the other, from when to when (aware UTC)."""

    subjects: Iterator[Subject]
    begun: datetime
    until: datetime


def _made_up(start: date, customers: int, *, seed: int, days: int, customer: str | None) -> _Crowd:
    """Made-up customers, or only the one who is asked for. Raises NotFound where there is none."""
    subjects = made_up(customers=customers, days=days, start=start, seed=seed)
    if customer is not None:
        one = next((found for found in subjects if found.customer.subject == customer), None)
        if one is None:
            raise NotFound("customer.unknown", customer=customer, near=["C000001"])
        subjects = iter([one])
    return _Crowd(subjects, end_of(start, 0), end_of(start, days))


def _of_store(
    tidings: Tidings, book: Book, sample: int, *, seed: int, days: int, customer: str | None
) -> _Crowd:
    """A sample of the store, or only the customer who is asked for. Raises NotFound where there is none."""
    audience = _audience(tidings)
    if customer is None:
        found = audience.sampled(sample, seed=seed)
    elif (place := tidings.history.find(customer)) is not None:
        found = audience.found(*place)
    else:
        raise NotFound("customer.unknown", customer=customer, near=tidings.history.similar_subjects(customer))
    under = {partition: audience.under(partition, book) for partition in audience.partitions}
    subjects = (under[partition](one) for partition, one in found)
    return _Crowd(subjects, audience.clock_at, audience.clock_at + timedelta(days=days))


def usual_store(terminal: Terminal, *, asked_for: bool) -> Tidings | None:
    """The store, to be read; None where nobody names one and there is none in its usual place."""
    usual = terminal.settings.store == DEFAULT_STORE and not terminal.names_store
    if usual and not asked_for and not Path(store_name(DEFAULT_STORE)).exists():
        return None
    return bootstrap(terminal.settings, read_only=True)


def _audience(tidings: Tidings) -> Audience:
    """The store's customers. Raises InputRefused where no run has started its clock."""
    audience = Audience(tidings.engine, tidings.in_force())
    if audience.clock_at == EPOCH:
        raise InputRefused("trying.never_run", store=tidings.settings.store)
    return audience


def _chosen(
    ctx: click.Context,
    terminal: Terminal,
    known: Book,
    named: str,
    templates: Sequence[Path],
    calendars: Sequence[Path],
    segments: tuple[Path, ...],
    policy: Path | None,
) -> tuple[Journey, Documents]:
    """The journey that is tried, and all drafts. Ends the command where anything is wrong with them.

    Raises NotFound for a name that no journey in force has.
    """
    in_force = known.rules.journeys
    is_path = ctx.command is dry_run_command or named.endswith(_SUFFIXES) or Path(named).name != named
    if not is_path and named not in in_force:
        raise NotFound("journey.unknown", journey=named, near=sorted(in_force))
    documents = [read_document(Path(named))] if is_path else []
    drafts, problems = checked(
        known.rules,
        documents,
        read_documents(templates),
        read_documents(calendars),
        read_documents(segments),
        policy=read_document(policy) if policy else None,
    )
    if problems:
        tell_problems(terminal, problems)
        ctx.exit(1)
    return (drafts.journeys[0] if is_path else in_force[named]), drafts


def _traced(journey: Journey, book: Book, crowd: _Crowd, customer: str | None) -> Subject | None:
    """The customer who was asked for, or the first who enters."""
    watch = Watch()
    return next(
        (
            one
            for one in crowd.subjects
            if customer or (lived(one, book, watch, until=crowd.until) and watch.of(journey.journey).entered)
        ),
        None,
    )


def _trace(terminal: Terminal, journey: Journey, book: Book, crowd: _Crowd, subject: Subject | None) -> None:
    """One customer's way, if there is anybody."""
    if subject is None:
        terminal.json(None)
        terminal.tell("trying.nobody_enters", journey=journey.journey)
        return
    told = traced(subject, book, until=crowd.until)
    events = passage(subject.customer, told.events, journey.journey)
    told_as = sentences(subject.customer, events, terminal.wording)
    terminal.json(
        {
            "journey": journey.journey,
            "version": journey.version,
            "customer": told.customer,
            "sentences": told_as,
            "events": [to_builtins(event) for event in events],
        }
    )
    terminal.write(f"{journey.journey} {journey.version}: {told.customer}", style="bold")
    for sentence in told_as or [terminal.wording.tell("trying.never_comes", {"journey": journey.journey})]:
        terminal.write(sentence)
