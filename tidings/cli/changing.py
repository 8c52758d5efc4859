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
from tidings.cli.effects_shown import tell_effects
from tidings.cli.person import person_options
from tidings.cli.proposing import Orders, tell_proposed
from tidings.cli.terminal import Terminal, common_options
from tidings.documents import decode, read_document
from tidings.sanctions import Person
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
    tell_effects(terminal, going, repeats)


@click.command("migrate")
@click.argument("name")
@click.option("--to", type=int, required=True, metavar="V", help="The version in which to go on.")
@click.option(
    "--map", "mapped", multiple=True, metavar="OLD=NEW", help="Who stands at OLD goes on at NEW; repeatable."
)
@click.option("--end", "ends", multiple=True, metavar="OLD", help="Who stands at OLD leaves; repeatable.")
@click.option(
    "--approve",
    "approved",
    metavar="DIGEST",
    help="Put the plan of this digest in force, or propose it where that needs two persons.",
)
@person_options
@common_options
def migrate_command(
    terminal: Terminal,
    name: str,
    to: int,
    mapped: Sequence[str],
    ends: Sequence[str],
    approved: str | None,
    person: Person,
) -> None:
    """Bring who is inside older versions of a journey to a newer one: shown first, done with --approve."""
    mapping = _mapping(mapped)
    tidings = bootstrap(terminal.settings)
    rules = ordered(tidings.engine, at=wall_clock())
    version_of(rules, name, to)
    planned = plan(rules, name, to, tidings.ledger.inside(name), mapping=mapping, ends=list(ends))
    orders = Orders(tidings.engine, person, at=wall_clock())
    if approved is not None:
        approve(tidings.engine, planned, approved, at=wall_clock(), put=orders.put)
    new = bool(orders.changed.new) and orders.proposal is None
    terminal.json(
        {
            "journey": name,
            "from": [moves.version for moves in planned.migration.moves],
            "to": to,
            **_effects_as_json(planned.going, planned.repeats),
            "digest": planned.digest,
            "published": planned.published or new,
            "new": new,
            **orders.told,
        }
    )
    if planned.published:
        terminal.tell("migrate.published_already", journey=name, version=to)
        return
    tell_effects(terminal, planned.going, planned.repeats)
    if new:
        terminal.tell("migrate.published", journey=name, version=to)
        terminal.tell("change.reach")
    elif orders.proposal is None:
        terminal.tell("migrate.approve", digest=planned.digest[:12])
    tell_proposed(terminal, tidings, orders.changed)


@click.command("pause")
@click.argument("name")
@person_options
@common_options
def pause_command(terminal: Terminal, name: str, person: Person) -> None:
    """Nobody enters the journey, who is inside stands still, and nothing of it is sent; one person may."""
    _set_state(terminal, name, "paused", person)


@click.command("resume")
@click.argument("name")
@person_options
@common_options
def resume_command(terminal: Terminal, name: str, person: Person) -> None:
    """The journey runs again; what fell due meanwhile goes on with the next run."""
    _set_state(terminal, name, "running", person)


@click.command("stop")
@click.argument("name")
@click.option("--end-now", is_flag=True, help="Who is inside leaves at once, and nothing is sent.")
@person_options
@common_options
def stop_command(terminal: Terminal, name: str, end_now: bool, person: Person) -> None:
    """Nobody enters the journey any more; who is inside finishes it."""
    _set_state(terminal, name, "ended" if end_now else "stopped", person)


COMMANDS = (diff_command, migrate_command, pause_command, resume_command, stop_command)


def _set_state(terminal: Terminal, name: str, state: State, person: Person) -> None:
    tidings, now = bootstrap(terminal.settings), wall_clock()
    # Whoever sees that something goes wrong must be able to hold it up alone.
    orders = Orders(tidings.engine, person, at=now, at_once=state == "paused")
    asked = set_state(tidings.engine, name, state, at=now, put=orders.put)
    changed = asked and orders.proposal is None
    terminal.json({"journey": name, "state": state, "changed": changed, **orders.told})
    if orders.proposal is not None:
        tell_proposed(terminal, tidings, orders.changed)
        return
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
