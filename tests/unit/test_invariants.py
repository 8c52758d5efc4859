"""Properties of any history: the invariants 1, 2, 3, 6 and 8 of the design, on a real store."""

import json
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import Envelope
from domain.clock import to_micros
from journeys.definition import Journey
from support.bank import Bank
from support.promises import check_consent_and_holds_kept
from support.strategies import END, START, lives, own_journeys

TERMINAL = {"message.accepted/1", "message.rejected/1", "message.unknown/1", "message.suppressed/1"}
some = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lived(
    folder: str, told: list[Envelope], own: list[Journey], *, partitions: int = 2, name: str = "one"
) -> Bank:
    bank = Bank(Path(folder), partitions=partitions, name=name)
    bank.publish(*own)
    bank.take(told)
    bank.run(END)
    return bank


@some
@given(lives(), own_journeys())
def test_replaying_gives_every_decision_byte_for_byte(told: list[Envelope], own: list[Journey]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        verified = lived(folder, told, own).verify()
        assert verified.findings == []
        assert verified.events > 0


@some
@given(lives(), own_journeys(), st.integers(1, 9))
def test_histories_do_not_depend_on_partitions_batches_or_stops(
    told: list[Envelope], own: list[Journey], batch: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = lived(folder, told, own, partitions=1, name="whole")
        split = Bank(Path(folder), partitions=5, name="split")
        split.publish(*own)
        split.take(told)
        for until in (START + timedelta(days=100), START + timedelta(days=333), END):
            split.run(until, batch=batch)
        assert split.histories() == whole.histories()


@some
@given(lives(), own_journeys())
def test_the_same_facts_twice_change_nothing(told: list[Envelope], own: list[Journey]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bank = lived(folder, told, own)
        before = bank.histories()
        again = bank.take(told)
        bank.run(END)
        assert (again.accepted, again.repeated, again.refused) == (0, len(told), [])
        assert bank.histories() == before


@some
@given(lives(), own_journeys())
def test_each_message_is_requested_once_handed_over_once_and_ends_once(
    told: list[Envelope], own: list[Journey]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bank = lived(folder, told, own)
        events = [(line[0], json.loads(line[4])) for history in bank.histories().values() for line in history]
        asked = Counter(body["message"] for kind, body in events if kind == "message.requested/1")
        places = Counter(
            (body["enrolment"], body["step"], body["visit"])
            for kind, body in events
            if kind == "message.requested/1"
        )
        sent = Counter(body["message"] for kind, body in events if kind == "message.sending/1")
        ended = Counter(body["message"] for kind, body in events if kind in TERMINAL)
        assert set(asked.values()) <= {1}
        assert set(places.values()) <= {1}
        again = {
            body["message"]
            for kind, body in events
            if kind == "message.requested/1" and body["purpose"] in ("service", "regulatory")
        }
        # What nobody knows the outcome of goes again under the same id, if its purpose asks for it.
        assert {number for message, number in sent.items() if message not in again} <= {1}
        assert {number for message, number in sent.items() if message in again} <= {1, 7}
        assert ended == asked


@some
@given(lives(), own_journeys())
def test_marketing_leaves_with_a_yes_only_and_nothing_but_service_under_a_care_hold(
    told: list[Envelope], own: list[Journey]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for history in lived(folder, told, own).histories().values():
            check_consent_and_holds_kept(history)


@some
@given(lives(), own_journeys())
def test_versions_and_sequence_numbers_have_no_gaps_and_the_chain_holds(
    told: list[Envelope], own: list[Journey]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bank = lived(folder, told, own, partitions=3)
        for partition in (1, 2, 3):
            numbers = [row[0] for row in bank.sql("SELECT seq FROM events WHERE partition = ?", partition)]
            assert sorted(numbers) == list(range(1, len(numbers) + 1))
        versions: dict[tuple[int, int], list[int]] = {}
        rows = bank.sql("SELECT partition, stream, version FROM events WHERE partition > 0 ORDER BY seq")
        for partition, stream, version in rows:
            versions.setdefault((partition, stream), []).append(version)
        assert all(found == list(range(1, len(found) + 1)) for found in versions.values())


@some
@given(lives(), own_journeys())
def test_every_enrolment_ends_and_leaves_no_timer_behind(told: list[Envelope], own: list[Journey]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        bank.publish(*own)
        bank.take(told)
        # The longest shipped journey waits 28 days; nobody can be inside for longer.
        bank.run(END + timedelta(days=29))
        events = [(line[0], line[2], json.loads(line[4])) for h in bank.histories().values() for line in h]
        begun = {body["enrolment"]: at for kind, at, body in events if kind == "enrolment.started/1"}
        over = {body["enrolment"]: at for kind, at, body in events if kind == "enrolment.ended/1"}
        horizon = to_micros(END)
        assert {name for name, at in begun.items() if at < horizon} <= over.keys()
        month = 29 * 86_400 * 1_000_000
        assert all(over[name] - begun[name] <= month for name in over)
