"""What the inner rooms need of a store, said without knowing one."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct


class StoredEvent(Struct, frozen=True, gc=False):
    """An event as it lies in the store. Instants are microseconds since 1970; ``prev`` is a seq or 0.

    ``body`` is what the chain is over: personal data in it are sealed. ``clear`` is the body with them, where
    there are any and their key is at hand; None otherwise.
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


class Ends(Struct, frozen=True):
    """How far a partition goes, all of it as of one instant: what is recorded later lies beyond.

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

    def ends(self, partition: int) -> Ends:
        """Where the partition, and each history in it, ends."""

    def events(self, partition: int, *, upto: int, after: int = -1) -> Iterator[StoredEvent]:
        """The partition's events beyond one sequence number up to another, in the order of the numbers."""

    def history(self, partition: int, stream: int) -> list[StoredEvent]:
        """One customer's events in the order of their versions, found by their back-pointers."""

    def subjects(self, partition: int) -> dict[int, str]:
        """The customers of the partition, by stream."""

    def find(self, subject: str) -> tuple[int, int] | None:
        """Partition and stream of a customer; None for who was never registered."""

    def rulebooks(self) -> dict[int, StoredRulebook]:
        """Every rulebook that was ever in force, by its number."""

    def documents(self) -> list[StoredDocument]:
        """Every version of every published document."""
