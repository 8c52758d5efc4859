"""What the engine and the channels record about a customer, under literal, versioned names.

Decisions follow from a cause; inputs (a timer that fired, a rulebook, a provider's answer) cause decisions,
as facts do.
"""

from datetime import datetime

from msgspec import Struct

from domain.catalogue import ChannelName, Fact, Purpose, fact_type

Value = str | int | float | bool | None
Values = dict[str, Value]


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


class MessageRejected(Struct, frozen=True, kw_only=True, gc=False):
    """Input: the provider refused the message for good."""

    message: str
    reason: str


class MessageUnknown(Struct, frozen=True, kw_only=True, gc=False):
    """Input: whether the provider took the message cannot be told; it ends so."""

    message: str
    reason: str


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

    ``depth`` counts the journeys that led here, one by another.
    """

    enrolment: str
    journey: str
    version: int
    key: str
    entry: Values
    depth: int = 0


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
    values: Values


class EnrolmentEnded(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """``reason`` is one of end, goal_reached, exit, superseded, expired, withdrawn (the customer is gone).

    ``exit`` names the exit that was taken.
    """

    enrolment: str
    step: str
    reason: str
    exit: str = ""


class BranchTaken(Struct, frozen=True, kw_only=True, gc=False):
    """Of several ways the customer goes on to ``next``; ``values`` are those that the cases looked at."""

    enrolment: str
    step: str
    next: str
    values: Values


class ProfileUpdated(Struct, frozen=True, kw_only=True, gc=False):
    """A journey noted ``values`` about the customer; what it does not speak of stays."""

    enrolment: str
    step: str
    values: dict[str, str | int | bool]


class FactEmitted(Struct, frozen=True, kw_only=True, gc=False):
    """A journey told a fact of the bank's own, of this kind and id, that others may act on."""

    enrolment: str
    step: str
    fact: str
    id: str
    data: Values


class JourneyCalled(Struct, frozen=True, kw_only=True, gc=False):
    """A journey asked to let the customer into another one under this key, with these values."""

    enrolment: str
    step: str
    journey: str
    key: str
    entry: Values


class WebhookCalled(Struct, frozen=True, kw_only=True, gc=False):
    """A journey asked for a call of ``endpoint`` with ``values``; the answer speaks of ``call``."""

    call: str
    enrolment: str
    journey: str
    version: int
    step: str
    endpoint: str
    values: Values


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


class MessageRequested(Struct, frozen=True, kw_only=True, gc=False):
    """A journey asks for one message. Whether it may leave is judged when it is handed over."""

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
    variables: Values
    priority: int = 50
    valid_hours: int | None = None
    product_risk: int | None = None


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


Input = TimerFired | RulebookAdopted | MessageAccepted | MessageRejected | MessageUnknown
Outcome = MessageAccepted | MessageRejected | MessageUnknown
Decision = (
    TimersPlanned
    | AdmissionRefused
    | EnrolmentStarted
    | EnrolmentWaiting
    | WaitEnded
    | EnrolmentEnded
    | BranchTaken
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
)
Body = Fact | Input | Decision

EVENTS: dict[str, type[Struct]] = {
    "timer.fired/1": TimerFired,
    "rulebook.adopted/1": RulebookAdopted,
    "message.accepted/1": MessageAccepted,
    "message.rejected/1": MessageRejected,
    "message.unknown/1": MessageUnknown,
    "timers.planned/1": TimersPlanned,
    "admission.refused/1": AdmissionRefused,
    "enrolment.started/1": EnrolmentStarted,
    "enrolment.waiting/1": EnrolmentWaiting,
    "wait.ended/1": WaitEnded,
    "enrolment.ended/1": EnrolmentEnded,
    "branch.taken/1": BranchTaken,
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
}
KIND_OF: dict[type[Struct], str] = {struct: kind for kind, struct in EVENTS.items()}
# The last word on a requested message, as far as it goes.
JUDGED = frozenset({"message.sending/1", "message.deferred/1", "message.suppressed/1"})
_INPUTS = frozenset(
    {
        "timer.fired/1",
        "rulebook.adopted/1",
        "message.accepted/1",
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
