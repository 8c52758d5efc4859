"""Rulebooks that nobody published: what is in force, or what is shipped, with a bank's drafts put beside."""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import InputRefused
from journeys.definition import Journey
from journeys.rulebook import Rulebook, Rules
from tidings.authoring import InForce
from tidings.documents import Documents, mark_of, shipped
from tidings.sending import Templates

D = TypeVar("D", bound=Struct)


class Book(NamedTuple):
    """What decides: a rulebook, and every template that it may need."""

    rules: Rules
    templates: Templates


def shipped_book() -> Book:
    """The library that comes with Tidings, as `tidings init` puts it in force."""
    library = shipped()
    rulebook = Rulebook(
        journeys=tuple(library.journeys),
        templates=tuple(map(mark_of, library.templates)),
        policy=library.policy,
        calendars=library.calendars,
    )
    return Book(Rules(rulebook), {(t.template, t.version): t for t in library.templates})


def book_of(current: InForce) -> Book:
    """What a store has in force."""
    return Book(current.rules, current.templates)


def beside(book: Book, drafts: Documents) -> Book:
    """The book as it would be once the drafts are published: to the digest the same.

    Raises InputRefused where a version is there already with other content.
    """
    rulebook = book.rules.rulebook
    together = replace(
        rulebook,
        journeys=_with("journey", rulebook.journeys, drafts.journeys),
        templates=_with("template", rulebook.templates, map(mark_of, drafts.templates)),
        calendars=_with("calendar", rulebook.calendars, drafts.calendars),
        segments=_with("segment", rulebook.segments, drafts.segments),
        policy=drafts.policy or rulebook.policy,
    )
    templates = {(draft.template, draft.version): draft for draft in drafts.templates}
    return Book(Rules(together), {**book.templates, **templates})


def alone(book: Book, journey: Journey) -> Book:
    """The book with this journey as its only one."""
    return Book(Rules(replace(book.rules.rulebook, journeys=(journey,))), book.templates)


def _with(kind: str, known: tuple[D, ...], drafts: Iterable[D]) -> tuple[D, ...]:
    """All versions that are known, and the new ones behind them, as publishing leaves them."""
    versions = {_version(document, kind): document for document in known}
    for draft in drafts:
        found = versions.setdefault(_version(draft, kind), draft)
        if found != draft:
            name, version = _version(draft, kind)
            raise InputRefused("document.version_taken", kind=kind, name=name, version=version)
    return tuple(versions.values())


def _version(document: Struct, kind: str) -> tuple[str, int]:
    return getattr(document, kind), getattr(document, "version")  # noqa: B009 - every document has one
