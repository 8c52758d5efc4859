"""tidings journeys: what is published, and what is wrong with what is not."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from msgspec import to_builtins

from domain.errors import InputRefused, NotFound
from journeys.definition import Branch, Journey, Segment, Split, followers
from journeys.experiments import experiment_of
from tidings.bootstrap import bootstrap
from tidings.cli import backtest, changing, trying
from tidings.cli.person import person_options
from tidings.cli.publishing import checked, put_in_force
from tidings.cli.report import command as report
from tidings.cli.starting import start_command
from tidings.cli.terminal import Terminal, common_options
from tidings.documents import (
    SCHEMAS,
    Fault,
    faults,
    json_schema,
    mark_of,
    read_document,
    read_documents,
    shipped,
)
from tidings.entry_sentences import entry_sentence
from tidings.sanctions import Person
from tidings.sentences import clause, counted, goal_sentence
from tidings.step_sentences import exit_sentence, step_sentence
from tidings.wording import Wording


@click.group("journeys")
def command() -> None:
    """Journeys: what is published, what is wrong with what is not, trials, what came of it, and changes."""


for other_command in (start_command, report, *trying.COMMANDS, backtest.backtest_command, *changing.COMMANDS):
    command.add_command(other_command)


@command.command("list")
@common_options
def list_command(terminal: Terminal) -> None:
    """The journeys in force."""
    journeys = list(bootstrap(terminal.settings).in_force().rules.journeys.values())
    terminal.json(
        [
            {"journey": j.journey, "version": j.version, "title": j.title, "purpose": j.purpose}
            for j in journeys
        ]
    )
    rows = [
        (
            j.journey,
            j.version,
            titled(j.title, terminal.wording),
            terminal.wording.tell(f"purpose.{j.purpose}"),
            len(j.steps),
        )
        for j in journeys
    ]
    terminal.table("journeys", ["journey", "version", "title", "purpose", "steps"], rows)


@command.command("show")
@click.argument("name")
@common_options
def show_command(terminal: Terminal, name: str) -> None:
    """One journey in force, step by step; JSON gives the whole document."""
    known = bootstrap(terminal.settings).in_force().rules.journeys
    journey = known.get(name)
    if journey is None:
        raise NotFound("journey.unknown", journey=name, near=sorted(known))
    terminal.json(to_builtins(journey))
    terminal.write(
        f"{journey.journey} {journey.version}: {titled(journey.title, terminal.wording)}", style="bold"
    )
    entry = entry_sentence(journey.enter, terminal.wording)
    terminal.write(f"{terminal.wording.tell('journeys.enter')}: {entry}")
    if journey.goal:
        told = goal_sentence(journey.goal, terminal.wording)
        terminal.write(f"{terminal.wording.tell('journeys.goal')}: {told}")
    if journey.holdout:
        drawn_by = journey.holdout.salt or journey.journey
        terminal.tell("journeys.holdout", percent=journey.holdout.percent, salt=drawn_by)
    for way in journey.exits:
        sentence = exit_sentence(way, terminal.wording)
        terminal.write(f"{terminal.wording.tell('journeys.exits')}: {sentence}")
    if journey.expires_days is not None:
        days = counted(journey.expires_days, "day", terminal.wording)
        terminal.tell("journeys.expires", days=days)
    rows = [
        (step.step, step_sentence(step, terminal.wording), ", ".join(dict.fromkeys(followers(step))))
        for step in journey.steps
    ]
    terminal.table("journeys", ["step", "what", "next"], rows)
    for step in journey.steps:
        if isinstance(step, Branch):
            terminal.tell("journeys.branch", step=step.step)
            for case in step.cases:
                terminal.tell("journeys.case", condition=clause(case.when, terminal.wording), next=case.next)
            terminal.tell("journeys.otherwise", next=step.otherwise)
        elif isinstance(step, Split):
            terminal.tell("journeys.split", step=step.step, experiment=experiment_of(journey.journey, step))
            for share in step.ways:
                terminal.tell("journeys.way", percent=share.percent, way=share.way, next=share.next)


@command.command("schema")
@click.option(
    "--kind",
    type=click.Choice([*SCHEMAS]),
    default="journey",
    show_default=True,
    help="What the documents are that the schema describes.",
)
@common_options
def schema_command(terminal: Terminal, kind: str) -> None:
    """The JSON Schema (draft 2020-12) of a document, for editors and checks elsewhere; it needs no store.

    It knows the shape. What must hold together, `validate` and `publish` check.
    """
    described = json_schema(kind)
    terminal.json(described)
    terminal.write(json.dumps(described, indent=2, sort_keys=True))


@command.command("validate")
@click.argument("path", type=click.Path(path_type=Path))
@common_options
@click.pass_context
def validate_command(ctx: click.Context, terminal: Terminal, path: Path) -> None:
    """Everything that is wrong with a journey's file, each with line and column; exit 1 if anything is.

    Templates and calendars are those that are shipped.
    """
    known = shipped()
    templates = {template.template: mark_of(template) for template in known.templates}
    calendars = {calendar.calendar: calendar for calendar in known.calendars}
    check_document(ctx, terminal, path, lambda: faults(read_document(path), templates, calendars))


def check_document(
    ctx: click.Context,
    terminal: Terminal,
    path: Path,
    look: Callable[[], tuple[Journey | Segment, list[Fault]]],
) -> None:
    """Tell what is wrong with the document in a file; exit 1 if anything is."""
    try:
        document, found = look()
    except InputRefused as error:
        if "line" not in error.values:
            raise
        terminal.json({"ok": False, "problems": [_problem(error)]})
        terminal.complain(terminal.wording.tell(error.code, error.values))
        ctx.exit(1)
    wording = Wording("en") if terminal.as_json else terminal.wording
    problems = [
        {"line": f.line, "column": f.column, "code": f.code, "message": wording.tell(f.code, f.values)}
        for f in found
    ]
    kind, name = _named(document)
    terminal.json({kind: name, "ok": not found, "problems": problems})
    for problem in problems:
        terminal.complain(f"{path}:{problem['line']}:{problem['column']}: {problem['message']}")
    if found:
        ctx.exit(1)
    terminal.tell(f"{kind}s.valid", **{kind: name}, version=document.version)


def _named(document: Journey | Segment) -> tuple[str, str]:
    """What the document is, and its name."""
    return ("journey", document.journey) if isinstance(document, Journey) else ("segment", document.segment)


@command.command("publish")
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--template",
    "templates",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A template that the journeys use, or a folder of them; may be given again.",
)
@click.option(
    "--calendar",
    "calendars",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A calendar, or a folder of them, such as one with a newly decreed year; may be given again.",
)
@click.option(
    "--policy",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="The bank's own policy, with a higher version than the one in force.",
)
@click.option(
    "--segment",
    "segments",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A segment, or a folder of them; may be given again.",
)
@person_options
@common_options
@click.pass_context
def publish_command(
    ctx: click.Context,
    terminal: Terminal,
    paths: tuple[Path, ...],
    templates: tuple[Path, ...],
    calendars: tuple[Path, ...],
    policy: Path | None,
    segments: tuple[Path, ...],
    person: Person,
) -> None:
    """Put a bank's own journeys in force, all or none; the next run brings them to every customer.

    A PATH is a file, or a folder of files that end in .yaml. Where anything is wrong, all of it is told
    with line and column, and nothing is published. Where changes need two persons, it is proposed.
    """
    if not (paths or templates or calendars or segments or policy):
        raise click.UsageError("Missing argument 'PATH...'.")
    tidings = bootstrap(terminal.settings)
    own, problems = checked(
        tidings.in_force().rules,
        read_documents(paths),
        read_documents(templates),
        read_documents(calendars),
        read_documents(segments),
        policy=read_document(policy) if policy else None,
    )
    put_in_force(ctx, terminal, tidings, own, problems, person)


def titled(title: Mapping[str, str], wording: Wording) -> str:
    """A title in the language, or in the first that it has."""
    return title.get(wording.language) or next(iter(title.values()))


def _problem(error: InputRefused) -> dict[str, object]:
    told = Wording("en").tell(error.code, error.values)
    return {
        "line": error.values["line"],
        "column": error.values.get("column", 1),
        "code": error.code,
        "message": told,
    }
