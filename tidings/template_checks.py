"""Templates looked through with all that this house knows: lines, segments, languages, journeys."""

from collections.abc import Collection, Iterable
from typing import Any

from msgspec import Struct
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString

from channels.segments import segments as counted
from domain.catalogue import ChannelName
from journeys.definition import Journey, Send
from templates.lint import Finding, Severity, errors, lint
from templates.model import Template
from tidings.documents import Document, Fault, decode
from tidings.wording import LANGUAGES


class Linted(Struct, frozen=True):
    """A finding with its place in a document: line and column from 1, 0 where there is no document."""

    path: str
    line: int
    column: int
    finding: Finding

    @property
    def severity(self) -> Severity:
        """Whether it refuses the template."""
        return self.finding.severity

    @property
    def values(self) -> dict[str, str]:
        """What the sentence of the finding is told with."""
        at = ".".join(part for part in (self.finding.language, self.finding.part) if part)
        return {**self.finding.values, "at": at or "-"}


def looked_through(
    template: Template, document: Document | None = None, *, journeys: Iterable[Journey] = ()
) -> list[Linted]:
    """Everything that is wrong with a template, errors first; ``journeys`` may be those that send it."""
    channels = sent_by(template.template, journeys)
    found = lint(template, segments=segments, languages=LANGUAGES, channels=sorted(channels))
    return [_linted(one, document) for one in found]


def template_faults(document: Document) -> tuple[Template, list[Fault]]:
    """A template document, and what refuses it. Raises InputRefused where its shape is wrong."""
    template = decode(document, Template)
    found = [_linted(one, document) for one in errors(template)]
    return template, [Fault(one.path, one.line, one.column, one.finding.code, one.values) for one in found]


def sent_by(template: str, journeys: Iterable[Journey]) -> Collection[ChannelName]:
    """The channels by which these journeys send the template."""
    steps = (step for journey in journeys for step in journey.steps)
    return {
        channel
        for step in steps
        if isinstance(step, Send) and step.template == template
        for channel in step.channels
    }


def segments(text: str) -> int:
    """Into how many segments a text message is cut."""
    return counted(text).segments


def _linted(finding: Finding, document: Document | None) -> Linted:
    if document is None:
        return Linted("", finding.line, 0, finding)
    place: list[str] = []
    if finding.language:
        place = ["languages", finding.language, *(finding.part.split(".") if finding.part else [])]
    line, column = document.line_of(tuple(place)) if place else (1, 1)
    node: Any = document.data
    for part in place:
        node = node.get(part) if isinstance(node, CommentedMap) else None
    if finding.line and isinstance(node, LiteralScalarString | FoldedScalarString):
        # The text of a block begins on the line below its name.
        line, column = line + finding.line, 1
    return Linted(document.name, line, column, finding)
