"""A journey as a whole: one version of it."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.catalogue import Purpose
from journeys.definition.condition import Condition
from journeys.definition.entry import Enter, entry_values
from journeys.definition.step import Approval, Await, Step, Webhook, step_values
from journeys.definition.words import Days, Languages, Name


class Reentry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How soon after the last entry the customer may enter again, in days of their calendar.

    Who is ``inside`` may enter under another key beside that, is refused, or leaves the first passage for the
    new one.
    """

    after_days: Days = 0
    inside: Literal["beside", "refuse", "replace"] = "beside"


class Goal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The journey has done its work, and ends, when such a fact arrives."""

    fact: str


class Exit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A reason to leave before the end: such a fact, if ``when`` holds with it; or ``when`` by itself.

    Without a fact it is looked at whenever a wait is over, before the next step.
    """

    exit: Name
    fact: str | None = None
    when: Condition | None = None


class Journey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a journey. The first of ``steps`` is where everybody begins.

    Of messages that compete for one slot under a cap, those of the higher ``priority`` go first. Nobody stays
    inside for longer than ``expires_days`` days of 24 hours.
    """

    journey: Name
    version: Annotated[int, Meta(ge=1)]
    title: Languages
    purpose: Purpose
    topic: Name
    priority: Annotated[int, Meta(ge=0, le=100)] = 50
    enter: Enter
    reentry: Reentry = Reentry()
    goal: Goal | None = None
    exits: tuple[Exit, ...] = ()
    expires_days: Annotated[int, Meta(ge=1, le=3660)] | None = None
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=500)]

    def step(self, name: str) -> Step:
        """The step of this name; a validated journey has every step that it names."""
        return next(step for step in self.steps if step.step == name)


def heard_inside(journey: Journey) -> Iterator[str]:
    """The kinds of facts that may concern who is inside."""
    if journey.goal is not None:
        yield journey.goal.fact
    for way in journey.exits:
        if way.fact is not None:
            yield way.fact
    for step in journey.steps:
        match step:
            case Await(fact=fact):
                yield fact
            case Approval():
                yield "task.done/1"
            case Webhook():
                yield "webhook.answered/1"
            case _:
                pass


def values_inside(journey: Journey) -> tuple[str, ...]:
    """The names that templates and conditions of the journey may refer to."""
    return (*entry_values(journey.enter), *step_values(journey.steps))
