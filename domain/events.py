"""What the engine and the channels record about a customer, under literal, versioned names.

Decisions follow from a cause; inputs (a timer that fired, a rulebook, a provider's answer) cause decisions,
as facts do.
"""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from domain.catalogue import ChannelName, Fact, Purpose, fact_type
from domain.fact import PersonalValues
from domain.passage import AdmissionRefused as AdmissionRefused
from domain.passage import BranchTaken as BranchTaken
from domain.passage import EnrolmentEnded as EnrolmentEnded
from domain.passage import EnrolmentHeld as EnrolmentHeld
from domain.passage import EnrolmentHeldOut as EnrolmentHeldOut
from domain.passage import EnrolmentMigrated as EnrolmentMigrated
from domain.passage import EnrolmentResumed as EnrolmentResumed
from domain.passage import EnrolmentStarted as EnrolmentStarted
from domain.passage import EnrolmentWaiting as EnrolmentWaiting
from domain.passage import FactEmitted as FactEmitted
from domain.passage import GoalReached as GoalReached
from domain.passage import JourneyCalled as JourneyCalled
from domain.passage import ProfileUpdated as ProfileUpdated
from domain.passage import SplitTaken as SplitTaken
from domain.passage import StepSkipped as StepSkipped
from domain.passage import TaskCreated as TaskCreated
from domain.passage import TaskEscalated as TaskEscalated
from domain.passage import TaskSuppressed as TaskSuppressed
from domain.passage import TimersPlanned as TimersPlanned
from domain.passage import Value as Value
from domain.passage import Values as Values
from domain.passage import WaitEnded as WaitEnded
from domain.passage import WebhookCalled as WebhookCalled
from domain.withheld import Withheld as Withheld


class TimerFired(Struct, frozen=True, kw_only=True, gc=False):
    """Input: the wake-up ``timer`` of this customer came due at ``due_at`` (aware UTC)."""

    timer: str
    due_at: datetime


class RulebookAdopted(Struct, frozen=True, kw_only=True, gc=False):
    """Input: another rulebook, named by its digest, came to this customer and asks for other wake-ups."""

    rulebook: str


class MessageAccepted(Struct, frozen=True, kw_only=True, gc=False):
    """Input: the provider took the message and answers for it under ``provider_id``."""

    message: str
    provider_id: str
    provider: str | UnsetType = UNSET


class MessagePostponed(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Input: the message did not leave, and is judged again at ``until`` (aware UTC).

    ``provider`` certainly did not take it, so that another may be given it; "" where none was asked. With
    ``in_doubt`` the provider may have it: it is given the message again under the same id, and no other is.
    """

    message: str
    reason: str
    until: datetime
    provider: str = ""
    in_doubt: bool = False


class MessageRejected(Struct, frozen=True, kw_only=True, gc=False):
    """Input: the provider refused the message for good.

    ``refused`` says that it would refuse any message to this address: ``address`` where it leads nowhere,
    ``opted_out`` where its owner wants no more.
    """

    message: str
    reason: str
    provider: str | UnsetType = UNSET
    refused: Literal["address", "opted_out"] | UnsetType = UNSET


class MessageUnknown(Struct, frozen=True, kw_only=True, gc=False):
    """Input: whether the provider took the message cannot be told; it ends so."""

    message: str
    reason: str
    provider: str | UnsetType = UNSET


class MessageRequested(Struct, frozen=True, kw_only=True, gc=False):
    """A journey asks for one message. Whether it may leave is judged when it is handed over.

    ``due_at`` (aware UTC) is when it would have been asked for, had the journey not been paused.
    """

    message: str
    enrolment: str
    journey: str
    version: int
    step: str
    visit: int
    channels: tuple[ChannelName, ...]
    template: str
    template_version: int
    purpose: Purpose
    topic: str
    variables: PersonalValues
    priority: int = 50
    valid_hours: int | None = None
    product_risk: int | None = None
    due_at: datetime | UnsetType = UNSET


class MessageDeferred(Struct, frozen=True, kw_only=True, gc=False):
    """Not now: the policy's rule by name and the values it saw; judged again at ``until`` (aware UTC)."""

    message: str
    channel: ChannelName
    until: datetime
    rule: str
    values: Values


class MessageSuppressed(Struct, frozen=True, kw_only=True, gc=False):
    """Terminal: the policy forbade the message; the rule by name and the values it saw."""

    message: str
    channel: ChannelName
    rule: str
    values: Values


class MessageSending(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The intent, recorded before the provider is called: what leaves, by the digest of its content.

    ``consent`` is the version of the event in this history with the yes that it rests on; None without one.
    """

    message: str
    channel: ChannelName
    language: str
    content_sha256: str
    consent: int | None = None


class SegmentEntered(Struct, frozen=True, kw_only=True, gc=False):
    """The customer is in this class of the segment now, by its ``version``, and was in ``before`` (or none).

    ``reason`` is what changed it: fact, time (a wake-up came) or adopted (another rulebook looked at them).
    ``values`` are those that the classes up to this one looked at.
    """

    segment: str
    version: int
    into: str = field(name="class")
    before: str | None = None
    reason: str
    values: PersonalValues


class SegmentLeft(Struct, frozen=True, kw_only=True, gc=False):
    """The customer is in none of the segment's classes now, and was in ``before``.

    ``reason`` is one of fact, time, adopted, withdrawn (the customer is gone).
    """

    segment: str
    version: int
    before: str
    reason: str
    values: PersonalValues


Outcome = MessageAccepted | MessagePostponed | MessageRejected | MessageUnknown
Input = TimerFired | RulebookAdopted | Outcome
Decision = (
    TimersPlanned
    | AdmissionRefused
    | EnrolmentStarted
    | EnrolmentHeldOut
    | GoalReached
    | EnrolmentWaiting
    | WaitEnded
    | EnrolmentEnded
    | EnrolmentMigrated
    | EnrolmentHeld
    | EnrolmentResumed
    | StepSkipped
    | BranchTaken
    | SplitTaken
    | ProfileUpdated
    | FactEmitted
    | JourneyCalled
    | WebhookCalled
    | TaskCreated
    | TaskEscalated
    | TaskSuppressed
    | MessageRequested
    | MessageDeferred
    | MessageSuppressed
    | MessageSending
    | SegmentEntered
    | SegmentLeft
)
Body = Fact | Input | Decision | Withheld

EVENTS: dict[str, type[Struct]] = {
    "timer.fired/1": TimerFired,
    "rulebook.adopted/1": RulebookAdopted,
    "message.accepted/1": MessageAccepted,
    "message.postponed/1": MessagePostponed,
    "message.rejected/1": MessageRejected,
    "message.unknown/1": MessageUnknown,
    "timers.planned/1": TimersPlanned,
    "admission.refused/1": AdmissionRefused,
    "enrolment.started/1": EnrolmentStarted,
    "enrolment.held_out/1": EnrolmentHeldOut,
    "goal.reached/1": GoalReached,
    "enrolment.waiting/1": EnrolmentWaiting,
    "wait.ended/1": WaitEnded,
    "enrolment.ended/1": EnrolmentEnded,
    "enrolment.migrated/1": EnrolmentMigrated,
    "enrolment.held/1": EnrolmentHeld,
    "enrolment.resumed/1": EnrolmentResumed,
    "step.skipped/1": StepSkipped,
    "branch.taken/1": BranchTaken,
    "split.taken/1": SplitTaken,
    "profile.updated/1": ProfileUpdated,
    "fact.emitted/1": FactEmitted,
    "journey.called/1": JourneyCalled,
    "webhook.called/1": WebhookCalled,
    "task.created/1": TaskCreated,
    "task.escalated/1": TaskEscalated,
    "task.suppressed/1": TaskSuppressed,
    "message.requested/1": MessageRequested,
    "message.deferred/1": MessageDeferred,
    "message.suppressed/1": MessageSuppressed,
    "message.sending/1": MessageSending,
    "segment.entered/1": SegmentEntered,
    "segment.left/1": SegmentLeft,
}
KIND_OF: dict[type[Struct], str] = {struct: kind for kind, struct in EVENTS.items()}
# The last word on a requested message, as far as it goes.
JUDGED = frozenset({"message.sending/1", "message.deferred/1", "message.suppressed/1"})
_INPUTS = frozenset(
    {
        "timer.fired/1",
        "rulebook.adopted/1",
        "message.accepted/1",
        "message.postponed/1",
        "message.rejected/1",
        "message.unknown/1",
    }
)


class Event(Struct, frozen=True, gc=False):
    """One entry of a customer's history.

    ``version`` counts from 1 without gaps; ``cause`` is the version of the event that led here, 0 for a
    fact or a rulebook (a wake-up is caused by its plan, an answer by the intent). ``occurred_at`` is
    business time, ``recorded_at`` the time of the decision (aware UTC).
    """

    version: int
    kind: str
    occurred_at: datetime
    recorded_at: datetime
    cause: int
    body: Body


def type_of(kind: str) -> type[Struct] | None:
    """The type of an event's body by its literal name, facts included; None for an unknown name."""
    return EVENTS.get(kind) or fact_type(kind)


def is_input(kind: str) -> bool:
    """Whether the event came from outside; every other event is a decision that can be made again."""
    return kind in _INPUTS or kind not in EVENTS


def status_of(kind: str) -> str:
    """The status that an event of a message's life gives it: the past tense in the event's name."""
    return kind.partition(".")[2].partition("/")[0]
