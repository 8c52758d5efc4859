"""Goes through the record of a portion of a partition: its links, the histories in it, and where they end.

Whatever somebody has made of an entry is a finding with its place, never a crash.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from audit.findings import AUTHORED, Finding, Verified
from audit.following import Follower, Following, Prepare, check_finished
from domain.chain import genesis, is_stub, link
from domain.clock import to_micros
from domain.codec import state_digest
from domain.customer import Customer
from domain.ports import Ends, History, Portion, StoredEvent, StoredHead
from journeys.rulebook import Rules

Progress = Callable[[int], None]
NO_RULEBOOK = 0
_STEP = 1_000


class Grounds(Struct, frozen=True):
    """What decisions are judged by: rulebooks by number, the digests that events may cite, and who prepares.

    ``newer`` are rulebooks of engines that this program has not got.
    """

    rulebooks: Mapping[int, Rules]
    digests: Mapping[int, str]
    prepare: Prepare
    newer: frozenset[int] = frozenset()


_ERASED = "customer.erased/1"


class _Trail(Struct):
    """One history on the way: the last entry seen, and what follows from it. None where none is followed.

    ``erased`` is whether it says by now that the customer was erased.
    """

    head: StoredHead
    following: Following | None
    erased: bool = False


class Record:
    """One portion of a partition, up to where it ends now: what is recorded meanwhile lies beyond."""

    def __init__(
        self, history: History, partition: int, portion: Portion, grounds: Grounds, verified: Verified
    ) -> None:
        self._history = history
        self._partition = partition
        self._portion = portion
        self._verified = verified
        self._digests = {NO_RULEBOOK: ""} if partition == AUTHORED else grounds.digests
        self._follower = Follower(grounds.rulebooks, grounds.newer, grounds.prepare, set())
        # Taken before the first event is read.
        self._ends: Ends = history.ends(partition, portion)
        self._subjects = history.subjects(partition, portion)
        self._erased = history.erased(partition)
        self._retained = history.retained(partition)
        self._trails: dict[int, _Trail] = {}
        self._entry: StoredEvent | None = None

    def go_through(self, progress: Progress) -> None:
        """Check all of it; ``progress`` is told the number of events that are done in all."""
        if upto := self._ends.removed_seq:
            # Without its beginning, no history can be followed.
            self._note("audit.events_removed", seq=upto)
            return
        if self._portion.rest == 0 and not self._portion.streams:
            self._check_numbers()
        verified = self._verified
        for stored in self._history.events(self._partition, upto=self._ends.last_seq, portion=self._portion):
            verified.events += 1
            if verified.events % _STEP == 0:
                progress(verified.events)
            self._entry = stored
            try:
                self._check(stored)
            except Exception as error:
                self._find("audit.unreadable", {"reason": f"{type(error).__name__}: {error}"})
                if trail := self._trails.get(stored.stream):
                    trail.following = None
        self._check_ends()
        if self._partition != AUTHORED:
            verified.customers += len(self._trails)

    def _check_numbers(self) -> None:
        """The partition's events are numbered without a gap, and all facts that it took are there."""
        numbers = self._history.numbers(self._partition)
        for first, last in numbers.missing:
            if last == numbers.last_seq:
                values: dict[str, object] = {"expected": last, "found": first - 1}
                self._note("audit.partition_cut", values, seq=first - 1)
            else:
                self._note("audit.seq_missing", {"first": first, "last": last}, seq=last + 1)
        differing = [taken for taken in numbers.facts_taken if taken != numbers.facts]
        if differing and self._partition != AUTHORED:
            self._note("audit.facts_differ", {"expected": differing[0], "found": numbers.facts})

    def _check(self, stored: StoredEvent) -> None:
        subject = self._subjects.get(stored.stream)
        if subject is None:
            self._find("audit.unknown_stream", {"stream": stored.stream})
            return
        trail = self._trails.get(stored.stream)
        if trail is None:
            trail = self._trails[stored.stream] = self._begun(stored.stream, subject)
        whole = self._check_link(trail.head, stored)
        trail.head = StoredHead(stored.version, stored.seq, stored.hash)
        following = trail.following
        trail.erased = trail.erased or stored.kind == _ERASED
        if following is None:
            if is_stub(stored.body):
                self._check_stub(stored)
        elif not whole:
            self._give_up(trail)
        elif is_stub(stored.body):
            self._check_stub(stored)
            self._verified.redacted += 1
            self._give_up(trail)
        else:
            self._follower.take(following, stored, self._find)
            self._check_snapshot(following, stored)
            if following.over:
                self._give_up(trail)

    def _begun(self, stream: int, subject: str) -> _Trail:
        # Authored objects are made by people: there is nothing to decide again.
        followed = self._partition != AUTHORED and stream not in self._erased
        self._verified.erased += stream in self._erased
        following = Following(Customer(subject)) if followed else None
        return _Trail(StoredHead(0, 0, genesis(subject)), following)

    def _give_up(self, trail: _Trail) -> None:
        if trail.following is not None:
            self._verified.replayed += trail.following.replayed
            trail.following = None

    def _check_stub(self, stored: StoredEvent) -> None:
        """A body is missing where retention has let go of it, and nowhere else."""
        if stored.seq > self._retained.get(stored.kind, 0):
            self._find("audit.body_missing", {"kind": stored.kind})

    def _check_snapshot(self, following: Following, stored: StoredEvent) -> None:
        """A snapshot says what its history says: workers take it for the truth."""
        version, digest = self._ends.snapshots.get(stored.stream, (0, b""))
        if version == stored.version and not following.over:
            del self._ends.snapshots[stored.stream]
            if state_digest(following.customer) != digest:
                self._find("audit.snapshot_differs", {})

    def _check_link(self, head: StoredHead, stored: StoredEvent) -> bool:
        """Whether the entry follows the last one of its history, unaltered."""
        if stored.version != head.version + 1:
            self._find("audit.version_gap", {"expected": head.version + 1, "found": stored.version})
        if stored.prev != head.seq:
            self._find("audit.wrong_prev", {"expected": head.seq, "found": stored.prev})
        digest = self._digests.get(stored.rulebook)
        if digest is None:
            self._find("audit.unknown_rulebook", {"number": stored.rulebook})
            return False
        hash_ = link(
            head.hash,
            version=stored.version,
            kind=stored.kind,
            occurred_at=stored.occurred_at,
            recorded_at=stored.recorded_at,
            cause=stored.cause,
            rulebook=digest,
            body=stored.body,
        )
        if hash_ != stored.hash:
            self._find("audit.hash_differs", {"kind": stored.kind})
            return False
        return stored.version == head.version + 1

    def _check_ends(self) -> None:
        """Every history ends where the store says that it ends."""
        heads = self._ends.heads
        for stream, trail in self._trails.items():
            if trail.following is not None:
                self._check_finished(stream, trail.following)
                self._give_up(trail)
            if heads.get(stream) != trail.head:
                self._end("audit.head_differs", stream, {})
            if stream in self._erased and not trail.erased:
                self._end("audit.key_gone", stream, {})
        for stream, (version, _) in sorted(self._ends.snapshots.items()):
            if stream not in self._trails or version > self._trails[stream].head.version:
                self._end("audit.snapshot_unfounded", stream, {"version": version})
        for stream in sorted(heads.keys() - self._trails.keys()):
            self._end("audit.history_missing", stream, {})

    def _check_finished(self, stream: int, following: Following) -> None:
        goes_on = stream in self._ends.continued
        check_finished(
            following,
            awaited=self._ends.outbox,
            goes_on=goes_on,
            find=lambda code, values: self._end(code, stream, values),
        )
        if goes_on:
            return
        due = following.customer.next_timer
        if self._ends.timers.get(stream) != (to_micros(due[0]) if due else None):
            self._end("audit.timer_differs", stream, {"expected": due[0].isoformat() if due else "-"})

    def _note(self, code: str, values: dict[str, object] | None = None, *, seq: int = 0) -> None:
        self._verified.find(Finding(code, self._partition, seq, "", 0, values or {}))

    def _end(self, code: str, stream: int, values: dict[str, object]) -> None:
        trail = self._trails.get(stream)
        head = trail.head if trail else StoredHead(0, 0, b"")
        subject = self._subjects.get(stream, f"#{stream}")
        self._verified.find(Finding(code, self._partition, head.seq, subject, head.version, values))

    def _find(self, code: str, values: dict[str, object]) -> None:
        stored = self._entry
        assert stored is not None  # noqa: S101 - only what is found at an entry is told so
        subject = self._subjects.get(stored.stream, f"#{stored.stream}")
        self._verified.find(Finding(code, self._partition, stored.seq, subject, stored.version, values))
