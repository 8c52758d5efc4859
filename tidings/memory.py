"""Customers in a worker's memory: loaded when needed, kept while there is room, snapshots left behind."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from msgspec import Struct

from domain.codec import decode_state, encode_state, restored
from domain.customer import Customer
from domain.fold import folded
from domain.ports import StoredHead
from stores.batch import Changes, Snapshot, Stored
from stores.journal import Journal
from stores.vault import Key

_SNAPSHOTS_AT_ONCE = 1_000


class Room(Struct, frozen=True):
    """How much a worker keeps: ``customers`` in memory at most, and after how many events a new snapshot.

    A snapshot costs about as much as reading two events back; one for every 20 makes a customer's first
    fact cheap and is hardly seen in a run.
    """

    customers: int
    events_between_snapshots: int = 20


class Held(Struct):
    """A customer in memory, where their history ends, when they are woken next, and the last snapshot.

    ``ahead`` is the next wake-up by now (aware UTC, and its name), ``due_at`` the one that the store knows;
    ``snapshot`` is the version that the store has a state of, 0 for none; ``key`` seals what is personal.
    """

    stream: int
    customer: Customer
    head: StoredHead
    ahead: tuple[datetime, str] | None
    due_at: datetime | None
    snapshot: int
    key: Key | None


class Memory:
    """The customers of one partition. The younger half holds who was needed of late, the older the rest."""

    def __init__(self, journal: Journal, room: Room) -> None:
        self._journal = journal
        self._room = room
        self._younger: dict[int, Held] = {}
        self._older: dict[int, Held] = {}

    def fetch(self, streams: set[int]) -> dict[int, Held]:
        """All in memory of late, these customers among them. Call it between transactions only."""
        missing = streams - self._younger.keys()
        if not missing:
            return self._younger
        if self._younger and len(self._younger) + len(missing) > self._room.customers // 2:
            self._keep(self._older.values())
            self._older, self._younger = self._younger, {}
            missing = streams
        for stream in missing & self._older.keys():
            self._younger[stream] = self._older.pop(stream)
        unknown = missing - self._younger.keys()
        if unknown:
            for stream, stored in self._journal.load(unknown).items():
                self._younger[stream] = _held(stream, stored)
        return self._younger

    def leave(self) -> None:
        """Leave snapshots behind, so that the next worker need not read histories."""
        self._keep(self._older.values())
        self._keep(self._younger.values())

    def _keep(self, customers: Iterable[Held]) -> None:
        enough = self._room.events_between_snapshots
        grown = (held for held in customers if held.head.version - held.snapshot >= enough)
        while some := list(islice(grown, _SNAPSHOTS_AT_ONCE)):
            self._journal.commit(Changes(snapshots=list(map(_snapshot, some))))


def _held(stream: int, stored: Stored) -> Held:
    customer = state_of(stored)
    snapshot = customer.version - len(stored.events)
    ahead = customer.next_timer
    return Held(stream, customer, stored.head, ahead, ahead[0] if ahead else None, snapshot, stored.key)


def state_of(stored: Stored) -> Customer:
    """The customer as the history makes them: the last snapshot, and what came after folded in."""
    known = Customer(stored.subject) if stored.state is None else decode_state(stored.state)
    return folded(known, map(restored, stored.events))


def _snapshot(held: Held) -> Snapshot:
    held.snapshot = held.head.version
    return Snapshot(held.stream, held.snapshot, encode_state(held.customer), held.key)
