"""tidings journeys: what is published, and what is wrong with what is not."""

from pathlib import Path

import click
import msgspec
from msgspec import to_builtins

from domain.errors import InputRefused, NotFound
from journeys.definition import Journey, followers
from tidings.bootstrap import bootstrap
from tidings.cli.terminal import Terminal, common_options
from tidings.documents import faults, mark_of, read_document, shipped
from tidings.wording import Wording


@click.group("journeys")
def command() -> None:
    """Journeys: list, show, validate."""


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
            titled(j, terminal.wording),
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
    terminal.write(f"{journey.journey} {journey.version}: {titled(journey, terminal.wording)}", style="bold")
    terminal.write(f"{terminal.wording.tell('journeys.enter')}: {_compact(journey.enter)}")
    if journey.goal:
        terminal.write(f"{terminal.wording.tell('journeys.goal')}: {journey.goal.fact}")
    rows = [
        (step.step, to_builtins(step)["do"], _compact(step), ", ".join(followers(step)))
        for step in journey.steps
    ]
    terminal.table("journeys", ["step", "do", "with", "next"], rows)


@command.command("validate")
@click.argument("path", type=click.Path(path_type=Path))
@common_options
@click.pass_context
def validate_command(ctx: click.Context, terminal: Terminal, path: Path) -> None:
    """Everything that is wrong with a journey's file, each with line and column; exit 1 if anything is.

    Templates are those that are shipped.
    """
    templates = {template.template: mark_of(template) for template in shipped().templates}
    try:
        journey, found = faults(read_document(path), templates)
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
    terminal.json({"journey": journey.journey, "ok": not found, "problems": problems})
    for problem in problems:
        terminal.complain(f"{path}:{problem['line']}:{problem['column']}: {problem['message']}")
    if found:
        ctx.exit(1)
    terminal.tell("journeys.valid", journey=journey.journey, version=journey.version)


def titled(journey: Journey, wording: Wording) -> str:
    """The journey's title in the language, or in the first that it has."""
    return journey.title.get(wording.language) or next(iter(journey.title.values()))


def _problem(error: InputRefused) -> dict[str, object]:
    told = Wording("en").tell(error.code, error.values)
    return {
        "line": error.values["line"],
        "column": error.values.get("column", 1),
        "code": error.code,
        "message": told,
    }


def _compact(part: msgspec.Struct) -> str:
    values = to_builtins(part)
    hidden = ("step", "do", "next", "otherwise")
    return ", ".join(
        f"{name} {value if not isinstance(value, list | tuple) else '/'.join(map(str, value))}"
        for name, value in values.items()
        if name not in hidden and value not in (None, {}, [])
    )
