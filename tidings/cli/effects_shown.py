"""Who goes where by a migration, and what lies ahead of them twice, as a command tells it."""

from collections.abc import Sequence

from tidings.changing import Going, Repeat
from tidings.cli.terminal import Terminal


def tell_effects(terminal: Terminal, going: Sequence[Going], repeats: Sequence[Repeat]) -> None:
    """Tables of both; that nobody is inside is told too."""
    terminal.write()
    if not going:
        terminal.tell("change.nobody_inside")
    else:
        rows = [(part.version, part.step, part.enrolments, _goes(terminal, part)) for part in going]
        terminal.table("change", ["version", "step", "enrolments", "goes"], rows)
    if repeats:
        terminal.write()
        terminal.tell("change.repeats")
        rows_of_repeats = [(repeat.step, repeat.template, repeat.enrolments) for repeat in repeats]
        terminal.table("change", ["step", "template", "enrolments"], rows_of_repeats)


def _goes(terminal: Terminal, part: Going) -> str:
    if part.to is None:
        return terminal.wording.tell("change.ends" if part.explicit else "change.ends_unnamed")
    if part.next is None:
        return terminal.wording.tell(f"change.{part.goes}", {"step": part.to})
    return terminal.wording.tell("change.held" if part.held else "change.begins", {"step": part.next})
