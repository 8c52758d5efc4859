"""tidings audience: the customers of whom a condition is true, now."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from journeys.definition import All, Condition
from stores.audience import Audience
from tidings.authoring import known_journeys, known_segments, known_templates
from tidings.bootstrap import bootstrap
from tidings.cli.person import person_options, seen
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.documents import Fault, condition_faults, read_document
from tidings.sanctions import Person
from tidings.sentences import clause
from tidings.wording import Wording

_EVERYBODY = All(of=())
where_option = click.option(
    "--where",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The condition, in YAML as in a journey.",
)
as_of_option = click.option(
    "--as-of", type=Instant(), help="From when days are counted (default: the store's clock)."
)


@click.group("audience")
def command() -> None:
    """Whom a condition is true of: counted or listed. What it asks is told first, as a sentence."""


@command.command("count")
@where_option
@as_of_option
@common_options
@click.pass_context
def count_command(ctx: click.Context, terminal: Terminal, where: Path, as_of: datetime | None) -> None:
    """How many customers the condition is true of."""
    audience, condition = asked(ctx, terminal, where)
    at = as_of or audience.clock()
    count, customers = audience.count(condition, at=at), audience.count(_EVERYBODY, at=at)
    terminal.tell("audience.count", count=f"{count:,}", customers=f"{customers:,}", at=_instant(at))
    told = {"as_of": at, "sentence": clause(condition, terminal.wording)}
    terminal.json({**told, "count": count, "customers": customers})


@command.command("list")
@where_option
@as_of_option
@click.option("--limit", type=click.IntRange(1), help="At most so many (default: all).")
@person_options
@common_options
@click.pass_context
def list_command(
    ctx: click.Context,
    terminal: Terminal,
    where: Path,
    as_of: datetime | None,
    limit: int | None,
    person: Person,
) -> None:
    """The customers whom the condition is true of, one id a line."""
    audience, condition = asked(ctx, terminal, where)
    at = as_of or audience.clock()
    subjects = audience.subjects(condition, at=at, limit=limit)
    seen(terminal, person, "audience list", subjects)
    for subject in subjects:
        terminal.write(subject)
    told = {"as_of": at, "sentence": clause(condition, terminal.wording)}
    terminal.json({**told, "customers": subjects})


def asked(ctx: click.Context, terminal: Terminal, where: Path) -> tuple[Audience, Condition]:
    """The audiences, brought up to date, and the condition, told as a sentence; ends where it is faulty."""
    document = read_document(where)
    tidings = bootstrap(terminal.settings)
    engine = tidings.engine
    condition, found = condition_faults(
        document,
        journeys=known_journeys(engine),
        templates=known_templates(engine),
        segments=known_segments(engine),
    )
    if found:
        _tell_faults(terminal, found)
        ctx.exit(1)
    terminal.tell("audience.who", condition=clause(condition, terminal.wording))
    audience = tidings.audience
    with terminal.progress("audience.progress", None) as advance:
        audience.profiles.catch_up(progress=advance)
    return audience, condition


def _tell_faults(terminal: Terminal, found: Sequence[Fault]) -> None:
    """One fault a line on stderr, each with its place; JSON has them all."""
    wording = Wording("en") if terminal.as_json else terminal.wording
    told = [
        {"line": fault.line, "column": fault.column, "code": fault.code}
        | {"message": wording.tell(fault.code, fault.values)}
        for fault in found
    ]
    for fault, problem in zip(found, told, strict=True):
        terminal.complain(f"{fault.document}:{fault.line}:{fault.column}: {problem['message']}")
    terminal.json({"ok": False, "problems": told})


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%MZ")
