"""A customer's history as a picture: shapes on a plane, to be painted as SVG or on a page."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import log1p
from typing import Literal

from msgspec import Struct, field

from audit.evidence.contents import message_of
from domain.catalogue import ConsentGranted, ConsentWithdrawn, Fact
from domain.events import EnrolmentEnded, EnrolmentStarted, Event, MessageRequested, status_of

WIDTH = 1000
_LEFT, _RIGHT = 190, 20
_TOP, _ROW, _AXIS, _LEGEND = 14, 30, 30, 30
_BUCKETS = 130
_MOST_ROWS = 14
_MOST_TICKS = 9
_DAY = timedelta(days=1)
Sort = Literal["rect", "line", "dot", "ring", "up", "down", "text"]


class Shape(Struct, frozen=True):
    """One shape. ``x``, ``y`` is a corner, a centre or where a text begins (or ends: ``anchor``); ``to_x``,
    ``to_y`` the other end of a line or corner of a rectangle. ``style`` names a colour."""

    sort: Sort
    x: float
    y: float
    style: str
    to_x: float = 0
    to_y: float = 0
    text: str = ""
    anchor: Literal["start", "middle", "end"] = "start"


class Picture(Struct, frozen=True):
    """Shapes in the order of painting; ``WIDTH`` wide and so many units high."""

    height: float
    shapes: list[Shape]


class _Row(Struct):
    """A journey's row: passages through it, and its messages with what became of them."""

    name: str
    passages: dict[str, tuple[datetime, datetime | None]] = field(default_factory=dict)
    messages: dict[str, tuple[datetime, str]] = field(default_factory=dict)

    @property
    def begins_at(self) -> datetime:
        """When there is something to see first."""
        return min([*(p[0] for p in self.passages.values()), *(m[0] for m in self.messages.values())])


def timeline(history: Sequence[Event], labels: Mapping[str, str]) -> Picture:
    """The picture of these events, at least one. ``labels`` are the words for ``facts``, ``consents``,
    ``others`` (rows that have no room) and the legend's ``sent``, ``not_sent``, ``waiting``, ``passage``,
    ``yes`` and ``no``.
    """
    # What had happened before anything was recorded would take most of the room: it stands at the edge.
    begins_at = history[0].recorded_at
    scale = _Scale(max(e.occurred_at for e in history), begins_at)
    for event in history:
        scale.reach(max(event.occurred_at, begins_at))
    rows = sorted(_rows(history).values(), key=lambda row: (row.begins_at, row.name))
    left_out = len(rows) - _MOST_ROWS
    rows = rows[:_MOST_ROWS]
    bottom = _TOP + _ROW * (2 + len(rows))
    shapes = [*_ticks(scale, bottom), *_facts(history, scale), *_consents(history, scale)]
    for number, name in enumerate([labels["facts"], labels["consents"], *(row.name for row in rows)]):
        middle = _middle(number)
        shapes.append(Shape("text", _LEFT - 12, middle, "ink", text=name, anchor="end"))
        shapes.append(Shape("line", _LEFT, middle + _ROW / 2, "grid", WIDTH - _RIGHT, middle + _ROW / 2))
    for number, row in enumerate(rows, 2):
        shapes += _journey(row, scale, _middle(number))
    if left_out > 0:
        more = labels["others"].format(number=left_out)
        shapes.append(Shape("text", _LEFT - 12, bottom + _AXIS / 2, "soft", text=more, anchor="end"))
    shapes += _legend(labels, bottom + _AXIS + _LEGEND / 2)
    return Picture(bottom + _AXIS + _LEGEND, shapes)


class _Scale:
    """From instants to places on the axis."""

    def __init__(self, one: datetime, other: datetime) -> None:
        self.first, self.last = min(one, other), max(one, other)

    def reach(self, at: datetime) -> None:
        """Make room for an instant."""
        self.first, self.last = min(self.first, at), max(self.last, at)

    def x(self, at: datetime) -> float:
        """Where the instant lies; what is outside lies on the edge."""
        width = (self.last - self.first) or _DAY
        share = min(max((at - self.first) / width, 0.0), 1.0)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def ticks(self) -> Iterator[tuple[datetime, str]]:
        """Midnights (UTC) that stand on the axis, with what to write there: days, months or years."""
        span = self.last - self.first
        for months, form in ((1, "%Y-%m"), (3, "%Y-%m"), (6, "%Y-%m"), (12, "%Y"), (60, "%Y"), (240, "%Y")):
            if span > _DAY * 62 and span / (_DAY * 30 * months) <= _MOST_TICKS:
                yield from self._months(months, form)
                return
        days = max(1, -(-span // (_DAY * _MOST_TICKS)))
        at = datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)
        while at <= self.last:
            if at >= self.first or span < _DAY:
                yield at, f"{at:%Y-%m-%d}"
            at += _DAY * days

    def _months(self, step: int, form: str) -> Iterator[tuple[datetime, str]]:
        month = self.first.year * 12 + self.first.month - 1
        month += -month % step
        while (at := datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)) <= self.last:
            if at >= self.first:
                yield at, at.strftime(form)
            month += step


def _middle(row: int) -> float:
    return _TOP + _ROW * row + _ROW / 2


def _ticks(scale: _Scale, bottom: float) -> Iterator[Shape]:
    for at, text in scale.ticks():
        x = scale.x(at)
        yield Shape("line", x, _TOP, "grid", x, bottom + 4)
        yield Shape("text", x, bottom + _AXIS / 2, "soft", text=text, anchor="middle")


def _facts(history: Sequence[Event], scale: _Scale) -> Iterator[Shape]:
    """How many facts there were, as bars: their height grows with the logarithm of the number."""
    width = (WIDTH - _LEFT - _RIGHT) / _BUCKETS
    facts = [event for event in history if isinstance(event.body, Fact) and message_of(event) is None]
    counts = Counter(min(int((scale.x(e.occurred_at) - _LEFT) / width), _BUCKETS - 1) for e in facts)
    most, base = log1p(max(counts.values(), default=1)), _middle(0) + _ROW / 2 - 2
    for bucket, number in sorted(counts.items()):
        x, high = round(_LEFT + bucket * width, 1), round((_ROW - 8) * log1p(number) / most, 1)
        yield Shape("rect", x, base - high, "fact", round(x + width - 1, 1), base)


def _consents(history: Sequence[Event], scale: _Scale) -> Iterator[Shape]:
    for event in history:
        x = scale.x(event.occurred_at)
        if isinstance(event.body, ConsentGranted):
            yield Shape("up", x, _middle(1), "good")
        elif isinstance(event.body, ConsentWithdrawn):
            yield Shape("down", x, _middle(1), "bad")


def _rows(history: Sequence[Event]) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    whose: dict[str, str] = {}
    for event in history:
        match event.body:
            case EnrolmentStarted(enrolment=enrolment, journey=journey):
                rows.setdefault(journey, _Row(journey)).passages[enrolment] = (event.occurred_at, None)
                whose[enrolment] = journey
            case EnrolmentEnded(enrolment=enrolment) if enrolment in whose:
                passages = rows[whose[enrolment]].passages
                passages[enrolment] = (passages[enrolment][0], event.occurred_at)
            case MessageRequested(message=message, journey=journey):
                rows.setdefault(journey, _Row(journey)).messages[message] = (event.occurred_at, "waiting")
                whose[message] = journey
            case body if (message_id := message_of(event)) in whose and not isinstance(body, Fact):
                rows[whose[message_id]].messages[message_id] = (event.occurred_at, _became(event))
    return rows


def _became(event: Event) -> str:
    status = status_of(event.kind)
    if status in ("suppressed", "rejected"):
        return "not_sent"
    return "sent" if status in ("accepted", "unknown") else "waiting"


def _journey(row: _Row, scale: _Scale, middle: float) -> Iterator[Shape]:
    for begun, ended in row.passages.values():
        x, to_x = scale.x(begun), scale.x(ended or scale.last)
        yield Shape("rect", x, middle - 4, "passage", max(to_x, x + 3), middle + 4)
    for at, became in row.messages.values():
        yield _mark(became, scale.x(at), middle)


def _mark(became: str, x: float, y: float) -> Shape:
    match became:
        case "sent":
            return Shape("dot", x, y, "sent")
        case "not_sent":
            return Shape("ring", x, y, "bad")
        case _:
            return Shape("ring", x, y, "waiting")


def _legend(labels: Mapping[str, str], y: float) -> Iterator[Shape]:
    x = float(_LEFT)
    for name in ("sent", "not_sent", "waiting", "passage", "yes", "no"):
        match name:
            case "passage":
                yield Shape("rect", x - 6, y - 4, "passage", x + 8, y + 4)
            case "yes":
                yield Shape("up", x, y, "good")
            case "no":
                yield Shape("down", x, y, "bad")
            case _:
                yield _mark(name, x, y)
        yield Shape("text", x + 14, y, "soft", text=labels[name])
        # Wide characters take about twice the room.
        wide = sum(1.0 if ord(c) > 0x2E7F else 0.55 for c in labels[name])
        x += 44 + 13 * wide
