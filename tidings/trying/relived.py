"""A recorded period of one customer lived again, under the rulebooks of that time or under others.

The record guides: what came from outside comes at its place, wake-ups that it knows come when they came,
answers that it knows are given. Nothing here reads a store, sends or writes.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from channels.base import Outgoing
from channels.sandbox import answer
from domain.clock import EPOCH
from domain.customer import Customer
from domain.events import (
    KIND_OF,
    Body,
    Event,
    MessageAccepted,
    MessagePostponed,
    MessageUnknown,
    TaskCreated,
    TimerFired,
    WebhookCalled,
)
from domain.fold import heard
from journeys.reach import passes_by
from tidings.inputs import Input, adopted, answered, fired, take
from tidings.trying.book import Book
from tidings.trying.recorded import ADOPTED, TIMER_FIRED, Recorded, Said, Told
from tidings.trying.same_work import SameWork

# The customer before an input, what followed from it with the input first, and what left.
Note = Callable[[Customer, Sequence[Event], Sequence[Outgoing]], None]
_WakeUp = tuple[datetime, str]
_MOMENT = timedelta(microseconds=1)


class Assumed(Struct):
    """Where the record could not tell what would have happened.

    ``accepted``: messages handed over of which it has no answer, taken as the sandbox takes them.
    ``left_out``: answers to messages, tasks and calls that are not there then; ``moved``: those that come
    as much earlier or later as what they answer to.
    """

    accepted: int = 0
    left_out: int = 0
    moved: int = 0

    def add(self, other: "Assumed") -> None:
        """Count in what was assumed of others."""
        self.accepted += other.accepted
        self.left_out += other.left_out
        self.moved += other.moved


class Then(Struct, frozen=True):
    """The rules of a life: a book for each number, and whether one asks something of who comes from another.

    ``switches`` tells when each number came to the partition (aware UTC), in order; ``begins`` of a number
    whether its book asks something at the beginning of who has lived as recorded.
    """

    book: Callable[[int], Book]
    asks: Callable[[int, int], bool]
    begins: Callable[[int], bool]
    switches: Sequence[tuple[datetime, int]]


class _Intent(NamedTuple):
    """A message handed over at ``sent_at`` (aware UTC); ``leaving`` is None where it was before."""

    message: str
    channel: str
    sent_at: datetime
    leaving: Outgoing | None = None


class Relived:
    """One customer's period, from how the record left them before it.

    ``note`` is told of each input from which something may follow.
    """

    def __init__(self, past: Recorded, then: Then, *, note: Note) -> None:
        self.customer = past.before
        self.assumed = Assumed()
        self._past, self._then, self._note = past, then, note
        self._number = 0
        self._passed = 0
        self._book: Book | None = None
        self._ahead = Counter(past.ahead)
        self._said = {message: deque(answers) for message, answers in past.answers.items()}
        self._next: Told | None = None
        self._in_place: set[str] = set()
        self._work = SameWork(past.begun)
        self._moved: list[tuple[datetime, int, Told]] = []

    def live(self, *, begun: datetime, ended: datetime) -> Customer:
        """The customer at the end of [begun, ended) (aware UTC)."""
        self._ended = ended
        self._begin(begun)
        for given in self._past.inputs:
            self._next = given
            if given.kind == TIMER_FIRED:
                self._wake_as_told(given)
            elif given.kind == ADOPTED:
                self._adopt_as_told(given)
            else:
                self._hear_as_told(given)
        self._next = None
        last = ended - _MOMENT
        self._go(last, may_fire=lambda due: due[0] <= last)
        return self.customer

    def _begin(self, begun: datetime) -> None:
        """Answers that are owed come first, as they did; then what is tried comes to the customer."""
        inputs = self._past.inputs
        self._next = inputs[0] if inputs else None
        if not self._past.before.version:
            self._set(inputs[0].rulebook)
            return
        passed = [n for at, n in self._then.switches if at < begun and n > self._past.number]
        self._set(max([self._past.number, *filter(self._is_near, passed)]))
        states = sorted(self.customer.messages.values(), key=lambda state: state.sending_version)
        self._hand_over(
            _Intent(state.request.message, state.sending.channel, state.sending_at)
            for state in states
            if state.sending is not None and state.sending_at is not None
        )
        if self._then.begins(self._number):
            self._adopt(begun)

    def _wake_as_told(self, given: Told) -> None:
        """Whatever is due up to the wake-up, and it itself where the customer has it too."""
        body = given.body
        assert isinstance(body, TimerFired)  # noqa: S101 - by its kind
        this = (body.due_at, body.timer)
        self._go(body.due_at, may_fire=lambda due: due < this, whole=True)
        self._come_under(given.rulebook, at=given.recorded_at)
        self._go(body.due_at, may_fire=lambda due: due <= this, whole=True, clock={this: given.recorded_at})
        self._ahead[this] -= 1

    def _adopt_as_told(self, given: Told) -> None:
        """The rulebook comes when it came, after what was due until then."""
        at = given.recorded_at
        self._go(at, may_fire=lambda due: due[0] <= at)
        self._come_under(given.rulebook, at=at)

    def _hear_as_told(self, given: Told) -> None:
        at, recorded_at = given.occurred_at, given.recorded_at
        # A late fact comes after what a run before it has done.
        late = recorded_at if recorded_at > at else at - _MOMENT
        self._go(
            recorded_at if recorded_at > at else at,
            may_fire=lambda due: due[0] < at or (due[0] <= late and not self._ahead[due]),
            whole=True,
        )
        self._come_under(given.rulebook, at=recorded_at)
        if given.about and given.about not in self._in_place:
            self.assumed.left_out += 1
            return
        self._hear(given, at=at, clock_at=recorded_at)

    def _go(
        self,
        until: datetime,
        *,
        may_fire: Callable[[_WakeUp], bool],
        whole: bool = False,
        clock: dict[_WakeUp, datetime] | None = None,
    ) -> None:
        """Wake-ups, answers that have moved, and rulebooks that come, up to ``until``, in their order.

        Unless ``whole``, wake-ups that the record has still ahead are left to their places.
        """
        while True:
            due = self.customer.next_timer
            if due is not None and (not may_fire(due) or (not whole and self._ahead[due])):
                due = None
            echo = self._moved[0][0] if self._moved and self._moved[0][0] <= until else None
            switch = self._switch_before(until)
            first = min((at for at in (due and due[0], echo, switch and switch[0]) if at), default=None)
            if first is None:
                return
            if due is not None and due[0] == first:
                told = (clock or {}).get(due, EPOCH)
                self._take(fired(self.customer, due), clock_at=told)
            elif switch is not None and switch[0] == first:
                self._come_under(switch[1], at=first)
            else:
                self.assumed.moved += 1
                self._hear(heappop(self._moved)[2], at=first, clock_at=EPOCH)

    def _switch_before(self, until: datetime) -> tuple[datetime, int] | None:
        """The next rulebook that came before ``until``, unless the record shows that it came later."""
        switches = self._then.switches
        while self._passed < len(switches) and switches[self._passed][1] <= self._number:
            self._passed += 1
        if self._passed == len(switches):
            return None
        at, number = switches[self._passed]
        return (at, number) if at < until and self._is_near(number) else None

    def _is_near(self, number: int) -> bool:
        """Whether the record allows that this rulebook has come to the customer by now."""
        after = self._next
        if after is None or after.rulebook > number:
            return True
        return after.rulebook == number and after.kind != ADOPTED

    def _come_under(self, number: int, *, at: datetime) -> None:
        former = self._number
        if number > former:
            self._set(number)
            if self._then.asks(number, former):
                self._adopt(at)

    def _set(self, number: int) -> None:
        self._number, self._book = number, self._then.book(number)

    def _adopt(self, at: datetime) -> None:
        given = adopted(self.customer, self._rules_now.rules, clock_at=at)
        if given is not None:
            self._take(given, clock_at=at)

    @property
    def _rules_now(self) -> Book:
        assert self._book is not None  # noqa: S101 - set at the beginning
        return self._book

    def _hear(self, told: Told, *, at: datetime, clock_at: datetime) -> None:
        customer = self.customer
        now = max(at, customer.clock_at, clock_at)
        if passes_by(customer, told.kind, self._rules_now.rules, now):
            self.customer = heard(customer, told.kind, occurred_at=at, clock_at=now)
        else:
            body = told.about_that(self._work.here(told.about))
            self._take(Input(told.kind, at, 0, body), clock_at=clock_at)

    def _take(self, given: Input, *, clock_at: datetime) -> None:
        """An input and all that follows; providers' answers come directly behind, in the order of intents."""
        self._hand_over(self._taken(given, clock_at=clock_at))

    def _hand_over(self, intents: Iterable[_Intent]) -> None:
        """Answers in the order of the record; those that it does not know come after them."""
        left = list(intents)
        while left:
            intent = min(left, key=self._turn_of)
            left.remove(intent)
            left += self._answer(intent)

    def _turn_of(self, intent: _Intent) -> float:
        said = self._word_on(intent)
        return math.inf if said is None else said.version

    def _taken(self, given: Input, *, clock_at: datetime) -> list[_Intent]:
        before, (rules, templates) = self.customer, self._rules_now
        taken = take(before, given, clock_at=clock_at, rules=rules, templates=templates)
        self.customer = taken.customer
        self._note(before, taken.events, taken.leaving)
        for event in taken.events:
            self._work.note(event)
            match event.body:
                case MessageAccepted(message=name) | MessageUnknown(message=name):
                    sending = before.messages[name].sending if name in before.messages else None
                    self._come_to_be(name, event.occurred_at, sending.channel if sending else "")
                case TaskCreated(task=name) | WebhookCalled(call=name):
                    self._come_to_be(name, event.recorded_at, "")
                case _:
                    pass
        return [_Intent(message.id, message.channel, message.at, message) for message in taken.leaving]

    def _come_to_be(self, name: str, at: datetime, channel: str) -> None:
        """What was answered to this in the record is answered now, as long after it as then."""
        name = self._work.recorded(name)
        made = self._past.made.get(name)
        if made is None or made.channel != channel:
            return
        if made.at == at:
            self._in_place.add(name)
            return
        for told in self._past.echoes.get(name, ()):
            heappush(self._moved, (at + (told.occurred_at - made.at), told.version, told))

    def _word_on(self, intent: _Intent) -> Said | None:
        """The provider's next word on this message, if it went by the same channel."""
        said = self._said.get(self._work.recorded(intent.message))
        return said[0] if said and said[0].channel == intent.channel else None

    def _answer(self, intent: _Intent) -> list[_Intent]:
        if (said := self._word_on(intent)) is not None:
            self._said[self._work.recorded(intent.message)].popleft()
            return self._answer_as_said(intent, said)
        if intent.leaving is None:
            return []
        self.assumed.accepted += 1
        outcome = answer(intent.leaving)
        given = answered(self.customer, intent.leaving, outcome, at=intent.sent_at)
        return self._taken(given, clock_at=EPOCH)

    def _answer_as_said(self, intent: _Intent, said: Said) -> list[_Intent]:
        """The recorded answer, as long after the intent as then; nothing where that is after the period."""
        moved = intent.sent_at - said.sent_at
        at, recorded_at = said.at + moved, EPOCH if moved else said.recorded_at
        if max(at, recorded_at) >= self._ended:
            return []
        body: Body = replace(said.body, message=intent.message)
        if moved and isinstance(body, MessagePostponed):
            body = replace(body, until=body.until + moved)
        cause = self.customer.messages[intent.message].sending_version
        return self._taken(Input(KIND_OF[type(body)], at, cause, body), clock_at=recorded_at)
