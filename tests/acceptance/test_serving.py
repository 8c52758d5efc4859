"""The worker that goes on for ever: other rules, other workers, a store that fails, what recurs beside it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from queue import Queue
from threading import Event

import pytest

from domain.errors import InputRefused, StoreUnusable
from stores.app_inbox import StoredMailbox
from stores.due import due_partitions, rulebook_in_force
from support.asking import asks
from support.bank import Bank
from support.facts import at
from support.scripted import Scripted
from support.sends import Scripted as ByCustomer
from support.sends import asked, bank_of, people
from tidings import serving
from tidings.bootstrap import Tidings
from tidings.guarding import Alarm, Guarding, Limit
from tidings.providers import ChannelsFile, ways
from tidings.serving import Serving, Working, sweeps_of

MORNING = at("2026-01-05 10:00")
MANY = [f"c-{number}" for number in range(12)]


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = bank_of(tmp_path, ByCustomer(), partitions=2)
    assert bank.take(people(*MANY)).refused == []
    bank.run(MORNING)
    return bank


def statuses(bank: Bank) -> list[str]:
    assert bank.verify().findings == []
    return sorted(entry.status for entry in bank.ledger())


def test_rules_that_are_published_while_it_serves_are_in_force_at_once(bank: Bank) -> None:
    tidings = bank.tidings
    worker = Serving(tidings, clock=lambda: MORNING)
    with asyncio.Runner() as runner:
        while worker.step(runner):
            pass
        bank.publish(asks("marketing"))
        bank.take(asked("marketing", *MANY, moment=MORNING))
        while worker.step(runner):
            pass
    tidings.engine.dispose()
    assert statuses(bank) == ["accepted"] * len(MANY)


def test_a_partition_that_has_gone_on_to_other_rules_is_worked_on_by_them(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker was quicker: it knew the rules that this one has not heard of."""
    tidings = bank.tidings
    worker = Serving(tidings, clock=lambda: MORNING)
    number = rulebook_in_force(tidings.engine)
    with asyncio.Runner() as runner:
        bank.take(asked("care", *MANY[:4], moment=MORNING))
        assert worker.step(runner)
        bank.publish(asks("marketing"))
        bank.run(MORNING)
        bank.take(asked("care", *MANY[4:], moment=MORNING))
        with monkeypatch.context() as stale:
            stale.setattr(serving, "rulebook_in_force", lambda _: number)
            assert worker.step(runner)
        while worker.step(runner):
            pass
    tidings.engine.dispose()
    assert statuses(bank) == ["accepted"] * len(MANY)


def test_what_another_worker_has_keeps_it_from_nothing_else_and_is_not_asked_for_over_and_over(
    bank: Bank,
) -> None:
    bank.take(asked("care", *MANY, moment=MORNING))
    bank.sql(
        "UPDATE partitions SET owner = 'elsewhere/1', lease_until = 9000000000000000000 WHERE partition = 1"
    )
    tidings = bank.tidings
    worker = Serving(tidings, clock=lambda: MORNING)
    with asyncio.Runner() as runner:
        assert worker.step(runner) is True
        ours = bank.sql("SELECT count(*) FROM streams WHERE partition = 2")[0][0]
        assert 0 < ours < len(MANY)
        assert statuses(bank) == ["accepted"] * ours
        assert worker.step(runner) is False
    tidings.engine.dispose()


class Closing(Scripted):
    """It tells when it is closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1


def test_a_store_that_cannot_be_used_now_is_tried_again_and_connections_are_let_go_of(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bank.channels = (channel := Closing()).channels
    bank.take(asked("care", *MANY, moment=MORNING))
    monkeypatch.setattr(serving, "_REST_SECONDS", 0.0)
    monkeypatch.setattr(serving, "LOOK_SECONDS", 0.0)
    tidings, stop, failures = bank.tidings, Event(), [StoreUnusable("store.failed", reason="locked")]
    due = due_partitions

    def failing(*given: object, **named: object) -> list[int]:
        if failures:
            raise failures.pop()
        found: list[int] = due(*given, **named)  # type: ignore[arg-type]
        if not found:
            stop.set()
        return found

    monkeypatch.setattr(serving, "due_partitions", failing)
    Serving(tidings, clock=lambda: MORNING).work(stop)
    tidings.engine.dispose()
    assert statuses(bank) == ["accepted"] * len(MANY)
    assert channel.closed == 1
    assert "store.failed" in caplog.text


def test_what_keeps_a_worker_from_going_on_is_raised_where_it_is_waited_for(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Event()

    def failing(*_: object, **__: object) -> list[int]:
        raise InputRefused("run.clock_jump")

    monkeypatch.setattr(serving, "due_partitions", failing)
    tidings = bank.tidings
    with (
        pytest.raises(InputRefused, match=r"run\.clock_jump"),
        Working(Serving(tidings, clock=lambda: MORNING).work, failed=ended.set),
    ):
        assert ended.wait(30)
    tidings.engine.dispose()


def test_calls_the_ledger_and_the_guard_recur(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limit = Limit(word="bounced", hours=1, percent=50, least_sends=1, least=1)
    file = ChannelsFile(guard=Guarding(limits=(limit,)))
    tidings = bank.tidings
    found = ways(file, mailbox=StoredMailbox(tidings.engine), outbox=tmp_path)
    told: Queue[object] = Queue()

    def watched(_: Tidings, now: object, guarding: object) -> Sequence[Alarm]:
        told.put((now, guarding))
        return [Alarm("care", "paused", limit, 2, 1)]

    monkeypatch.setattr(serving, "watch", watched)
    monkeypatch.setattr("tidings.calling.Courier.deliver", lambda _: told.put("calls"))
    monkeypatch.setattr("stores.projections.Ledger.catch_up", lambda _: told.put("ledger"))
    for name in ("_CALLS_EVERY", "_LEDGER_EVERY", "_GUARD_EVERY"):
        monkeypatch.setattr(serving, name, timedelta(milliseconds=20))
    expected = {"calls", "ledger", (MORNING, file.guard)}
    seen: list[object] = []
    with sweeps_of(tidings, found, clock=lambda: MORNING):
        while not all(thing in seen for thing in expected):
            seen.append(told.get(timeout=30))
            assert len(seen) < 1_000, "one of them never comes"
    tidings.engine.dispose()
    assert "journey care paused: bounced: 1 of 2" in caplog.text
