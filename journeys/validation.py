"""Everything that is wrong with a journey beyond its shape, told at once and with its place.

A journey without problems ends for every customer: each step exists and can be reached, none comes round
again, and so every way leads to an end.
"""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from domain.calendars import Calendar
from domain.catalogue import FACTS, fact_type
from journeys.definition import (
    TEXT_ATTRIBUTES,
    All,
    Any,
    Assets,
    Attribute,
    Branch,
    Condition,
    DaysSince,
    Entered,
    EnterOnBirthday,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnSilence,
    EntryValue,
    Holds,
    Journey,
    Moved,
    Not,
    Send,
    entry_values,
    followers,
)
from journeys.rulebook import CUSTOMER_VARIABLES, TemplateMark

Path = tuple[str | int, ...]


class Problem(Struct, frozen=True):
    """One fault: a code of the text catalogue, its values, and the path to it in the document."""

    code: str
    path: Path
    values: dict[str, str] = {}


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
        *_of_conditions(journey, journeys),
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
        yield from _of_fact(fact, path)


def _of_fact(fact: str, path: Path) -> Iterator[Problem]:
    if fact_type(fact) is None:
        yield Problem("journey.unknown_fact", path, {"found": fact, "expected": ", ".join(sorted(FACTS))})


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


def conditions(journey: Journey) -> Iterator[tuple[Path, Condition]]:
    """Every condition of the journey that stands in no other, with its place."""
    if isinstance(journey.enter, EnterOnFact) and journey.enter.when is not None:
        yield ("enter", "when"), journey.enter.when
    for index, step in enumerate(journey.steps):
        if isinstance(step, Branch):
            for number, case in enumerate(step.cases):
                yield ("steps", index, "cases", number, "when"), case.when


def _of_conditions(journey: Journey, journeys: Collection[str] | None) -> Iterator[Problem]:
    values = entry_values(journey.enter)
    named = None if journeys is None else {*journeys, journey.journey}
    for whole, tree in conditions(journey):
        for path, condition in _with_parts(tree, whole):
            match condition:
                case All(of=()) | Any(of=()):
                    yield Problem("journey.no_parts", (*path, "of"), {"condition": _tag(condition)})
                case EntryValue(name=name) if name not in values:
                    told = {"found": name, "expected": ", ".join(values)}
                    yield Problem("journey.unknown_value", (*path, "name"), told)
                case DaysSince(fact=fact):
                    yield from _of_fact(fact, (*path, "fact"))
                case Entered(journey=name) if named is not None and name not in named:
                    told = {"found": name, "expected": ", ".join(sorted(named))}
                    yield Problem("journey.unknown_journey", (*path, "journey"), told)
                case _:
                    pass
            yield from _of_bounds(condition, path)


def _with_parts(condition: Condition, path: Path) -> Iterator[tuple[Path, Condition]]:
    yield path, condition
    match condition:
        case All(of=parts) | Any(of=parts):
            for number, part in enumerate(parts):
                yield from _with_parts(part, (*path, "of", number))
        case Not(of=part):
            yield from _with_parts(part, (*path, "of"))
        case _:
            pass


def _of_bounds(condition: Condition, path: Path) -> Iterator[Problem]:
    """Operators that do not fit, bounds that are missing, and bounds that nothing can lie in."""
    if isinstance(condition, Attribute):
        texts = condition.name in TEXT_ATTRIBUTES
        fitting = ("one_of",) if texts else ("at_least", "at_most")
        wrong = ("at_least", "at_most") if texts else ("one_of",)
        given = [operator for operator in wrong if getattr(condition, operator) is not None]
        for operator in given:
            told = {"attribute": condition.name, "found": operator, "expected": ", ".join(fitting)}
            yield Problem("journey.wrong_operator", (*path, operator), told)
        if not given and all(getattr(condition, operator) is None for operator in fitting):
            told = {"condition": condition.name, "expected": ", ".join(fitting)}
            yield Problem("journey.no_bounds", path, told)
        if texts:
            return
    if not isinstance(condition, EntryValue | Attribute | Holds | DaysSince | Assets):
        return
    least, most = condition.at_least, condition.at_most
    if least is None and most is None and not isinstance(condition, Attribute | Holds):
        told = {"condition": _tag(condition), "expected": "at_least, at_most"}
        yield Problem("journey.no_bounds", path, told)
    if least is not None and most is not None and Decimal(least) > Decimal(most):
        told = {"at_least": str(least), "at_most": str(most)}
        yield Problem("journey.bounds_crossed", (*path, "at_least"), told)


def _tag(condition: Condition) -> str:
    return str(condition.__struct_config__.tag)


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
