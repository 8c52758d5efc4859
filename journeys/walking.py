"""The way through a journey: step after step until one waits or ends."""

from datetime import datetime, timedelta
from typing import assert_never

from msgspec import UNSET

from domain import catalogue as facts
from domain import events
from domain.clock import first_at_local
from domain.enrolment import work_id
from domain.events import Value, Values
from domain.judgement import care_hold
from journeys.carrying_on import is_held_up, skipped
from journeys.conditions import holds
from journeys.definition import (
    Approval,
    Await,
    Branch,
    Delay,
    Emit,
    End,
    Journey,
    Jump,
    Send,
    Split,
    Start,
    Step,
    Task,
    Update,
    Wait,
    WaitUntil,
    Webhook,
    entry_values,
    time_of,
)
from journeys.experiments import experiment_of, way_of
from journeys.leaving import leave
from journeys.turn import Call, Told, Turn
from journeys.waiting import due_at


def advance(turn: Turn, enrolment: str, journey: Journey, at: str, *, cause: int) -> None:
    """Take steps until one waits or ends; a validated journey has no way round without a wait."""
    if is_held_up(turn, enrolment, journey, at, cause=cause):
        return
    following: str | None = at
    while following is not None:
        following = _take(turn, enrolment, journey, journey.step(following), cause=cause)


def _take(turn: Turn, enrolment: str, journey: Journey, step: Step, *, cause: int) -> str | None:
    match step:
        case Send() if skip := skipped(turn.customer.enrolments[enrolment], enrolment, step):
            turn.record(skip, cause=cause)
            return step.next
        case Send():
            turn.record(_request(turn, enrolment, journey, step), cause=cause)
            return step.next
        case Wait() | Delay() | WaitUntil() | Await():
            _wait(turn, enrolment, step, cause=cause)
            return None
        case Branch():
            return _choose(turn, enrolment, step, cause=cause)
        case Split():
            return _split(turn, enrolment, journey, step, cause=cause)
        case Jump():
            return _jump(turn, enrolment, step, cause=cause)
        case Update():
            noted = events.ProfileUpdated(enrolment=enrolment, step=step.step, values=step.set)
            turn.record(noted, cause=cause)
            return step.next
        case Emit():
            _emit(turn, enrolment, step, cause=cause)
            return step.next
        case Start():
            _call(turn, enrolment, step, cause=cause)
            return step.next
        case Task():
            turn.record(_task(turn, enrolment, journey, step, due_at=_after_days(turn, step)), cause=cause)
            return step.next
        case Approval():
            return _ask(turn, enrolment, journey, step, cause=cause)
        case Webhook():
            _call_out(turn, enrolment, journey, step, cause=cause)
            return None
        case End():
            leave(turn, enrolment, reason="end", at=step.step, cause=cause)
            return None
        case _:
            assert_never(step)


def _wait(turn: Turn, enrolment: str, step: Wait | Delay | WaitUntil | Await, *, cause: int) -> None:
    entry = turn.customer.enrolments[enrolment].entry
    until = due_at(step, entry, zone=turn.customer.zone, calendars=turn.rules.calendars, now=turn.now)
    turn.record(events.EnrolmentWaiting(enrolment=enrolment, step=step.step, until=until), cause=cause)


def _jump(turn: Turn, enrolment: str, step: Jump, *, cause: int) -> str:
    done = turn.customer.enrolments[enrolment].visits.get(step.step, 0)
    chosen = step.to if done < step.at_most else step.otherwise
    seen: Values = {"jumps": done, "at_most": step.at_most}
    taken = events.BranchTaken(enrolment=enrolment, step=step.step, next=chosen, values=seen)
    turn.record(taken, cause=cause)
    return chosen


def _work(turn: Turn, enrolment: str, step: Step) -> str:
    """The id of what this visit of the step makes."""
    visit = turn.customer.enrolments[enrolment].visits.get(step.step, 0) + 1
    return work_id(enrolment, step=step.step, visit=visit)


def _emit(turn: Turn, enrolment: str, step: Emit, *, cause: int) -> None:
    state, fact_id = turn.customer.enrolments[enrolment], _work(turn, enrolment, step)
    data = {name: _told(state.entry.get(name)) for name in step.values}
    emitted = events.FactEmitted(
        enrolment=enrolment, step=step.step, fact=step.fact, id=fact_id, data=dict(data)
    )
    version = turn.record(emitted, cause=cause)
    told = facts.CustomFact(source="journey", id=fact_id, data=data)
    turn.ahead.append(Told(step.fact, told, turn.now, version, state.depth + 1))


def _told(value: Value) -> str | int | bool | None:
    """A value as a fact of the bank's own can carry it: no binary fractions, which no entry has."""
    return str(value) if isinstance(value, float) else value


def _call(turn: Turn, enrolment: str, step: Start, *, cause: int) -> None:
    state, key = turn.customer.enrolments[enrolment], _work(turn, enrolment, step)
    called = turn.rules.journeys.get(step.journey)
    wanted = entry_values(called.enter) if called is not None else ()
    entry = {name: state.entry.get(name) for name in wanted}
    asked = events.JourneyCalled(
        enrolment=enrolment, step=step.step, journey=step.journey, key=key, entry=entry
    )
    version = turn.record(asked, cause=cause)
    turn.ahead.append(Call(step.journey, key, entry, version, state.depth + 1))


def _ask(turn: Turn, enrolment: str, journey: Journey, step: Approval, *, cause: int) -> str | None:
    until = first_at_local(turn.now, days=step.due_days, at=time_of(step.at), zone=turn.customer.zone)
    task = _task(turn, enrolment, journey, step, due_at=until)
    version = turn.record(task, cause=cause)
    if isinstance(task, events.TaskSuppressed):
        return step.otherwise
    waiting = events.EnrolmentWaiting(enrolment=enrolment, step=step.step, until=until, work=task.task)
    turn.record(waiting, cause=version)
    return None


def _call_out(turn: Turn, enrolment: str, journey: Journey, step: Webhook, *, cause: int) -> None:
    state, call = turn.customer.enrolments[enrolment], _work(turn, enrolment, step)
    called = events.WebhookCalled(
        call=call,
        enrolment=enrolment,
        journey=journey.journey,
        version=journey.version,
        step=step.step,
        endpoint=step.endpoint,
        values={name: state.entry.get(name) for name in step.values},
    )
    version = turn.record(called, cause=cause)
    until = turn.now + timedelta(hours=step.within_hours)
    waiting = events.EnrolmentWaiting(enrolment=enrolment, step=step.step, until=until, work=call)
    turn.record(waiting, cause=version)


def _after_days(turn: Turn, step: Task) -> datetime:
    return turn.now + timedelta(days=step.due_days)


def _choose(turn: Turn, enrolment: str, step: Branch, *, cause: int) -> str:
    state = turn.customer.enrolments[enrolment]
    entry = state.entry
    chosen = next(
        (
            case.next
            for case in step.cases
            if holds(case.when, turn.customer, entry=entry, outcomes=state.outcomes)
        ),
        step.otherwise,
    )
    taken = events.BranchTaken(enrolment=enrolment, step=step.step, next=chosen, values=entry)
    turn.record(taken, cause=cause)
    return chosen


def _split(turn: Turn, enrolment: str, journey: Journey, step: Split, *, cause: int) -> str:
    way = way_of(journey, step, turn.customer.subject)
    taken = events.SplitTaken(
        enrolment=enrolment,
        step=step.step,
        experiment=experiment_of(journey.journey, step),
        way=way.way,
        next=way.next,
    )
    turn.record(taken, cause=cause)
    return way.next


def _task(
    turn: Turn, enrolment: str, journey: Journey, step: Task | Approval, *, due_at: datetime
) -> events.TaskCreated | events.TaskSuppressed:
    task = _work(turn, enrolment, step)
    held = care_hold(turn.rules.policy, turn.customer, purpose=journey.purpose)
    if held is not None:
        return events.TaskSuppressed(
            task=task, enrolment=enrolment, step=step.step, rule="care_hold", values=held
        )
    escalate_to = step.escalate_to if isinstance(step, Task) else None
    return events.TaskCreated(
        task=task,
        enrolment=enrolment,
        journey=journey.journey,
        version=journey.version,
        step=step.step,
        role=step.role,
        due_at=due_at,
        escalate_to=escalate_to or "",
    )


def _request(turn: Turn, enrolment: str, journey: Journey, step: Send) -> events.MessageRequested:
    state = turn.customer.enrolments[enrolment]
    visit = state.visits.get(step.step, 0) + 1
    template = turn.rules.templates[step.template]
    customer = turn.customer
    values = {**state.entry, "given_name": customer.given_name, "family_name": customer.family_name}
    return events.MessageRequested(
        message=work_id(enrolment, step=step.step, visit=visit),
        enrolment=enrolment,
        journey=journey.journey,
        version=journey.version,
        step=step.step,
        visit=visit,
        channels=step.channels,
        template=step.template,
        template_version=template.version,
        purpose=journey.purpose,
        topic=journey.topic,
        variables={name: values.get(name) for name in template.variables},
        priority=journey.priority,
        valid_hours=step.valid_hours,
        product_risk=step.product_risk,
        due_at=UNSET if turn.due_at is None else turn.due_at,
    )
