"""Everything that is wrong with a segment beyond its shape, told at once and with its place."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from journeys.condition_problems import Around, conditions, of_condition, with_parts
from journeys.definition import Condition, EnterOnSegment, InSegment, Journey, MessageCount, Segment
from journeys.problem import Path, Problem
from journeys.sensitivity import segments_asked


def problems(
    segment: Segment,
    segments: Mapping[str, Segment],
    journeys: Collection[str] | None = None,
    users: Iterable[Journey] = (),
) -> list[Problem]:
    """All faults of the segment, in the order of the document; none means that it may be published.

    ``segments`` are all others that are or will be in force, ``journeys`` the names that conditions may refer
    to (None where they are not known), ``users`` the journeys that are or will be in force.
    """
    together = {**segments, segment.segment: segment}
    trees = list(_trees(segment))
    found = [
        *_of_names(segment),
        *(
            problem
            for path, tree in trees
            for problem in of_condition(tree, path, Around(journeys, None, together))
        ),
        *_of_messages(trees),
        *_of_circles(segment, trees, together),
        *_of_users(segment, together, users),
    ]
    return sorted(found, key=lambda problem: [str(part).zfill(4) for part in problem.path])


def _trees(segment: Segment) -> Iterator[tuple[Path, Condition]]:
    for number, part in enumerate(segment.classes):
        yield ("classes", number, "when"), part.when


def _of_names(segment: Segment) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, part in enumerate(segment.classes):
        if part.name in seen:
            yield Problem("segment.class_twice", ("classes", number, "name"), {"class": part.name})
        seen.add(part.name)


def _of_messages(trees: Iterable[tuple[Path, Condition]]) -> Iterator[Problem]:
    for whole, tree in trees:
        for path, condition in with_parts(tree, whole):
            if isinstance(condition, MessageCount):
                yield Problem("segment.not_kept", path, {"condition": "message_count"})


def _of_circles(
    segment: Segment, trees: Iterable[tuple[Path, Condition]], segments: Mapping[str, Segment]
) -> Iterator[Problem]:
    """Segments that refer to this one again: none of them could be decided first."""
    for whole, tree in trees:
        for path, condition in with_parts(tree, whole):
            if isinstance(condition, InSegment):
                way = _way(condition.segment, segment.segment, segments, ())
                if way:
                    told = {"way": " > ".join((segment.segment, *way))}
                    yield Problem("segment.circle", (*path, "segment"), told)


def _way(start: str, goal: str, segments: Mapping[str, Segment], above: tuple[str, ...]) -> tuple[str, ...]:
    """The segments from one to another, as each refers to the next, both included; () for no way."""
    if start == goal:
        return (*above, start)
    if start in above or start not in segments:
        return ()
    asked = sorted({name for part in segments[start].classes for name in segments_asked(part.when)})
    ways = (_way(name, goal, segments, (*above, start)) for name in asked)
    return next((way for way in ways if way), ())


def _of_users(
    segment: Segment, segments: Mapping[str, Segment], users: Iterable[Journey]
) -> Iterator[Problem]:
    """Classes that the segment has no more, and that others in force refer to."""
    classes = {part.name for part in segment.classes}
    for user, asked in _references(segments.values(), users):
        if user != segment.segment and asked.segment == segment.segment:
            for name in asked.classes or ():
                if name not in classes:
                    told = {"class": name, "by": user}
                    yield Problem("segment.class_needed", ("classes",), told)


def _references(
    segments: Iterable[Segment], journeys: Iterable[Journey]
) -> Iterator[tuple[str, InSegment | EnterOnSegment]]:
    for segment in segments:
        for path, tree in _trees(segment):
            for _, part in with_parts(tree, path):
                if isinstance(part, InSegment):
                    yield segment.segment, part
    for journey in journeys:
        if isinstance(journey.enter, EnterOnSegment):
            yield journey.journey, journey.enter
        for path, tree in conditions(journey):
            for _, part in with_parts(tree, path):
                if isinstance(part, InSegment):
                    yield journey.journey, part
