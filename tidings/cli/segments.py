"""tidings segments: which there are, whom they hold, and who was in them."""

from datetime import datetime, time, timedelta
from pathlib import Path

import click
from msgspec import to_builtins

from domain.clock import at_local, from_micros, to_micros
from domain.errors import NotFound
from journeys.definition import Segment
from tidings.bootstrap import Tidings, bootstrap
from tidings.cli.journeys import check_document, titled
from tidings.cli.person import person_options, seen
from tidings.cli.publishing import checked, put_in_force
from tidings.cli.terminal import Terminal, common_options, shown
from tidings.documents import (
    Document,
    decode,
    read_document,
    read_documents,
    segment_faults,
    shipped_segments,
)
from tidings.sanctions import Person
from tidings.sentences import clause

_DAY = timedelta(days=1)


@click.group("segments")
def command() -> None:
    """Segments: list, show, who is in them and was, validate, publish."""


@command.command("list")
@common_options
def list_command(terminal: Terminal) -> None:
    """The segments in force, and how many customers are in each class now."""
    tidings = bootstrap(terminal.settings)
    segments = list(_in_force(tidings).values())
    sizes = tidings.ledger.segment_sizes()
    terminal.json(
        [
            {
                "segment": s.segment,
                "version": s.version,
                "title": s.title,
                "classes": [
                    {
                        "class": part.name,
                        "title": part.title,
                        "customers": sizes.get((s.segment, part.name), 0),
                    }
                    for part in s.classes
                ],
            }
            for s in segments
        ]
    )
    rows = [
        (
            s.segment,
            s.version,
            part.name,
            titled(part.title, terminal.wording),
            sizes.get((s.segment, part.name), 0),
        )
        for s in segments
        for part in s.classes
    ]
    if rows:
        terminal.table("segments", ["segment", "version", "class", "title", "customers"], rows)
    else:
        terminal.tell("segments.none")


@command.command("show")
@click.argument("name")
@common_options
def show_command(terminal: Terminal, name: str) -> None:
    """One segment in force, class by class, as sentences; JSON gives the whole document."""
    segment = _named(_in_force(bootstrap(terminal.settings)), name)
    wording = terminal.wording
    terminal.json(to_builtins(segment))
    terminal.write(f"{segment.segment} {segment.version}: {titled(segment.title, wording)}", style="bold")
    for number, part in enumerate(segment.classes):
        values = {
            "class": part.name,
            "title": titled(part.title, wording),
            "condition": clause(part.when, wording),
        }
        terminal.tell("segments.next" if number else "segments.first", **values)
    terminal.tell("segments.else")


@command.command("who")
@click.argument("name")
@click.option("--class", "into", metavar="C", help="Only this class's.")
@click.option(
    "--on",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Who was in it when this day (UTC) ended, by the record (default: now).",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows on a terminal.")
@person_options
@common_options
def who_command(
    terminal: Terminal, name: str, into: str | None, day: datetime | None, limit: int, person: Person
) -> None:
    """Who is in a segment, by customer, since when and in which class. JSON lists all of them."""
    tidings = bootstrap(terminal.settings)
    segment = _named(_in_force(tidings), name)
    classes = [part.name for part in segment.classes]
    before = None
    if day is not None:
        before = to_micros(at_local(day.date() + _DAY, time(0), "UTC"))
    elif into is not None and into not in classes:
        # On a day of the past an older version may have had it.
        raise NotFound("segment.unknown_class", segment=name, **{"class": into}, near=classes)
    found = [m for m in tidings.ledger.members(name, before=before) if into in (None, m.into)]
    shown_now = found if terminal.as_json else found[:limit]
    seen(terminal, person, "segments who", [m.customer for m in shown_now])
    terminal.json([{"customer": m.customer, "class": m.into, "since": from_micros(m.since)} for m in found])
    rows = [(m.customer, m.into, shown(m.since)) for m in found[:limit]]
    terminal.table("segments", ["customer", "class", "since"], rows)
    if len(found) > limit:
        terminal.tell("messages.more", shown=limit, total=f"{len(found):,}")
    else:
        terminal.tell("segments.total", total=len(found))


@command.command("validate")
@click.argument("path", type=click.Path(path_type=Path))
@common_options
@click.pass_context
def validate_command(ctx: click.Context, terminal: Terminal, path: Path) -> None:
    """Everything that is wrong with a segment's file, each with line and column; exit 1 if anything is.

    Other segments are those that are shipped.
    """
    known = {segment.segment: segment for segment in map(_decoded, shipped_segments())}
    check_document(ctx, terminal, path, lambda: segment_faults(read_document(path), known))


@command.command("publish")
@click.argument("paths", metavar="[PATH...]", nargs=-1, type=click.Path(path_type=Path))
@person_options
@common_options
@click.pass_context
def publish_command(ctx: click.Context, terminal: Terminal, paths: tuple[Path, ...], person: Person) -> None:
    """Put segments in force, all or none: those that come with Tidings, or a bank's own by file or folder.

    The next run works out for every customer which class they are in.
    """
    tidings = bootstrap(terminal.settings)
    documents = read_documents(paths) if paths else shipped_segments()
    own, problems = checked(tidings.in_force().rules, [], [], [], documents)
    put_in_force(ctx, terminal, tidings, own, problems, person)


def _in_force(tidings: Tidings) -> dict[str, Segment]:
    return tidings.in_force().rules.segments.in_force


def _named(segments: dict[str, Segment], name: str) -> Segment:
    if name not in segments:
        raise NotFound("segment.unknown", segment=name, near=sorted(segments))
    return segments[name]


def _decoded(document: Document) -> Segment:
    return decode(document, Segment)
