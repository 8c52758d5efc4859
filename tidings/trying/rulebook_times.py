"""When each rulebook came to the customers of a partition, and from when to when anything was recorded."""

from collections.abc import Callable, Iterator
from datetime import datetime

from msgspec import Struct

from domain.clock import from_micros
from domain.errors import StoreCorrupt
from domain.ports import History, StoredEvent
from stores.history import StoredHistory

ENDLESS = 2**62


class Times(Struct, frozen=True):
    """Of one partition: its rulebooks with the first recorded time of each (aware UTC), in their order.

    ``first`` and ``last`` are the recorded times of the first and the last event.
    """

    switches: tuple[tuple[datetime, int], ...]
    first: datetime
    last: datetime

    def in_force(self, *, begun: datetime, ended: datetime) -> set[int]:
        """The numbers of the rulebooks that decided in [begun, ended)."""
        known = [number for at, number in self.switches if at < begun][-1:]
        return {*known, *(number for at, number in self.switches if begun <= at < ended)}


def times_of(history: History, partition: int) -> Times | None:
    """The partition's times; None where nothing was recorded.

    No worker goes back to an older rulebook, so numbers only grow. Raises StoreCorrupt where the beginning is
    in the store no more.
    """
    if isinstance(history, StoredHistory):
        return _searched(history, partition)
    return _gone_through(history.events(partition, upto=ENDLESS))


def _gone_through(events: Iterator[StoredEvent]) -> Times | None:
    """The times of an archive, whose files are read from their beginnings in any case."""
    first = last = next(events, None)
    if first is None or last is None:
        return None
    switches = [first]
    for last in events:
        if last.rulebook > switches[-1].rulebook:
            switches.append(last)
    return _times(switches, last)


def _searched(history: History, partition: int) -> Times | None:
    """The times of a store, by looking at few of its events."""

    def at(seq: int) -> StoredEvent | None:
        return next(iter(history.events(partition, upto=seq, after=seq - 1)), None)

    first = at(1)
    if first is None:
        # Later events without the first: the beginning lies in an archive.
        if (later := next(iter(history.events(partition, upto=ENDLESS)), None)) is not None:
            raise StoreCorrupt(
                "store.history_removed", customer=history.subjects(partition).get(later.stream)
            )
        return None
    beyond = 2
    while at(beyond) is not None:
        beyond *= 2
    switches, seq = [first], 1
    last = at(_first(lambda seq: at(seq) is None, beyond // 2, beyond) - 1) or first
    while switches[-1].rulebook < last.rulebook:
        number = switches[-1].rulebook

        def is_later(seq: int, number: int = number) -> bool:
            return (found := at(seq)) is None or found.rulebook > number

        seq = _first(is_later, seq, last.seq)
        if (found := at(seq)) is None:
            break
        switches.append(found)
    return _times(switches, last)


def _times(switches: list[StoredEvent], last: StoredEvent) -> Times:
    return Times(
        tuple((from_micros(event.recorded_at), event.rulebook) for event in switches),
        from_micros(switches[0].recorded_at),
        from_micros(last.recorded_at),
    )


def _first(holds: Callable[[int], bool], below: int, above: int) -> int:
    """The first number that it holds of, where it does not of ``below`` and does of ``above``."""
    while above - below > 1:
        middle = (below + above) // 2
        if holds(middle):
            above = middle
        else:
            below = middle
    return above
