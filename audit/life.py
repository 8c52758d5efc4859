"""One customer's life as audit looks at it: the history, the state after any of it, the rules of then."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

from msgspec import Struct
from msgspec.structs import replace

from audit.ruling import Ruling, Shelf
from audit.unmet import Leaf
from audit.why import Link, causes, link_of
from domain.catalogue import CustomerErased
from domain.clock import at_local, local_day
from domain.customer import Customer
from domain.events import Event, FactEmitted, SegmentEntered, SegmentLeft, TimersPlanned
from domain.fold import folded

_MIDNIGHT = time(0)


class Window(Struct, frozen=True):
    """Days of the customer's calendar, both included, and their instants (aware UTC): ``end`` is beyond."""

    first: date
    last: date
    begin: datetime
    end: datetime

    def has(self, at: datetime) -> bool:
        """Whether the instant lies within."""
        return self.begin <= at < self.end


def window_of(first: date, last: date, zone: str) -> Window:
    """The days from ``first`` to ``last`` on the wall clock of ``zone``."""
    begin, end = (at_local(day, _MIDNIGHT, zone) for day in (first, last + timedelta(days=1)))
    return Window(first, last, begin, end)


class Answer(Struct, frozen=True, kw_only=True):
    """One reason for a silence, or the message that breaks it.

    ``basis`` is ``record`` where an event says so, ``reckoned`` where nothing was recorded and the rules of
    then were asked again of the state of then. ``event`` and ``seq`` cite the event that it rests on, in the
    customer's history and in their partition. ``rules`` are those that decided, or were asked. ``unmet`` are
    the parts of a condition that were not as they should have been. ``chain`` leads to the cited event.
    """

    journey: str
    version: int | None = None
    reason: str
    basis: str
    at: datetime | None = None
    event: int | None = None
    seq: int | None = None
    values: dict[str, object] = {}
    message: str | None = None
    unmet: list[Leaf] = []
    rules: Ruling | None = None
    chain: list[Link] = []


class Life:
    """A customer's whole history; ``reached`` (aware UTC) is up to when their partition was lived through."""

    def __init__(
        self,
        subject: str,
        history: Sequence[Event],
        shelf: Shelf,
        *,
        reached: datetime,
        seqs: Sequence[int] = (),
    ) -> None:
        self.subject = subject
        self.history = history
        self.shelf = shelf
        self.reached = reached
        self._seqs = seqs
        self._states: dict[int, Customer] = {0: Customer(subject)}
        self._about: dict[str, list[Event]] = {}
        for event in history:
            for name in ("message", "enrolment"):
                if isinstance(found := getattr(event.body, name, None), str):
                    self._about.setdefault(found, []).append(event)

    def after(self, version: int) -> Customer:
        """The state right after the event of this version; 0: before the first."""
        known = self._states.get(version)
        if known is None:
            nearest = max(number for number in self._states if number < version)
            known = folded(self._states[nearest], self.history[nearest:version])
            self._states[version] = known
        return known

    def before(self, moment: datetime) -> Customer:
        """The state of everything that was recorded before an instant (aware UTC)."""
        return self.after(bisect_left(self.history, moment, key=lambda event: event.recorded_at))

    def between(self, begin: datetime, end: datetime) -> Sequence[Event]:
        """What was recorded from ``begin`` on and before ``end`` (aware UTC)."""
        first, last = (
            bisect_left(self.history, at, key=lambda event: event.recorded_at) for at in (begin, end)
        )
        return self.history[first:last]

    def inside(self, window: Window) -> Sequence[Event]:
        """What was recorded in the window."""
        return self.between(window.begin, window.end)

    def about(self, name: str) -> Sequence[Event]:
        """The events that speak of a message or an enrolment by its id; a request speaks of both."""
        return self._about.get(name, ())

    @property
    def erased_at(self) -> datetime | None:
        """When the customer was erased: what was personal of them may be known no more. None if never."""
        bodies = ((event.body, event.recorded_at) for event in reversed(self.history))
        return next((at for body, at in bodies if isinstance(body, CustomerErased)), None)

    def asked_at(self, cause: Event) -> Customer:
        """The state in which it is asked what ``cause`` leads to: with it and its changes of classes."""
        version = cause.version
        for event in self.history[version:]:
            looked = isinstance(event.body, SegmentEntered | SegmentLeft)
            if not looked or event.cause != cause.version:
                break
            version = event.version
        return self.after(version)

    def recorded(self, event: Event, answer: Answer) -> Answer:
        """The answer, citing the event on record that says so."""
        return self._cited(event, answer, basis="record")

    def reckoned(self, event: Event | None, answer: Answer) -> Answer:
        """The answer that no event gives, citing the one that it was worked out from."""
        return answer if event is None else self._cited(event, answer, basis="reckoned")

    def planned(self, customer: Customer, timer: str) -> Event | None:
        """The event that planned a wake-up which is pending in this state."""
        pending = customer.timers.get(timer)
        event = self.history[pending.version - 1] if pending else None
        return event if event is not None and isinstance(event.body, TimersPlanned) else None

    def _cited(self, event: Event, answer: Answer, *, basis: str) -> Answer:
        book = self.shelf.of(event.version) if answer.rules is None else None
        return replace(
            answer,
            basis=basis,
            at=answer.at or event.recorded_at,
            event=event.version,
            seq=self._seqs[event.version - 1] if self._seqs else None,
            rules=answer.rules or (book.ruling if book else None),
            chain=[link_of(cause) for cause in causes(self.history, event)],
        )

    def zone_at(self, day: date) -> str:
        """The zone by which the customer's day is told: that of then, or the first that was known."""
        noon = at_local(day, time(12), "UTC")
        zone = self.before(noon).zone if self.before(noon).registered_at else None
        return zone or self.after(len(self.history)).zone

    def day_of(self, at: datetime, customer: Customer) -> str:
        """The day of the customer's calendar, as texts have it."""
        return local_day(at, customer.zone).isoformat()


def of_kind(events: Sequence[Event], kind: str) -> Iterator[Event]:
    """Those of the events that are of a kind, a fact told by a journey included."""
    for event in events:
        if event.kind == kind or (isinstance(event.body, FactEmitted) and event.body.fact == kind):
            yield event
