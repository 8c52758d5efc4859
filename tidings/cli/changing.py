"""tidings journeys diff, migrate, pause, resume, stop: journeys that customers are in the middle of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from msgspec import to_builtins

from domain.errors import InputRefused, NotFound
from journeys.definition import Journey, Migration, State
from journeys.differences import Difference, differences
from tidings.bootstrap import Tidings, bootstrap, wall_clock
from tidings.changing import (
    Going,
    Repeat,
    approve,
    effects,
    moves_of,
    ordered,
    plan,
    set_state,
    version_of,
    versions_of,
)
from tidings.cli.terminal import Terminal, common_options
from tidings.documents import decode, read_document
from tidings.telling import difference_lines


@click.command("diff")
@click.argument("name")
@click.option("--from", "old", type=int, metavar="V", help="The version to begin with (the one before --to).")
@click.option("--to", "new", metavar="V|PATH", help="A version or a journey's file (the version in force).")
@common_options
def diff_command(terminal: Terminal, name: str, old: int | None, new: str | None) -> None:
    """What differs between two versions of a journey, and what that means for who is inside the older one."""
    tidings = bootstrap(terminal.settings)
    after = _new_version(tidings, name, new)
    before = _old_version(tidings, name, old, after)
    found = differences(before, after)
    moves = moves_of(before, after, mapping={}, ends=())
    migration = Migration(journey=name, version=1, to=after.version, moves=(moves,))
    going, repeats = effects(
        migration, tidings.in_force().rules, after, tidings.ledger.inside(name), explicit=set()
    )
    terminal.json(
        {
            "journey": name,
            "from": before.version,
            "to": after.version,
            "differences": [_as_json(difference) for difference in found],
            **_effects_as_json(going, repeats),
        }
    )
    terminal.tell("diff.title", journey=name, old=before.version, new=after.version)
    for line in difference_lines(found, terminal.wording):
        terminal.write(line)
    _tell_effects(terminal, going, repeats)


@click.command("migrate")
@click.argument("name")
@click.option("--to", type=int, required=True, metavar="V", help="The version in which to go on.")
@click.option(
    "--map", "mapped", multiple=True, metavar="OLD=NEW", help="Who stands at OLD goes on at NEW; repeatable."
)
@click.option("--end", "ends", multiple=True, metavar="OLD", help="Who stands at OLD leaves; repeatable.")
@click.option("--approve", "approved", metavar="DIGEST", help="Put the plan of this digest in force.")
@common_options
def migrate_command(
    terminal: Terminal, name: str, to: int, mapped: Sequence[str], ends: Sequence[str], approved: str | None
) -> None:
    """Bring who is inside older versions of a journey to a newer one: shown first, done with --approve."""
    mapping = _mapping(mapped)
    tidings = bootstrap(terminal.settings)
    rules = ordered(tidings.engine, at=wall_clock())
    version_of(rules, name, to)
    planned = plan(rules, name, to, tidings.ledger.inside(name), mapping=mapping, ends=list(ends))
    new = approved is not None and approve(tidings.engine, planned, approved, at=wall_clock())
    terminal.json(
        {
            "journey": name,
            "from": [moves.version for moves in planned.migration.moves],
            "to": to,
            **_effects_as_json(planned.going, planned.repeats),
            "digest": planned.digest,
            "published": planned.published or new,
            "new": new,
        }
    )
    if planned.published:
        terminal.tell("migrate.published_already", journey=name, version=to)
        return
    _tell_effects(terminal, planned.going, planned.repeats)
    if new:
        terminal.tell("migrate.published", journey=name, version=to)
        terminal.tell("change.reach")
    else:
        terminal.tell("migrate.approve", digest=planned.digest[:12])


@click.command("pause")
@click.argument("name")
@common_options
def pause_command(terminal: Terminal, name: str) -> None:
    """Nobody enters the journey, who is inside stands still, and nothing of it is sent."""
    _set_state(terminal, name, "paused")


@click.command("resume")
@click.argument("name")
@common_options
def resume_command(terminal: Terminal, name: str) -> None:
    """The journey runs again; what fell due meanwhile goes on with the next run."""
    _set_state(terminal, name, "running")


@click.command("stop")
@click.argument("name")
@click.option("--end-now", is_flag=True, help="Who is inside leaves at once, and nothing is sent.")
@common_options
def stop_command(terminal: Terminal, name: str, end_now: bool) -> None:
    """Nobody enters the journey any more; who is inside finishes it."""
    _set_state(terminal, name, "ended" if end_now else "stopped")


COMMANDS = (diff_command, migrate_command, pause_command, resume_command, stop_command)


def _set_state(terminal: Terminal, name: str, state: State) -> None:
    changed = set_state(bootstrap(terminal.settings).engine, name, state, at=wall_clock())
    terminal.json({"journey": name, "state": state, "changed": changed})
    terminal.tell(f"control.{state}" if changed else f"control.{state}.already", journey=name)
    if changed:
        terminal.tell("change.reach")


def _mapping(mapped: Sequence[str]) -> Mapping[str, str]:
    mapping: dict[str, str] = {}
    for pair in mapped:
        old, sign, new = pair.partition("=")
        if not (old and sign and new):
            raise click.BadParameter(f"{pair!r} is not OLD=NEW, two names of steps", param_hint="--map")
        if mapping.setdefault(old, new) != new:
            raise click.BadParameter(f"{old!r} is mapped to {mapping[old]!r} and {new!r}", param_hint="--map")
    return mapping


def _new_version(tidings: Tidings, name: str, given: str | None) -> Journey:
    rules = tidings.in_force().rules
    if given is None or given.isdecimal():
        return version_of(rules, name, None if given is None else int(given))
    version_of(rules, name, None)
    journey = decode(read_document(Path(given)), Journey)
    if journey.journey != name:
        raise InputRefused("diff.other_journey", path=given, found=journey.journey, expected=name)
    return journey


def _old_version(tidings: Tidings, name: str, given: int | None, after: Journey) -> Journey:
    """The version named, or the newest before the other one."""
    rules = tidings.in_force().rules
    known = versions_of(rules, name)
    if given is None:
        older = [version for version in known if version < after.version]
        if not older:
            raise NotFound("diff.nothing_older", journey=name, version=after.version)
        given = older[-1]
    return version_of(rules, name, given)


def _as_json(difference: Difference) -> dict[str, object]:
    told: dict[str, object] = to_builtins(difference)
    return told


def _effects_as_json(going: Sequence[Going], repeats: Sequence[Repeat]) -> dict[str, object]:
    inside = [{**to_builtins(part), "goes": part.goes} for part in going]
    return {"inside": inside, "repeats": to_builtins(list(repeats))}


def _tell_effects(terminal: Terminal, going: Sequence[Going], repeats: Sequence[Repeat]) -> None:
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
