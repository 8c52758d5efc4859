"""What each decision, and each input that is no fact, makes of a customer's state."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from domain import events
from domain.clock import day_number
from domain.customer import Customer, Entry, OpenTask, Timer
from domain.enrolment import Enrolment, Held, expiry_timer, task_timer, waiting_timer
from domain.events import Event
from domain.fold_messages import at_step
from domain.goal import Watch
from domain.holding import Holding, occasion_of
from domain.mappings import without
from domain.message import message_of_timer
from domain.tally import one_more

# A moment of a wall clock can come again within a day or so when the customer changes zones.
KEYS_KEPT = timedelta(days=3)


def _timer_fired(customer: Customer, body: events.TimerFired, event: Event) -> Customer:
    messages = customer.messages
    message = messages.get(message_of_timer(body.timer) or "")
    if message is not None:
        due = replace(message, deferred_until=None, due_version=event.version)
        messages = {**messages, message.request.message: due}
    return replace(customer, timers=without(customer.timers, body.timer), messages=messages)


def _timers_planned(customer: Customer, body: events.TimersPlanned, event: Event) -> Customer:
    timers = {name: timer for name, timer in customer.timers.items() if name not in body.dropped}
    # By name: a stored body has its mappings sorted, one just decided has not.
    messages = customer.messages
    for name, due_at in sorted(body.due.items()):
        timers[name] = Timer(due_at, event.version)
        message = messages.get(message_of_timer(name) or "")
        if message is not None:
            messages = {**messages, message.request.message: replace(message, deferred_until=due_at)}
    return replace(customer, timers=timers, messages=messages)


def _enrolment_started(customer: Customer, body: events.EnrolmentStarted, event: Event) -> Customer:
    enrolment = Enrolment(body.journey, body.version, body.key, body.entry, depth=body.depth)
    enrolments = {**customer.enrolments, body.enrolment: enrolment}
    return replace(_entered(customer, body, event), enrolments=enrolments)


def _entered(
    customer: Customer, body: events.EnrolmentStarted | events.EnrolmentHeldOut, event: Event
) -> Customer:
    """Who is held out has entered as far as re-entry goes, and is watched alike."""
    now = event.recorded_at
    watches = customer.watches
    if body.goal_days is not None:
        watch = Watch(body.journey, body.version, body.entry, now, body.goal_days)
        watches = {**watches, body.enrolment: watch}
    last = customer.entered.get(body.journey)
    recent = {key: at for key, at in last.keys.items() if now - at <= KEYS_KEPT} if last else {}
    return replace(
        customer,
        watches=watches,
        entered={**customer.entered, body.journey: Entry(now, {**recent, body.key: now})},
        holdings=_told(customer.holdings, body) if body.covers else customer.holdings,
    )


def _told(
    holdings: dict[str, Holding], body: events.EnrolmentStarted | events.EnrolmentHeldOut
) -> dict[str, Holding]:
    """The contracts, of which those that the enrolment covers remember it.

    Of somebody who is erased the entry values are not known any more; then they remember nothing.
    """
    offset = body.entry.get("offset_days")
    if not isinstance(offset, int):
        return holdings
    told: dict[str, Holding] = {}
    for name in body.covers:
        if (holding := holdings.get(name)) is not None:
            occasion = occasion_of(body.journey, matures_on=holding.matures_on, offset=offset)
            told[name] = replace(holding, told=(*holding.told, occasion))
    return {**holdings, **told}


def _goal_reached(customer: Customer, body: events.GoalReached, _: Event) -> Customer:
    return replace(customer, watches=without(customer.watches, body.enrolment))


def _enrolment_waiting(customer: Customer, body: events.EnrolmentWaiting, event: Event) -> Customer:
    enrolments = customer.enrolments
    if body.work:
        # The work that is waited for was this visit of the step.
        enrolments = {**enrolments, body.enrolment: replace(enrolments[body.enrolment], work=body.work)}
    else:
        enrolments = at_step(enrolments, body.enrolment, body.step)
    timer = Timer(body.until, event.version)
    return replace(
        customer,
        enrolments=enrolments,
        timers={**customer.timers, waiting_timer(body.enrolment): timer},
    )


def _wait_ended(customer: Customer, body: events.WaitEnded, _: Event) -> Customer:
    enrolment = customer.enrolments[body.enrolment]
    # By name: a stored body has its mappings sorted, one just decided has not.
    entry = {**enrolment.entry, **dict(sorted(body.values.items()))}
    return replace(
        customer,
        enrolments={**customer.enrolments, body.enrolment: replace(enrolment, entry=entry, work="")},
        timers=without(customer.timers, waiting_timer(body.enrolment)),
    )


def _enrolment_ended(customer: Customer, body: events.EnrolmentEnded, _: Event) -> Customer:
    messages = customer.messages
    if body.reason != "end":
        messages = {
            name: replace(message, ended=body.reason)
            if message.deferred_until and message.request.enrolment == body.enrolment
            else message
            for name, message in messages.items()
        }
    return replace(
        customer,
        messages=messages,
        enrolments=without(customer.enrolments, body.enrolment),
        timers=without(without(customer.timers, waiting_timer(body.enrolment)), expiry_timer(body.enrolment)),
    )


def _enrolment_migrated(customer: Customer, body: events.EnrolmentMigrated, event: Event) -> Customer:
    state = customer.enrolments[body.enrolment]
    held = Held(body.next, state.held.since) if state.held and body.next else None
    # Who waits on waits for the same work; who begins a step asks for its own.
    work = "" if body.until is None else state.work
    moved = replace(state, version=body.version, step=body.step, work=work, held=held, before=state.sent)
    timer = waiting_timer(body.enrolment)
    timers = without(customer.timers, timer)
    if body.until is not None:
        timers = {**timers, timer: Timer(body.until, event.version)}
    return replace(customer, enrolments={**customer.enrolments, body.enrolment: moved}, timers=timers)


def _enrolment_held(customer: Customer, body: events.EnrolmentHeld, _: Event) -> Customer:
    state = replace(customer.enrolments[body.enrolment], held=Held(body.next, body.due_at))
    return replace(customer, enrolments={**customer.enrolments, body.enrolment: state})


def _enrolment_resumed(customer: Customer, body: events.EnrolmentResumed, _: Event) -> Customer:
    state = replace(customer.enrolments[body.enrolment], held=None)
    return replace(customer, enrolments={**customer.enrolments, body.enrolment: state})


_StepTaken = (
    events.BranchTaken
    | events.SplitTaken
    | events.StepSkipped
    | events.TaskCreated
    | events.TaskSuppressed
    | events.ProfileUpdated
    | events.FactEmitted
    | events.JourneyCalled
    | events.WebhookCalled
)


def _step_taken(customer: Customer, body: _StepTaken, _: Event) -> Customer:
    return replace(customer, enrolments=at_step(customer.enrolments, body.enrolment, body.step))


def _profile_updated(customer: Customer, body: events.ProfileUpdated, event: Event) -> Customer:
    profile = {**customer.profile, **dict(sorted(body.values.items()))}
    return replace(_step_taken(customer, body, event), profile=profile)


def _fact_emitted(customer: Customer, body: events.FactEmitted, event: Event) -> Customer:
    last_at = {**customer.last_at, body.fact: event.recorded_at}
    day = day_number(event.recorded_at, customer.zone)
    days = {**customer.fact_days, body.fact: one_more(customer.fact_days.get(body.fact), day)}
    return replace(_step_taken(customer, body, event), last_at=last_at, fact_days=days)


def _task_created(customer: Customer, body: events.TaskCreated, event: Event) -> Customer:
    taken = _step_taken(customer, body, event)
    if not body.escalate_to:
        return taken
    return replace(
        taken,
        tasks={**customer.tasks, body.task: OpenTask(body.enrolment, body.escalate_to)},
        timers={**customer.timers, task_timer(body.task): Timer(body.due_at, event.version)},
    )


def _task_escalated(customer: Customer, body: events.TaskEscalated, _: Event) -> Customer:
    return replace(customer, tasks=without(customer.tasks, body.task))


def _segment_entered(customer: Customer, body: events.SegmentEntered, _: Event) -> Customer:
    return replace(customer, segments={**customer.segments, body.segment: body.into})


def _segment_left(customer: Customer, body: events.SegmentLeft, _: Event) -> Customer:
    return replace(customer, segments=without(customer.segments, body.segment))


OF_DECISIONS: dict[type[Struct], Callable[[Customer, Any, Event], Customer]] = {
    events.TimerFired: _timer_fired,
    events.TimersPlanned: _timers_planned,
    events.EnrolmentStarted: _enrolment_started,
    events.EnrolmentHeldOut: _entered,
    events.GoalReached: _goal_reached,
    events.EnrolmentWaiting: _enrolment_waiting,
    events.WaitEnded: _wait_ended,
    events.EnrolmentEnded: _enrolment_ended,
    events.EnrolmentMigrated: _enrolment_migrated,
    events.EnrolmentHeld: _enrolment_held,
    events.EnrolmentResumed: _enrolment_resumed,
    events.StepSkipped: _step_taken,
    events.BranchTaken: _step_taken,
    events.SplitTaken: _step_taken,
    events.ProfileUpdated: _profile_updated,
    events.FactEmitted: _fact_emitted,
    events.JourneyCalled: _step_taken,
    events.WebhookCalled: _step_taken,
    events.TaskCreated: _task_created,
    events.TaskEscalated: _task_escalated,
    events.TaskSuppressed: _step_taken,
    events.SegmentEntered: _segment_entered,
    events.SegmentLeft: _segment_left,
}
