"""A journey as a whole: one version of it."""

from typing import Annotated

from msgspec import Meta, Struct

from domain.catalogue import Purpose
from journeys.definition.entry import Enter
from journeys.definition.step import Step
from journeys.definition.words import Days, Languages, Name


class Reentry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How soon after the last entry the customer may enter again, in days of their calendar."""

    after_days: Days = 0


class Goal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The journey has done its work, and ends, when such a fact arrives."""

    fact: str


class Journey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a journey. The first of ``steps`` is where everybody begins.

    Of messages that compete for one slot under a cap, those of the higher ``priority`` go first.
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
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=500)]

    def step(self, name: str) -> Step:
        """The step of this name; a validated journey has every step that it names."""
        return next(step for step in self.steps if step.step == name)
