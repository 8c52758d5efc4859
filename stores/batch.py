"""What passes between a worker and the store for one micro-batch: what is due, and what it changes."""

from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from domain.ports import StoredEvent, StoredHead
from stores.vault import Key


class PendingFact(NamedTuple):
    """A fact that waits to be decided on; the first three fields are its place in business time.

    ``body`` and ``clear`` as of ``domain.ports.StoredEvent``.
    """

    occurred_at: int
    rank: int
    position: int
    stream: int
    kind: str
    body: bytes
    clear: bytes | None = None


class Pending(NamedTuple):
    """What is due, complete up to ``horizon`` (microseconds): later timers may fire only up to there."""

    facts: list[PendingFact]
    timers: list[tuple[int, int]]
    horizon: int


class Snapshot(NamedTuple):
    """A customer's state as of a version of their history, in its stored form, to be sealed by ``key``."""

    stream: int
    version: int
    state: bytes
    key: Key | None


class Stored(NamedTuple):
    """A customer as the store has them: identity, where the history ends, the last state, what came after.

    ``key`` seals what is personal; None where it was destroyed.
    """

    subject: str
    head: StoredHead
    state: bytes | None
    events: list[StoredEvent]
    key: Key | None = None


class Changes(Struct):
    """What one micro-batch changes, gathered as rows for set-based statements.

    What is removed from the outbox is removed before anything is added; ``outbox_begun`` are messages of it,
    just added or there before, that are about to be given to their channels. ``calls`` are rows of the table
    without their partition. ``adopted`` is the number of a rulebook, and the last customer who has been
    looked at for it.
    """

    events: list[tuple[object, ...]] = []
    heads: dict[int, StoredHead] = {}
    timers: dict[int, datetime | None] = {}
    outbox_removed: list[str] = []
    outbox_added: dict[str, int] = {}
    outbox_begun: set[str] = set()
    calls: list[tuple[object, ...]] = []
    consumed: list[tuple[int, int, int]] = []
    snapshots: list[Snapshot] = []
    adopted: tuple[int, int] | None = None
