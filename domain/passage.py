"""What is recorded of customers' ways through journeys: wake-ups, entries, waits, steps and ends."""

from datetime import datetime
from typing import Annotated

from msgspec import Struct

from domain.fact import PERSONAL, PersonalValues
from domain.fact import Value as Value
from domain.fact import Values as Values


class TimersPlanned(Struct, frozen=True, kw_only=True, gc=False):
    """Wake-ups set (or moved) to an instant, and wake-ups dropped; the reason says why."""

    due: dict[str, datetime] = {}
    dropped: tuple[str, ...] = ()
    reason: str


class AdmissionRefused(Struct, frozen=True, kw_only=True, gc=False):
    """The journey's entry matched, and still the customer did not enter: rule and the values it saw."""

    journey: str
    version: int
    key: str
    rule: str
    values: Values


class EnrolmentStarted(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The customer enters one version of a journey; ``entry`` holds what the steps may refer to.

    ``depth`` counts the journeys that led here, one by another; ``covers`` names the contracts of which
    this enrolment tells together. Where the journey has a goal, it counts for ``goal_days`` days.
    """

    enrolment: str
    journey: str
    version: int
    key: str
    entry: PersonalValues
    depth: int = 0
    covers: tuple[str, ...] = ()
    goal_days: int | None = None


class EnrolmentHeldOut(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The customer would have entered, and is one of the ``percent`` of a hundred who are left out.

    ``enrolment`` is the id that the enrolment would have had. The goal counts as if it had begun.
    """

    enrolment: str
    journey: str
    version: int
    key: str
    entry: PersonalValues
    percent: int
    covers: tuple[str, ...] = ()
    goal_days: int | None = None


class GoalReached(Struct, frozen=True, kw_only=True, gc=False):
    """The journey's goal happened in time, ``days`` days after the entry, whether held out or not."""

    enrolment: str
    journey: str
    version: int
    days: int


class EnrolmentWaiting(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The customer stays at ``step`` until a wake-up at ``until`` (aware UTC), or an answer to ``work``.

    ``work`` is the id of the task or call that the step has asked for.
    """

    enrolment: str
    step: str
    until: datetime
    work: str = ""


class WaitEnded(Struct, frozen=True, kw_only=True, gc=False):
    """What was waited for at ``step`` has come, or has not in time; the customer goes on to ``next``.

    ``reason`` is one of fact, approved, refused, answered, failed, timeout; ``values`` are from now on
    among those that steps may refer to.
    """

    enrolment: str
    step: str
    reason: str
    next: str
    values: PersonalValues


class EnrolmentEnded(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """``reason`` is one of end, goal_reached, exit, superseded, expired, migrated_out, stopped, withdrawn.

    ``exit`` names the exit that was taken; withdrawn is who is gone.
    """

    enrolment: str
    step: str
    reason: str
    exit: str = ""


class EnrolmentMigrated(Struct, frozen=True, kw_only=True, gc=False):
    """The customer goes on in another version of the journey, at ``step``, as an approved migration says.

    A wait goes on to the same instant, ``until`` (aware UTC); else they go on at ``next``.
    """

    enrolment: str
    journey: str
    from_version: int
    from_step: str
    version: int
    step: str
    until: datetime | None = None
    next: str | None = None


class EnrolmentHeld(Struct, frozen=True, kw_only=True, gc=False):
    """The journey is paused: the customer stays at ``step`` and goes on at ``next`` when it is resumed."""

    enrolment: str
    step: str
    next: str
    due_at: datetime


class EnrolmentResumed(Struct, frozen=True, kw_only=True, gc=False):
    """The journey runs again: what would have gone on at ``due_at`` (aware UTC) goes on at ``next`` now."""

    enrolment: str
    step: str
    next: str
    due_at: datetime


class StepSkipped(Struct, frozen=True, kw_only=True, gc=False):
    """The step is passed over; ``reason`` by name and the values it saw."""

    enrolment: str
    step: str
    next: str
    reason: str
    values: PersonalValues


class BranchTaken(Struct, frozen=True, kw_only=True, gc=False):
    """Of several ways the customer goes on to ``next``; ``values`` are those that the cases looked at."""

    enrolment: str
    step: str
    next: str
    values: PersonalValues


class SplitTaken(Struct, frozen=True, kw_only=True, gc=False):
    """The customer belongs to ``way`` of the experiment and goes on to ``next``."""

    enrolment: str
    step: str
    experiment: str
    way: str
    next: str


class ProfileUpdated(Struct, frozen=True, kw_only=True, gc=False):
    """A journey noted ``values`` about the customer; what it does not speak of stays."""

    enrolment: str
    step: str
    values: Annotated[dict[str, str | int | bool], PERSONAL]


class FactEmitted(Struct, frozen=True, kw_only=True, gc=False):
    """A journey told a fact of the bank's own, of this kind and id, that others may act on."""

    enrolment: str
    step: str
    fact: str
    id: str
    data: PersonalValues


class JourneyCalled(Struct, frozen=True, kw_only=True, gc=False):
    """A journey asked to let the customer into another one under this key, with these values."""

    enrolment: str
    step: str
    journey: str
    key: str
    entry: PersonalValues


class WebhookCalled(Struct, frozen=True, kw_only=True, gc=False):
    """A journey asked for a call of ``endpoint`` with ``values``; the answer speaks of ``call``."""

    call: str
    enrolment: str
    journey: str
    version: int
    step: str
    endpoint: str
    values: PersonalValues


class TaskCreated(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Work for a person of ``role``, due at ``due_at``; the step of the journey's version titles it.

    If it is not done by then it goes to ``escalate_to``, where that is given.
    """

    task: str
    enrolment: str
    journey: str
    version: int
    step: str
    role: str
    due_at: datetime
    escalate_to: str = ""


class TaskEscalated(Struct, frozen=True, kw_only=True, gc=False):
    """Nobody has told that the task is done in time: it is now with ``role``."""

    task: str
    enrolment: str
    role: str


class TaskSuppressed(Struct, frozen=True, kw_only=True, gc=False):
    """No work is asked of anybody: the policy's rule by name and the values it saw."""

    task: str
    enrolment: str
    step: str
    rule: str
    values: Values
