"""What one event changes in a customer's state, field by field."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from domain.customer import Customer
from domain.events import Event
from domain.fold import evolve
from domain.tally import Tally, entries

# These move with every event and say nothing.
_ALWAYS = ("version", "clock_at")
# Whoever reads the text must not learn who it is; JSON has the values.
_PERSONAL = {
    *("given_name", "family_name", "birth_date", "addresses", "dead_addresses", "opted_out", "devices"),
    # Of messages: where they go, and the words that are filled in.
    *("sent_to", "variables"),
}


class Change(Struct, frozen=True):
    """A part of the state by its path (``enrolments.<id>.step``), before and after; None: it is not there."""

    path: tuple[str, ...]
    before: object
    after: object

    @property
    def personal(self) -> bool:
        """Whether its values tell who somebody is."""
        return not _PERSONAL.isdisjoint(self.path)

    @property
    def public(self) -> "Change":
        """The change without what would tell who somebody is, in parts that came or went as a whole."""
        return replace(self, before=_public(self.before), after=_public(self.after))


def changes(
    subject: str, history: Sequence[Event], *, as_of: datetime | None = None
) -> Iterator[list[Change]]:
    """What each event of a history as of an instant, which begins with the first, changed."""
    customer = Customer(subject)
    for event in history:
        late = as_of is not None and event.recorded_at > as_of
        told = replace(event, recorded_at=as_of) if late else event
        after = replace(evolve(customer, told), version=event.version)
        yield list(changed(customer, after))
        customer = after


def changed(before: Customer, after: Customer) -> Iterator[Change]:
    """The parts in which two states differ."""
    for name in Customer.__struct_fields__:
        was, now = getattr(before, name), getattr(after, name)
        if name not in _ALWAYS and was is not now and was != now:
            yield from _differing((name,), _plain(was), _plain(now))


def _differing(path: tuple[str, ...], before: object, after: object) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            was, now = before.get(name), after.get(name)
            if was != now:
                yield from _differing((*path, str(name)), was, now)
        return
    yield Change(path, before, after)


def _public(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {name: _public(part) for name, part in value.items() if name not in _PERSONAL}


def _plain(value: object) -> object:
    """The value as JSON has it, counts by day added up."""
    if isinstance(value, dict) and any(isinstance(part, Tally) for part in value.values()):
        return {name: sum(number for _, number in entries(tally)) for name, tally in value.items()}
    return to_builtins(value)
