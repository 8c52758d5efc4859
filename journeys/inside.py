"""Who is inside a journey: what takes them out, and what lets them go on from a step that waits."""

from domain import catalogue as facts
from domain import events
from domain.enrolment import work_id
from domain.events import Values
from journeys.conditions import holds
from journeys.definition import Approval, Await, Condition, Delay, Journey, Step, Wait, WaitUntil, Webhook
from journeys.goals import is_goal
from journeys.leaving import leave
from journeys.turn import Told, Turn, values_of
from journeys.walking import advance

_NONE: Values = {}


def wait_is_over(turn: Turn, timer: str) -> None:
    """A wake-up that is no entry's: whoever waits for it goes on, has been inside too long, or is late."""
    sort, _, name = timer.partition(":")
    if sort == "wait" and name in turn.customer.enrolments:
        _go_on(turn, name)
    elif sort == "expire" and name in turn.customer.enrolments:
        leave(turn, name, reason="expired")
    elif sort == "task" and name in turn.customer.tasks:
        task = turn.customer.tasks[name]
        turn.record(events.TaskEscalated(task=name, enrolment=task.enrolment, role=task.escalate_to))


def _go_on(turn: Turn, enrolment: str) -> None:
    """Time is up for who waits."""
    journey, step = _whereabouts(turn, enrolment)
    match step:
        case Await() | Approval() | Webhook():
            _end_wait(turn, enrolment, journey, step, reason="timeout", then=step.otherwise)
        case Wait() | Delay() | WaitUntil():
            carry_on(turn, enrolment, journey, step.next, cause=turn.because)
        case _:
            raise AssertionError(step)  # only steps that wait set this wake-up


def hear_inside(turn: Turn, told: Told) -> None:
    """A fact: whoever it takes out leaves, and whoever waits for it goes on."""
    for enrolment in tuple(turn.customer.enrolments):
        journey, step = _whereabouts(turn, enrolment)
        if _taken_out(turn, enrolment, journey, told) or turn.customer.enrolments[enrolment].held:
            continue
        match step, told.fact:
            case Await(), fact if step.fact == told.kind:
                values = values_of(fact, step.values)
                if _is_meant(turn, enrolment, step, fact) and _agrees(turn, enrolment, step, values):
                    _end_wait(turn, enrolment, journey, step, reason="fact", then=step.next, values=values)
            case Approval(), facts.TaskDone(task=task, outcome=outcome) if _awaits(turn, enrolment, task):
                yes = outcome == "approved"
                reason, then = ("approved", step.next) if yes else ("refused", step.otherwise)
                _end_wait(turn, enrolment, journey, step, reason=reason, then=then)
            case Webhook(), facts.WebhookAnswered() as answer if _awaits(turn, enrolment, answer.call):
                values = {name: answer.values.get(name) for name in step.answers}
                reason, then = ("answered", step.next) if answer.ok else ("failed", step.otherwise)
                _end_wait(turn, enrolment, journey, step, reason=reason, then=then, values=values)
            case _:
                pass


def _whereabouts(turn: Turn, enrolment: str) -> tuple[Journey, Step]:
    state = turn.customer.enrolments[enrolment]
    journey = turn.rules.versions[state.journey, state.version]
    return journey, journey.step(state.step)


def _taken_out(turn: Turn, enrolment: str, journey: Journey, told: Told) -> bool:
    entry = turn.customer.enrolments[enrolment].entry
    if journey.goal is not None and journey.goal.ends and is_goal(turn, journey, told.kind, entry):
        leave(turn, enrolment, reason="goal_reached")
        return True
    for way in journey.exits:
        if way.fact != told.kind:
            continue
        if way.when is None or _holds(way.when, turn, enrolment):
            leave(turn, enrolment, reason="exit", way=way.exit)
            return True
    return False


def _awaits(turn: Turn, enrolment: str, work: str) -> bool:
    return turn.customer.enrolments[enrolment].work == work


def _is_meant(turn: Turn, enrolment: str, step: Await, fact: facts.Fact) -> bool:
    """Whether the fact speaks of what this passage is about."""
    entry = turn.customer.enrolments[enrolment].entry
    told = values_of(fact, step.same)
    if any(value is None or value != entry.get(name) for name, value in told.items()):
        return False
    if step.of_step is None:
        return True
    visit = turn.customer.enrolments[enrolment].visits.get(step.of_step, 0)
    return getattr(fact, "message", None) == work_id(enrolment, step=step.of_step, visit=visit)


def _agrees(turn: Turn, enrolment: str, step: Await, values: Values) -> bool:
    return step.when is None or _holds(step.when, turn, enrolment, values)


def _holds(condition: Condition, turn: Turn, enrolment: str, values: Values = _NONE) -> bool:
    """Whether it is true of the customer inside the enrolment, which ``values`` are just coming to."""
    state = turn.customer.enrolments[enrolment]
    return holds(condition, turn.customer, entry=state.entry | values, outcomes=state.outcomes)


def _end_wait(
    turn: Turn,
    enrolment: str,
    journey: Journey,
    step: Step,
    *,
    reason: str,
    then: str,
    values: Values = _NONE,
) -> None:
    ended = events.WaitEnded(enrolment=enrolment, step=step.step, reason=reason, next=then, values=values)
    carry_on(turn, enrolment, journey, then, cause=turn.record(ended))


def carry_on(turn: Turn, enrolment: str, journey: Journey, at: str, *, cause: int) -> None:
    """After a wait: the exits that need no fact are looked at, then the steps go on."""
    for way in journey.exits:
        if way.fact is None and way.when is not None and _holds(way.when, turn, enrolment):
            leave(turn, enrolment, reason="exit", way=way.exit, cause=cause)
            return
    advance(turn, enrolment, journey, at, cause=cause)
