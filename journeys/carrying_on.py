"""Whether somebody inside may take the next step: a pause holds up, what was said is not said again."""

from domain.enrolment import Enrolment
from domain.events import EnrolmentHeld, StepSkipped
from journeys.definition import Journey, Send
from journeys.turn import Turn


def is_held_up(turn: Turn, enrolment: str, journey: Journey, at: str, *, cause: int) -> bool:
    """Whether the journey is paused; then it is recorded that the customer is to go on at the step ``at``."""
    if journey.journey not in turn.rules.paused:
        return False
    step = turn.customer.enrolments[enrolment].step
    held = EnrolmentHeld(enrolment=enrolment, step=step, next=at, due_at=turn.now)
    turn.record(held, cause=cause)
    return True


def skipped(state: Enrolment, enrolment: str, step: Send) -> StepSkipped | None:
    """What passes over a message that the enrolment asked for before its migration; None where it did not."""
    said = repeated(step, state.before)
    if said is None:
        return None
    before, template = said
    return StepSkipped(
        enrolment=enrolment,
        step=step.step,
        next=step.next,
        reason="sent_before_migration",
        values={"sent_step": before, "template": template},
    )


def repeated(step: Send, sent: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """The first of the messages ``sent``, each a step and a template, of this step's name or template."""
    return next((said for said in sent if said[0] == step.step or said[1] == step.template), None)
