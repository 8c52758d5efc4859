"""Two lives of one customer's period laid side by side, message by message; and sums of what differs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import Struct, field

from tidings.trying.fates import Fate

_DAY_SECONDS = 86_400


class Side(Struct, frozen=True):
    """What became of a message in one of the lives; ``at`` is aware UTC."""

    status: str
    at: datetime
    channel: str
    template: str
    rule: str


class Row(Struct, frozen=True):
    """One message that comes out otherwise; its ``was`` or ``now`` is None where it was not asked for.

    ``what`` is one of more (sent only now), fewer (sent only then), other (another channel or other words),
    moved (sent at another time), held (not sent in either, and otherwise so). ``moved_seconds`` is how much
    later it was sent.
    """

    partition: int
    stream: int
    customer: str
    message: str
    journey: str
    step: str
    purpose: str
    what: str
    was: Side | None
    now: Side | None
    moved_seconds: int | None = None

    @property
    def because(self) -> str:
        """For what is sent in one life only, what stood against it in the other."""
        against = self.was if self.what == "more" else self.now
        return "not_asked" if against is None else against.rule or against.status


class Differences(Struct):
    """What differs, counted.

    ``messages`` by journey and sort of difference; ``because`` by sort and the rule in the other life;
    ``days`` of those sent in both lives at other times, by how many whole days later. ``customers`` by
    whether they get more messages, fewer, or as many and ``other`` ones or at other times.
    """

    messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    because: Counter[tuple[str, str]] = field(default_factory=Counter)
    days: Counter[int] = field(default_factory=Counter)
    earlier: int = 0
    later: int = 0
    customers: Counter[str] = field(default_factory=Counter)

    def count(self, rows: list[Row]) -> None:
        """Count in one customer's."""
        balance, touched = 0, False
        for row in rows:
            self.messages[row.journey, row.what] += 1
            touched = touched or row.what != "held"
            if row.what in ("more", "fewer"):
                balance += 1 if row.what == "more" else -1
                self.because[row.what, row.because] += 1
            elif row.moved_seconds:
                self.earlier += row.moved_seconds < 0
                self.later += row.moved_seconds > 0
                self.days[int(row.moved_seconds / _DAY_SECONDS)] += 1
        if touched:
            self.customers["more" if balance > 0 else "fewer" if balance < 0 else "other"] += 1

    def add(self, other: "Differences") -> None:
        """Count in what another process has found."""
        self.messages.update(other.messages)
        self.because.update(other.because)
        self.days.update(other.days)
        self.customers.update(other.customers)
        self.earlier += other.earlier
        self.later += other.later


def unlike(
    was: Mapping[str, Fate], now: Mapping[str, Fate], *, partition: int, stream: int, customer: str
) -> list[Row]:
    """The messages that come out otherwise, by when they first do so, then by id."""
    rows = [
        Row(
            partition,
            stream,
            customer,
            name,
            fate.journey,
            fate.step,
            fate.purpose,
            what,
            _side(then),
            _side(tried),
            _moved(then, tried),
        )
        for name, then, tried in _pairs(was, now)
        if (fate := tried or then) is not None and (what := _what(then, tried))
    ]
    return sorted(rows, key=lambda row: (min(side.at for side in (row.was, row.now) if side), row.message))


def _pairs(
    was: Mapping[str, Fate], now: Mapping[str, Fate]
) -> Iterator[tuple[str, Fate | None, Fate | None]]:
    """What became of each message in both lives, under its recorded id where there is one.

    It is the same message by its id, or as the same step of the one passage that began at the same instant.
    """
    mine, theirs = (_by_passage(one, other) for one, other in ((was, now), (now, was)))
    same = {mine[passage]: theirs[passage] for passage in mine.keys() & theirs.keys()}
    for name, then in was.items():
        yield name, then, now.get(same.get(name, name))
    paired = set(same.values())
    for name, tried in now.items():
        if name not in was and name not in paired:
            yield name, None, tried


def _by_passage(fates: Mapping[str, Fate], others: Mapping[str, Fate]) -> dict[tuple[object, ...], str]:
    """The messages that the other life does not know by their ids, by what asked for each of them alone."""
    left = [(fate.asked_by, name) for name, fate in fates.items() if name not in others and fate.asked_by]
    often = Counter(asked_by for asked_by, _ in left)
    return {asked_by: name for asked_by, name in left if often[asked_by] == 1}


def _what(was: Fate | None, now: Fate | None) -> str:
    left, leaves = was is not None and was.is_sent, now is not None and now.is_sent
    if leaves and not left:
        return "more"
    if left and not leaves:
        return "fewer"
    if was is None or now is None:
        return "held"
    if not left:
        same = (was.status, was.rule, was.at, was.channel) == (now.status, now.rule, now.at, now.channel)
        return "" if same else "held"
    if (was.channel, was.template, was.words) != (now.channel, now.template, now.words):
        return "other"
    return "moved" if was.at != now.at else ""


def _side(fate: Fate | None) -> Side | None:
    return None if fate is None else Side(fate.status, fate.at, fate.channel, fate.template, fate.rule)


def _moved(was: Fate | None, now: Fate | None) -> int | None:
    if was is None or now is None or not (was.is_sent and now.is_sent) or was.at == now.at:
        return None
    return round((now.at - was.at).total_seconds())
