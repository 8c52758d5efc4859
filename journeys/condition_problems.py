"""Everything that is wrong with conditions beyond their shape, in a journey or by themselves."""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

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
    FactCount,
    Holds,
    InSegment,
    Journey,
    MessageCount,
    Not,
    Profile,
    Segment,
    Send,
    Step,
    StepOutcomeIs,
    entry_values,
    followers,
    values_inside,
    waits,
)
from journeys.problem import Path, Problem

# A number is always known, so these may do without bounds: at least one.
_NUMBERS = Holds | FactCount | MessageCount


class Around(Struct, frozen=True):
    """What a condition may refer to where it stands; None where it is not known and not looked at.

    ``values`` are the entry's, None outside of journeys; ``outcomes`` the steps of whose message something
    may be known.
    """

    journeys: Collection[str] | None
    templates: Collection[str] | None
    segments: Mapping[str, Segment] | None = None
    values: Collection[str] | None = None
    outcomes: Collection[str] = ()


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
    journey: Journey,
    journeys: Collection[str] | None,
    templates: Collection[str] | None,
    segments: Mapping[str, Segment] | None,
) -> Iterator[Problem]:
    values = values_inside(journey)
    named = None if journeys is None else {*journeys, journey.journey}
    for path, tree in conditions(journey):
        # Whom a goal counts for may have left, or may never have been let in.
        known = entry_values(journey.enter) if path[0] == "goal" else values
        outcomes = _outcomes_known(journey, path)
        yield from of_condition(tree, path, Around(named, templates, segments, known, outcomes))


def of_condition(tree: Condition, whole: Path, around: Around) -> Iterator[Problem]:
    """All that is wrong with one condition, which stands at ``whole``."""
    for path, condition in with_parts(tree, whole):
        match condition:
            case All(of=()) | Any(of=()):
                yield Problem("journey.no_parts", (*path, "of"), {"condition": _tag(condition)})
            case EntryValue() | StepOutcomeIs() if around.values is None:
                yield Problem("condition.inside_only", path, {"condition": _tag(condition)})
            case EntryValue(name=name):
                yield from _unknown("value", name, around.values, (*path, "name"))
            case StepOutcomeIs(step=name):
                yield from _unknown("outcome", name, around.outcomes, (*path, "step"))
            case DaysSince(fact=fact) | FactCount(fact=fact):
                yield from of_fact(fact, (*path, "fact"))
            case Entered(journey=name):
                yield from _unknown("journey", name, around.journeys, (*path, "journey"))
            case InSegment() if around.segments is not None:
                yield from of_segment(condition, path, around.segments)
            case MessageCount(journey=journey, template=template):
                yield from _unknown("journey", journey, around.journeys, (*path, "journey"))
                yield from _unknown("template", template, around.templates, (*path, "template"))
            case _:
                pass
        yield from _of_bounds(condition, path)


def _unknown(what: str, found: str | None, known: Collection[str] | None, path: Path) -> Iterator[Problem]:
    if found is not None and known is not None and found not in known:
        expected = ", ".join(known if what == "value" else sorted(known))
        yield Problem(f"journey.unknown_{what}", path, {"found": found, "expected": expected or "-"})


def _outcomes_known(journey: Journey, path: Path) -> list[str]:
    """The steps that send, of whose message something may be known where a condition stands.

    In a step there must be a wait between, of which the step itself may be one; in an exit any may be.
    """
    sending = [step.step for step in journey.steps if isinstance(step, Send)]
    match path:
        case ("enter" | "goal", *_):
            return []
        case ("steps", int(index), *_):
            ways, at = {step.step: step for step in journey.steps}, journey.steps[index]
            return [name for name in sending if _waits_between(ways, name, at)]
        case _:
            return sending


def _waits_between(ways: Mapping[str, Step], sending: str, at: Step) -> bool:
    passed = _after(ways, sending)
    if waits(at):
        return at.step in passed
    return any(at.step in _after(ways, name) for name in passed if waits(ways[name]))


def _after(ways: Mapping[str, Step], start: str) -> set[str]:
    """The steps that may come after this one."""
    reached: set[str] = set()
    ahead = list(followers(ways[start]))
    while ahead:
        name = ahead.pop()
        if name in ways and name not in reached:
            reached.add(name)
            ahead.extend(followers(ways[name]))
    return reached


def with_parts(condition: Condition, path: Path) -> Iterator[tuple[Path, Condition]]:
    """The condition and all that stand in it, each with its place."""
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
    if not isinstance(condition, EntryValue | Profile | Attribute | DaysSince | Assets | _NUMBERS):
        return
    least, most = condition.at_least, condition.at_most
    unbounded = least is None and most is None
    if unbounded and not isinstance(condition, Attribute | EntryValue | Profile | _NUMBERS):
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
