"""Membership kept by a customer's own history is what the conditions say, at any instant of any life."""

import json
import tempfile
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.catalogue import Envelope
from domain.clock import at_local, from_micros, local_day
from domain.customer import Customer
from domain.events import Body, Event
from journeys import engine
from journeys.conditions import holds
from journeys.definition import Emit, End, EnterOnSegment, Journey, Segment, SegmentClass, Update
from journeys.rulebook import Rules
from support.bank import PUBLISHED_AT, Bank
from support.documents import condition
from support.facts import opened, paid, registered
from support.scenario import SHIPPED_RULEBOOK, Scenario, envelope
from support.strategies import END, START, dense_lives, segments
from tidings import authoring, process
from tidings.documents import Documents

BY_CLASS = Journey(
    journey="made-up",
    version=1,
    title={"en": "Made up"},
    purpose="care",
    topic="made-up",
    enter=EnterOnSegment(segment="made-0", on="changed"),
    steps=(
        Update(step="note", set={"offers": 3}, next="emit"),
        Emit(step="emit", fact="x.own/1", next="end"),
        End(step="end"),
    ),
)
some = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def from_scratch(made: Sequence[Segment], customer: Customer) -> dict[str, str]:
    """The class of each segment by its conditions alone; those that others refer to come first."""
    found: dict[str, str] = {}
    for segment in made:
        now = replace(customer, segments=found)
        for part in segment.classes:
            if holds(part.when, now, entry={}):
                found = {**found, segment.segment: part.name}
                break
    return found


class Watched(Scenario):
    """A life that is looked at after each event of it, and at each midnight of its wall clock in between."""

    def __init__(self, made: tuple[Segment, ...]) -> None:
        journeys = (*SHIPPED_RULEBOOK.journeys, BY_CLASS)
        super().__init__(rules=Rules(replace(SHIPPED_RULEBOOK, journeys=journeys, segments=made)))
        self.made = made

    def _take(self, kind: str, occurred_at: datetime, *, cause: int, body: Body) -> None:
        customer = self.customer
        if customer.active:
            day = local_day(customer.clock_at, customer.zone) + timedelta(days=1)
            while (midnight := at_local(day, time(0), customer.zone)) < occurred_at:
                now = replace(customer, clock_at=midnight)
                assert customer.segments == from_scratch(self.made, now), midnight
                day += timedelta(days=1)
        super()._take(kind, occurred_at, cause=cause, body=body)
        customer = self.customer
        # Facts come first at one instant: the wake-up of a midnight may be still to come.
        due = [t for name, t in customer.timers.items() if name.startswith("segment:")]
        if customer.active and all(timer.due_at > customer.clock_at for timer in due):
            assert customer.segments == from_scratch(self.made, customer), kind
        if customer.gone:
            assert customer.segments == {}


def changes(history: Sequence[Event]) -> list[Event]:
    return [event for event in history if event.kind.startswith("segment.")]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(segments(), dense_lives())
def test_membership_is_what_the_conditions_say_after_every_event_and_at_every_midnight(
    made: tuple[Segment, ...], told: list[Envelope]
) -> None:
    life = Watched(made).given(*((item.occurred_at, item.fact) for item in told)).until(END)
    for event in changes(life.history):
        body = event.body
        assert getattr(body, "into", None) != body.before  # type: ignore[union-attr]


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(segments(), dense_lives())
def test_a_class_is_told_once_and_follows_the_one_before(
    made: tuple[Segment, ...], told: list[Envelope]
) -> None:
    life = Watched(made).given(*((item.occurred_at, item.fact) for item in told)).until(END)
    known: dict[str, str | None] = {}
    for event in changes(life.history):
        body = event.body
        assert known.get(body.segment) == body.before  # type: ignore[union-attr]
        known[body.segment] = getattr(body, "into", None)  # type: ignore[union-attr]
    assert {name: found for name, found in known.items() if found} == life.customer.segments


def lived(
    folder: Path, name: str, made: tuple[Segment, ...], told: list[Envelope], *, batch: int = 2_000
) -> Bank:
    bank = Bank(folder, name=name, partitions=2 if batch < 2_000 else 3)
    tidings = bank.tidings
    # Made-up conditions need not be sensible.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authoring, "check", lambda *_: None)
        authoring.publish(tidings.engine, Documents([BY_CLASS], [], segments=made), at=PUBLISHED_AT)
    tidings.engine.dispose()
    bank.take(told)
    for days in (100, 333, 730):
        bank.run(START + timedelta(days=days), batch=batch)
    return bank


@pytest.mark.long
@pytest.mark.slow
@some
@given(segments(), dense_lives(customers=3), st.integers(1, 9))
def test_a_fact_that_passes_by_unread_would_have_changed_no_class(
    made: tuple[Segment, ...], told: list[Envelope], batch: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        short = lived(Path(folder), "short", made, told, batch=batch)
        assert short.verify().findings == []
        patch.setattr(engine, "nothing_follows", lambda *_: False)
        patch.setattr(process, "passes_by", lambda *_: False)
        long = lived(Path(folder), "long", made, told)
        assert long.histories() == short.histories()


def classed(*classes: str) -> Segment:
    """A segment of which each class is said by the line of its condition."""
    made = [SegmentClass(name=f"c{n}", title={"en": "C"}, when=condition(c)) for n, c in enumerate(classes)]
    return Segment(segment="own", version=1, title={"en": "Own"}, classes=tuple(made))


RECENT = "days_since, fact: transaction.posted/1, at_most: 6"


def both_ways(folder: Path, segment: Segment, told: list[Envelope]) -> list[tuple[str, datetime]]:
    """The class after each change and when, where the short cuts and the long way tell the same."""
    short = lived(folder, "short", (segment,), told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "nothing_follows", lambda *_: False)
        patch.setattr(process, "passes_by", lambda *_: False)
        assert lived(folder, "long", (segment,), told).histories() == short.histories()
    assert short.verify().findings == []
    lines = [line for line in short.histories()["c-1"] if line[0].startswith("segment.")]
    return [(json.loads(line[4]).get("class", ""), from_micros(line[2])) for line in lines]


def test_the_first_fact_on_the_day_behind_the_bound_brings_the_class_back(tmp_path: Path) -> None:
    days = [START + timedelta(days=n) for n in (1, 2, 9, 10)]
    told = [envelope("c-1", START, registered(zone="UTC")), *(envelope("c-1", day, paid()) for day in days)]
    assert both_ways(tmp_path, classed(RECENT), told) == [
        ("c0", days[0]),
        # Seven days after the second of them; the fact of that very midnight comes first, and it stays.
        ("", START + timedelta(days=17)),
    ]
    told.append(envelope("c-1", START + timedelta(days=17, hours=12), paid()))
    (tmp_path / "later").mkdir()
    assert both_ways(tmp_path / "later", classed(RECENT), told)[2] == (
        "c0",
        START + timedelta(days=17, hours=12),
    )


def test_a_fact_of_the_very_midnight_does_not_anticipate_what_the_day_changes(tmp_path: Path) -> None:
    """The contract comes into its last week at midnight; a transaction of that instant cannot change that."""
    segment = classed("holds, kinds: [term_deposit], matures_within_days: 7", RECENT)
    ends = (START + timedelta(days=10)).date()
    midnight = START + timedelta(days=3)
    told = [
        envelope("c-1", START, registered(zone="UTC")),
        envelope("c-1", START, opened(matures_on=ends)),
        envelope("c-1", midnight - timedelta(hours=1), paid()),
        envelope("c-1", midnight, paid()),
    ]
    assert both_ways(tmp_path, segment, told)[:2] == [("c1", midnight - timedelta(hours=1)), ("c0", midnight)]
