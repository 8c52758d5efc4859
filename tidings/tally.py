"""What a run did, counted."""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field

from domain.events import EnrolmentStarted, Event, MessageDeferred, MessageSuppressed


class Tally(Struct):
    """What a run did: facts and events taken, messages by status, non-sends and deferrals by rule, entries.

    ``planned`` counts the customers for whom a new rulebook changed something.
    """

    facts: int = 0
    events: int = 0
    planned: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    deferred: Counter[str] = field(default_factory=Counter)
    journeys: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Count in what another worker did."""
        self.facts += other.facts
        self.events += other.events
        self.planned += other.planned
        self.messages.update(other.messages)
        self.suppressed.update(other.suppressed)
        self.deferred.update(other.deferred)
        self.journeys.update(other.journeys)

    def count(self, decisions: Iterable[Event]) -> None:
        """Count in what followed from an input."""
        for decision in decisions:
            match decision.body:
                case EnrolmentStarted(journey=journey):
                    self.journeys[journey] += 1
                case MessageSuppressed(rule=rule):
                    self.messages["suppressed"] += 1
                    self.suppressed[rule] += 1
                case MessageDeferred(rule=rule):
                    self.deferred[rule] += 1
