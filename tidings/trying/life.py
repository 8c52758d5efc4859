"""One customer lived through in memory, input by input, as a worker would record it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from channels.base import Outgoing
from channels.sandbox import answer
from domain.catalogue import Envelope, rank_of
from domain.customer import Customer
from domain.events import Event
from domain.fold import heard
from journeys.reach import passes_by
from tidings import sending
from tidings.inputs import Input, adopted, answered, fired, take
from tidings.trying.book import Book

# The customer before an input, and the input with all that followed from it.
Note = Callable[[Customer, Sequence[Event]], None]


class Life:
    """Takes facts and wake-ups in the order of business time; providers answer as the sandbox does.

    ``clock_at`` is where the clock stands when the life begins (aware UTC). ``note`` is told of each input.
    With ``whole`` it is told of facts, too, from which nothing follows; without, they cost next to nothing.
    """

    def __init__(
        self, customer: Customer, book: Book, *, clock_at: datetime, note: Note, whole: bool = False
    ) -> None:
        self.customer = customer
        self._rules, self._templates = book
        self._clock_at = clock_at
        self._note = note
        self._whole = whole

    def settle(self) -> None:
        """Answers to what was handed over and has none yet: they belong before everything else."""
        owed = [state for state in self.customer.messages.values() if state.sending is not None]
        for state in sorted(owed, key=lambda state: state.sending_version):
            name, rules = state.request.message, self._rules
            message = sending.again(self.customer, name, rules=rules, templates=self._templates)
            self._take(answered(self.customer, message, answer(message), at=message.at))

    def adopt(self) -> None:
        """The rules come to a customer who has lived under others."""
        given = adopted(self.customer, self._rules, clock_at=self._clock_at)
        if given is not None:
            self._take(given)

    def live(self, facts: Iterable[Envelope], *, until: datetime) -> None:
        """Up to and including ``until`` (aware UTC), with these facts of the customer, in any order."""
        for fact in sorted(facts, key=lambda fact: (fact.occurred_at, rank_of(fact.kind))):
            if fact.occurred_at > until:
                break
            while (due := self.customer.next_timer) is not None and due[0] < fact.occurred_at:
                self._take(fired(self.customer, due))
            self._hear(fact)
        while (due := self.customer.next_timer) is not None and due[0] <= until:
            self._take(fired(self.customer, due))

    def _hear(self, fact: Envelope) -> None:
        customer, at = self.customer, fact.occurred_at
        now = max(at, customer.clock_at, self._clock_at)
        if self._whole or not passes_by(customer, fact.kind, self._rules, now):
            self._take(Input(fact.kind, at, 0, fact.fact))
            return
        self.customer = heard(customer, fact.kind, occurred_at=at, clock_at=now)

    def _take(self, given: Input) -> None:
        before = self.customer
        taken = take(before, given, clock_at=self._clock_at, rules=self._rules, templates=self._templates)
        self.customer = taken.customer
        self._note(before, taken.events)
        self._hand_over(taken.leaving)

    def _hand_over(self, messages: Sequence[Outgoing]) -> None:
        """Answers belong directly behind the intents, in their order."""
        for message in messages:
            self._take(answered(self.customer, message, answer(message), at=message.at))
