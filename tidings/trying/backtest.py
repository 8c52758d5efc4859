"""Documents over recorded history: what would have been sent, against what was.

Every customer's period is lived again twice, under the rulebooks of that time and with the documents in their
place. The first life must come out as it was recorded: that is the check on the second. Nothing is written.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial

from msgspec import Struct, field

from channels.base import Outgoing
from domain.catalogue import Fact
from domain.clock import to_micros
from domain.codec import encode_body, restored
from domain.customer import Customer
from domain.errors import StoreCorrupt
from domain.events import JUDGED, Event, Withheld
from domain.ids import share_of
from domain.ports import History, StoredEvent
from stores.history import StoredHistory
from tidings.trying.fates import Fates, Price, Sums
from tidings.trying.in_place import Rulebooks
from tidings.trying.recorded import Recorded, recorded
from tidings.trying.relived import Assumed, Note, Relived, Then
from tidings.trying.rulebook_times import ENDLESS, Times
from tidings.trying.unlike import Differences, Row, unlike

Progress = Callable[[int], None]
# Of an archive, whose files are read as a whole, so many customers' histories are gathered at once.
_GATHERED = 1_000
_SHOWN_UNLIKE = 20
_ERASED = "customer.erased/1"
_OF_MESSAGES = JUDGED | {
    "message.requested/1",
    "message.accepted/1",
    "message.rejected/1",
    "message.unknown/1",
    "message.postponed/1",
}


class Chosen(Struct, frozen=True):
    """Whose period is lived again: all, one ``customer``, or those whose share lies ``below``."""

    customer: str | None = None
    below: float | None = None
    seed: int = 1

    def has(self, subject: str) -> bool:
        """Whether this customer is among them."""
        if self.customer is not None:
            return subject == self.customer
        return self.below is None or self.share(subject) < self.below

    def share(self, subject: str) -> float:
        """The customer's place between 0 and 1, the same for a seed."""
        return share_of("sample", str(self.seed), subject)


class Astray(Struct, frozen=True):
    """A customer whose period does not come out as recorded under the rulebooks of that time.

    ``reason`` is differs, erased (personal data are gone) or unreadable; ``version`` the first entry that
    differs, recorded as ``found`` and made again as ``made``.
    """

    partition: int
    customer: str
    reason: str
    version: int = 0
    found: str = ""
    made: str = ""


class Found(Struct):
    """What the lives came to. It adds up.

    ``looked_at`` counts also who was not there yet. ``sent`` are messages that the record says were sent;
    ``was`` and ``tried`` count the two lives. ``compared`` are entries of ``events`` that were made again
    byte for byte.
    """

    looked_at: int = 0
    customers: int = 0
    events: int = 0
    compared: int = 0
    sent: int = 0
    was: Sums = field(default_factory=Sums)
    tried: Sums = field(default_factory=Sums)
    differences: Differences = field(default_factory=Differences)
    assumed: Assumed = field(default_factory=Assumed)
    astray: Counter[str] = field(default_factory=Counter)
    unlike: list[Astray] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        """Count in what another process has found."""
        for name in ("looked_at", "customers", "events", "compared", "sent"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for sums in ("was", "tried", "differences", "assumed"):
            getattr(self, sums).add(getattr(other, sums))
        self.astray.update(other.astray)
        self.unlike += other.unlike
        self.rows += other.rows

    def in_order(self, *, shown: int | None) -> None:
        """Bring what is listed into the order of partitions and streams, and keep the first of it."""
        self.unlike.sort(key=lambda one: (one.partition, one.customer))
        del self.unlike[_SHOWN_UNLIKE:]
        # Rows of one customer are in their order already, and sorting keeps it.
        self.rows.sort(key=lambda row: (row.partition, row.stream))
        if shown is not None:
            del self.rows[shown:]


class Period(Struct, frozen=True):
    """What is lived again: [begun, ended) (aware UTC), whose, and how many differences are kept to show."""

    begun: datetime
    ended: datetime
    chosen: Chosen = Chosen()
    shown: int = 0


def backtest(
    period: Period,
    history: History,
    rulebooks: Rulebooks,
    partitions: Iterable[tuple[int, Times]],
    *,
    progress: Progress,
    price: Price | None = None,
    write: Callable[[Row], None] = lambda row: None,
) -> Found:
    """Everybody of these partitions, one after the other; ``write`` is given every difference.

    ``progress`` is told how many customers were looked at. Raises StoreCorrupt where the beginning of a
    history is not there.
    """
    found = Found()
    lives = _Lives(period, rulebooks, found, price)
    for partition, times in partitions:
        lives.enter(times)
        subjects = {s: name for s, name in history.subjects(partition).items() if period.chosen.has(name)}
        for stream, events in _histories(history, partition, sorted(subjects)):
            for row in lives.of(partition, stream, subjects[stream], events):
                write(row)
                if len(found.rows) < period.shown:
                    found.rows.append(row)
            found.looked_at += 1
            progress(found.looked_at)
    return found


def _histories(
    history: History, partition: int, streams: Sequence[int]
) -> Iterator[tuple[int, Sequence[StoredEvent]]]:
    """The histories of these customers, few in memory at a time."""
    if isinstance(history, StoredHistory) or len(streams) == 1:
        for stream in streams:
            yield stream, history.history(partition, stream)
        return
    for start in range(0, len(streams), _GATHERED):
        gathered: dict[int, list[StoredEvent]] = {stream: [] for stream in streams[start : start + _GATHERED]}
        for event in history.events(partition, upto=ENDLESS):
            if (known := gathered.get(event.stream)) is not None:
                known.append(event)
        yield from gathered.items()


class _Lives:
    """Both lives of one customer after the other."""

    def __init__(self, period: Period, rulebooks: Rulebooks, found: Found, price: Price | None) -> None:
        self._period, self._rulebooks, self._found, self._price = period, rulebooks, found, price

    def enter(self, times: Times) -> None:
        """Another partition begins, to which rulebooks came at these times."""
        books = self._rulebooks
        was, tried = (
            Then(book, partial(books.asks, book), begins, times.switches)
            for book, begins in ((books.was, lambda _: False), (books.tried, books.begins))
        )
        self._then_was, self._then_tried = was, tried

    def of(self, partition: int, stream: int, subject: str, events: Sequence[StoredEvent]) -> list[Row]:
        """What differs for this customer."""
        period, found = self._period, self._found
        was, tried = Fates(self._price), Fates(self._price)
        try:
            past = recorded(subject, events, begun=period.begun, ended=period.ended)
            if past is None:
                return []
            check = _Check(past)
            check.end(self._lived(past, self._then_was, was, check.note).customer)
            assumed = self._lived(past, self._then_tried, tried).assumed
        except Exception as error:
            # A record is whatever somebody has made of it: what cannot be followed is told and left out.
            if isinstance(error, StoreCorrupt) and error.code == "store.history_removed":
                raise
            self._note(Astray(partition, subject, "unreadable", made=repr(error)))
            return []
        found.customers += 1
        found.events += len(past.events)
        found.compared += check.same
        found.assumed.add(assumed)
        found.was.add(was.end())
        found.tried.add(tried.end())
        found.sent += was.sums.sent if check.astray is None else _sent(past)
        if check.astray is not None:
            version, made = check.astray
            stored = past.events.get(version)
            reason = "erased" if any(event.kind == _ERASED for event in events) else "differs"
            self._note(Astray(partition, subject, reason, version, stored.kind if stored else "", made))
        rows = unlike(was.messages, tried.messages, partition=partition, stream=stream, customer=subject)
        found.differences.count(rows)
        return rows

    def _lived(self, past: Recorded, then: Then, fates: Fates, check: Note | None = None) -> Relived:

        def note(before: Customer, events: Sequence[Event], leaving: Sequence[Outgoing]) -> None:
            fates.note(before, events, leaving)
            if check is not None:
                check(before, events, leaving)

        life = Relived(past, then, note=note)
        life.live(begun=self._period.begun, ended=self._period.ended)
        return life

    def _note(self, astray: Astray) -> None:
        self._found.astray[astray.reason] += 1
        if len(self._found.unlike) < _SHOWN_UNLIKE:
            self._found.unlike.append(astray)


class _Check:
    """Whether a life comes out as it was recorded, byte for byte; ``astray`` is where it first does not."""

    def __init__(self, past: Recorded) -> None:
        self._recorded = past.events
        self._begun = past.before.version
        self.astray: tuple[int, str] | None = None

    @property
    def same(self) -> int:
        """How many entries came out as they were recorded before one did not."""
        return len(self._recorded) if self.astray is None else self.astray[0] - self._begun - 1

    def note(self, before: Customer, events: Sequence[Event], _: Sequence[Outgoing]) -> None:
        """An input of the customer and what followed."""
        for event in events:
            if self.astray is None and not self._is_same(event):
                self.astray = (event.version, event.kind)

    def end(self, customer: Customer) -> None:
        """The life is over: nothing that was recorded may be missing from it."""
        if self.astray is None and customer.version != self._begun + len(self._recorded):
            self.astray = (min(customer.version, self._begun + len(self._recorded)) + 1, "")

    def _is_same(self, event: Event) -> bool:
        stored = self._recorded.get(event.version)
        if stored is None:
            return False
        known = (stored.kind, stored.recorded_at, stored.cause)
        if known != (event.kind, to_micros(event.recorded_at), event.cause):
            return False
        # A fact was not made by us.
        body = stored.body if stored.clear is None else stored.clear
        return isinstance(event.body, Fact | Withheld) or encode_body(event.body) == body


def _sent(past: Recorded) -> int:
    """How many messages the record says were sent in the period."""
    fates = Fates()
    requests = {name: state.request for name, state in past.before.messages.items()}
    for stored in past.events.values():
        if stored.kind in _OF_MESSAGES:
            fates.take(restored(stored), requests)
    return sum(fate.is_sent for fate in fates.messages.values())
