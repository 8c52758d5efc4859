"""The worker: takes what is due of one partition, decides, commits, hands over, records the answers.

Each micro-batch is one transaction, and ends after so many facts or so much time. A customer who has a
message under way sits out until the provider has answered: the answer belongs before their next input, so
that the same facts give the same history wherever batches begin and end, also after a crash.
"""

import asyncio
import gc
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from time import monotonic

from msgspec import Struct
from sqlalchemy import Engine

from channels.base import Channel, Outgoing
from domain.catalogue import ChannelName
from domain.clock import from_micros, to_micros
from domain.codec import decode_body
from domain.events import status_of
from domain.fold import heard
from journeys.reach import passes_by
from journeys.rulebook import Rules
from scheduler.agenda import Agenda
from stores.batch import Changes, Pending, PendingFact
from stores.calls import rows_of
from stores.journal import Journal
from tidings import sending
from tidings.adopting import Sweep
from tidings.inputs import Input, adopted, answered, fired, take
from tidings.leaving import Answered, Leaving, Present
from tidings.memory import Held, Memory, Room
from tidings.sending import Templates
from tidings.tally import Tally as Tally

BATCH = 2_000
TURN_SECONDS = 0.2
_SLICES_OF_A_BATCH = 20
_LIVE_SECONDS = 1.0
# Wake-ups that answers lead to are left for another time too: there may be facts before them.
_NOTHING = Pending([], [], horizon=-1)
_ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000
Progress = Callable[[int], None]
Until = datetime | Callable[[], datetime]


class Worker(Struct, frozen=True):
    """Everything that running a partition needs besides the partition itself.

    A batch takes up to ``batch`` facts and as many wake-ups. ``turn`` is for how many seconds of the
    machine's clock it decides, and then hands over; nothing that is recorded depends on it. Calls of
    ``endpoints`` leave; others are only recorded, and waited for in vain.
    """

    engine: Engine
    rulebook_number: int
    rules: Rules
    templates: Templates
    channels: Mapping[ChannelName, Channel]
    tally: Tally
    batch: int
    room: Room
    turn: float = TURN_SECONDS
    endpoints: frozenset[str] = frozenset()

    def run(
        self,
        partition: int,
        *,
        until: Until,
        since: datetime | None = None,
        live: bool = False,
        runner: asyncio.Runner | None = None,
        progress: Progress,
    ) -> int:
        """Everything of the partition that is due by ``until``; ``since`` is where a new clock starts.

        A call as ``until`` is asked anew before each batch: so what has just happened need not wait until
        all that was due before has left. It must never go back. With ``live`` it is the clock on the wall:
        what is decided is decided as of then, however long it has been due, and what could not leave soon
        after it was judged is judged again; and after a second no more is begun, since other partitions
        wait. ``runner`` is an event loop that goes on afterwards, so that
        connections may be kept.
        Gives, and tells ``progress`` on the way, how many facts were taken and customers looked at for a new
        rulebook. Raises LeaseLost when another worker has the partition, InputRefused when one with newer
        rules had it.
        """
        with (
            Journal(self.engine, partition) as journal,
            _loop(runner, self.channels) as loop,
            seldom_collecting(),
        ):
            if since is not None:
                journal.start_clock(since)
            passage = _Passage(self, journal, loop, until, live=live)
            passage.settle()
            over = monotonic() + _LIVE_SECONDS if live else math.inf
            while passage.step(only_answers=monotonic() >= over):
                progress(passage.done)
            passage.leave()
            journal.commit(Changes(), clock_at=passage.until)
            return passage.done


@contextmanager
def _loop(given: asyncio.Runner | None, channels: Mapping[ChannelName, Channel]) -> Iterator[asyncio.Runner]:
    """The event loop that is given, or one of its own, whose connections end with it."""
    if given is not None:
        yield given
        return
    with asyncio.Runner() as runner:
        try:
            yield runner
        finally:
            runner.run(sending.close(channels))


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Let the garbage collector look seldom: rows and states hold no cycles, and there are very many."""
    usual = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class _Passage:
    """One partition on its way to ``until``: customers in memory, and answers not yet recorded."""

    def __init__(
        self, worker: Worker, journal: Journal, runner: asyncio.Runner, until: Until, *, live: bool
    ) -> None:
        self._worker = worker
        self._journal = journal
        self._present: Callable[[], datetime] = until if callable(until) else lambda: until
        self.until = self._present()
        self._live = live
        self._rulebook = (worker.rulebook_number, worker.rules.digest)
        self._memory = Memory(journal, worker.room)
        self._held: dict[int, Held] = {}
        self._changes = Changes()
        self._leaving = Leaving(worker.channels, journal, runner, Present(self._present, live))
        self._answers: list[Answered] = []
        self._facts_taken = 0
        self._sweep = Sweep(
            worker.engine, journal.partition, number=worker.rulebook_number, rules=worker.rules
        )
        if self._sweep.is_new:
            journal.commit(Changes(adopted=(self._sweep.number, self._sweep.reached)))

    @property
    def done(self) -> int:
        """How many facts were taken and customers looked at for the rulebook."""
        return self._facts_taken + self._sweep.looked_at

    def settle(self) -> None:
        """Find out what became of messages that a crash left without an answer."""
        lost = self._journal.outbox()
        self._held = self._memory.fetch({stream for _, stream, _ in lost})
        # Answers are taken in the order of the intents, as they would have been without the crash.
        lost.sort(key=lambda item: (item[1], self._held[item[1]].customer.messages[item[0]].sending_version))
        self._answers = self._leaving.settle(
            [(stream, self._again(self._held[stream], name), begun) for name, stream, begun in lost]
        )

    def _again(self, held: Held, message: str) -> Outgoing:
        rules, templates = self._worker.rules, self._worker.templates
        return sending.again(held.customer, message, rules=rules, templates=templates)

    def step(self, *, only_answers: bool) -> bool:
        """One micro-batch and a slice of the sweep; False when nothing is due any more.

        With ``only_answers`` nothing new is begun: what has left is waited for and recorded.
        """
        self.until = self._present()
        pending = _NOTHING if only_answers else self._pending()
        more = not only_answers and (self._leaving or self._sweep.is_open)
        if not (pending.facts or pending.timers or self._answers or more):
            return False
        streams = (
            {fact.stream for fact in pending.facts}
            | {stream for _, stream in pending.timers}
            | {answered.stream for answered in self._answers}
        )
        self._changes = Changes()
        late = set() if only_answers else self._adopting(streams)
        self._held = self._memory.fetch(streams | late)
        due = self._take_answers() + self._adopt(late)
        self._work_off(pending._replace(timers=pending.timers + due))
        self._plan_wake_ups()
        # By a live clock little is handed over at a time, and noted before: a crash then leaves little of
        # which nobody knows whether it left.
        self._changes.outbox_begun = set(
            self._leaving.choose(
                size=max(1, self._worker.batch // _SLICES_OF_A_BATCH),
                messages=0 if only_answers else self._at_once,
            )
        )
        self._journal.commit(self._changes)
        self._count()
        # The answers go into the next batch. The sweep must find nobody with a message under way: they
        # belong before new plans.
        self._answers = self._leaving.hand_over(
            turn=self._worker.turn, all_of_them=self._at_once < math.inf or self._sweep.is_open
        )
        return True

    @property
    def _at_once(self) -> float:
        """How many messages are handed over before their answers are recorded."""
        return self._leaving.at_once if self._live and not self._sweep.is_open else math.inf

    def _pending(self) -> Pending:
        # No more intents wait to leave than one batch makes: each was judged on what was known then.
        most = min(self._worker.batch, self._leaving.room) if self._live else self._worker.batch
        limit = max(1, most - len(self._leaving))
        return self._journal.pending(until=self.until, limit=limit)

    def leave(self) -> None:
        """Make it cheap to begin here again; nothing is due any more."""
        self._memory.leave()

    def _adopting(self, streams: set[int]) -> set[int]:
        """Who comes under the rulebook now: of those who are worked on, and of the sweep's slice."""
        if not self._sweep.is_open:
            return set()
        late = self._sweep.next(streams)
        self._changes.adopted = (self._sweep.number, self._sweep.reached)
        return late

    def _adopt(self, late: set[int]) -> list[tuple[int, int]]:
        """Record the rulebook where something follows from it; gives who is now due when."""
        rules = self._worker.rules
        due: list[tuple[int, int]] = []
        for stream in sorted(late):
            held = self._held[stream]
            given = adopted(held.customer, rules, clock_at=self._clock_at)
            if given is None:
                continue
            self._take(held, stream, given)
            self._worker.tally.planned += 1
            if held.ahead is not None:
                due.append((to_micros(held.ahead[0]), stream))
        return due

    def _work_off(self, pending: Pending) -> None:
        agenda = Agenda(pending.facts, pending.timers, horizon=pending.horizon)
        over = monotonic() + self._worker.turn
        for item in agenda:
            stream = item.stream if isinstance(item, PendingFact) else item[1]
            if stream in self._leaving:
                continue
            held = self._held[stream]
            known = held.ahead
            if isinstance(item, PendingFact):
                self._take_fact(held, item)
            elif known is not None and to_micros(known[0]) == item[0]:
                self._take(held, stream, fired(held.customer, known))
            if held.ahead is not known and held.ahead is not None:
                agenda.wake(stream, to_micros(held.ahead[0]))
            if monotonic() >= over:
                break

    def _take_fact(self, held: Held, fact: PendingFact) -> None:
        occurred_at, rank, position, stream, kind, stored, clear = fact
        self._changes.consumed.append((occurred_at, rank, position))
        at, customer = from_micros(occurred_at), held.customer
        now = max(at, customer.clock_at, self._clock_at)
        if not passes_by(customer, kind, self._worker.rules, now):
            self._take(held, stream, Input(kind, at, 0, decode_body(kind, clear or stored)), stored=stored)
            return
        held.customer = heard(customer, kind, occurred_at=at, clock_at=now)
        held.head = self._journal.append_fact(
            self._changes, fact, head=held.head, recorded_at=now, rulebook=self._rulebook
        )

    def _take_answers(self) -> list[tuple[int, int]]:
        """Record what providers said; gives who is now due when: they may have asked to try again soon."""
        due: list[tuple[int, int]] = []
        for stream, message, outcome, at in self._answers:
            held = self._held[stream]
            given = answered(held.customer, message, outcome, at=at)
            self._changes.outbox_removed.append(message.id)
            self._take(held, stream, given)
            self._worker.tally.messages[status_of(given.kind)] += 1
            if held.ahead is not None:
                due.append((to_micros(held.ahead[0]), stream))
        self._answers = []
        return due

    def _take(self, held: Held, stream: int, given: Input, *, stored: bytes | None = None) -> None:
        """An input of one customer, and everything that follows from it at once."""
        before, worker = held.customer, self._worker
        taken = take(
            before,
            given,
            clock_at=self._clock_at,
            rules=worker.rules,
            templates=worker.templates,
        )
        if len(taken.events) > 1:
            worker.tally.count(taken.events)
            if worker.endpoints:
                self._changes.calls += rows_of(taken.events, stream, worker.endpoints, key=held.key)
        for message in taken.leaving:
            self._changes.outbox_added[message.id] = stream
            self._leaving.add(stream, message)
        held.head = self._journal.append(
            self._changes,
            taken.events,
            stream=stream,
            head=held.head,
            rulebook=self._rulebook,
            key=held.key,
            body=stored,
        )
        held.customer = customer = taken.customer
        if customer.timers is not before.timers:
            held.ahead = customer.next_timer

    def _count(self) -> None:
        taken = len(self._changes.consumed)
        self._facts_taken += taken
        self._worker.tally.facts += taken
        self._worker.tally.events += len(self._changes.events)

    def _plan_wake_ups(self) -> None:
        for stream in self._changes.heads:
            held = self._held[stream]
            due_at = held.ahead[0] if held.ahead else None
            if due_at != held.due_at:
                self._changes.timers[stream] = held.due_at = due_at

    @property
    def _clock_at(self) -> datetime:
        """What is decided on is never earlier (aware UTC)."""
        return max(self.until, self._journal.clock_at) if self._live else self._journal.clock_at
