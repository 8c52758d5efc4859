"""What the inner rooms need of a store, said without knowing one."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from msgspec import Struct


class StoredEvent(Struct, frozen=True, gc=False):
    """An event as it lies in the store. Instants are microseconds since 1970; ``prev`` is a seq or 0.

    ``body`` is what the chain is over: personal data in it are sealed. ``clear`` is the body with them, where
    there are any and their key is at hand; None otherwise. A body that retention let go of is replaced by
    ``domain.chain.stub`` of it: a zero byte, which no body begins with, and its SHA-256.
    """

    seq: int
    stream: int
    version: int
    prev: int
    kind: str
    occurred_at: int
    recorded_at: int
    cause: int
    rulebook: int
    hash: bytes
    body: bytes
    clear: bytes | None = None


class StoredHead(Struct, frozen=True, gc=False):
    """Where a history ends."""

    version: int
    seq: int
    hash: bytes


class StoredRulebook(Struct, frozen=True):
    """A rulebook as it lies in the store: the digest (hex) that names it, and its canonical bytes."""

    digest: str
    body: bytes


class StoredDocument(Struct, frozen=True):
    """One version of a document: ``kind`` says of what sort, ``body`` is its canonical bytes."""

    kind: str
    name: str
    version: int
    digest: str
    body: bytes


class Portion(Struct, frozen=True):
    """Some of a partition's histories: the named ``streams``, or every ``of``-th one, counted from ``rest``.

    The portions of one ``of`` and each ``rest`` below it have all of the partition's events between them,
    also those of streams that nobody has: a stream belongs where its absolute value leaves that rest.
    """

    rest: int = 0
    of: int = 1
    streams: frozenset[int] = frozenset()

    def has(self, stream: int) -> bool:
        """Whether the stream is one of them."""
        return stream in self.streams if self.streams else abs(stream) % self.of == self.rest


WHOLE = Portion()


class Size(Struct, frozen=True):
    """How much there is of a partition, as it counts itself."""

    events: int
    customers: int


class Numbers(Struct, frozen=True):
    """A partition's own counts beside what lies in it, as of one instant.

    ``missing`` are the stretches of sequence numbers, first and last, that are not there up to ``last_seq``.
    ``facts`` are those recorded, ``facts_taken`` how many there must be, by each of the partition's counts.
    """

    last_seq: int
    missing: list[tuple[int, int]]
    facts: int
    facts_taken: tuple[int, ...] = ()


def numbered(seqs: Iterable[int], last_seq: int) -> list[tuple[int, int]]:
    """The stretches that are missing, or out of their place, in what should count from 1 to ``last_seq``."""
    missing, last = list[tuple[int, int]](), 0
    for seq in seqs:
        if seq != last + 1:
            missing.append((last + 1, seq - 1))
        last = seq
    return [*missing, (last + 1, last_seq)] if last < last_seq else missing


class Ends(Struct, frozen=True):
    """How far a partition, or a portion of it, goes, as of one instant: what is recorded later lies beyond.

    ``timers`` tells by stream when each customer is to be woken next, in microseconds since 1970, and
    ``snapshots`` of which version the store has a state, with ``domain.codec.state_digest`` of it.
    ``continued`` are the streams of which neither ``outbox`` nor ``timers`` tell: they go on beyond.
    Events up to ``removed_seq`` may lie in an archive only.
    """

    last_seq: int
    heads: dict[int, StoredHead]
    outbox: set[str]
    timers: dict[int, int]
    snapshots: dict[int, tuple[int, bytes]] = {}
    continued: frozenset[int] = frozenset()
    removed_seq: int = 0


class History(Protocol):
    """Read access to everything that was recorded, for audit."""

    def customer_partitions(self) -> Sequence[int]:
        """The partitions that hold customers, in order."""

    def stray_partitions(self) -> Sequence[int]:
        """Partitions that hold histories and that the store does not count among its own."""

    def sizes(self) -> dict[int, Size]:
        """How much there is of each partition that the store counts among its own."""

    def numbers(self, partition: int) -> Numbers:
        """The partition's own counts, and what does not fit them."""

    def keys_missing(self) -> int:
        """How many identities of facts are missing for the facts that were told; below 0: too many."""

    def ends(self, partition: int, portion: Portion = WHOLE) -> Ends:
        """Where the partition, and each history in the portion, ends."""

    def last_seq(self, partition: int) -> int:
        """The sequence number of the partition's last event; 0 before the first."""

    def reached(self, partition: int) -> int:
        """Up to which instant (microseconds since 1970) the partition has been lived through."""

    def events(
        self, partition: int, *, upto: int, after: int = -1, portion: Portion = WHOLE
    ) -> Iterator[StoredEvent]:
        """The portion's events beyond one sequence number up to another, in the order of the numbers.

        Those of named streams may be found by their back-pointers, from where their histories end.
        """

    def history(self, partition: int, stream: int) -> list[StoredEvent]:
        """One customer's events in the order of their versions, found by their back-pointers."""

    def subjects(self, partition: int, portion: Portion = WHOLE) -> dict[int, str]:
        """The customers of the portion, by stream."""

    def erased(self, partition: int) -> set[int]:
        """Streams that have no key any more: their decisions cannot be made again.

        One of a customer who was not erased is a finding.
        """

    def retained(self, partition: int) -> dict[str, int]:
        """By kind, up to which sequence number retention may have replaced bodies by their stubs.

        A stub beyond it, or of a kind that is not named, is a finding: somebody has taken that body out.
        """

    def find(self, subject: str) -> tuple[int, int] | None:
        """Partition and stream of a customer; None for who was never registered."""

    def rulebooks(self) -> dict[int, StoredRulebook]:
        """Every rulebook that was ever in force, by its number."""

    def documents(self) -> list[StoredDocument]:
        """Every version of every published document."""
