"""Publishing documents from the command line: looked at together, told with their places, all or none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import click
from msgspec import Struct
from msgspec.structs import replace

from domain.calendars import Calendar
from domain.errors import InputRefused
from journeys.definition import Segment
from journeys.rulebook import Rules
from tidings.bootstrap import Tidings, wall_clock
from tidings.cli.proposing import Orders, tell_proposed
from tidings.cli.terminal import Terminal
from tidings.documents import (
    Document,
    Documents,
    Fault,
    decode,
    faults,
    mark_of,
    policy_faults,
    segment_faults,
)
from tidings.sanctions import Person
from tidings.template_checks import template_faults
from tidings.wording import Wording

D = TypeVar("D", bound=Struct)


def put_in_force(
    ctx: click.Context,
    terminal: Terminal,
    tidings: Tidings,
    own: Documents,
    problems: Sequence[Fault],
    person: Person,
) -> None:
    """Publish or propose the documents and tell what was new, or tell their problems; exit 1 if any."""
    if problems:
        tell_problems(terminal, problems)
        ctx.exit(1)
    orders = Orders(tidings.engine, person, at=wall_clock())
    orders.put(own)
    new = orders.changed.new
    told = [{"kind": kind, "name": name, "version": version} for kind, name, version in new]
    proposed = {"proposed": told, "proposal": orders.proposal} if orders.proposal else {}
    published = [] if orders.proposal else told
    terminal.json({"ok": True, "published": published, **proposed, "problems": []})
    if orders.proposal:
        tell_proposed(terminal, tidings, orders.changed)
    elif new:
        terminal.tell("init.published")
        terminal.table("init", ["kind", "name", "version"], new)
        terminal.tell("journeys.reach")
    else:
        terminal.tell("journeys.nothing_new")


def tell_problems(terminal: Terminal, problems: Sequence[Fault]) -> None:
    """Every problem with its place, on stderr and in the command's JSON."""
    wording = Wording("en") if terminal.as_json else terminal.wording
    told: list[dict[str, object]] = []
    for p in problems:
        message = wording.tell(p.code, p.values)
        place = {"path": p.document, "line": p.line, "column": p.column}
        told.append({**place, "code": p.code, "message": message})
        # What does not fit its type is told with its place already.
        prefix = "" if message.startswith(p.document) else f"{p.document}:{p.line}:{p.column}: "
        terminal.complain(prefix + message)
    terminal.json({"ok": False, "published": [], "problems": told})


def checked(
    known: Rules,
    journeys: Sequence[Document],
    templates: Sequence[Document],
    calendars: Sequence[Document],
    segments: Sequence[Document],
    policy: Document | None = None,
) -> tuple[Documents, list[Fault]]:
    """The documents, and what is wrong with them: of journeys only where the rest is sound."""
    found: list[Fault] = []
    dated: list[Calendar] = []
    for document in calendars:
        try:
            calendar = decode(document, Calendar)
            dated.append(calendar)
            newest = known.calendars.get(calendar.calendar, calendar).version
            if calendar.version < newest and calendar not in known.rulebook.calendars:
                found.append(_too_old(document, calendar.calendar, calendar.version, newest=newest))
        except InputRefused as error:
            found.append(_refused(document, error))
    classing, problems = _checked_segments(known, segments, journeys)
    found += problems
    own = Documents(journeys=[], templates=[], calendars=tuple(dated), segments=classing)
    for document in templates:
        try:
            template, problems = template_faults(document)
            own.templates.append(template)
            found += problems
        except InputRefused as error:
            found.append(_refused(document, error))
    if found:
        return own, found
    marks = _newest("template", (*known.rulebook.templates, *map(mark_of, own.templates)))
    known_days = _newest("calendar", (*known.rulebook.calendars, *dated))
    if policy is not None:
        try:
            ruling, problems = policy_faults(policy, known_days)
            own = replace(own, policy=ruling)
            newest = known.policy.version
            if ruling.version <= newest and ruling != known.policy:
                found.append(_too_old(policy, ruling.policy, ruling.version, newest=newest))
            found += problems
        except InputRefused as error:
            found.append(_refused(policy, error))
    names = {*known.journeys, *_names(journeys)}
    known_classes = _newest("segment", (*known.rulebook.segments, *own.segments))
    for document in journeys:
        try:
            journey, problems = faults(document, marks, known_days, names, known_classes)
        except InputRefused as error:
            found.append(_refused(document, error))
            continue
        own.journeys.append(journey)
        newest = known.journeys.get(journey.journey, journey).version
        if journey.version < newest and (journey.journey, journey.version) not in known.versions:
            found.append(_too_old(document, journey.journey, journey.version, newest=newest))
        found += problems
    return own, found


def _newest(kind: str, documents: Iterable[D]) -> dict[str, D]:
    """The newest version of each by name; ``kind`` is the field that holds the name."""
    ordered = sorted(documents, key=lambda document: getattr(document, "version"))  # noqa: B009 - all have one
    return {getattr(document, kind): document for document in ordered}


def _names(journeys: Sequence[Document]) -> set[str]:
    """The journeys that are published together: conditions may name them as those in force."""
    together = (document.data for document in journeys)
    return {str(data.get("journey")) for data in together if isinstance(data, Mapping)}


def _checked_segments(
    rules: Rules, documents: Sequence[Document], journeys: Sequence[Document]
) -> tuple[tuple[Segment, ...], list[Fault]]:
    """The segments, and what is wrong with them beside those in force and each other."""
    given: list[tuple[Document, Segment]] = []
    found: list[Fault] = []
    for document in documents:
        try:
            given.append((document, decode(document, Segment)))
        except InputRefused as error:
            found.append(_refused(document, error))
    own = tuple(segment for _, segment in given)
    segments, together = _newest("segment", (*rules.rulebook.segments, *own)), _names(journeys)
    names = {*rules.journeys, *together}
    # A version that is published together may do without the class.
    users = [journey for name, journey in rules.journeys.items() if name not in together]
    for document, segment in given:
        found += segment_faults(document, segments, names, users)[1]
        newest = rules.segments.in_force.get(segment.segment, segment)
        if segment.version < newest.version and segment not in rules.rulebook.segments:
            found.append(_too_old(document, segment.segment, segment.version, newest=newest.version))
    return own, found


def _too_old(document: Document, name: str, version: int, *, newest: int) -> Fault:
    line, column = document.line_of(("version",))
    values = {"journey": name, "found": str(version), "newest": str(newest)}
    return Fault(document.name, line, column, "journey.version_old", values)


def _refused(document: Document, error: InputRefused) -> Fault:
    """A document that could not be understood, as a problem with its place."""
    values = {name: str(value) for name, value in error.values.items()}
    line, column = int(values.get("line", "1")), int(values.get("column", "1"))
    return Fault(document.name, line, column, error.code, values)
