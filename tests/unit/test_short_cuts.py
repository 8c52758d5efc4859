"""Where the hot path takes a shorter way, it arrives where the long one does."""

import tempfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import Envelope
from domain.ids import derived_id
from journeys import engine
from journeys.definition import Journey, heard_inside
from support.bank import Bank
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES
from support.strategies import END, START, lives, own_journeys
from tidings import process
from tidings.memory import Room

NAMESPACE = UUID("6d1f0c1e-7f5b-5c8e-9a53-0d8f5e5b7a11")
# The facts of which there are most.
FREQUENT = {"transaction.posted/1", "session.started/1", "page.viewed/1"}
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(texts))
def test_a_derived_id_is_the_uuid_of_version_5_of_its_parts(parts: list[str]) -> None:
    assert derived_id(*parts) == str(uuid5(NAMESPACE, "\x1f".join(parts)))


def test_no_shipped_programme_begins_by_a_frequent_fact_or_listens_to_one_but_win_back() -> None:
    assert not FREQUENT & SHIPPED_RULES.fact_entries.keys()
    listening = {j.journey for j in SHIPPED_RULEBOOK.journeys if FREQUENT & set(heard_inside(j))}
    assert listening == {"win-back"}


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lives(), own_journeys(), st.integers(1, 4), st.integers(1, 6))
def test_a_customer_from_a_snapshot_is_the_one_from_the_history(
    told: list[Envelope], own: list[Journey], customers: int, every: int
) -> None:
    """Short runs and hardly any memory: each customer comes from a snapshot again and again."""
    with tempfile.TemporaryDirectory() as folder:
        snapped = Bank(Path(folder), name="snapped")
        snapped.publish(*own)
        snapped.take(told)
        room = Room(customers, events_between_snapshots=every)
        for month in range(1, 25):
            snapped.run(START + timedelta(days=30 * month), batch=2, room=room)
        snapped.run(END, batch=2, room=room)
        whole = Bank(Path(folder), name="whole")
        whole.publish(*own)
        whole.take(told)
        for month in range(1, 25):
            whole.run(START + timedelta(days=30 * month), room=Room(100, events_between_snapshots=10**6))
        whole.run(END, room=Room(100, events_between_snapshots=10**6))
        assert whole.sql("SELECT count(*) FROM snapshots") == [(0,)]
        assert snapped.sql("SELECT count(*) FROM snapshots")[0][0] > 0 or every > 1
        assert snapped.histories() == whole.histories()
        assert snapped.verify().findings == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lives(), own_journeys())
def test_what_is_told_by_its_kind_to_have_no_consequence_has_none(
    told: list[Envelope], own: list[Journey]
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        short = Bank(Path(folder), name="short")
        short.publish(*own)
        short.take(told)
        short.run(END)
        patch.setattr(engine, "nothing_follows", lambda *_: False)
        patch.setattr(process, "passes_by", lambda *_: False)
        long = Bank(Path(folder), name="long")
        long.publish(*own)
        long.take(told)
        long.run(END)
        assert long.histories() == short.histories()
