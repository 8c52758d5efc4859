"""Any journeys, any facts, any period: what held is lived again as it was recorded, and changes nothing."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from channels.base import Retry
from channels.breaker import Breaking, Guarded
from domain.caps import Cap
from domain.catalogue import Envelope
from journeys.definition import Journey
from support.asking import SHIPPED
from support.bank import PUBLISHED_AT, Bank
from support.changing import migrate, order, put_in_force
from support.documents import first_programmes
from support.made_up import journeys, runs_to_its_end
from support.outcomes import (
    DEATHS,
    MUTES,
    STEPS,
    Act,
    Entrance,
    Life,
    Provider,
    Step,
    World,
    acts,
    dying,
)
from support.reliving import relived
from support.strategies import END, START, entered, entries, instants, lives
from support.versions import Change, changes, passages
from tidings.authoring import publish
from tidings.documents import Documents

pytestmark = [pytest.mark.slow, pytest.mark.long]
MIDDLE = START + timedelta(days=300)
some = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
periods = st.tuples(instants, instants).filter(lambda pair: pair[0] < pair[1])


def put_all_in_force(bank: Bank, documents: Documents) -> None:
    tidings = bank.tidings
    publish(tidings.engine, documents, at=PUBLISHED_AT)
    tidings.engine.dispose()


def published() -> st.SearchStrategy[tuple[Journey, ...]]:
    """Two journeys of any steps, and one entered in any way."""
    return st.tuples(
        journeys("made-up").filter(runs_to_its_end),
        journeys("other", purpose="care").filter(runs_to_its_end),
        st.one_of(*entries.values()).map(lambda enter: entered("own", enter)),
    )


@some
@given(published(), lives(most=10), periods)
def test_what_was_in_force_all_the_time_changes_nothing_also_under_another_number(
    own: tuple[Journey, ...], told: list[Envelope], period: tuple[datetime, datetime]
) -> None:
    begun, ended = period
    known = [*first_programmes().journeys, *own]
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        bank.publish(*own)
        bank.take(told)
        bank.run(END)
        for drafts in (known, [replace(journey, version=99) for journey in known]):
            again = relived(bank, *drafts, begun=begun, ended=ended)
            assert again.found.unlike == []
            assert again.rows == []
            assert again.found.was == again.found.tried
            assert again.found.compared == again.found.events


@some
@given(
    first=published(),
    later=st.one_of(*entries.values()),
    told=lives(most=10),
    late=lives(most=6),
    period=periods,
    kept=st.integers(0, 3),
)
def test_facts_that_came_late_and_rules_that_changed_in_between_come_out_as_recorded(
    first: tuple[Journey, ...],
    later: object,
    told: list[Envelope],
    late: list[Envelope],
    period: tuple[datetime, datetime],
    kept: int,
) -> None:
    """A life is made of several runs: each begins where the clock of the last one stands."""
    begun, ended = period
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        bank.publish(*first)
        bank.take([fact for fact in told if fact.occurred_at <= MIDDLE])
        bank.run(MIDDLE)
        bank.publish(entered("own", later, version=2))  # type: ignore[arg-type]
        bank.take([replace(f, fact=replace(f.fact, id=f"late-{f.fact.id}")) for f in late])
        bank.run(MIDDLE + timedelta(days=40))
        bank.take(told)
        bank.publish(entered("later", later))  # type: ignore[arg-type]
        bank.run(END)
        again = relived(bank, *first[:kept][:2], begun=begun, ended=ended)
        assert again.found.unlike == []
        assert again.rows == []


@some
@given(told=passages(), change=changes(), days=st.tuples(st.integers(0, 199), st.integers(1, 199)))
def test_pauses_migrations_and_new_versions_come_out_as_recorded(
    told: list[Envelope], change: Change, days: tuple[int, int]
) -> None:
    begun = START + timedelta(days=min(days[0], days[1] - 1))
    ended = START + timedelta(days=days[1])
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        put_in_force(bank, change.versions[0])
        bank.take(told)
        bank.run(START + timedelta(days=30))
        if change.paused:
            order(bank, "paused")
            bank.run(START + timedelta(days=34))
        for number, until in ((1, 42), (2, 42)):
            put_in_force(bank, change.versions[number])
            migrate(bank, number + 1, mapping=change.mappings[number - 1], ends=change.ends[number - 1])
            if not (change.together and number == 1):
                bank.run(START + timedelta(days=until))
        if change.paused:
            order(bank, "running")
        bank.run(START + timedelta(days=200))
        again = relived(bank, begun=begun, ended=ended)
        assert again.found.unlike == []
        assert again.rows == []


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=STEPS,
    scripts=st.tuples(st.lists(acts("one"), max_size=12), st.lists(acts("two"), max_size=8)),
    mute=MUTES,
    deaths=DEATHS,
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@example(
    steps=[Step(timedelta(0), [("ask", "c-1", "marketing")])],
    scripts=([Act(Retry("busy", after=None, provider="one"), takes=False, seconds=1)], []),
    mute=[],
    deaths=frozenset(),
    shares=(1.0, 0.5),
)
def test_by_the_clock_on_the_wall_providers_answers_are_given_as_they_were(
    steps: list[Step],
    scripts: tuple[list[Act], list[Act]],
    mute: list[bool],
    deaths: frozenset[int],
    shares: tuple[float, float],
) -> None:
    """Refusals, doubts, delays and workers that die are all in the record."""
    world = World(deaths)
    ways = [
        Guarded(
            Provider(name, world, script, mute),
            Breaking(failures_in_a_row=3),
            clock=lambda: world.now.timestamp(),
        )
        for name, script in zip(("one", "two"), scripts, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder, dying(world):
        life = Life(Path(folder), world, Entrance(world, ways))
        begun = world.now
        for step in steps:
            life.step(step)
        life.end()
        life.tidings.engine.dispose()
        span = world.now - begun + timedelta(seconds=1)
        first, last = sorted(begun + share * span for share in shares)
        again = relived(life.bank, begun=first, ended=last)
        assert again.found.unlike == []
        assert again.rows == []
        assert again.found.assumed.accepted == 0


@some
@given(
    had=published(),
    tries=published(),
    told=lives(most=12),
    late=lives(most=5),
    cap=st.integers(0, 3),
)
def test_what_would_have_been_sent_is_what_a_bank_with_these_documents_sends(
    had: tuple[Journey, ...], tries: tuple[Journey, ...], told: list[Envelope], late: list[Envelope], cap: int
) -> None:
    """Two banks with the same facts, of which one has the documents from the beginning."""
    caps = (Cap(name="tight", purposes=("care", "service"), at_most=cap, in_days=9),)
    policy = replace(SHIPPED.policy, version=7, caps=caps) if cap else None
    with tempfile.TemporaryDirectory() as folder:
        banks = Bank(Path(folder), name="had"), Bank(Path(folder), name="tries")
        for bank, journeys_, ruling in zip(banks, (had, tries), (None, policy), strict=True):
            put_all_in_force(bank, Documents(list(journeys_), [], policy=ruling))
            bank.take([fact for fact in told if fact.occurred_at <= MIDDLE])
            bank.run(MIDDLE)
            bank.take([replace(f, fact=replace(f.fact, id=f"late-{f.fact.id}")) for f in late])
            bank.take(told)
            bank.run(END)
        begun = START - timedelta(days=1)
        tried = relived(banks[0], *tries, policy=policy, begun=begun, ended=END)
        there = relived(banks[1], begun=begun, ended=END)
        assert tried.found.unlike == there.found.unlike == []
        assert tried.found.tried == there.found.was
