"""The rulebook: every document in force, named by the digest of its canonical bytes, and its indices."""

from collections.abc import Iterable
from hashlib import sha256
from typing import assert_never

import msgspec
from msgspec import UNSET, Struct, UnsetType

from domain.calendars import Calendar
from domain.policy import Policy
from journeys.definition import (
    Controls,
    EnterBySchedule,
    EnterOnAnniversary,
    EnterOnBirthday,
    EnterOnDate,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnRequest,
    EnterOnSegment,
    EnterOnSilence,
    EnterYearly,
    Journey,
    Migration,
    Segment,
    calendars_of,
    heard_inside,
)
from journeys.engine_versions import ENGINE_VERSION, ENGINES
from journeys.occasions import entry_timer
from journeys.segments import Segments

REQUEST = "journey.requested/1"
CUSTOMER_VARIABLES = ("given_name", "family_name")


class TemplateMark(Struct, frozen=True, kw_only=True):
    """What the engine knows of a template: its version, its content's digest, what it asks for."""

    template: str
    version: int
    digest: str
    promotional: bool
    variables: tuple[str, ...]


class Rulebook(Struct, frozen=True, kw_only=True):
    """Everything published so far: the highest version of a name is in force, older ones serve who is inside.

    A decision cites the rulebook that it was made with, and so the version of the engine that made it.
    """

    engine: int = ENGINE_VERSION
    journeys: tuple[Journey, ...]
    templates: tuple[TemplateMark, ...]
    policy: Policy
    calendars: tuple[Calendar, ...] = ()
    segments: tuple[Segment, ...] = ()
    # Left out where nothing was ever ordered: so older rulebooks keep their digests.
    controls: Controls | UnsetType = UNSET


def canonical(document: Struct) -> bytes:
    """The only bytes of a document: JSON, fields in their declared order, mappings sorted."""
    return msgspec.json.encode(document, order="deterministic")


def digest(document: Struct) -> str:
    """SHA-256 of the canonical bytes, in hex."""
    return sha256(canonical(document)).hexdigest()


class Rules:
    """A rulebook with the indices that decisions need; made once for each rulebook, never changed.

    ``engine`` is what its version of the engine does; KeyError for one that this program has not got.
    ``journeys``, ``templates`` and ``calendars`` are those in force by name, ``versions`` all journeys ever
    published. ``inside_facts`` are the kinds that somebody inside a journey may wait for or leave by.
    ``goal_facts`` are goals of some version, which count also for who has left.
    ``timed`` are those in force that are entered by a wake-up; ``by_person`` those of them whose
    days follow from who the customer is, ``by_contract`` from their contracts too; ``silence_timers`` are the
    wake-ups that a fact of each kind sets unless they are pending; ``segments`` are those in force.
    Of what is ordered, ``closed`` says by journey why nobody may enter, ``paused`` and ``ended`` name
    journeys, ``withdrawn`` versions of templates, and ``migrations`` are those of a journey in the order in
    which they were published.
    """

    def __init__(self, rulebook: Rulebook) -> None:
        self.rulebook = rulebook
        self.engine = ENGINES[rulebook.engine]
        self.digest = digest(rulebook)
        self.policy = rulebook.policy
        self.versions = {(journey.journey, journey.version): journey for journey in rulebook.journeys}
        self.journeys = _in_force(rulebook.journeys)
        self.templates = {mark.template: mark for mark in sorted(rulebook.templates, key=_by_version)}
        self.calendars = {c.calendar: c for c in sorted(rulebook.calendars, key=lambda c: c.version)}
        self.inside_facts = frozenset(fact for j in rulebook.journeys for fact in heard_inside(j))
        self.goal_facts = frozenset(j.goal.fact for j in rulebook.journeys if j.goal)
        controls = Controls() if rulebook.controls is UNSET else rulebook.controls
        states = {control.journey: control.state for control in controls.journeys}
        self.paused = frozenset(name for name, state in states.items() if state == "paused")
        self.ended = frozenset(name for name, state in states.items() if state == "ended")
        self.closed = {
            n: "paused" if n in self.paused else "stopped" for n in states if states[n] != "running"
        }
        self.withdrawn = frozenset((w.template, v) for w in controls.templates for v in w.versions)
        self.migrations: dict[str, tuple[Migration, ...]] = {}
        for migration in controls.migrations:
            known = self.migrations.get(migration.journey, ())
            self.migrations[migration.journey] = (*known, migration)
        self.fact_entries: dict[str, tuple[Journey, ...]] = {}
        self.silences: dict[str, tuple[Journey, ...]] = {}
        self.by_person: tuple[Journey, ...] = ()
        self.by_contract: tuple[Journey, ...] = ()
        untimed = EnterOnFact | EnterOnRequest | EnterOnSegment
        self.timed = {n: j for n, j in self.journeys.items() if not isinstance(j.enter, untimed)}
        self.segments = Segments(rulebook.segments, self.journeys)
        for journey in self.journeys.values():
            self._index(journey)
        self.silence_timers = {
            fact: frozenset(entry_timer(journey.journey) for journey in group)
            for fact, group in self.silences.items()
        }

    def plans_like(self, other: "Rules") -> bool:
        """Whether both ask for the same wake-ups of everybody, and put them into the same classes."""
        mine, theirs = (
            (rules.rulebook.engine, {n: (j.enter, rules._calendars_of(j)) for n, j in rules.timed.items()})
            for rules in (self, other)
        )
        return mine == theirs and self.segments.in_force == other.segments.in_force

    def _calendars_of(self, journey: Journey) -> list[Calendar | None]:
        return [self.calendars.get(name) for name in calendars_of(journey.enter)]

    def _index(self, journey: Journey) -> None:
        match journey.enter:
            case EnterOnFact(fact=fact):
                self.fact_entries[fact] = (*self.fact_entries.get(fact, ()), journey)
            case EnterOnSilence(of=fact):
                self.silences[fact] = (*self.silences.get(fact, ()), journey)
            case EnterOnRequest():
                self.fact_entries[REQUEST] = (*self.fact_entries.get(REQUEST, ()), journey)
            case EnterOnMaturity() | EnterOnAnniversary(of="contract"):
                self.by_contract = (*self.by_contract, journey)
            case EnterOnBirthday() | EnterOnDate() | EnterYearly() | EnterOnAnniversary() | EnterBySchedule():
                self.by_person = (*self.by_person, journey)
            case EnterOnSegment():
                pass
            case _:
                assert_never(journey.enter)


def _in_force(journeys: Iterable[Journey]) -> dict[str, Journey]:
    """The highest version of each name, in the order of the names."""
    ordered = sorted(journeys, key=lambda journey: (journey.journey, journey.version))
    return {journey.journey: journey for journey in ordered}


def _by_version(mark: TemplateMark) -> int:
    return mark.version
