"""Goals: which facts are one, and for whom they count."""

from domain import events
from domain.events import Values
from domain.goal import TOLD_WITHIN
from journeys.conditions import holds
from journeys.definition import Journey
from journeys.turn import Told, Turn


def reach_goals(turn: Turn, told: Told) -> None:
    """A fact that is some journey's goal counts for everybody who entered in time, or was held out.

    When it happened decides, not when it is told.
    """
    at = told.occurred_at
    if turn.now - at > TOLD_WITHIN:
        return
    for enrolment, watch in tuple(turn.customer.watches.items()):
        journey = turn.rules.versions[watch.journey, watch.version]
        days = watch.days_until(at, turn.customer.zone)
        if days is not None and is_goal(turn, journey, told.kind, watch.entry):
            turn.record(
                events.GoalReached(
                    enrolment=enrolment, journey=watch.journey, version=watch.version, days=days
                )
            )


def is_goal(turn: Turn, journey: Journey, kind: str, entry: Values) -> bool:
    """Whether a fact of this kind is the journey's goal, for who entered with these values."""
    goal = journey.goal
    if goal is None or goal.fact != kind:
        return False
    return goal.when is None or holds(goal.when, turn.customer, entry=entry)
