"""The end of a passage through a journey, by its end or before."""

from domain import events
from journeys import planning
from journeys.definition import Journey
from journeys.turn import Turn


def leave(turn: Turn, enrolment: str, *, reason: str, way: str = "", at: str = "", cause: int = 0) -> None:
    """The passage is over, for a reason that is recorded."""
    state = turn.customer.enrolments[enrolment]
    ended = events.EnrolmentEnded(enrolment=enrolment, step=at or state.step, reason=reason, exit=way)
    turn.record(ended, cause=cause)
    _arm_silence_again(turn, turn.rules.versions[state.journey, state.version])


def leave_all(turn: Turn, journey: str, *, reason: str) -> None:
    """Every passage through the journey, in any version, is over."""
    for enrolment, state in tuple(turn.customer.enrolments.items()):
        if state.journey == journey:
            leave(turn, enrolment, reason=reason)


def _arm_silence_again(turn: Turn, ended: Journey) -> None:
    """Whoever left is waited for again."""
    turn.plan(planning.silence_again(turn.customer, ended, turn.rules, now=turn.now))
