"""Changes to journeys that customers are in the middle of: planned, shown, then published with the rulebook.

Everything here is idempotent: what is ordered already is not published again. The workers bring it to the
customers (``tidings.adopting``).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Engine

from domain.clock import EPOCH
from domain.errors import InputRefused, NotFound
from journeys.definition import Control, Controls, Journey, Migration, Moves, Send, State, Withdrawal
from journeys.migrating import Place, moved, repeats
from journeys.rulebook import Rules, digest
from stores.enrolments import Group
from tidings.authoring import in_force, publish
from tidings.documents import Documents
from tidings.sanctions import UNNAMED, Person, Sanction

# What is done with an order instead of putting it in force by one word, such as to propose it.
Put = Callable[[Documents], object]


class Going(Struct, frozen=True):
    """So many enrolments stand at ``step`` of ``version`` and come to ``to``, or leave where it is None.

    ``explicit``: the target or the end was asked for. ``next`` is the step that is taken next, at once or,
    where a pause holds them up (``held``), when the journey runs again; None: their wait goes on to the same
    instant.
    """

    version: int
    step: str
    enrolments: int
    to: str | None
    explicit: bool
    next: str | None
    held: bool

    @property
    def goes(self) -> str:
        """One of stays, moves, ends."""
        if self.to is None:
            return "ends"
        return "moves" if self.to != self.step else "stays"


class Repeat(Struct, frozen=True):
    """So many enrolments would be sent this again, and skip the step."""

    step: str
    template: str
    enrolments: int


class Plan(Struct, frozen=True):
    """A migration as it would be published, named by its digest, and what it means for who is inside now."""

    migration: Migration
    digest: str
    going: list[Going]
    repeats: list[Repeat]
    published: bool


def version_of(rules: Rules, name: str, version: int | None) -> Journey:
    """A published version of a journey, the one in force where none is named. Raises NotFound."""
    if name not in rules.journeys:
        raise NotFound("journey.unknown", journey=name, near=sorted(rules.journeys))
    if version is None:
        return rules.journeys[name]
    found = rules.versions.get((name, version))
    if found is None:
        known = versions_of(rules, name)
        raise NotFound("journey.unknown_version", journey=name, version=version, near=list(map(str, known)))
    return found


def versions_of(rules: Rules, name: str) -> list[int]:
    """The published versions of a journey, the oldest first."""
    return sorted(version for journey, version in rules.versions if journey == name)


def plan(
    rules: Rules,
    name: str,
    to: int,
    inside: Sequence[Group],
    *,
    mapping: Mapping[str, str],
    ends: Sequence[str],
) -> Plan:
    """What would become of who is inside versions before ``to``. Raises NotFound, InputRefused.

    Steps lead where ``mapping`` says, those in ``ends`` nowhere, others to the step of their name and kind.
    """
    new = version_of(rules, name, to)
    older = [rules.versions[name, version] for version in versions_of(rules, name) if version < to]
    if not older:
        raise InputRefused("migrate.nothing_older", journey=name, version=to)
    known = sorted({step.step for journey in older for step in journey.steps})
    for step in [*mapping, *ends]:
        if step not in known:
            raise NotFound("migrate.unknown_old_step", journey=name, step=step, version=to, near=known)
    for target in mapping.values():
        if target not in (names := [step.step for step in new.steps]):
            raise NotFound("migrate.unknown_new_step", journey=name, step=target, version=to, near=names)
    if both := sorted({*mapping} & {*ends}):
        raise InputRefused("migrate.mapped_and_ended", step=both[0])
    moves = tuple(moves_of(journey, new, mapping=mapping, ends=ends) for journey in older)
    former = rules.migrations.get(name, ())
    migration = Migration(journey=name, version=len(former) + 1, to=to, moves=moves)
    again = former and replace(former[-1], version=migration.version) == migration
    if again:
        migration = former[-1]
    going, repeated = effects(migration, rules, new, inside, explicit={*mapping, *ends})
    return Plan(migration, digest(migration), going, repeated, bool(again))


def moves_of(old: Journey, new: Journey, *, mapping: Mapping[str, str], ends: Sequence[str]) -> Moves:
    """Where each step of the old version leads: as is said, else to the step of its name and kind, if any."""
    kinds = {step.step: type(step) for step in new.steps}
    steps: dict[str, str | None] = {}
    for step in old.steps:
        stays = step.step if kinds.get(step.step) is type(step) else None
        steps[step.step] = None if step.step in ends else mapping.get(step.step, stays)
    return Moves(version=old.version, steps=steps)


def effects(
    migration: Migration, rules: Rules, new: Journey, inside: Sequence[Group], *, explicit: set[str]
) -> tuple[list[Going], list[Repeat]]:
    """Where each group of enrolments goes, and what lies ahead of them that they were sent."""
    going: dict[tuple[int, str, bool], Going] = {}
    repeated: dict[tuple[str, str], int] = {}
    for group in inside:
        if migration.of(group.version) is None:
            continue
        # Until when they wait makes no difference: whoever is not held up waits for a moment.
        place = Place(group.version, group.step, None if group.held else EPOCH, group.held)
        after = moved(place, migration, rules.versions[migration.journey, group.version], new)
        key = group.version, group.step, group.held is not None
        known = going.get(key)
        going[key] = Going(
            group.version,
            group.step,
            group.enrolments + (known.enrolments if known else 0),
            after.step if after else None,
            group.step in explicit,
            after.next if after else None,
            group.held is not None,
        )
        for said in repeats(new, after, group.sent) if after else ():
            repeated[said] = repeated.get(said, 0) + group.enrolments
    order = {step.step: place for place, step in enumerate(new.steps)}
    told = [Repeat(step, template, repeated[step, template]) for step, template in repeated]
    return list(going.values()), sorted(told, key=lambda repeat: order[repeat.step])


def approve(engine: Engine, plan: Plan, approved: str, *, at: datetime, put: Put | None = None) -> bool:
    """Publish (or ``put``) the migration that was looked at; False where it is published already.

    Raises InputRefused where ``approved`` is not the digest of this plan.
    """
    if not plan.digest.startswith(approved) or len(approved) < 12:
        raise InputRefused("migrate.other_plan", found=approved, expected=plan.digest[:12])
    if plan.published:
        return False
    _order(engine, Controls(migrations=(plan.migration,)), at=at, put=put)
    return True


def set_state(
    engine: Engine,
    name: str,
    state: State,
    *,
    at: datetime,
    by: str = "",
    reason: str = "",
    put: Put | None = None,
) -> bool:
    """Let the journey run, pause or stop; False where it is so already. Raises NotFound.

    ``by`` and ``reason`` are recorded with the order, of ``at`` (aware UTC), where a guard gives it.
    """
    rules = ordered(engine, at=at)
    version_of(rules, name, None)
    former = control_of(rules, name)
    if state == (former.state if former else "running"):
        return False
    guarded = bool(by) or (former is not None and former.at is not None)
    control = Control(
        journey=name,
        version=former.version + 1 if former else 1,
        state=state,
        by=by,
        reason=reason,
        at=at if guarded else None,
    )
    sanction = Sanction.alone(Person(by, reason)) if by else UNNAMED
    _order(engine, Controls(journeys=(control,)), at=at, put=put, sanction=sanction)
    return True


def control_of(rules: Rules, name: str) -> Control | None:
    """What was last ordered of the journey; None where it has always run."""
    return next((control for control in _known(rules).journeys if control.journey == name), None)


def withdraw(
    engine: Engine, name: str, version: int | None, *, at: datetime, put: Put | None = None
) -> tuple[list[int], list[tuple[str, int]]]:
    """Withdraw one version of a template, or all there are; gives those withdrawn now.

    Gives too, by name and version, the journeys that use the template. Raises NotFound.
    """
    rules = ordered(engine, at=at)
    published = sorted(mark.version for mark in rules.rulebook.templates if mark.template == name)
    if not published:
        raise NotFound("template.unknown", template=name, near=sorted(rules.templates))
    if version is not None and version not in published:
        near = list(map(str, published))
        raise NotFound("template.unknown_version", template=name, version=version, near=near)
    former = next((w for w in _known(rules).templates if w.template == name), None)
    before = former.versions if former else ()
    new = [v for v in published if v not in before and version in (None, v)]
    if new:
        withdrawal = Withdrawal(
            template=name,
            version=former.version + 1 if former else 1,
            versions=tuple(sorted({*before, *new})),
        )
        _order(engine, Controls(templates=(withdrawal,)), at=at, put=put)
    return new, users_of(rules, name)


def users_of(rules: Rules, template: str) -> list[tuple[str, int]]:
    """The journeys, by name and version, that have a step which sends this template."""
    return sorted(
        key
        for key, journey in rules.versions.items()
        if any(isinstance(step, Send) and step.template == template for step in journey.steps)
    )


def ordered(engine: Engine, *, at: datetime) -> Rules:
    """The rules in force, with everything that was ordered: also by a command that was killed half-way."""
    publish(engine, Documents([], []), at=at)
    return in_force(engine).rules


def _known(rules: Rules) -> Controls:
    controls = rules.rulebook.controls
    return controls if isinstance(controls, Controls) else Controls()


def _order(
    engine: Engine, controls: Controls, *, at: datetime, put: Put | None, sanction: Sanction = UNNAMED
) -> None:
    ordered_now = Documents([], [], controls=controls)
    if put is not None:
        put(ordered_now)
    else:
        publish(engine, ordered_now, at=at, sanction=sanction)
