"""Recorded rulebooks, each as it was and with a bank's documents put in the place of those of their names."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TypeVar

from msgspec import UNSET, Struct
from msgspec.structs import replace

from domain.errors import StoreCorrupt
from journeys.condition_problems import conditions
from journeys.definition import Condition, Control, Controls, EnterOnSegment, Journey, Segment
from journeys.engine import adopts_as
from journeys.rulebook import Rulebook, Rules
from journeys.sensitivity import segments_asked
from templates.model import Template
from tidings.documents import Documents, mark_of
from tidings.sending import Templates
from tidings.trying.book import Book

D = TypeVar("D", bound=Struct)


class Rulebooks:
    """By number: the rulebook of that time, and the one that would have been had these documents held.

    Rulebooks of one period: who is inside a version stays in it, all others meet the documents. A document
    that was in force all the time changes nothing, to the digest.
    """

    def __init__(
        self,
        known: Mapping[int, Rules],
        templates: Templates,
        drafts: Documents,
        *,
        period: Collection[int],
        without: Iterable[str] = (),
    ) -> None:
        """``period`` are the numbers that were in force, ``without`` journeys that nobody enters any more.

        Raises StoreCorrupt where one of the rulebooks of the period cannot be read.
        """
        for number in sorted(set(period) - known.keys()):
            raise StoreCorrupt("store.unreadable_rulebook", number=number, reason="-")
        self._known = known
        self._without = sorted(without)
        self._latest = known[max(known)].rulebook
        then = [known[number].rulebook for number in sorted(period)]
        every = [rules.rulebook for rules in known.values()]
        self._journeys = _apart("journey", drafts.journeys, then, every, lambda book: book.journeys)
        written = {template.template: template for template in drafts.templates}
        marks = _apart(
            "template",
            [mark_of(template) for template in drafts.templates],
            then,
            every,
            lambda book: book.templates,
        )
        renumbered = [replace(written[mark.template], version=mark.version) for mark in marks]
        self._marks = [mark_of(template) for template in renumbered]
        self._segments = _apart("segment", drafts.segments, then, every, lambda book: book.segments)
        self._calendars = _apart("calendar", drafts.calendars, then, every, lambda book: book.calendars)
        self._policy = drafts.policy
        self._templates: dict[tuple[str, int], Template] = {
            **templates,
            **{(template.template, template.version): template for template in renumbered},
        }
        self.was = cache(self._was)
        self.tried = cache(self._tried)
        self.asks = cache(self._asks)
        self.begins = cache(self._begins)

    def _was(self, number: int) -> Book:
        """What decided then."""
        return Book(self._known[number], self._templates)

    def _tried(self, number: int) -> Book:
        """What would have decided then."""
        rules = self._known[number]
        rulebook = self._with_drafts(rules.rulebook)
        return Book(rules if rulebook == rules.rulebook else Rules(rulebook), self._templates)

    def _asks(self, book: Callable[[int], Book], number: int, former: int) -> bool:
        """Whether one rulebook asks something of who has come to another."""
        mine, theirs = book(number).rules, book(former).rules
        return mine.digest != theirs.digest and not adopts_as(mine, theirs)

    def _begins(self, number: int) -> bool:
        """Whether what is tried asks something of who has lived under what was."""
        tried, was = self.tried(number).rules, self.was(number).rules
        return tried.digest != was.digest and not adopts_as(tried, was)

    def _with_drafts(self, rulebook: Rulebook) -> Rulebook:
        controls = rulebook.controls
        if self._without:
            controls = _stopped(Controls() if controls is UNSET else controls, self._without)
        placed = replace(
            rulebook,
            journeys=(*rulebook.journeys, *self._journeys),
            templates=(*rulebook.templates, *self._marks),
            segments=_instead("segment", rulebook.segments, self._segments),
            calendars=_instead("calendar", rulebook.calendars, self._calendars),
            policy=self._policy or rulebook.policy,
            controls=controls,
        )
        # What the documents rest on may have been published later.
        return placed if placed == rulebook else self._with_what_they_need(placed)

    def _with_what_they_need(self, rulebook: Rulebook) -> Rulebook:
        latest = self._latest
        return replace(
            rulebook,
            templates=_lacking("template", rulebook.templates, latest.templates),
            calendars=_lacking("calendar", rulebook.calendars, latest.calendars),
            segments=_lacking("segment", rulebook.segments, self._needed(latest.segments)),
        )

    def _needed(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Those of the segments that the documents ask for, and what these ask for."""
        asked = set[str]()
        wanted = {name for journey in self._journeys for name in _asked_by(journey)}
        wanted |= {name for segment in self._segments for name in _asked_in(segment)}
        while wanted - asked:
            asked |= wanted
            wanted = {name for found in segments if found.segment in asked for name in _asked_in(found)}
        return (segment for segment in segments if segment.segment in asked)


def _asked_by(journey: Journey) -> Iterator[str]:
    if isinstance(journey.enter, EnterOnSegment):
        yield journey.enter.segment
    yield from _asked(condition for _, condition in conditions(journey))


def _asked_in(segment: Segment) -> Iterator[str]:
    return _asked(part.when for part in segment.classes)


def _asked(asking: Iterable[Condition]) -> Iterator[str]:
    for condition in asking:
        yield from segments_asked(condition)


def _apart(
    kind: str,
    drafts: Iterable[D],
    then: Sequence[Rulebook],
    every: Sequence[Rulebook],
    among: Callable[[Rulebook], tuple[D, ...]],
) -> list[D]:
    """Those of the drafts that were not in force throughout, each as the newest version of its name.

    A number that was published already would be taken for what it was published with.
    """
    found: list[D] = []
    for draft in drafts:
        name, version = getattr(draft, kind), getattr(draft, "version")  # noqa: B009 - all have one
        if all(_newest(kind, among(book)).get(name) == draft for book in then):
            continue
        taken = [
            getattr(known, "version")  # noqa: B009
            for book in every
            for known in among(book)
            if getattr(known, kind) == name
        ]
        highest = max(taken, default=0)
        found.append(draft if version > highest else replace(draft, version=highest + 1))
    return found


def _newest(kind: str, documents: Iterable[D]) -> dict[str, D]:
    ordered = sorted(documents, key=lambda document: getattr(document, "version"))  # noqa: B009
    return {getattr(document, kind): document for document in ordered}


def _instead(kind: str, known: tuple[D, ...], drafts: Sequence[D]) -> tuple[D, ...]:
    """The documents with the drafts for all versions of their names: nobody stays in an older one."""
    names = {getattr(draft, kind) for draft in drafts}
    return (*(document for document in known if getattr(document, kind) not in names), *drafts)


def _lacking(kind: str, known: tuple[D, ...], later: Iterable[D]) -> tuple[D, ...]:
    """The documents, and of the later ones those whose names they do not have."""
    names = {getattr(document, kind) for document in known}
    return (*known, *(document for document in later if getattr(document, kind) not in names))


def _stopped(controls: Controls, names: Sequence[str]) -> Controls:
    """What is ordered, and that nobody enters these journeys; who is inside goes on."""
    known = {control.journey: control for control in controls.journeys}
    for name in names:
        version = known[name].version if name in known else 1
        known[name] = Control(journey=name, version=version, state="stopped")
    return replace(controls, journeys=tuple(known.values()))
