"""Which classes a customer is in: looked at by their own history, and only when it may have changed."""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from domain import events
from domain.catalogue import CustomerRegistered
from domain.customer import Customer
from domain.events import Event, Values
from journeys.conditions import holds, measured
from journeys.definition import Segment
from journeys.entering import enter_on_segment
from journeys.rulebook import Rules
from journeys.segments import segment_timer
from journeys.sensitivity import first_turn, leaves
from journeys.turn import Turn

Change = events.SegmentEntered | events.SegmentLeft


def class_of(segment: Segment, customer: Customer) -> str | None:
    """The first class that holds of the customer, as of their clock; None where none does."""
    return next((part.name for part in segment.classes if holds(part.when, customer, entry={})), None)


def differs(customer: Customer, rules: Rules, *, now: datetime) -> bool:
    """Whether these rules put the customer into other classes at ``now``, or ask for an earlier wake-up."""
    if not customer.active:
        return False
    customer = replace(customer, clock_at=max(now, customer.clock_at))
    return any(
        class_of(segment, customer) != customer.segments.get(name) or _plan(customer, rules, name, now)
        for name, segment in rules.segments.in_force.items()
    )


class Memberships:
    """The classes of one customer during one decision."""

    def __init__(self, turn: Turn, cause: Event) -> None:
        self._turn = turn
        self._cause = cause
        self._done = 0
        # How deep each passage is in a chain of journeys, and how deep one that begins by it would be.
        self._depths = {name: state.depth for name, state in turn.customer.enrolments.items()}
        self._depth = 0
        self._segments = turn.rules.segments
        self._looked: set[str] = set()

    def look(self) -> None:
        """Bring every class up to date that the cause may have changed."""
        turn, segments = self._turn, self._segments
        if not segments.in_force:
            return
        if isinstance(self._cause.body, CustomerRegistered | events.RulebookAdopted):
            self._look(segments.in_force)
            return
        concerned = set(segments.heard.get(self._cause.kind, ()))
        if isinstance(self._cause.body, events.TimerFired):
            # Another wake-up of this instant may come first; it sees the class of this instant too.
            pending = turn.customer.timers
            due = {self._cause.body.timer, *(name for name in pending if pending[name].due_at <= turn.now)}
            concerned |= {segments.timers[timer] for timer in due & segments.timers.keys()}
        self._look(concerned)

    def follow(self) -> None:
        """Enter the journeys that the changes lead into, and look at what was decided since the last time.

        It ends: what a journey entered so changes leads one deeper, and a chain may be so deep only.
        """
        turn = self._turn
        while self._segments.in_force and self._done < len(turn.events):
            new, self._done = turn.events[self._done :], len(turn.events)
            for event in new:
                self._note_depth(event)
                self._lead_in(event)
                turn.because = event.version
                heard = self._segments.heard
                self._look(name for kind in _told_by(event) for name in heard.get(kind, ()))

    def plan(self) -> None:
        """Plan when to look again at what was looked at."""
        turn = self._turn
        due: dict[str, datetime] = {}
        for name in sorted(self._looked):
            due |= _plan(turn.customer, turn.rules, name, turn.now)
        if due:
            turn.because = self._cause.version
            turn.record(events.TimersPlanned(due=due, reason="segment"))

    def _look(self, names: Iterable[str]) -> None:
        concerned = set(names)
        if not concerned:
            return
        for name, segment in self._segments.in_force.items():
            if name in concerned:
                self._looked.add(name)
                if self._changed(segment):
                    concerned |= self._segments.asking.get(name, frozenset())

    def _changed(self, segment: Segment) -> bool:
        customer = self._turn.customer
        before, found = customer.segments.get(segment.segment), class_of(segment, customer)
        if found == before:
            return False
        self._turn.record(_change(segment, customer, before, found, reason=self._reason))
        return True

    @property
    def _reason(self) -> str:
        match self._cause.body:
            case events.RulebookAdopted():
                return "adopted"
            case events.TimerFired():
                return "time"
            case _:
                return "fact"

    def _lead_in(self, event: Event) -> None:
        body = event.body
        # To be looked at for the first time, or by other rules, is no change of the customer.
        if isinstance(body, Change) and body.reason != "adopted":
            for journey in self._segments.entries.get(body.segment, ()):
                occurred_at = self._cause.occurred_at
                enter_on_segment(self._turn, journey, event, occurred_at=occurred_at, depth=self._depth)

    def _note_depth(self, event: Event) -> None:
        body = event.body
        if isinstance(body, events.EnrolmentStarted):
            self._depths[body.enrolment] = body.depth
        acting = getattr(body, "enrolment", None)
        if acting in self._depths:
            self._depth = max(self._depth, self._depths[acting] + 1)


def _told_by(event: Event) -> tuple[str, ...]:
    """The kinds of what the decision changes: its own, and that of a fact that a journey tells."""
    return (event.kind, event.body.fact) if isinstance(event.body, events.FactEmitted) else (event.kind,)


def leave_all(turn: Turn) -> None:
    """The customer is gone, and in no class any more."""
    for name, before in sorted(turn.customer.segments.items()):
        version = turn.rules.segments.in_force[name].version
        left = events.SegmentLeft(segment=name, version=version, before=before, reason="withdrawn", values={})
        turn.record(left)


def _change(
    segment: Segment, customer: Customer, before: str | None, found: str | None, *, reason: str
) -> Change:
    values = _seen(segment, found, customer)
    name, version = segment.segment, segment.version
    if found is not None:
        return events.SegmentEntered(
            segment=name, version=version, into=found, before=before, reason=reason, values=values
        )
    assert before is not None  # noqa: S101 - there is a change
    return events.SegmentLeft(segment=name, version=version, before=before, reason=reason, values=values)


def _seen(segment: Segment, found: str | None, customer: Customer) -> Values:
    """What the classes up to the one that was found looked at."""
    values: Values = {}
    for part in segment.classes:
        for leaf in leaves(part.when):
            name, value = measured(leaf, customer)
            values[name] = value
        if part.name == found:
            break
    return values


def _plan(customer: Customer, rules: Rules, segment: str, now: datetime) -> dict[str, datetime]:
    """The wake-up that is needed and not pending; an earlier one looks again when it fires."""
    turning = rules.segments.turning[segment]
    if not turning:
        return {}
    timer = segment_timer(segment)
    wanted, pending = first_turn(turning, customer, now), customer.timers.get(timer)
    if wanted is None or (pending is not None and pending.due_at <= wanted):
        return {}
    return {timer: wanted}
