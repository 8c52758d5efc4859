"""Differences between two versions of a journey as lines of text; conditions and entries as sentences."""

from collections.abc import Iterator, Sequence
from typing import cast

from msgspec import Struct, to_builtins

from journeys.definition import Branch, Enter, Exit, Goal, Step, followers
from journeys.differences import Difference
from tidings.entry_sentences import entry_sentence
from tidings.sentences import clause
from tidings.step_sentences import exit_sentence, step_sentence
from tidings.wording import Wording


def difference_lines(found: Sequence[Difference], wording: Wording) -> Iterator[str]:
    """A line for each difference, and indented lines for what a step did and does, and where it leads."""
    if not found:
        yield wording.tell("diff.none")
    for difference in found:
        if difference.part == "journey":
            yield _of_journey(difference, wording)
        else:
            yield from _of_step(difference, wording)


def _of_journey(difference: Difference, wording: Wording) -> str:
    part = f"diff.part.{difference.name}"
    values = {"part": wording.tell(part) if wording.has(part) else difference.name}
    for name, value in (("old", difference.old), ("new", difference.new)):
        values[name] = _worth(difference.name, value, wording)
    return wording.tell(f"diff.journey.{difference.sort}", values)


def _worth(name: str, value: object, wording: Wording) -> str:
    """A field of the journey in words."""
    match name:
        case "enter":
            return entry_sentence(cast(Enter, value), wording)
        case "goal" if value is not None:
            return cast(Goal, value).fact
        case "exits":
            exits = cast(tuple[Exit, ...], value)
            return " ".join(exit_sentence(way, wording) for way in exits) or _plain(None)
        case "purpose":
            return wording.tell(f"purpose.{value}")
        case "title":
            titles = cast(dict[str, str], value)
            return titles.get(wording.language) or next(iter(titles.values()))
        case _:
            return _plain(value)


def _of_step(difference: Difference, wording: Wording) -> Iterator[str]:
    old, new = cast("Step | None", difference.old), cast("Step | None", difference.new)
    yield wording.tell(f"diff.step.{difference.sort}", {"step": difference.name})
    told = [
        [] if step is None else [step_sentence(step, wording), *_ways(step, wording)] for step in (old, new)
    ]
    for sign, lines, others in (("-", *told), ("+", *told[::-1])):
        # What both say is no difference.
        yield from (f"  {sign} {line}" for line in lines if line not in others)
    if old is not None and new is not None and told[0] == told[1]:
        yield from _changed(old, new, wording)


def _changed(old: Step, new: Step, wording: Wording) -> Iterator[str]:
    """The fields that differ, where the sentences do not tell it."""
    before, after = (_values(step) for step in (old, new))
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            values = {"name": name, "old": _plain(before.get(name)), "new": _plain(after.get(name))}
            yield "    " + wording.tell("diff.value", values)


def _values(step: Step) -> dict[str, object]:
    told: dict[str, object] = to_builtins(step)
    return told


def _ways(step: Step, wording: Wording) -> list[str]:
    """Where a step leads, each way a line."""
    if isinstance(step, Branch):
        told = [
            wording.tell("diff.case", {"condition": clause(case.when, wording), "next": case.next})
            for case in step.cases
        ]
        return [*told, wording.tell("diff.otherwise", {"next": step.otherwise})]
    otherwise = getattr(step, "otherwise", None)
    told = [wording.tell("diff.next", {"next": name}) for name in followers(step) if name != otherwise]
    return told if otherwise is None else [*told, wording.tell("diff.otherwise", {"next": otherwise})]


def _plain(value: object) -> str:
    if isinstance(value, Struct):
        value = to_builtins(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return "/".join(map(_plain, value))
    return "-" if value is None else str(value)
