"""Everything that is wrong with a journey beyond its shape, told at once and with its place.

A journey without problems ends for every customer (``journeys.ways``).
"""

from collections.abc import Collection, Iterator, Mapping

from domain.calendars import Calendar
from domain.catalogue import CustomFact, fact_type
from journeys.condition_problems import of_conditions, of_fact, of_segment
from journeys.definition import (
    Await,
    EnterOnFact,
    EnterOnSegment,
    EnterOnSilence,
    Journey,
    Moved,
    Segment,
    Send,
    Split,
    Wait,
    WaitUntil,
    values_inside,
)
from journeys.entry_problems import of_entry
from journeys.experiments import experiment_of
from journeys.problem import Path, Problem
from journeys.rulebook import CUSTOMER_VARIABLES, TemplateMark
from journeys.step_problems import of_steps
from journeys.ways import of_ways


def problems(
    journey: Journey,
    templates: Mapping[str, TemplateMark],
    calendars: Mapping[str, Calendar],
    journeys: Collection[str] | None = None,
    segments: Mapping[str, Segment] | None = None,
) -> list[Problem]:
    """All faults of the journey, in the order of the document; none means that it may be published.

    ``journeys`` are the names of all others that are or will be published, ``segments`` those that are or
    will be in force; None where they are not known.
    """
    found = [
        *_of_facts(journey),
        *of_entry(journey.enter, calendars),
        *_of_calendars(journey, calendars),
        *of_ways(journey),
        *of_steps(journey, journeys),
        *_of_splits(journey),
        *of_conditions(journey, journeys, templates, segments),
        *_of_segments(journey, segments),
        *_of_templates(journey, templates),
    ]
    return sorted(found, key=lambda problem: [str(part).zfill(4) for part in problem.path])


def _of_facts(journey: Journey) -> Iterator[Problem]:
    """Kinds of facts that nobody tells, and fields that they do not have."""
    named: list[tuple[Path, str, str, tuple[str, ...]]] = []
    match journey.enter:
        case EnterOnFact(fact=fact, values=values):
            named.append((("enter",), "fact", fact, values))
        case EnterOnSilence(of=fact):
            named.append((("enter",), "of", fact, ()))
        case _:
            pass
    if journey.goal is not None:
        named.append((("goal",), "fact", journey.goal.fact, ()))
    for number, way in enumerate(journey.exits):
        if way.fact is not None:
            named.append((("exits", number), "fact", way.fact, ()))
    for number, step in enumerate(journey.steps):
        if isinstance(step, Await):
            named.append((("steps", number), "fact", step.fact, step.values))
    for path, field, fact, values in named:
        yield from of_fact(fact, (*path, field))
        yield from _of_fields(fact, values, (*path, "values"))
    for number, step in enumerate(journey.steps):
        if isinstance(step, Await):
            yield from _of_fields(step.fact, step.same, ("steps", number, "same"))


def _of_fields(fact: str, names: tuple[str, ...], path: Path) -> Iterator[Problem]:
    kind = fact_type(fact)
    if kind is None or kind is CustomFact:
        return
    fields = [field for field in kind.__struct_fields__ if field not in ("source", "id")]
    for number, name in enumerate(names):
        if name not in fields:
            told = {"fact": fact, "found": name, "expected": ", ".join(fields)}
            yield Problem("journey.unknown_field", (*path, number), told)


def _of_calendars(journey: Journey, calendars: Mapping[str, Calendar]) -> Iterator[Problem]:
    """Calendars of steps that do not exist, or lack the part that is needed."""
    working: list[tuple[Path, str]] = []
    for number, step in enumerate(journey.steps):
        match step:
            case Wait(working=str(name)):
                working.append((("steps", number, "working"), name))
            case WaitUntil(moved=Moved(calendar=name)):
                working.append((("steps", number, "moved", "calendar"), name))
            case _:
                pass
    fit = [known.calendar for known in calendars.values() if known.working]
    for path, name in working:
        yield from _of_calendar(name, fit, path)


def _of_calendar(name: str, fit: Collection[str], path: Path) -> Iterator[Problem]:
    if name not in fit:
        yield Problem("journey.unknown_calendar", path, {"found": name, "expected": ", ".join(sorted(fit))})


def _of_splits(journey: Journey) -> Iterator[Problem]:
    """Ways that do not share out everybody, and one experiment that is shared out in two ways."""
    shares: dict[str, list[tuple[str, int]]] = {}
    for index, step in enumerate(journey.steps):
        if not isinstance(step, Split):
            continue
        path: Path = ("steps", index, "ways")
        total = sum(way.percent for way in step.ways)
        if total != 100:
            yield Problem("journey.percents", path, {"step": step.step, "found": str(total)})
        names = [way.way for way in step.ways]
        for number, name in enumerate(names):
            if name in names[:number]:
                yield Problem("journey.way_twice", (*path, number, "way"), {"step": step.step, "way": name})
        mine = [(way.way, way.percent) for way in step.ways]
        if shares.setdefault(experiment_of(journey.journey, step), mine) != mine:
            values = {"step": step.step, "experiment": experiment_of(journey.journey, step)}
            yield Problem("journey.experiment_differs", path, values)


def _of_segments(journey: Journey, segments: Mapping[str, Segment] | None) -> Iterator[Problem]:
    if isinstance(journey.enter, EnterOnSegment) and segments is not None:
        yield from of_segment(journey.enter, ("enter",), segments)


def _of_templates(journey: Journey, templates: Mapping[str, TemplateMark]) -> Iterator[Problem]:
    known = {*values_inside(journey), *CUSTOMER_VARIABLES}
    for index, step in enumerate(journey.steps):
        if not isinstance(step, Send):
            continue
        path: Path = ("steps", index, "template")
        mark = templates.get(step.template)
        if mark is None:
            values = {"found": step.template, "expected": ", ".join(sorted(templates))}
            yield Problem("journey.unknown_template", path, values)
            continue
        if mark.promotional and journey.purpose != "marketing":
            values = {"template": step.template, "purpose": journey.purpose}
            yield Problem("journey.hidden_marketing", path, values)
        for name in sorted(set(mark.variables) - known):
            values = {"template": step.template, "found": name, "expected": ", ".join(sorted(known))}
            yield Problem("journey.unknown_variable", path, values)
