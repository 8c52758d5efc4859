"""Checks a store against its own promises: numbers without gaps, the hash chain, decisions made again.

Each history is folded anew, and each decision is made again from its cause with the rulebook that it cites
and compared byte for byte; the texts of rulebooks and documents must be those that their digests name.
"""

from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256

from msgspec import Struct, field

from audit.findings import AUTHORED, Finding, Verified
from audit.published import verify_documents
from domain.catalogue import Fact
from domain.chain import genesis, link
from domain.clock import to_micros
from domain.codec import encode_body, restored, state_digest
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
from domain.ports import History, StoredEvent, StoredHead
from journeys.engine import decide
from journeys.reach import passes_by
from journeys.rulebook import Rules

Prepare = Callable[[Customer, str, Rules], MessageSending | MessageDeferred | MessageSuppressed]
Progress = Callable[[int], None]
_STEP = 1_000
NO_RULEBOOK = 0


def verify(
    history: History,
    rulebooks: Mapping[int, Rules],
    prepare: Prepare,
    *,
    progress: Progress,
    share: tuple[int, int] = (0, 1),
) -> Verified:
    """Everything in the store; ``progress`` is told the number of events gone through.

    ``prepare`` makes the last decision on a requested message again, with the words that would leave.
    ``share`` is the number, from 0, of one of several who do this together, and how many they are.
    """
    number, of = share
    verified = Verified()
    digests = verify_documents(history, Verified() if number else verified)
    if number == 0:
        for partition in history.stray_partitions():
            verified.findings.append(Finding("audit.partition_missing", partition, 0, "", 0))
    for partition in (AUTHORED, *history.customer_partitions())[number::of]:
        cited = {NO_RULEBOOK: ""} if partition == AUTHORED else digests
        _Partition(history, partition, rulebooks, cited, prepare, verified).go_through(progress)
    return verified


class _Trail(Struct):
    """One customer on the way: state, the last entry seen, and the decisions that must come next."""

    customer: Customer
    head: StoredHead
    expected: deque[Event]
    followed: bool = True
    missed: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)


class _Partition:
    def __init__(
        self,
        history: History,
        partition: int,
        rulebooks: Mapping[int, Rules],
        digests: Mapping[int, str],
        prepare: Prepare,
        verified: Verified,
    ) -> None:
        self._history = history
        self._partition = partition
        self._rulebooks = rulebooks
        self._prepare = prepare
        self._verified = verified
        self._digests = digests
        self._subjects = history.subjects(partition)
        self._trails: dict[int, _Trail] = {}
        self._told: set[int] = set()
        # Taken before the first event is read: what a worker records meanwhile lies beyond these ends.
        self._ends = history.ends(partition)

    def go_through(self, progress: Progress) -> None:
        if upto := self._ends.removed_seq:
            # Without its beginning, no history can be followed.
            self._verified.findings.append(Finding("audit.events_removed", self._partition, upto, "", 0))
            return
        last = 0
        for stored in self._history.events(self._partition, upto=self._ends.last_seq):
            self._verified.events += 1
            if self._verified.events % _STEP == 0:
                progress(self._verified.events)
            if stored.seq != last + 1:
                values: dict[str, object] = {"first": last + 1, "last": stored.seq - 1}
                self._find("audit.seq_missing", stored, values)
            last = stored.seq
            self._check_hostile(stored)
        self._check_ends(last)
        self._verified.customers += len(self._trails) if self._partition != AUTHORED else 0

    def _check_hostile(self, stored: StoredEvent) -> None:
        """Check one entry, whatever somebody has made of it: a fault is a finding, never a crash."""
        try:
            self._check(stored)
        except Exception as error:
            self._find("audit.unreadable", stored, {"reason": f"{type(error).__name__}: {error}"})
            if trail := self._trails.get(stored.stream):
                trail.followed = False

    def _check(self, stored: StoredEvent) -> None:
        subject = self._subjects.get(stored.stream)
        if subject is None:
            self._find("audit.unknown_stream", stored, {"stream": stored.stream})
            return
        trail = self._trails.get(stored.stream)
        if trail is None:
            trail = _Trail(Customer(subject), StoredHead(0, 0, genesis(subject)), deque())
            # Authored objects are made by people: there is nothing to decide again.
            trail.followed = self._partition != AUTHORED
            self._trails[stored.stream] = trail
        whole = self._check_link(trail, stored)
        trail.head = StoredHead(stored.version, stored.seq, stored.hash)
        if trail.followed and whole:
            self._follow(trail, stored)
            self._check_snapshot(trail, stored)
        else:
            trail.followed = False

    def _check_snapshot(self, trail: _Trail, stored: StoredEvent) -> None:
        """A snapshot says what its history says: workers take it for the truth."""
        version, digest = self._ends.snapshots.get(stored.stream, (0, b""))
        if version == stored.version and trail.followed:
            del self._ends.snapshots[stored.stream]
            if state_digest(trail.customer) != digest:
                self._find("audit.snapshot_differs", stored, {})

    def _check_link(self, trail: _Trail, stored: StoredEvent) -> bool:
        """Whether the entry follows the last one of its history, unaltered."""
        if stored.version != trail.head.version + 1:
            values: dict[str, object] = {"expected": trail.head.version + 1, "found": stored.version}
            self._find("audit.version_gap", stored, values)
        if stored.prev != trail.head.seq:
            self._find("audit.wrong_prev", stored, {"expected": trail.head.seq, "found": stored.prev})
        digest = self._digests.get(stored.rulebook)
        if digest is None:
            self._find("audit.unknown_rulebook", stored, {"number": stored.rulebook})
            return False
        hash_ = link(
            trail.head.hash,
            version=stored.version,
            kind=stored.kind,
            occurred_at=stored.occurred_at,
            recorded_at=stored.recorded_at,
            cause=stored.cause,
            rulebook=digest,
            body=stored.body,
        )
        if hash_ != stored.hash:
            self._find("audit.hash_differs", stored, {"kind": stored.kind})
            return False
        return stored.version == trail.head.version + 1

    def _follow(self, trail: _Trail, stored: StoredEvent) -> None:
        """Fold the entry in; where it is a decision, make it again first."""
        try:
            event = restored(stored)
            if is_input(event.kind):
                self._take_input(trail, event, stored)
            elif event.kind in JUDGED:
                self._prepare_again(trail, event, stored)
            else:
                self._compare(trail, trail.expected.popleft() if trail.expected else None, stored)
                if isinstance(event.body, MessageRequested | EnrolmentStarted):
                    self._check_new(trail, event.body, stored)
                trail.customer = evolve(trail.customer, event)
        except TidingsError as error:
            self._find("audit.unreadable", stored, {"reason": str(error)})
            trail.followed = False
        except (KeyError, StopIteration, AssertionError) as error:
            # The entry refers to what the history never had, so nothing after it can be followed.
            self._find("audit.decision_impossible", stored, {"kind": stored.kind, "reason": repr(error)})
            trail.followed = False

    def _take_input(self, trail: _Trail, event: Event, stored: StoredEvent) -> None:
        self._miss(trail, stored)
        self._miss_judgements(trail, stored)
        due = trail.customer.next_timer
        if isinstance(event.body, TimerFired):
            if due != (event.body.due_at, event.body.timer):
                values: dict[str, object] = {"found": event.body.timer, "expected": due[1] if due else "-"}
                self._find("audit.decision_timer_differs", stored, values)
        elif event.cause == 0 and due is not None and due[0] < event.occurred_at:
            values = {"timer": due[1], "due_at": due[0].isoformat()}
            self._find("audit.decision_timer_missing", stored, values)
        if isinstance(event.body, Fact):
            self._check_once(event.body, stored)
        elif isinstance(event.body, Outcome):
            self._check_answer(trail, event, event.body, stored)
        before, trail.customer = trail.customer, evolve(trail.customer, event)
        rules = self._rulebooks.get(stored.rulebook)
        if rules is None:
            self._find("audit.unknown_rulebook", stored, {"number": stored.rulebook})
            trail.followed = False
            return
        idle = isinstance(event.body, Fact) and passes_by(before, event.kind, rules, event.recorded_at)
        trail.expected = deque([] if idle else decide(trail.customer, event, rules, event.recorded_at).events)
        # A rulebook is recorded under its own name, and only where something follows from it.
        if isinstance(event.body, RulebookAdopted) and (
            event.body.rulebook != rules.digest or not trail.expected
        ):
            self._find("audit.decision_unfounded", stored, {"kind": stored.kind})

    def _check_once(self, fact: Fact, stored: StoredEvent) -> None:
        # Eight bytes of a digest for each fact keep a partition of many millions in memory.
        identity = sha256(f"{fact.source}\x00{fact.id}".encode()).digest()[:8]
        key = int.from_bytes(identity, "big")
        if key in self._told:
            self._find("audit.fact_twice", stored, {"source": fact.source, "id": fact.id})
        self._told.add(key)

    def _check_answer(self, trail: _Trail, event: Event, answer: Outcome, stored: StoredEvent) -> None:
        """An answer belongs to an intent that has none yet, and ends that message."""
        message = trail.customer.messages.get(answer.message)
        if message is None or not message.sending_version or message.sending_version != event.cause:
            self._find("audit.decision_unfounded", stored, {"kind": stored.kind})

    def _prepare_again(self, trail: _Trail, event: Event, stored: StoredEvent) -> None:
        self._miss(trail, stored)
        assert isinstance(event.body, MessageSending | MessageDeferred | MessageSuppressed)  # noqa: S101 - by its kind
        message = event.body.message
        cause = trail.customer.messages[message].due_version
        body = self._prepare(trail.customer, message, self._rulebooks[stored.rulebook])
        kind = KIND_OF[type(body)]
        at = trail.customer.clock_at if event.recorded_at < trail.customer.clock_at else event.recorded_at
        self._compare(trail, Event(trail.customer.version + 1, kind, at, at, cause, body), stored)
        trail.customer = evolve(trail.customer, event)

    def _compare(self, trail: _Trail, expected: Event | None, stored: StoredEvent) -> None:
        self._verified.replayed += 1
        if expected is None:
            self._find("audit.decision_unfounded", stored, {"kind": stored.kind})
            trail.followed = False
            return
        made = _comparable(expected)
        body = stored.body if stored.clear is None else stored.clear
        found = (stored.version, stored.kind, stored.occurred_at, stored.recorded_at, stored.cause, body)
        if made != found:
            values: dict[str, object] = {
                "expected": f"{expected.kind} {made[-1].decode()}",
                "found": f"{stored.kind} {body.decode(errors='replace')}",
            }
            self._find("audit.decision_differs", stored, values)
            trail.followed = False

    def _miss(self, trail: _Trail, stored: StoredEvent) -> None:
        """Decisions that should have come before this entry and did not."""
        for event in trail.expected:
            self._find("audit.decision_missing", stored, {"kind": event.kind})
        trail.expected = deque()

    def _check_new(self, trail: _Trail, body: object, stored: StoredEvent) -> None:
        """A message is asked for once, and an enrolment is entered once."""
        identity = str(getattr(body, "message", None) or getattr(body, "enrolment", ""))
        if identity in trail.made:
            self._find("audit.decision_twice", stored, {"kind": stored.kind, "id": identity})
        trail.made.add(identity)

    def _miss_judgements(self, trail: _Trail, stored: StoredEvent) -> None:
        """A requested message is judged before anything else happens to its customer."""
        for name, message in trail.customer.messages.items():
            if message.to_be_judged and name not in trail.missed:
                trail.missed.add(name)
                self._find("audit.decision_missing", stored, {"kind": "message.sending/1"})

    def _check_ends(self, last: int) -> None:
        """The partition and every history end where the store says that they end."""
        if self._ends.last_seq != last:
            values: dict[str, object] = {"expected": self._ends.last_seq, "found": last}
            finding = Finding("audit.partition_cut", self._partition, last, "", 0, values)
            self._verified.findings.append(finding)
        heads = self._ends.heads
        for stream, trail in self._trails.items():
            if trail.followed:
                self._check_finished(stream, trail)
            if heads.get(stream) != trail.head:
                self._end("audit.head_differs", stream, {})
        for stream, (version, _) in sorted(self._ends.snapshots.items()):
            if stream not in self._trails or version > self._trails[stream].head.version:
                self._end("audit.snapshot_unfounded", stream, {"version": version})
        for stream in sorted(heads.keys() - self._trails.keys()):
            self._end("audit.history_missing", stream, {})

    def _check_finished(self, stream: int, trail: _Trail) -> None:
        """Nothing is left undecided, and who waits for a provider's answer is in the outbox."""
        goes_on = stream in self._ends.continued
        for event in trail.expected:
            self._end("audit.decision_missing", stream, {"kind": event.kind})
        for name, message in trail.customer.messages.items():
            if message.to_be_judged and name not in trail.missed:
                self._end("audit.decision_missing", stream, {"kind": "message.sending/1"})
            elif message.sending is not None and name not in self._ends.outbox and not goes_on:
                self._end("audit.answer_missing", stream, {"message": name})
        if goes_on:
            return
        due = trail.customer.next_timer
        if self._ends.timers.get(stream) != (to_micros(due[0]) if due else None):
            self._end("audit.timer_differs", stream, {"expected": due[0].isoformat() if due else "-"})

    def _end(self, code: str, stream: int, values: dict[str, object]) -> None:
        trail = self._trails.get(stream)
        head = trail.head if trail else StoredHead(0, 0, b"")
        subject = self._subjects.get(stream, f"#{stream}")
        self._verified.findings.append(
            Finding(code, self._partition, head.seq, subject, head.version, values)
        )

    def _find(self, code: str, stored: StoredEvent, values: dict[str, object]) -> None:
        subject = self._subjects.get(stored.stream, f"#{stored.stream}")
        self._verified.findings.append(
            Finding(code, self._partition, stored.seq, subject, stored.version, values)
        )


def _comparable(event: Event) -> tuple[int, str, int, int, int, bytes]:
    return (
        event.version,
        event.kind,
        to_micros(event.occurred_at),
        to_micros(event.recorded_at),
        event.cause,
        encode_body(event.body),
    )
