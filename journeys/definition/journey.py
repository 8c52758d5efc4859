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
    """The journey has done its work when such a fact comes and the condition holds with it.

    It counts as reached if it happened, by business time, after the entry and on one of the ``within_days``
    days after it at the latest, and is told within 31 days; for those held out alike. Who is inside when it
    comes leaves, whenever it happened, unless ``ends`` is false.
    """

    fact: str
    when: Condition | None = None
    within_days: Annotated[int, Meta(ge=0, le=366)] = 30
    ends: bool = True


class Holdout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """So many of a hundred of those who would enter are left out, to measure the journey's effect by them.

    Who they are follows from the customer's id and ``salt``, which is the journey's name where none is given,
    so they stay the same in every version. A larger percent leaves out the same customers and more. They get
    nothing of the journey, and count as entered for re-entry and for conditions that ask for it.
    """

    percent: Annotated[int, Meta(ge=1, le=99)]
    salt: Name | None = None


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
    holdout: Holdout | None = None
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
