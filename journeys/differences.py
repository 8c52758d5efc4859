"""What differs between two versions of a journey, part by part. Pure: the words are the edge's."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import fields

from journeys.definition import Journey, Step

Sort = Literal["added", "removed", "changed", "rewired"]
_WAYS = ("next", "cases", "to", "otherwise")
_KNOWN = ("journey", "version", "steps")


class Difference(Struct, frozen=True):
    """One part that differs: ``name`` of a field of the journey, or of a step, with what it was and is.

    A step is ``rewired`` where it does the same and leads elsewhere, or by other cases.
    """

    part: Literal["journey", "step"]
    name: str
    sort: Sort
    old: object = None
    new: object = None


def differences(old: Journey, new: Journey) -> list[Difference]:
    """Fields of the journey in their declared order, then steps: those of the old version, then new ones."""
    return [*_of_fields(old, new), *_of_steps(old, new)]


def _of_fields(old: Journey, new: Journey) -> Iterator[Difference]:
    for field in fields(Journey):
        if field.name in _KNOWN:
            continue
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after:
            sort: Sort = "added" if before is None else "removed" if after is None else "changed"
            yield Difference("journey", field.name, sort, before, after)


def _of_steps(old: Journey, new: Journey) -> Iterator[Difference]:
    steps = {step.step: step for step in new.steps}
    for step in old.steps:
        other = steps.pop(step.step, None)
        if other is None:
            yield Difference("step", step.step, "removed", step)
        elif _does(step) != _does(other):
            yield Difference("step", step.step, "changed", step, other)
        elif step != other:
            yield Difference("step", step.step, "rewired", step, other)
    for step in steps.values():
        yield Difference("step", step.step, "added", None, step)


def _does(step: Step) -> tuple[object, ...]:
    """What a step does, without where it leads."""
    named = (f.name for f in fields(step) if f.name not in _WAYS)
    return (type(step), *(getattr(step, name) for name in named))
