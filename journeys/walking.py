"""The way through a journey: step after step until one waits or ends."""

from datetime import timedelta
from typing import assert_never

from domain import events
from domain.clock import first_at_local
from domain.enrolment import waiting_timer, work_id
from domain.judgement import care_hold
from journeys import planning
from journeys.conditions import holds
from journeys.definition import Branch, End, Journey, Send, Step, Task, Wait, time_of
from journeys.turn import Turn


def wait_is_over(turn: Turn, timer: str) -> None:
    """A wake-up that is no entry's: whoever waits for it goes on."""
    for enrolment, state in turn.customer.enrolments.items():
        if waiting_timer(enrolment) == timer:
            journey = turn.rules.versions[state.journey, state.version]
            step = journey.step(state.step)
            assert isinstance(step, Wait)  # noqa: S101 - only a wait sets this wake-up
            advance(turn, enrolment, journey, step.next, cause=turn.cause.version)
            return


def advance(turn: Turn, enrolment: str, journey: Journey, at: str, *, cause: int) -> None:
    """Take steps until one waits or ends; a validated journey has no way round without a wait."""
    following: str | None = at
    while following is not None:
        following = _take(turn, enrolment, journey, journey.step(following), cause=cause)


def _take(turn: Turn, enrolment: str, journey: Journey, step: Step, *, cause: int) -> str | None:
    match step:
        case Send():
            turn.record(_request(turn, enrolment, journey, step), cause=cause)
            return step.next
        case Wait():
            until = first_at_local(turn.now, days=step.days, at=time_of(step.at), zone=turn.customer.zone)
            waiting = events.EnrolmentWaiting(enrolment=enrolment, step=step.step, until=until)
            turn.record(waiting, cause=cause)
            return None
        case Branch():
            return _choose(turn, enrolment, step, cause=cause)
        case Task():
            turn.record(_task(turn, enrolment, journey, step), cause=cause)
            return step.next
        case End():
            ended = events.EnrolmentEnded(enrolment=enrolment, step=step.step, reason="end")
            turn.record(ended, cause=cause)
            arm_silence_again(turn, journey)
            return None
        case _:
            assert_never(step)


def _choose(turn: Turn, enrolment: str, step: Branch, *, cause: int) -> str:
    entry = turn.customer.enrolments[enrolment].entry
    chosen = next(
        (case.next for case in step.cases if holds(case.when, turn.customer, entry=entry)),
        step.otherwise,
    )
    taken = events.BranchTaken(enrolment=enrolment, step=step.step, next=chosen, values=entry)
    turn.record(taken, cause=cause)
    return chosen


def _task(
    turn: Turn, enrolment: str, journey: Journey, step: Task
) -> events.TaskCreated | events.TaskSuppressed:
    visit = turn.customer.enrolments[enrolment].visits.get(step.step, 0) + 1
    task = work_id(enrolment, step=step.step, visit=visit)
    held = care_hold(turn.rules.policy, turn.customer, purpose=journey.purpose)
    if held is not None:
        return events.TaskSuppressed(
            task=task, enrolment=enrolment, step=step.step, rule="care_hold", values=held
        )
    return events.TaskCreated(
        task=task,
        enrolment=enrolment,
        journey=journey.journey,
        version=journey.version,
        step=step.step,
        role=step.role,
        due_at=turn.now + timedelta(days=step.due_days),
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
    )


def arm_silence_again(turn: Turn, ended: Journey) -> None:
    """Whoever left is waited for again."""
    turn.plan(planning.silence_again(turn.customer, ended, turn.rules, now=turn.now))
