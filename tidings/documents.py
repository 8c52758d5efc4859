"""Documents as people write them: YAML with places, so that every fault is told with line and column."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.resources import files
from inspect import cleandoc
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from domain.calendars import Calendar
from domain.errors import InputRefused
from domain.policy import Policy
from journeys import segment_problems
from journeys.condition_problems import Around, of_condition
from journeys.definition import Condition, Controls, Journey, Segment
from journeys.policy_problems import policy_problems
from journeys.problem import Path as Place
from journeys.problem import Problem
from journeys.rulebook import TemplateMark, digest
from journeys.validation import problems
from templates.model import Template
from tidings.unfit import unfit

_MOST_PARTS = 50_000
D = TypeVar("D", bound=Struct)
SCHEMAS: dict[str, Any] = {
    "journey": Journey,
    "template": Template,
    "policy": Policy,
    "segment": Segment,
    "condition": Condition,
}


class Document(Struct, frozen=True):
    """A parsed YAML document that still knows where everything stood. ``name`` is for messages."""

    name: str
    data: object

    def line_of(self, place: Place) -> tuple[int, int]:
        """Line and column, from 1, of what the path leads to, or of the last part of it that exists."""
        node, line, column = self.data, 1, 1
        for part in place:
            try:
                if isinstance(node, CommentedMap):
                    line, column = (number + 1 for number in node.lc.key(part))
                elif isinstance(node, CommentedSeq):
                    line, column = (number + 1 for number in node.lc.item(part))
                else:
                    break
                node = node[part]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        return line, column


class Fault(Struct, frozen=True):
    """A problem of a document with its place: line and column, from 1."""

    document: str
    line: int
    column: int
    code: str
    values: dict[str, str]


class Documents(Struct, frozen=True):
    """Documents to be published together."""

    journeys: list[Journey]
    templates: list[Template]
    policy: Policy | None = None
    calendars: tuple[Calendar, ...] = ()
    segments: tuple[Segment, ...] = ()
    controls: Controls = Controls()


class Shipped(Documents, frozen=True, kw_only=True):
    """The documents that come with Tidings."""

    policy: Policy


def read_document(path: Path) -> Document:
    """The document in a file. Raises InputRefused with line and column where it is no YAML mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputRefused("document.missing", path=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused("document.unreadable", path=str(path), reason=str(error)) from error
    return parse_document(text, name=str(path))


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """The documents in these files and these folders' YAML files. Raises as ``read_document``."""
    listed: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not inside:
            raise InputRefused("document.empty_folder", path=str(path))
        listed += inside
    return [read_document(path) for path in listed]


def parse_document(text: str, *, name: str) -> Document:
    """The document in a text. Raises InputRefused with line and column where it is no YAML mapping."""
    try:
        data = YAML(typ="rt").load(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise InputRefused(
            "document.not_yaml", path=name, line=line, column=column, reason=str(error.problem)
        ) from error
    except (YAMLError, ValueError, OverflowError, RecursionError) as error:
        # A date such as 2026-13-45 is refused by the loader without its place.
        raise InputRefused("document.not_yaml", path=name, line=1, column=1, reason=str(error)) from error
    if not isinstance(data, CommentedMap):
        raise InputRefused("document.no_mapping", path=name)
    return Document(name, data)


def decode(document: Document, kind: type[D]) -> D:
    """The document as its type. Raises InputRefused with the place of the first thing that does not fit."""
    decoded: D = _converted(document, kind)
    return decoded


def _converted(document: Document, kind: Any) -> Any:
    def convert(data: object) -> object:
        return msgspec.convert(data, kind)

    plain: object = None
    try:
        plain = _plain(document.data, _Budget())
        return convert(plain)
    except (_TooLarge, RecursionError):
        raise InputRefused("document.too_large", path=document.name, limit=_MOST_PARTS) from None
    except msgspec.ValidationError as error:
        found = unfit(error, plain, convert)
        line, column = document.line_of(found.place)
        raise InputRefused(
            "document.unfit",
            path=document.name,
            line=line,
            column=column,
            at=found.at,
            reason=found.reason,
        ) from error


def faults(
    document: Document,
    templates: Mapping[str, TemplateMark],
    calendars: Mapping[str, Calendar],
    journeys: Collection[str] | None = None,
    segments: Mapping[str, Segment] | None = None,
) -> tuple[Journey, list[Fault]]:
    """A journey document, and all that is wrong with it. Raises InputRefused where its shape is wrong.

    ``journeys`` and ``segments`` are those that conditions may refer to; None where they are not known.
    """
    journey = decode(document, Journey)
    found = problems(journey, templates, calendars, journeys, segments)
    return journey, [_fault(document, problem) for problem in found]


def segment_faults(
    document: Document,
    segments: Mapping[str, Segment],
    journeys: Collection[str] | None = None,
    users: Iterable[Journey] = (),
) -> tuple[Segment, list[Fault]]:
    """A segment document, and all that is wrong with it; as ``segment_problems``. Raises InputRefused."""
    segment = decode(document, Segment)
    found = segment_problems.problems(segment, segments, journeys, users)
    return segment, [_fault(document, problem) for problem in found]


def policy_faults(document: Document, calendars: Mapping[str, Calendar]) -> tuple[Policy, list[Fault]]:
    """A policy document, and all that is wrong with it. Raises InputRefused where its shape is wrong."""
    policy = decode(document, Policy)
    return policy, [_fault(document, problem) for problem in policy_problems(policy, calendars)]


def condition_faults(
    document: Document,
    *,
    journeys: Collection[str],
    templates: Collection[str],
    segments: Mapping[str, Segment],
) -> tuple[Condition, list[Fault]]:
    """A condition that stands by itself, and all that is wrong with it. Raises InputRefused as ``decode``.

    ``journeys``, ``templates`` and ``segments`` are those that it may refer to.
    """
    condition: Condition = _converted(document, Condition)
    found = of_condition(condition, (), Around(journeys, templates, segments))
    return condition, [_fault(document, problem) for problem in found]


def json_schema(kind: str) -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of a kind of document: its shape, as ``decode`` asks for it."""
    described = _standard(msgspec.json.schema(SCHEMAS[kind]))
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind}
    return {**dialect, **described}


def _standard(part: Any) -> Any:
    """The part of a schema without the keyword that is OpenAPI's, its descriptions without indentation."""
    if isinstance(part, list | tuple):
        return [_standard(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {name: _standard(value) for name, value in part.items() if name != "discriminator"}
    if isinstance(said := kept.get("description"), str):
        kept["description"] = cleandoc(said)
    return kept


def mark_of(template: Template) -> TemplateMark:
    """What the engine knows of a template. What is published once is not looked through again."""
    return TemplateMark(
        template=template.template,
        version=template.version,
        digest=digest(template),
        promotional=template.promotional,
        variables=template.variables,
    )


def shipped() -> Shipped:
    """The shipped journeys, templates, policy and calendars, by name."""
    return Shipped(
        journeys=[decode(document, Journey) for document in _library("journeys", "library")],
        templates=[decode(document, Template) for document in _library("templates", "library")],
        policy=next(decode(document, Policy) for document in _library("journeys", "library/policies")),
        calendars=tuple(decode(document, Calendar) for document in _library("journeys", "library/calendars")),
    )


def shipped_segments() -> list[Document]:
    """The segments that come with Tidings and are published by a command of their own."""
    return _library("journeys", "library/segments")


def _library(package: str, folder: str) -> list[Document]:
    places = sorted(files(package).joinpath(folder).iterdir(), key=lambda place: place.name)
    return [
        parse_document(place.read_text(encoding="utf-8"), name=f"{package}/{folder}/{place.name}")
        for place in places
        if place.name.endswith(".yaml")
    ]


def _fault(document: Document, problem: Problem) -> Fault:
    line, column = document.line_of(problem.path)
    return Fault(document.name, line, column, problem.code, problem.values)


class _TooLarge(Exception):
    """The document has more parts than anybody writes: aliases of aliases, most likely."""


class _Budget:
    """How many parts may still come."""

    def __init__(self) -> None:
        self._left = _MOST_PARTS

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooLarge


def _plain(node: object, budget: _Budget) -> object:
    """The data without its places, which the types would not know."""
    budget.spend()
    if isinstance(node, dict):
        return {str(key): _plain(value, budget) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value, budget) for value in node]
    for plain in (str, bool, int, float):
        if isinstance(node, plain):
            return plain(node)
    return node
