"""One worker's hold on a partition: leases, the fence, what is due, all or nothing."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import Engine

from domain.catalogue import Envelope
from domain.clock import to_micros
from domain.codec import decode_state
from domain.errors import InputRefused, LeaseLost, StoreUnusable
from domain.events import Event, TimerFired
from stores.batch import Changes
from stores.database import open_store
from stores.journal import Journal, check_clock_start
from stores.owner import owner_name
from support.bank import Bank
from support.facts import at, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope
from tidings.memory import Room

NEW_YEAR = at("2026-01-01 12:00")
RULEBOOK = (1, "digest")
FOR_EVER = 9_000_000_000_000_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    bank = Bank(tmp_path, partitions=1, url=fresh_database() if request.param == "postgresql" else None)
    told: list[Envelope] = [envelope(f"c-{n}", NEW_YEAR, registered()) for n in range(1, 6)]
    told += [
        envelope(f"c-{n}", NEW_YEAR + timedelta(days=d), paid()) for n in range(1, 6) for d in (1, 2, 2, 3)
    ]
    assert bank.take(told).accepted == len(told)
    return bank


@pytest.fixture
def engine(bank: Bank) -> Iterator[Engine]:
    engine = open_store(bank.settings.store)
    yield engine
    engine.dispose()


def changes_of(journal: Journal, stream: int = 1) -> Changes:
    changes = Changes()
    stored = journal.load({stream})[stream]
    head = stored.head
    event = Event(
        head.version + 1, "timer.fired/1", NEW_YEAR, NEW_YEAR, 0, TimerFired(timer="t", due_at=NEW_YEAR)
    )
    journal.append(changes, [event], stream=stream, head=head, rulebook=RULEBOOK, key=stored.key)
    return changes


def test_a_second_worker_of_another_host_has_to_wait(bank: Bank, engine: Engine) -> None:
    bank.sql(
        "UPDATE partitions SET owner = 'elsewhere/1', lease_until = 9000000000000000000 WHERE partition = 1"
    )
    with pytest.raises(LeaseLost, match="elsewhere/1"), Journal(engine, 1):
        pass


def test_a_lease_that_has_run_out_can_be_taken(bank: Bank, engine: Engine) -> None:
    bank.sql("UPDATE partitions SET owner = 'elsewhere/1', lease_until = 1 WHERE partition = 1")
    with Journal(engine, 1) as journal:
        journal.commit(changes_of(journal))


def test_nobody_waits_for_a_process_of_this_host_that_has_died(bank: Bank, engine: Engine) -> None:
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    host, namespace, _, _ = owner_name().split("/")
    dead = f"{host}/{namespace}/{process}/1"
    bank.sql(f"UPDATE partitions SET owner = ?, lease_until = {FOR_EVER} WHERE partition = 1", dead)
    with Journal(engine, 1) as journal:
        journal.commit(changes_of(journal))


def test_a_worker_that_lost_its_lease_writes_nothing(bank: Bank, engine: Engine) -> None:
    with Journal(engine, 1) as journal:
        changes = changes_of(journal)
        bank.sql("UPDATE partitions SET epoch = epoch + 1 WHERE partition = 1")
        with pytest.raises(LeaseLost, match=r"lease\.lost"):
            journal.commit(changes)
    assert bank.sql("SELECT count(*) FROM events WHERE partition = 1") == [(0,)]


def test_two_journals_of_one_process_do_not_share_a_lease(bank: Bank, engine: Engine) -> None:
    with Journal(engine, 1), pytest.raises(LeaseLost, match=r"lease\.held"), Journal(engine, 1):
        pass


def test_nothing_leaves_after_a_stall_in_which_the_lease_was_lost(
    bank: Bank, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(engine, 1) as journal:
        journal.assure()
        bank.sql("UPDATE partitions SET epoch = epoch + 1 WHERE partition = 1")
        later = monotonic() + 60
        monkeypatch.setattr("stores.journal.monotonic", lambda: later)
        with pytest.raises(LeaseLost, match=r"lease\.lost"):
            journal.assure()


def test_a_clock_is_started_in_all_partitions_or_in_none(tmp_path: Path) -> None:
    bank = Bank(tmp_path, partitions=4, name="four")
    bank.take([envelope("c-1", NEW_YEAR, registered())])
    bank.run(NEW_YEAR + timedelta(days=1))
    engine = open_store(bank.settings.store)
    with pytest.raises(InputRefused, match=r"run\.clock_jump"):
        check_clock_start(engine, NEW_YEAR + timedelta(days=100))
    check_clock_start(engine, NEW_YEAR + timedelta(days=1))


def test_a_commit_that_fails_leaves_nothing(bank: Bank, engine: Engine) -> None:
    with Journal(engine, 1) as journal:
        changes = changes_of(journal)
        changes.calls = [("c", 1, "scoring", b"", 0, 0, 0, 0)] * 2
        with pytest.raises(StoreUnusable, match=r"store\.failed"):
            journal.commit(changes)
    assert bank.sql("SELECT count(*) FROM events WHERE partition = 1") == [(0,)]
    assert bank.sql("SELECT last_seq FROM partitions WHERE partition = 1") == [(0,)]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 100])
def test_what_is_due_is_complete_up_to_its_horizon(bank: Bank, engine: Engine, limit: int) -> None:
    bank.run(NEW_YEAR)
    until = NEW_YEAR + timedelta(days=200)
    with Journal(engine, 1) as journal:
        pending = journal.pending(until=until, limit=limit)
    everything = bank.sql(
        "SELECT occurred_at FROM inbox WHERE partition = 1 AND occurred_at <= ?", pending.horizon
    )
    before = [fact for fact in pending.facts if fact.occurred_at <= pending.horizon]
    assert len(before) == len(everything)
    assert pending.horizon <= to_micros(until)
    due = bank.sql("SELECT count(*) FROM timers WHERE partition = 1 AND due_at <= ?", pending.horizon)
    assert len(pending.timers) == due[0][0] or len(pending.timers) == limit
    assert pending.facts or pending.timers


def test_a_history_is_read_backwards_from_its_head(bank: Bank, engine: Engine) -> None:
    bank.run(NEW_YEAR + timedelta(days=200), room=Room(100, events_between_snapshots=1_000))
    with Journal(engine, 1) as journal:
        loaded = journal.load({1, 3, 5})
    for stream, stored in loaded.items():
        assert [event.version for event in stored.events] == list(range(1, stored.head.version + 1))
        assert {event.stream for event in stored.events} == {stream}
        assert stored.events[-1].hash == stored.head.hash


def test_a_customer_is_read_from_the_last_snapshot_on(bank: Bank, engine: Engine) -> None:
    bank.run(NEW_YEAR + timedelta(days=2), room=Room(100, events_between_snapshots=1))
    bank.run(NEW_YEAR + timedelta(days=3), room=Room(100, events_between_snapshots=1_000))
    with Journal(engine, 1) as journal:
        loaded = journal.load({1, 3})
    for stored in loaded.values():
        assert stored.state is not None
        state = decode_state(stored.state)
        versions = [event.version for event in stored.events]
        assert versions == list(range(state.version + 1, stored.head.version + 1))
        assert len(versions) == 1
    bank.sql("UPDATE snapshots SET form = 'of another time'")
    with Journal(engine, 1) as journal:
        stored = journal.load({1})[1]
    assert stored.state is None
    assert [event.version for event in stored.events] == list(range(1, stored.head.version + 1))


def test_a_fact_that_comes_in_while_a_batch_is_worked_on_stays(bank: Bank, engine: Engine) -> None:
    with Journal(engine, 1) as journal:
        pending = journal.pending(until=NEW_YEAR, limit=100)
        late = envelope("c-1", NEW_YEAR - timedelta(days=1), paid())
        assert bank.take([late]).accepted == 1
        changes = changes_of(journal)
        changes.consumed = [(f.occurred_at, f.rank, f.position) for f in pending.facts]
        journal.commit(changes)
        left = journal.pending(until=NEW_YEAR, limit=100)
    assert [fact.occurred_at for fact in left.facts] == [to_micros(late.occurred_at)]
