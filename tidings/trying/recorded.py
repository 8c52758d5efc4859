"""What one customer's record tells of a period: who they were before it, and what came from outside in it.

Decisions are left where they are, to be compared with; what people, providers and the clock brought is what
is lived again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import get_args

from msgspec import Struct, field
from msgspec.structs import replace

from domain.clock import from_micros
from domain.codec import restored
from domain.customer import Customer
from domain.errors import StoreCorrupt
from domain.events import (
    EVENTS,
    KIND_OF,
    Body,
    EnrolmentStarted,
    Event,
    MessageAccepted,
    MessageSending,
    MessageUnknown,
    Outcome,
    RulebookAdopted,
    TaskCreated,
    TimerFired,
    WebhookCalled,
    is_input,
)
from domain.fold import evolve, heard, is_only_heard
from domain.ports import StoredEvent

TIMER_FIRED, ADOPTED = KIND_OF[TimerFired], KIND_OF[RulebookAdopted]
# Facts that speak of a message, a task or a call of our own, and the field that names it.
_SPEAKS_OF = {
    "message.delivered/1": "message",
    "message.opened/1": "message",
    "message.clicked/1": "message",
    "message.undelivered/1": "message",
    "message.settled/1": "message",
    "task.done/1": "task",
    "webhook.answered/1": "call",
}
# What others answer to, and providers' answers.
_MAKING = frozenset(
    KIND_OF[body]
    for body in (EnrolmentStarted, MessageSending, TaskCreated, WebhookCalled, *get_args(Outcome))
)
_WakeUp = tuple[datetime, str]


class Told:
    """A recorded input as it is lived again; ``about`` is what it speaks of that the period has made.

    Instants are aware UTC. The body is read when it is asked for: most facts lead to nothing.
    """

    __slots__ = ("_body", "_stored", "about", "kind", "occurred_at", "recorded_at", "rulebook", "version")

    def __init__(self, stored: StoredEvent) -> None:
        self.kind = stored.kind
        self.version = stored.version
        self.rulebook = stored.rulebook
        self.occurred_at = from_micros(stored.occurred_at)
        self.recorded_at = from_micros(stored.recorded_at)
        self.about = ""
        self._stored = stored
        self._body: Body | None = None

    @property
    def body(self) -> Body:
        """What it says. Raises StoreCorrupt where it cannot be read."""
        if self._body is None:
            self._body = restored(self._stored).body
        return self._body

    def about_that(self, name: str) -> Body:
        """What it says, with another name for what it speaks of."""
        if not self.about or name == self.about:
            return self.body
        changed: Body = replace(self.body, **{_SPEAKS_OF[self.kind]: name})
        return changed


class Said(Struct, frozen=True):
    """What the provider said of one handing over, by this channel, ``after`` the intent of ``sent_at``.

    ``version`` is the answer's place in the record: after a crash answers come in another order than intents.
    """

    body: Outcome
    channel: str
    sent_at: datetime
    after: timedelta
    recorded_at: datetime
    version: int

    @property
    def at(self) -> datetime:
        """When it was said (aware UTC)."""
        return self.sent_at + self.after


class Made(Struct, frozen=True):
    """When something that others answer to came to be (aware UTC), a message by which channel."""

    at: datetime
    channel: str = ""


class Recorded(Struct):
    """The customer ``before`` the period, who had come to rulebook ``number``, and what the period brought.

    ``events`` are all of the period by version. ``ahead`` counts the wake-ups that the record tells, also
    after the period. ``begun`` are passages that began, by journey and instant, "" where several did.
    ``answers`` are the providers', in order, by message; ``made`` tells of messages that
    arrived, tasks and calls, and ``echoes`` what was said of each.
    """

    subject: str
    before: Customer
    number: int = 0
    inputs: list[Told] = field(default_factory=list)
    events: dict[int, StoredEvent] = field(default_factory=dict)
    ahead: Counter[_WakeUp] = field(default_factory=Counter)
    begun: dict[tuple[str, datetime], str] = field(default_factory=dict)
    answers: dict[str, list[Said]] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    echoes: dict[str, list[Told]] = field(default_factory=dict)


def recorded(
    subject: str, history: Iterable[StoredEvent], *, begun: datetime, ended: datetime
) -> Recorded | None:
    """A customer's whole history as what it tells of [begun, ended), by recorded time (aware UTC).

    None for who was not known before the end. Raises StoreCorrupt where the beginning is no longer there,
    or an entry cannot be read.
    """
    reading = _Reading(subject, begun, ended)
    version = 0
    for version, stored in enumerate(history, 1):
        if stored.version != version:
            raise StoreCorrupt("store.history_removed", customer=subject)
        reading.take(stored)
    found = reading.found
    return found if found.before.version or found.inputs else None


class _Reading:
    def __init__(self, subject: str, begun: datetime, ended: datetime) -> None:
        self.found = Recorded(subject, Customer(subject))
        self._begun, self._ended = begun, ended
        self._intents: dict[str, Made] | None = None

    def take(self, stored: StoredEvent) -> None:
        recorded_at = from_micros(stored.recorded_at)
        if recorded_at < self._begun:
            self._fold(stored)
            return
        if self._intents is None:
            self._intents = _under_way(self.found.before)
        within = recorded_at < self._ended
        if within:
            self.found.events[stored.version] = stored
        if stored.kind == TIMER_FIRED:
            self._wake_up(Told(stored), within=within)
        elif stored.kind in _MAKING:
            self._note_made(restored(stored), self._intents, within=within)
        elif is_input(stored.kind) and within:
            told = Told(stored)
            told.about = self._about(told)
            self.found.inputs.append(told)

    def _fold(self, stored: StoredEvent) -> None:
        found = self.found
        found.number = stored.rulebook
        if is_only_heard(stored.kind) and stored.kind not in EVENTS:
            at, clock_at = from_micros(stored.occurred_at), from_micros(stored.recorded_at)
            clock_at = max(found.before.clock_at, clock_at)
            found.before = heard(found.before, stored.kind, occurred_at=at, clock_at=clock_at)
        else:
            found.before = evolve(found.before, restored(stored))

    def _wake_up(self, told: Told, *, within: bool) -> None:
        fired = told.body
        assert isinstance(fired, TimerFired)  # noqa: S101 - by its kind
        self.found.ahead[fired.due_at, fired.timer] += 1
        if within:
            self.found.inputs.append(told)

    def _note_made(self, event: Event, intents: dict[str, Made], *, within: bool) -> None:
        body, found = event.body, self.found
        match body:
            case MessageSending():
                intents[body.message] = Made(event.recorded_at, body.channel)
            case EnrolmentStarted() if within:
                passage = (body.journey, event.recorded_at)
                found.begun[passage] = "" if passage in found.begun else body.enrolment
            case TaskCreated() if within:
                found.made[body.task] = Made(event.recorded_at)
            case WebhookCalled() if within:
                found.made[body.call] = Made(event.recorded_at)
            case _ if isinstance(body, Outcome) and (intent := intents.get(body.message)) is not None:
                after = event.occurred_at - intent.at
                said = Said(body, intent.channel, intent.at, after, event.recorded_at, event.version)
                found.answers.setdefault(body.message, []).append(said)
                if within and isinstance(body, MessageAccepted | MessageUnknown):
                    found.made[body.message] = Made(event.occurred_at, intent.channel)

    def _about(self, told: Told) -> str:
        named = _SPEAKS_OF.get(told.kind)
        about = str(getattr(told.body, named)) if named else ""
        if about not in self.found.made:
            return ""
        self.found.echoes.setdefault(about, []).append(told)
        return about


def _under_way(customer: Customer) -> dict[str, Made]:
    """The intents that have no answer yet."""
    found: Mapping[str, tuple[datetime | None, MessageSending | None]] = {
        name: (state.sending_at, state.sending) for name, state in customer.messages.items()
    }
    return {name: Made(at, sending.channel) for name, (at, sending) in found.items() if at and sending}
