"""A journey beside all published ones, on the customers of a store: what it adds, and what it takes.

Everybody is lived through twice, with the document and without it, and each message is compared.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct, field

from tidings.trying.audience import Audience
from tidings.trying.book import Book
from tidings.trying.passages import Fate, Passages, Watch
from tidings.trying.simulation import lived

Progress = Callable[[int], None]


class Clash(Struct):
    """What the document does to the messages of another journey.

    Counted by the rule that stands against them then: ``lost`` are not sent in these days any more,
    ``later`` go out on a later day. ``gained`` go out in these days only because of the document.
    """

    lost: Counter[str] = field(default_factory=Counter)
    later: int = 0
    gained: int = 0

    def add(self, other: "Clash") -> None:
        """Count in what other customers met with."""
        self.lost.update(other.lost)
        self.later += other.later
        self.gained += other.gained


class Tried(Struct):
    """Both runs by journey, and what of the others' messages differs. It adds up."""

    customers: int = 0
    without: dict[str, Passages] = field(default_factory=dict)
    beside: dict[str, Passages] = field(default_factory=dict)
    clashes: dict[str, Clash] = field(default_factory=dict)

    def add(self, other: "Tried") -> None:
        """Count in what another process found."""
        self.customers += other.customers
        for mine, theirs in ((self.without, other.without), (self.beside, other.beside)):
            for journey, passages in theirs.items():
                mine.setdefault(journey, Passages()).add(passages)
        for journey, clash in other.clashes.items():
            self.clashes.setdefault(journey, Clash()).add(clash)


class Trial(Struct, frozen=True):
    """What is tried: the journey's name, what is in force, and the same with the document put beside."""

    journey: str
    current: Book
    tried: Book
    until: datetime
    replayed: int | None = None


def dry_run(trial: Trial, audience: Audience, partitions: Sequence[int], *, progress: Progress) -> Tried:
    """Live everybody of these partitions through, a slice in memory at a time.

    ``progress`` is told how many customers were looked at.
    """
    found = Tried()
    without, beside = Watch(), Watch()
    for partition in partitions:
        under = audience.under(partition, trial.tried)
        for some in audience.slices(partition):
            if trial.replayed is not None:
                some = list(
                    audience.with_facts_again(partition, some, replayed=trial.replayed, until=trial.until)
                )
            for _, subject in some:
                lived(subject, trial.current, without, until=trial.until)
                lived(under(subject), trial.tried, beside, until=trial.until)
                _compare(trial.journey, without.fates, beside.fates, found.clashes)
            found.customers += len(some)
            progress(found.customers)
    found.without, found.beside = without.journeys, beside.journeys
    return found


def _compare(
    journey: str, without: dict[str, Fate], beside: dict[str, Fate], clashes: dict[str, Clash]
) -> None:
    """What became of one customer's messages of other journeys."""
    for message in without.keys() | beside.keys():
        was, now = without.get(message), beside.get(message)
        fate = was or now
        if fate is not None and fate.journey != journey and was != now:
            _clash(clashes.setdefault(fate.journey, Clash()), was, now)


def _clash(clash: Clash, was: Fate | None, now: Fate | None) -> None:
    before, after = was and was.sent_on, now and now.sent_on
    if before and after:
        clash.later += after > before
    elif before:
        clash.lost[now.rule if now else "not_asked"] += 1
    elif after:
        clash.gained += 1
