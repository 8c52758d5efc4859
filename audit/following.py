"""Follows one customer's history: folds it anew, and makes each decision again from its cause.

After a decision that comes out otherwise it goes on with what is recorded, so that one altered decision does
not hide the next: what follows in the same turn is compared while it stays in step, and from the next input
on everything is again.
"""

from collections import deque
from collections.abc import Callable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from audit.differing import fields, is_same
from domain.catalogue import Fact
from domain.codec import restored
from domain.customer import Customer
from domain.errors import TidingsError
from domain.events import (
    JUDGED,
    KIND_OF,
    EnrolmentStarted,
    Event,
    MessageDeferred,
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    Outcome,
    RulebookAdopted,
    TimerFired,
    is_input,
)
from domain.fold import evolve
from domain.ports import StoredEvent
from journeys.engine import decide
from journeys.reach import passes_by
from journeys.rulebook import Rules

Prepare = Callable[[Customer, str, Rules], MessageSending | MessageDeferred | MessageSuppressed]
Find = Callable[[str, dict[str, object]], None]
# So many differences of one customer are told; then their history is followed no further.
DIFFERENCES_SHOWN = 20
_NO_DECISIONS: deque[Event] = deque()


class Following(Struct):
    """One customer on the way: the state, the decisions that must come next, and what was found of them.

    ``over`` says that the history is followed no further; ``out_of_step`` that what is recorded next is
    folded in unseen, up to the next input.
    """

    customer: Customer
    expected: deque[Event] = field(default_factory=deque)
    over: bool = False
    out_of_step: bool = False
    differences: int = 0
    replayed: int = 0
    missed: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)


class Follower:
    """Takes histories further by the rulebooks of the store; it holds nothing of any of them."""

    def __init__(
        self, rulebooks: Mapping[int, Rules], newer: frozenset[int], prepare: Prepare, told: set[int]
    ) -> None:
        """``newer`` are rulebooks of engines that this program has not got: none is followed into them.

        ``told`` are the identities of facts that were met, for all histories together.
        """
        self._rulebooks = rulebooks
        self._newer = newer
        self._prepare = prepare
        self._told = told

    def take(self, history: Following, stored: StoredEvent, find: Find) -> None:
        """Fold the entry in; where it is a decision, make it again first. ``find`` is told what is wrong."""
        if stored.rulebook in self._newer:
            history.over = True
            return
        try:
            self._take(history, stored, find)
        except TidingsError as error:
            find("audit.unreadable", {"reason": str(error)})
            history.over = True
        except (KeyError, StopIteration, AssertionError) as error:
            # The entry refers to what the history never had, so nothing after it can be followed.
            find("audit.decision_impossible", {"kind": stored.kind, "reason": repr(error)})
            history.over = True

    def _take(self, history: Following, stored: StoredEvent, find: Find) -> None:
        event = restored(stored)
        if is_input(event.kind):
            self._take_input(history, event, stored, find)
            return
        if not history.out_of_step:
            self._compare(history, self._made_again(history, event, stored, find), stored, find)
            if isinstance(event.body, MessageRequested | EnrolmentStarted):
                _check_new(history, event.body, event.kind, find)
        history.customer = evolve(history.customer, event)

    def _take_input(self, history: Following, event: Event, stored: StoredEvent, find: Find) -> None:
        _miss(history, find)
        _miss_judgements(history, find)
        history.out_of_step = False
        body = event.body
        _check_timer(history, event, find)
        if isinstance(body, Fact):
            self._check_once(body, find)
        elif isinstance(body, Outcome):
            _check_answer(history, event, body, find)
        before, history.customer = history.customer, evolve(history.customer, event)
        rules = self._rulebooks.get(stored.rulebook)
        if rules is None:
            find("audit.unknown_rulebook", {"number": stored.rulebook})
            history.over = True
            return
        if isinstance(body, Fact) and passes_by(before, event.kind, rules, event.recorded_at):
            history.expected = _NO_DECISIONS
        else:
            history.expected = deque(decide(history.customer, event, rules, event.recorded_at).events)
        # A rulebook is recorded under its own name, and only where something follows from it.
        if isinstance(body, RulebookAdopted) and (body.rulebook != rules.digest or not history.expected):
            find("audit.decision_unfounded", {"kind": stored.kind})

    def _check_once(self, fact: Fact, find: Find) -> None:
        identity = hash((fact.source, fact.id))
        if identity in self._told:
            find("audit.fact_twice", {"source": fact.source, "id": fact.id})
        self._told.add(identity)

    def _made_again(self, history: Following, event: Event, stored: StoredEvent, find: Find) -> Event | None:
        """The decision that must come now; None where nothing leads to one."""
        if event.kind not in JUDGED:
            return history.expected.popleft() if history.expected else None
        _miss(history, find)
        assert isinstance(event.body, MessageSending | MessageDeferred | MessageSuppressed)  # noqa: S101 - by its kind
        customer, message = history.customer, event.body.message
        cause = customer.messages[message].due_version
        body = self._prepare(customer, message, self._rulebooks[stored.rulebook])
        at = customer.clock_at if event.recorded_at < customer.clock_at else event.recorded_at
        return Event(customer.version + 1, KIND_OF[type(body)], at, at, cause, body)

    def _compare(self, history: Following, expected: Event | None, stored: StoredEvent, find: Find) -> None:
        history.replayed += 1
        if expected is None:
            find("audit.decision_unfounded", {"kind": stored.kind})
            _step_out(history)
        elif not is_same(expected, stored):
            code = "audit.decision_differs"
            if _only_words_differ(expected, stored):
                code = "audit.decision_words_differ"
            differing = fields(expected, stored)
            history.differences += 1
            history.over = history.differences >= DIFFERENCES_SHOWN
            values: dict[str, object] = {"kind": stored.kind, "fields": differing}
            find(code, values | ({"given_up": True} if history.over else {}))
            if (expected.kind, expected.version) != (stored.kind, stored.version):
                _step_out(history)


def check_finished(history: Following, *, awaited: set[str], goes_on: bool, find: Find) -> None:
    """Nothing is left undecided, and who waits for a provider's answer is in the outbox (``awaited``)."""
    _miss(history, find)
    for name, message in history.customer.messages.items():
        if message.to_be_judged and name not in history.missed:
            find("audit.decision_missing", {"kind": KIND_OF[MessageSending]})
        elif message.sending is not None and name not in awaited and not goes_on:
            find("audit.answer_missing", {"message": name})


def _step_out(history: Following) -> None:
    history.expected = deque()
    history.out_of_step = True


def _only_words_differ(expected: Event, stored: StoredEvent) -> bool:
    """Whether an intent comes out again with other words only: what makes words may have changed since."""
    made, found = expected.body, restored(stored).body
    if not (isinstance(made, MessageSending) and isinstance(found, MessageSending)):
        return False
    return is_same(replace(expected, body=replace(made, content_sha256=found.content_sha256)), stored)


def _miss(history: Following, find: Find) -> None:
    """Decisions that should have come before this entry and did not."""
    for event in history.expected:
        find("audit.decision_missing", {"kind": event.kind})
    history.expected = _NO_DECISIONS


def _miss_judgements(history: Following, find: Find) -> None:
    """A requested message is judged before anything else happens to its customer."""
    for name, message in history.customer.messages.items():
        if message.to_be_judged and name not in history.missed:
            history.missed.add(name)
            find("audit.decision_missing", {"kind": KIND_OF[MessageSending]})


def _check_new(history: Following, body: MessageRequested | EnrolmentStarted, kind: str, find: Find) -> None:
    """A message is asked for once, and an enrolment is entered once."""
    identity = body.message if isinstance(body, MessageRequested) else body.enrolment
    if identity in history.made:
        find("audit.decision_twice", {"kind": kind, "id": identity})
    history.made.add(identity)


def _check_timer(history: Following, event: Event, find: Find) -> None:
    """The wake-up that was due first fires first, and nothing that was told later comes before it."""
    due = history.customer.next_timer
    if isinstance(event.body, TimerFired):
        if due != (event.body.due_at, event.body.timer):
            find(
                "audit.decision_timer_differs",
                {"found": event.body.timer, "expected": due[1] if due else "-"},
            )
    elif event.cause == 0 and due is not None and due[0] < event.occurred_at:
        find("audit.decision_timer_missing", {"timer": due[1], "due_at": due[0].isoformat()})


def _check_answer(history: Following, event: Event, answer: Outcome, find: Find) -> None:
    """An answer belongs to an intent that has none yet, and ends that message."""
    message = history.customer.messages.get(answer.message)
    if message is None or not message.sending_version or message.sending_version != event.cause:
        find("audit.decision_unfounded", {"kind": event.kind})
