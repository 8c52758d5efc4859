"""The segments in force with the indices that decisions need; those that others refer to come first."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from journeys.definition import EnterOnSegment, Journey, Segment
from journeys.sensitivity import heard_by, segments_asked, stays_for, turning

_TIMER = "segment:"
_NEVER = timedelta.min


def segment_timer(segment: str) -> str:
    """The name of the wake-up at which a customer's class may change."""
    return f"{_TIMER}{segment}"


class Segments:
    """Made once for each rulebook, never changed.

    ``heard`` are the segments that an event of a kind may change, ``asking`` those that refer to a segment,
    both by name; ``turning`` the conditions in a segment that turn as days pass; ``timers`` the segment that
    a wake-up is for, ``timers_of`` those of what a kind may change; ``calm`` how old the last fact of a kind
    may be so that one more changes no class; ``entries`` the journeys that are entered by a segment.
    """

    def __init__(self, segments: Iterable[Segment], journeys: Mapping[str, Journey]) -> None:
        newest = {s.segment: s for s in sorted(segments, key=lambda s: (s.segment, s.version))}
        self.in_force: dict[str, Segment] = {}
        for name in newest:
            self._add(name, newest)
        self.turning = {
            name: tuple(dict.fromkeys(leaf for part in segment.classes for leaf in turning(part.when)))
            for name, segment in self.in_force.items()
        }
        self.timers = {segment_timer(name): name for name in self.in_force}
        self.heard: dict[str, frozenset[str]] = {}
        self.asking: dict[str, frozenset[str]] = {}
        self.entries: dict[str, tuple[Journey, ...]] = {}
        for name, segment in self.in_force.items():
            for kind in frozenset().union(*(heard_by(part.when) for part in segment.classes)):
                self.heard[kind] = self.heard.get(kind, frozenset()) | {name}
            for asked in _asked(segment):
                self.asking[asked] = self.asking.get(asked, frozenset()) | {name}
        for journey in journeys.values():
            if isinstance(journey.enter, EnterOnSegment):
                asked = journey.enter.segment
                self.entries[asked] = (*self.entries.get(asked, ()), journey)
        self.timers_of = {
            kind: [segment_timer(name) for name in sorted(names)] for kind, names in self.heard.items()
        }
        self.calm = {kind: self._calm(kind) for kind in self.heard}

    def _add(self, name: str, newest: Mapping[str, Segment], above: frozenset[str] = frozenset()) -> None:
        """Put the segment behind those that it refers to; a circle, which validation refuses, is cut."""
        if name in self.in_force or name in above or name not in newest:
            return
        for asked in sorted(_asked(newest[name])):
            self._add(asked, newest, above | {name})
        self.in_force[name] = newest[name]

    def _calm(self, kind: str) -> timedelta:
        classes = [part for name in self.heard[kind] for part in self.in_force[name].classes]
        spans = [stays_for(part.when, kind) for part in classes]
        return min(_NEVER if span is None else span for span in spans)


def _asked(segment: Segment) -> frozenset[str]:
    return frozenset().union(*(segments_asked(part.when) for part in segment.classes))
