"""What the inner rooms need of a store, said without knowing one."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct


class StoredEvent(Struct, frozen=True, gc=False):
    """An event as it lies in the store. Instants are microseconds since 1970; ``prev`` is a seq or 0."""

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
    """One version of a document: ``kind`` is journey, template or policy; ``body`` its canonical bytes."""

    kind: str
    name: str
    version: int
    digest: str
    body: bytes


class History(Protocol):
    """Read access to everything that was recorded, for audit."""

    def customer_partitions(self) -> Sequence[int]:
        """The partitions that hold customers, in order."""

    def last_seq(self, partition: int) -> int:
        """The sequence number of the partition's last event; 0 where it has none."""

    def events(self, partition: int, *, after: int = 0) -> Iterator[StoredEvent]:
        """The partition's events in the order of their sequence numbers."""

    def history(self, partition: int, stream: int) -> list[StoredEvent]:
        """One customer's events in the order of their versions, found by their back-pointers."""

    def heads(self, partition: int) -> dict[int, StoredHead]:
        """Where each history of the partition ends, by stream."""

    def subjects(self, partition: int) -> dict[int, str]:
        """The customers of the partition, by stream."""

    def find(self, subject: str) -> tuple[int, int] | None:
        """Partition and stream of a customer; None for who was never registered."""

    def rulebooks(self) -> dict[int, StoredRulebook]:
        """Every rulebook that was ever in force, by its number."""

    def documents(self) -> list[StoredDocument]:
        """Every version of every published document."""

    def outbox(self, partition: int) -> set[str]:
        """The messages whose intent is recorded and whose answer is still awaited."""
