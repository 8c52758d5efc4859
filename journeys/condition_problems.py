"""Everything that is wrong with the conditions of a journey beyond their shape."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from domain.catalogue import FACTS, fact_type
from journeys.definition import (
    TEXT_ATTRIBUTES,
    All,
    Any,
    Assets,
    Attribute,
    Await,
    Branch,
    Condition,
    DaysSince,
    Entered,
    EnterOnSegment,
    EntryValue,
    Holds,
    InSegment,
    Journey,
    Not,
    Profile,
    Segment,
    entry_values,
    values_inside,
)
from journeys.problem import Path, Problem


def conditions(journey: Journey) -> Iterator[tuple[Path, Condition]]:
    """Every condition of the journey that stands in no other, with its place."""
    if journey.enter.when is not None:
        yield ("enter", "when"), journey.enter.when
    if journey.goal is not None and journey.goal.when is not None:
        yield ("goal", "when"), journey.goal.when
    for index, step in enumerate(journey.steps):
        if isinstance(step, Branch):
            for number, case in enumerate(step.cases):
                yield ("steps", index, "cases", number, "when"), case.when
        elif isinstance(step, Await) and step.when is not None:
            yield ("steps", index, "when"), step.when
    for number, way in enumerate(journey.exits):
        if way.when is not None:
            yield ("exits", number, "when"), way.when


def of_conditions(
    journey: Journey, journeys: Collection[str] | None, segments: Mapping[str, Segment] | None
) -> Iterator[Problem]:
    values = values_inside(journey)
    named = None if journeys is None else {*journeys, journey.journey}
    # Whom a goal counts for may have left, or may never have been let in.
    goals = [(path, tree) for path, tree in conditions(journey) if path[0] == "goal"]
    others = [(path, tree) for path, tree in conditions(journey) if path[0] != "goal"]
    entry = entry_values(journey.enter)
    yield from of_trees(others, values=values, journeys=named, segments=segments)
    yield from of_trees(goals, values=entry, journeys=named, segments=segments)


def of_trees(
    trees: Iterable[tuple[Path, Condition]],
    *,
    values: Collection[str] | None,
    journeys: Collection[str] | None,
    segments: Mapping[str, Segment] | None,
) -> Iterator[Problem]:
    """What is wrong with these conditions; None for names that are not known, and are not looked at."""
    for whole, tree in trees:
        for path, condition in with_parts(tree, whole):
            match condition:
                case All(of=()) | Any(of=()):
                    yield Problem("journey.no_parts", (*path, "of"), {"condition": _tag(condition)})
                case EntryValue(name=name) if values is not None and name not in values:
                    told = {"found": name, "expected": ", ".join(values)}
                    yield Problem("journey.unknown_value", (*path, "name"), told)
                case DaysSince(fact=fact):
                    yield from of_fact(fact, (*path, "fact"))
                case Entered(journey=name) if journeys is not None and name not in journeys:
                    told = {"found": name, "expected": ", ".join(sorted(journeys))}
                    yield Problem("journey.unknown_journey", (*path, "journey"), told)
                case InSegment() if segments is not None:
                    yield from of_segment(condition, path, segments)
                case _:
                    pass
            yield from _of_bounds(condition, path)


def with_parts(condition: Condition, path: Path) -> Iterator[tuple[Path, Condition]]:
    """The condition and all in it, each with its place."""
    yield path, condition
    match condition:
        case All(of=parts) | Any(of=parts):
            for number, part in enumerate(parts):
                yield from with_parts(part, (*path, "of", number))
        case Not(of=part):
            yield from with_parts(part, (*path, "of"))
        case _:
            pass


def of_segment(
    asked: InSegment | EnterOnSegment, path: Path, segments: Mapping[str, Segment]
) -> Iterator[Problem]:
    """A segment that does not exist, or classes that it does not have."""
    known = segments.get(asked.segment)
    if known is None:
        told = {"found": asked.segment, "expected": ", ".join(sorted(segments))}
        yield Problem("journey.unknown_segment", (*path, "segment"), told)
        return
    names = [part.name for part in known.classes]
    for number, name in enumerate(asked.classes or ()):
        if name not in names:
            told = {"segment": asked.segment, "found": name, "expected": ", ".join(names)}
            yield Problem("journey.unknown_class", (*path, "classes", number), told)


def _of_bounds(condition: Condition, path: Path) -> Iterator[Problem]:
    """Operators that do not fit, bounds that are missing, and bounds that nothing can lie in."""
    if isinstance(condition, Attribute | EntryValue | Profile):
        # Only of an attribute it is known which sort it is.
        texts = (
            condition.name in TEXT_ATTRIBUTES if isinstance(condition, Attribute) else bool(condition.one_of)
        )
        fitting = ("one_of",) if texts else ("at_least", "at_most")
        wrong = ("at_least", "at_most") if texts else ("one_of",)
        given = [operator for operator in wrong if getattr(condition, operator) is not None]
        for operator in given:
            told = {"attribute": condition.name, "found": operator, "expected": ", ".join(fitting)}
            yield Problem("journey.wrong_operator", (*path, operator), told)
        if not given and all(getattr(condition, operator) is None for operator in fitting):
            attribute = isinstance(condition, Attribute)
            expected = fitting if attribute else (*fitting, "one_of")
            name = condition.name if attribute else _tag(condition)
            told = {"condition": name, "expected": ", ".join(expected)}
            yield Problem("journey.no_bounds", path, told)
        if texts:
            return
    if not isinstance(condition, EntryValue | Profile | Attribute | Holds | DaysSince | Assets):
        return
    least, most = condition.at_least, condition.at_most
    if least is None and most is None and not isinstance(condition, Attribute | EntryValue | Profile | Holds):
        told = {"condition": _tag(condition), "expected": "at_least, at_most"}
        yield Problem("journey.no_bounds", path, told)
    if least is not None and most is not None and Decimal(least) > Decimal(most):
        told = {"at_least": str(least), "at_most": str(most)}
        yield Problem("journey.bounds_crossed", (*path, "at_least"), told)


def _tag(condition: Condition) -> str:
    return str(condition.__struct_config__.tag)


def of_fact(fact: str, path: Path) -> Iterator[Problem]:
    """A fact that is neither of the catalogue nor a bank's own."""
    if fact_type(fact) is None:
        yield Problem("journey.unknown_fact", path, {"found": fact, "expected": ", ".join(sorted(FACTS))})
