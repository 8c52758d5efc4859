"""Everything that is wrong with the ways between the steps of a journey.

What passes ends for every customer: each step exists and can be reached, only a jump, which is counted, leads
round, and never without a wait.
"""

from collections.abc import Iterator

from journeys.definition import Approval, Await, Branch, Journey, Jump, Split, Step, Webhook, followers, waits
from journeys.problem import Path, Problem


def of_ways(journey: Journey) -> Iterator[Problem]:
    """Names that are not unique, ways that lead nowhere, steps that no way leads to, and rounds."""
    yield from _of_ids(journey)
    yield from _of_ends(journey)
    yield from _of_rounds(journey)


def _of_ids(journey: Journey) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, step in enumerate(journey.steps):
        if step.step in seen:
            yield Problem("journey.step_twice", ("steps", index, "step"), {"step": step.step})
        seen.add(step.step)


def _of_ends(journey: Journey) -> Iterator[Problem]:
    """Ways that lead nowhere, and steps that no way leads to."""
    names = {step.step for step in journey.steps}
    for index, step in enumerate(journey.steps):
        for place, name in _named_ways(step):
            if name not in names:
                values = {"step": step.step, "found": name, "expected": ", ".join(sorted(names))}
                yield Problem("journey.dangling", ("steps", index, *place), values)
    reached = _reached(_graph(journey.steps), journey.steps[0].step)
    for index, step in enumerate(journey.steps):
        if step.step not in reached:
            yield Problem("journey.unreachable", ("steps", index, "step"), {"step": step.step})


def _named_ways(step: Step) -> Iterator[tuple[Path, str]]:
    """Every way out of the step, with its place in the step."""
    match step:
        case Branch():
            for number, case in enumerate(step.cases):
                yield ("cases", number, "next"), case.next
            yield ("otherwise",), step.otherwise
        case Split():
            for number, way in enumerate(step.ways):
                yield ("ways", number, "next"), way.next
        case Jump():
            yield ("to",), step.to
            yield ("otherwise",), step.otherwise
        case _:
            if isinstance(following := getattr(step, "next", None), str):
                yield ("next",), following
            if isinstance(step, Await | Approval | Webhook):
                yield ("otherwise",), step.otherwise


def _of_rounds(journey: Journey) -> Iterator[Problem]:
    """Steps that can come round to themselves for ever, or all at once."""
    uncounted = {
        step.step: (step.otherwise,) if isinstance(step, Jump) else followers(step) for step in journey.steps
    }
    at_once = {step.step: () if waits(step) else followers(step) for step in journey.steps}
    for index, step in enumerate(journey.steps):
        if _comes_round(uncounted, step.step):
            yield Problem("journey.round", ("steps", index, "step"), {"step": step.step})
        elif _comes_round(at_once, step.step):
            yield Problem("journey.round_at_once", ("steps", index, "step"), {"step": step.step})


Graph = dict[str, tuple[str, ...]]


def _graph(steps: tuple[Step, ...]) -> Graph:
    return {step.step: followers(step) for step in steps}


def _comes_round(graph: Graph, name: str) -> bool:
    return any(name in _reached(graph, following) for following in graph[name])


def _reached(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    ahead = [start]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead.extend(graph.get(name, ()))
    return reached & graph.keys()
