"""What became of every message of one customer in a period, told by the events; and sums of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec import Struct, field

from channels.base import Outgoing
from channels.segments import Cost, segments
from domain.customer import Customer
from domain.events import (
    EnrolmentStarted,
    Event,
    MessageAccepted,
    MessageDeferred,
    MessagePostponed,
    MessageRejected,
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    MessageUnknown,
)
from tidings.trying.passages import rule_of

# What a text to this number, in a language, costs; None where nobody knows.
Price = Callable[[str, str, str], Cost | None]
Status = Literal["sent", "unknown", "sending", "rejected", "suppressed", "waiting"]
_SENT: frozenset[Status] = frozenset({"sent", "unknown", "sending"})


class Fate(Struct):
    """How far a message has come in the period, since ``at`` (aware UTC).

    ``sent`` was accepted, ``sending`` has no answer yet, ``waiting`` is put off beyond the end. ``rule`` is
    the last that stood against it. ``words`` is the digest of what left; ``segments`` and ``amount`` are the
    estimate for a text message. ``asked_by`` names the passage that began in the period by its journey and
    instant, with step and visit: an id may come from a place in the history, and places shift.
    """

    journey: str
    step: str
    template: str
    template_version: int
    purpose: str
    channel: str
    at: datetime
    status: Status = "waiting"
    rule: str = ""
    words: str = ""
    segments: int = 0
    amount: Decimal | None = None
    currency: str = ""
    asked_by: tuple[str, datetime, str, int] | None = None

    @property
    def is_sent(self) -> bool:
        """Whether it left, as far as anybody knows."""
        return self.status in _SENT


class Sort(NamedTuple):
    """What messages are counted by."""

    journey: str
    template: str
    channel: str
    purpose: str
    status: str
    rule: str


class Sums(Struct):
    """Messages of many customers: by sort, those sent by day (UTC), entries by journey.

    ``held`` counts each time that a cap put a message off or forbade it: (cap, ``put_off`` or ``not_sent``).
    ``segments`` are those of the text messages sent, ``amounts`` their price by currency; of ``unpriced``
    nobody knows it.
    """

    messages: Counter[Sort] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    entered: Counter[str] = field(default_factory=Counter)
    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    segments: int = 0
    amounts: dict[str, Decimal] = field(default_factory=dict)
    unpriced: int = 0

    @property
    def sent(self) -> int:
        """How many left."""
        return sum(number for sort, number in self.messages.items() if sort.status in _SENT)

    def count(self, fates: Iterable[Fate]) -> None:
        """Count in one customer's messages."""
        for fate in fates:
            sort = Sort(fate.journey, fate.template, fate.channel, fate.purpose, fate.status, fate.rule)
            self.messages[sort] += 1
            if not fate.is_sent:
                continue
            self.days[fate.at.astimezone(UTC).date().isoformat()] += 1
            self.segments += fate.segments
            if fate.amount is not None:
                self.amounts[fate.currency] = self.amounts.get(fate.currency, Decimal(0)) + fate.amount
            elif fate.channel == "sms":
                self.unpriced += 1

    def add(self, other: "Sums") -> None:
        """Count in what another process has counted."""
        self.messages.update(other.messages)
        self.days.update(other.days)
        self.entered.update(other.entered)
        self.held.update(other.held)
        self.segments += other.segments
        self.unpriced += other.unpriced
        for currency, amount in other.amounts.items():
            self.amounts[currency] = self.amounts.get(currency, Decimal(0)) + amount


class Fates:
    """Follows the events of one customer; ``sums`` are complete after ``end``."""

    def __init__(self, price: Price | None = None) -> None:
        self.sums = Sums()
        self.messages: dict[str, Fate] = {}
        self._price = price
        self._begun: dict[str, datetime] = {}

    def end(self) -> Sums:
        """The customer's period is over; gives what it comes to."""
        self.sums.count(self.messages.values())
        return self.sums

    def note(self, before: Customer, events: Sequence[Event], leaving: Sequence[Outgoing]) -> None:
        """An input of the customer and what followed, with the messages that left."""
        requests = {name: state.request for name, state in before.messages.items()} if events else {}
        for event in events:
            self.take(event, requests)
        for message in leaving:
            if message.channel == "sms":
                self._estimate(self.messages[message.id], message)

    def take(self, event: Event, requests: Mapping[str, MessageRequested]) -> None:
        """One event; ``requests`` are those of the messages that the customer had before."""
        body = event.body
        match body:
            case EnrolmentStarted():
                self.sums.entered[body.journey] += 1
                self._begun[body.enrolment] = event.recorded_at
            case MessageRequested():
                asked = self.messages[body.message] = _asked(body, event.recorded_at)
                if (begun := self._begun.get(body.enrolment)) is not None:
                    asked.asked_by = (body.journey, begun, body.step, body.visit)
            case MessageSending():
                if fate := self._moved(body.message, requests, event, "sending", ""):
                    fate.channel, fate.words = body.channel, body.content_sha256
            case MessageDeferred() | MessageSuppressed():
                rule = rule_of(body.rule, body.values)
                put_off = isinstance(body, MessageDeferred)
                status: Status = "waiting" if put_off else "suppressed"
                if fate := self._moved(body.message, requests, event, status, rule):
                    fate.channel = body.channel
                if body.rule == "cap":
                    self.sums.held[str(body.values["cap"]), "put_off" if put_off else "not_sent"] += 1
            case MessagePostponed():
                self._moved(body.message, requests, event, "waiting", "postponed")
            case MessageAccepted() | MessageUnknown() | MessageRejected():
                self._end(body, requests, event)
            case _:
                pass

    def _end(
        self,
        body: MessageAccepted | MessageUnknown | MessageRejected,
        requests: Mapping[str, MessageRequested],
        event: Event,
    ) -> None:
        known = self.messages.get(body.message)
        sent_at = known.at if known is not None else event.recorded_at
        ends: dict[type[Struct], Status] = {MessageAccepted: "sent", MessageUnknown: "unknown"}
        fate = self._moved(body.message, requests, event, ends.get(type(body), "rejected"), "")
        if fate is not None:
            # When it left, not when the provider answered.
            fate.at = sent_at

    def _moved(
        self,
        message: str,
        requests: Mapping[str, MessageRequested],
        event: Event,
        status: Status,
        rule: str,
    ) -> Fate | None:
        fate = self.messages.get(message)
        if fate is None:
            if (request := requests.get(message)) is None:
                return None
            fate = self.messages[message] = _asked(request, event.recorded_at)
        fate.status, fate.rule, fate.at = status, rule, event.recorded_at
        return fate

    def _estimate(self, fate: Fate, message: Outgoing) -> None:
        cost = self._price(message.address, message.language, message.text) if self._price else None
        if cost is None:
            fate.segments, fate.amount, fate.currency = segments(message.text).segments, None, ""
        else:
            fate.segments, fate.amount, fate.currency = cost.segments, cost.amount, cost.currency


def _asked(request: MessageRequested, at: datetime) -> Fate:
    return Fate(
        request.journey,
        request.step,
        request.template,
        request.template_version,
        request.purpose,
        request.channels[0],
        at,
    )
