"""What journeys did in lives that were lived through: counted by journey, and added up over processes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

from msgspec import Struct, field

from domain.clock import local_day
from domain.customer import Customer
from domain.events import (
    AdmissionRefused,
    EnrolmentEnded,
    EnrolmentStarted,
    Event,
    MessageDeferred,
    MessageSending,
    MessageSuppressed,
    TaskCreated,
    TaskSuppressed,
    Values,
)
from domain.fold import evolve

Days = dict[str, Counter[str]]


class Passages(Struct):
    """What became of those in one journey.

    ``entered`` are entries, ``entrants`` who made at least one. Counted by rule: ``refused`` entries,
    messages ``suppressed`` and ``deferred`` (a cap as ``cap:<name>``). ``visits`` and those still ``inside``
    are counted by step, ``tasks`` by step as well, the ``ended`` by reason. ``sent`` are messages handed
    over, by day of the customer's calendar and channel. ``waiting`` are put off beyond the end.
    """

    entered: int = 0
    entrants: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    visits: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    no_tasks: Counter[str] = field(default_factory=Counter)
    sent: Days = field(default_factory=dict)
    suppressed: Counter[str] = field(default_factory=Counter)
    deferred: Counter[str] = field(default_factory=Counter)
    waiting: int = 0

    @property
    def messages(self) -> int:
        """How many were handed over."""
        return sum(channels.total() for channels in self.sent.values())

    def by_channel(self) -> Counter[str]:
        """How many were handed over by each channel."""
        return sum(self.sent.values(), Counter[str]())

    def add(self, other: "Passages") -> None:
        """Count in what other lives made of the same journey."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            elif isinstance(mine, int):
                setattr(self, name, mine + theirs)
        for day, channels in other.sent.items():
            self.sent.setdefault(day, Counter()).update(channels)


class Fate(Struct, frozen=True):
    """What became of one message so far: when it was handed over, or the rule that stands against it."""

    journey: str
    sent_on: date | None = None
    rule: str = ""


class Watch:
    """Looks on while customers live, one after the other, and counts by journey.

    ``fates`` are those of the messages of the customer who lives now, by id.
    """

    def __init__(self) -> None:
        self.journeys: dict[str, Passages] = {}
        self.fates: dict[str, Fate] = {}
        self._entered: set[str] = set()

    def of(self, journey: str) -> Passages:
        """The counts of one journey."""
        return self.journeys.setdefault(journey, Passages())

    def begin(self) -> None:
        """Another customer begins to live."""
        self.fates = {}
        self._entered = set()

    def note(self, before: Customer, events: Sequence[Event]) -> None:
        """An input of the customer, and what followed."""
        if len(events) == 1:
            return
        customer = before
        for event in events:
            was, customer = customer, evolve(customer, event)
            self._enrolments(was, customer, event)
            self._messages(was, event)

    def end(self, customer: Customer) -> None:
        """Where the customer stands at the end."""
        for state in customer.enrolments.values():
            self.of(state.journey).inside[state.step] += 1
        for message in customer.messages.values():
            self.of(message.request.journey).waiting += message.deferred_until is not None
        for journey in self._entered:
            self.of(journey).entrants += 1

    def _enrolments(self, was: Customer, now: Customer, event: Event) -> None:
        body = event.body
        if isinstance(body, AdmissionRefused):
            self.of(body.journey).refused[body.rule] += 1
            return
        enrolment = getattr(body, "enrolment", None)
        if enrolment is None:
            return
        if isinstance(body, EnrolmentStarted):
            self.of(body.journey).entered += 1
            self._entered.add(body.journey)
        elif (state := was.enrolments.get(enrolment)) is not None:
            passages = self.of(state.journey)
            if isinstance(body, EnrolmentEnded):
                passages.ended[body.reason] += 1
                passages.visits[body.step] += body.reason == "end"
            elif isinstance(body, TaskCreated):
                passages.tasks[body.step] += 1
            elif isinstance(body, TaskSuppressed):
                passages.no_tasks[rule_of(body.rule, body.values)] += 1
            # Whatever kind of step it was: the state tells that it was come to.
            if (later := now.enrolments.get(enrolment)) is not None and later.visits != state.visits:
                passages.visits.update(Counter(later.visits) - Counter(state.visits))

    def _messages(self, was: Customer, event: Event) -> None:
        body = event.body
        if not isinstance(body, MessageSending | MessageDeferred | MessageSuppressed):
            return
        journey = was.messages[body.message].request.journey
        passages = self.of(journey)
        if isinstance(body, MessageSending):
            day = local_day(event.recorded_at, was.zone)
            passages.sent.setdefault(day.isoformat(), Counter())[body.channel] += 1
            self.fates[body.message] = Fate(journey, sent_on=day)
            return
        rule = rule_of(body.rule, body.values)
        (passages.deferred if isinstance(body, MessageDeferred) else passages.suppressed)[rule] += 1
        self.fates[body.message] = Fate(journey, rule=rule)


def rule_of(rule: str, values: Values) -> str:
    """The rule's name; of a cap with the cap's own, since a policy has several."""
    return f"cap:{values['cap']}" if rule == "cap" else rule


def totals(journeys: dict[str, Passages]) -> Passages:
    """All journeys counted together."""
    whole = Passages()
    for passages in journeys.values():
        whole.add(passages)
    return whole


def days_of(*each: Passages) -> Iterator[str]:
    """Every day, in order, on which one of them handed something over."""
    return iter(sorted({day for passages in each for day in passages.sent}))
