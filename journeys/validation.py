"""Everything that is wrong with a journey beyond its shape, told at once and with its place.

A journey without problems ends for every customer: each step exists and can be reached, none comes round
again, and so every way leads to an end.
"""

from collections.abc import Collection, Iterator, Mapping

from domain.calendars import Calendar
from journeys.condition_problems import of_conditions, of_fact
from journeys.definition import (
    Branch,
    EnterOnBirthday,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnSilence,
    Journey,
    Moved,
    Send,
    entry_values,
    followers,
)
from journeys.problem import Path, Problem
from journeys.rulebook import CUSTOMER_VARIABLES, TemplateMark


def problems(
    journey: Journey,
    templates: Mapping[str, TemplateMark],
    calendars: Mapping[str, Calendar],
    journeys: Collection[str] | None = None,
) -> list[Problem]:
    """All faults of the journey, in the order of the document; none means that it may be published.

    ``journeys`` are the names of all others that are or will be published; None where they are not known.
    """
    found = [
        *_of_facts(journey),
        *_of_calendars(journey, calendars),
        *_of_ids(journey),
        *_of_ways(journey),
        *_of_rounds(journey),
        *of_conditions(journey, journeys),
        *_of_templates(journey, templates),
    ]
    return sorted(found, key=lambda problem: [str(part).zfill(4) for part in problem.path])


def _of_facts(journey: Journey) -> Iterator[Problem]:
    named: dict[Path, str] = {}
    match journey.enter:
        case EnterOnFact(fact=fact):
            named["enter", "fact"] = fact
        case EnterOnSilence(of=fact):
            named["enter", "of"] = fact
        case _:
            pass
    if journey.goal is not None:
        named["goal", "fact"] = journey.goal.fact
    for path, fact in named.items():
        yield from of_fact(fact, path)


def _of_calendars(journey: Journey, calendars: Mapping[str, Calendar]) -> Iterator[Problem]:
    """Calendars that do not exist, or lack the part that the entry needs."""
    path: Path = ("enter", "calendar")
    match journey.enter:
        case EnterOnBirthday(calendar=str(name)):
            fit = [known.calendar for known in calendars.values() if known.lunar]
        case EnterOnMaturity(moved=Moved(calendar=name)):
            path = ("enter", "moved", "calendar")
            fit = [known.calendar for known in calendars.values() if known.working]
        case _:
            return
    if name not in fit:
        yield Problem("journey.unknown_calendar", path, {"found": name, "expected": ", ".join(sorted(fit))})


def _of_ids(journey: Journey) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, step in enumerate(journey.steps):
        if step.step in seen:
            yield Problem("journey.step_twice", ("steps", index, "step"), {"step": step.step})
        seen.add(step.step)


def _of_ways(journey: Journey) -> Iterator[Problem]:
    """Ways that lead nowhere, and steps that no way leads to."""
    names = {step.step for step in journey.steps}
    for index, step in enumerate(journey.steps):
        for place, name in _named_ways(step):
            if name not in names:
                values = {"step": step.step, "found": name, "expected": ", ".join(sorted(names))}
                yield Problem("journey.dangling", ("steps", index, *place), values)
    reached = _reachable(journey, journey.steps[0].step)
    for index, step in enumerate(journey.steps):
        if step.step not in reached:
            yield Problem("journey.unreachable", ("steps", index, "step"), {"step": step.step})


def _named_ways(step: object) -> Iterator[tuple[Path, str]]:
    if isinstance(step, Branch):
        for number, case in enumerate(step.cases):
            yield ("cases", number, "next"), case.next
        yield ("otherwise",), step.otherwise
    elif isinstance(following := getattr(step, "next", None), str):
        yield ("next",), following


def _of_rounds(journey: Journey) -> Iterator[Problem]:
    """A step that can come round to itself: somebody could go round for ever."""
    for index, step in enumerate(journey.steps):
        if any(step.step in _reachable(journey, name) for name in followers(step)):
            yield Problem("journey.round", ("steps", index, "step"), {"step": step.step})


def _reachable(journey: Journey, start: str) -> set[str]:
    ways = {step.step: followers(step) for step in journey.steps}
    reached: set[str] = set()
    ahead = [start]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead.extend(ways.get(name, ()))
    return reached & ways.keys()


def _of_templates(journey: Journey, templates: Mapping[str, TemplateMark]) -> Iterator[Problem]:
    known = {*entry_values(journey.enter), *CUSTOMER_VARIABLES}
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
