"""Where somebody inside a journey goes on when their version is changed for another: pure and per enrolment.

The rules: a step has one target or none, as the migration says. Who waits and comes to a wait waits on to the
same instant; for a person's word or an answer only if they wait for such a one already. Who comes to any
other step begins it at once. Whose wait was over already, since the journey is paused, goes on behind a step
that waits and at the beginning of any other. Of several migrations the later go on from where the earlier
lead, and nothing is done in between.
"""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from domain.customer import Customer
from domain.enrolment import Enrolment, waiting_timer
from domain.events import EnrolmentMigrated
from journeys.carrying_on import repeated
from journeys.definition import Approval, Journey, Migration, Send, Step, Webhook, followers, waits
from journeys.rulebook import Rules


class Place(Struct, frozen=True):
    """Where an enrolment stands: at a step until an instant, or with the step ``next`` before it."""

    version: int
    step: str
    until: datetime | None = None
    next: str | None = None


def concerned(state: Enrolment, rules: Rules) -> bool:
    """Whether a migration moves this enrolment."""
    return any(m.of(state.version) is not None for m in rules.migrations.get(state.journey, ()))


def place_of(customer: Customer, enrolment: str) -> Place:
    """Where the customer stands in this enrolment."""
    state = customer.enrolments[enrolment]
    timer = customer.timers.get(waiting_timer(enrolment))
    held = state.held.next if state.held else None
    return Place(state.version, state.step, timer.due_at if timer else None, held)


def moves(customer: Customer, enrolment: str, rules: Rules) -> Iterator[EnrolmentMigrated | None]:
    """The migrations of one enrolment, one after the other; None, as the last, where it leaves."""
    state, place = customer.enrolments[enrolment], place_of(customer, enrolment)
    for migration in rules.migrations.get(state.journey, ()):
        if migration.of(place.version) is None:
            continue
        old, new = (rules.versions[state.journey, version] for version in (place.version, migration.to))
        former, after = place, moved(place, migration, old, new)
        if after is None:
            yield None
            return
        place = after
        yield EnrolmentMigrated(
            enrolment=enrolment,
            journey=state.journey,
            from_version=former.version,
            from_step=former.step,
            version=place.version,
            step=place.step,
            until=place.until,
            next=place.next,
        )


def moved(place: Place, migration: Migration, old: Journey, new: Journey) -> Place | None:
    """Where who stands here in the old version goes on in the new one; None: they leave."""
    target = (migration.of(place.version) or {}).get(place.step)
    if target is None:
        return None
    step = new.step(target)
    if place.next is None:
        waits_on = place.until is not None and keeps_waiting(old.step(place.step), step)
        return Place(migration.to, target, place.until if waits_on else None, None if waits_on else target)
    return Place(migration.to, target, None, _behind(place, step))


def _behind(place: Place, step: Step) -> str:
    """Where somebody goes on whose step was over, or not begun, when it was changed for this one."""
    if place.next == place.step:
        return step.step
    if place.next in followers(step):
        return place.next
    return followers(step)[0] if waits(step) else step.step


def keeps_waiting(old: Step, new: Step) -> bool:
    """Whether who waits at the old step waits on at the new one: not for work that nobody asked for."""
    return waits(old) and waits(new) and (type(new) is type(old) or not isinstance(new, Approval | Webhook))


def repeats(journey: Journey, place: Place, sent: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """The messages, by step and template, that lie ahead of here and were asked for before.

    They are skipped; without a migration's care they would be sent twice.
    """
    steps = {step.step: step for step in journey.steps}
    ahead = [*followers(steps[place.step])] if place.next is None else [place.next]
    seen: set[str] = set()
    while ahead:
        name = ahead.pop()
        if name in steps and name not in seen:
            seen.add(name)
            ahead += followers(steps[name])
    return [
        (step.step, step.template)
        for step in journey.steps
        if step.step in seen and isinstance(step, Send) and repeated(step, sent) is not None
    ]
