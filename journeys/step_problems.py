"""Everything that is wrong with single steps and exits beyond their shape."""

from collections.abc import Collection, Iterator

from journeys.definition import (
    Await,
    Delay,
    Emit,
    Journey,
    Send,
    Start,
    Step,
    Wait,
    WaitUntil,
    Webhook,
    values_inside,
)
from journeys.problem import Path, Problem


def of_steps(journey: Journey, journeys: Collection[str] | None) -> Iterator[Problem]:
    """Waits that say no time or two, and names of steps, values and journeys that do not exist.

    ``journeys`` are the names of all others; None where they are not known.
    """
    for number, way in enumerate(journey.exits):
        if way.fact is None and way.when is None:
            path: Path = ("exits", number, "exit")
            yield Problem("journey.exit_always", path, {"found": way.exit, "expected": "fact, when"})
    values, sends = values_inside(journey), [s.step for s in journey.steps if isinstance(s, Send)]
    for number, step in enumerate(journey.steps):
        place: Path = ("steps", number)
        yield from _of_time(step, place)
        yield from _of_values(step, values, place)
        match step:
            case Await(of_step=str(name)) if name not in sends:
                told = {"step": step.step, "found": name, "expected": ", ".join(sends)}
                yield Problem("journey.sends_nothing", (*place, "of_step"), told)
            case Await(of_step=str(), fact=fact) if not fact.startswith("message."):
                told = {"step": step.step, "found": fact}
                yield Problem("journey.not_of_message", (*place, "fact"), told)
            case Start(journey=name) if journeys is not None and name not in {*journeys, journey.journey}:
                told = {"found": name, "expected": ", ".join(sorted({*journeys, journey.journey}))}
                yield Problem("journey.unknown_journey", (*place, "journey"), told)
            case _:
                pass


def _of_time(step: Step, place: Path) -> Iterator[Problem]:
    """A wait says in one way how long it is."""
    match step:
        case Delay(hours=0, minutes=0):
            yield Problem("journey.no_time", (*place, "step"), _expected(step, "hours, minutes"))
        case Wait(working=str(), weekdays=tuple()):
            # A Sunday that is worked may never come.
            yield Problem("journey.no_time", (*place, "step"), _expected(step, "working | weekdays"))
        case WaitUntil(on=on, value=value) if (on is None) == (value is None):
            yield Problem("journey.no_time", (*place, "step"), _expected(step, "on | value"))
        case Await(within_hours=hours, within_days=days, at=at):
            by_clock = days is not None and at is not None
            by_length = hours is not None
            if by_clock == by_length or (by_length and (days is not None or at is not None)):
                told = _expected(step, "within_hours | within_days + at")
                yield Problem("journey.no_time", (*place, "step"), told)
        case _:
            pass


def _expected(step: Step, expected: str) -> dict[str, str]:
    return {"step": step.step, "expected": expected}


def _of_values(step: Step, known: Collection[str], place: Path) -> Iterator[Problem]:
    named: list[tuple[Path, str]] = []
    if isinstance(step, Emit | Webhook):
        named = [((*place, "values", number), name) for number, name in enumerate(step.values)]
    elif isinstance(step, Await):
        named = [((*place, "same", number), name) for number, name in enumerate(step.same)]
    elif isinstance(step, WaitUntil) and step.value is not None:
        named = [((*place, "value"), step.value)]
    for path, name in named:
        if name not in known:
            yield Problem("journey.unknown_value", path, {"found": name, "expected": ", ".join(known)})
