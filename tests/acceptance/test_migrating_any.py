"""Any versions, any moment, any mapping: nothing is sent twice, everybody ends, all can be made again."""

import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import Envelope
from domain.codec import decode_body
from domain.events import (
    EnrolmentEnded,
    EnrolmentMigrated,
    StepSkipped,
)
from journeys.definition import End, Wait
from support.bank import Bank
from support.changing import asked, migrate, order, own, planned, put_in_force, said, send
from support.facts import registered
from support.postgres import fresh_database
from support.scenario import envelope
from support.strategies import START
from support.versions import Change, changes, check_one, passages
from tidings import adopting

pytestmark = pytest.mark.slow
MIDDLE = START + timedelta(days=30)
SECOND = MIDDLE + timedelta(days=12)
LAST = START + timedelta(days=200)


def lived(
    bank: Bank, told: list[Envelope], change: Change, *, batch: int = 2_000, commits: int | None = None
) -> Bank:
    """Everything in its order; with ``commits`` each run is killed again and again."""

    def run(until: datetime) -> None:
        left = commits
        while left is not None and bank.run_killed(until, commits=left, batch=batch):
            left += 2
        if commits is None:
            bank.run(until, batch=batch)

    put_in_force(bank, change.versions[0])
    bank.take(told)
    run(MIDDLE)
    if change.paused:
        order(bank, "paused")
        run(MIDDLE + timedelta(days=4))
    for number, until in ((1, SECOND), (2, SECOND)):
        put_in_force(bank, change.versions[number])
        migrate(bank, number + 1, mapping=change.mappings[number - 1], ends=change.ends[number - 1])
        if not (change.together and number == 1):
            run(until)
    if change.paused:
        order(bank, "running")
    run(LAST)
    return bank


def histories(bank: Bank) -> dict[str, list[object]]:
    """The bodies of each customer's events."""
    return {
        subject: [decode_body(kind, body) for kind, _, _, _, body, _ in lines]
        for subject, lines in bank.histories().items()
    }


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=passages(), change=changes())
def test_nothing_is_sent_twice_everybody_ends_and_all_can_be_made_again(
    told: list[Envelope], change: Change
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bank = lived(Bank(Path(folder), partitions=2), told, change)
        assert bank.verify().findings == []
        for bodies in histories(bank).values():
            check_one(bodies)
        assert bank.tidings.ledger.inside("own") == []


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    told=passages(),
    change=changes(),
    batch=st.sampled_from([1, 3, 50]),
    size=st.sampled_from([1, 2, 7]),
    commits=st.integers(2, 7),
)
def test_histories_do_not_depend_on_who_comes_first_nor_on_kills(
    told: list[Envelope], change: Change, batch: int, size: int, commits: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        whole = lived(Bank(Path(folder), partitions=1, name="whole"), told, change)
        patch.setattr(adopting, "SLICE", size)
        broken = lived(
            Bank(Path(folder), partitions=3, name="broken"), told, change, batch=batch, commits=commits
        )
        assert broken.histories() == whole.histories()
        assert broken.verify().findings == []


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=passages(), change=changes())
def test_the_preview_says_what_happens(told: list[Envelope], change: Change) -> None:
    """The numbers of the plan are those of the events, where nothing happens in between."""
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder), partitions=2)
        put_in_force(bank, change.versions[0])
        bank.take([fact for fact in told if fact.occurred_at <= MIDDLE])
        bank.run(MIDDLE)
        if change.paused:
            order(bank, "paused")
            bank.run(MIDDLE + timedelta(days=4))
        put_in_force(bank, change.versions[1])
        plan = planned(bank, 2, mapping=change.mappings[0], ends=change.ends[0])
        until = MIDDLE + timedelta(days=4 if change.paused else 0)
        migrate(bank, 2, mapping=change.mappings[0], ends=change.ends[0])
        bank.run(until)
        bodies = [body for told_ in histories(bank).values() for body in told_]
        moved = [(b.from_step, b.step) for b in bodies if isinstance(b, EnrolmentMigrated)]
        foreseen = [(g.step, g.to) for g in plan.going for _ in range(g.enrolments) if g.to is not None]
        assert sorted(moved) == sorted(foreseen)
        out = [b.step for b in bodies if isinstance(b, EnrolmentEnded) and b.reason == "migrated_out"]
        assert sorted(out) == sorted(g.step for g in plan.going for _ in range(g.enrolments) if g.to is None)
        if change.paused:
            order(bank, "running")
        bank.run(LAST)
        skipped = {b.step for told_ in histories(bank).values() for b in told_ if isinstance(b, StepSkipped)}
        assert skipped <= {repeat.step for repeat in plan.repeats}


@pytest.mark.long
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_migration_whose_process_is_killed_goes_on_where_it_was(tmp_path: Path, store: str) -> None:
    """SIGKILL in the middle of the sweep: everybody is moved once, as if nothing had happened."""
    told = []
    for number in range(1_700):
        subject = f"c-{number}"
        told.append(envelope(subject, START, registered()))
        told.append(asked(START + timedelta(hours=12), subject, subject=subject))
    first = own(
        send("hello", "t-a", "wait"), Wait(step="wait", days=9, at="10:00", next="end"), End(step="end")
    )
    second = own(send("hello", "t-a", "new"), send("new", "t-b", "end"), End(step="end"), version=2)
    until = START + timedelta(days=20)
    whole = Bank(tmp_path, partitions=4, name="whole")
    swept = Bank(
        tmp_path, partitions=1, name="swept", url=fresh_database() if store == "postgresql" else None
    )
    for bank in (whole, swept):
        put_in_force(bank, first)
        bank.take(told)
        bank.run(START + timedelta(days=2))
        put_in_force(bank, second)
        migrate(bank, 2, mapping={"wait": "hello"})
    whole.run(until)
    where = ["--store", swept.settings.store, "--outbox", str(swept.outbox)]
    command = [sys.executable, "-m", "tidings", "run", "--until", until.isoformat(), *where]
    process = subprocess.Popen(command, cwd=tmp_path, env=swept.environment)
    while not 0 < reached(swept) < 1_700 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "ended before it was killed"
    assert 0 < reached(swept) < 1_700
    swept.run(until)
    assert swept.histories() == whole.histories()
    assert swept.verify().findings == []
    templates = [template for template, status, _ in said(swept)]
    assert (templates.count("t-a"), templates.count("t-b")) == (1_700, 1_700)


def reached(bank: Bank) -> int:
    """The customer up to whom the newest rulebook has come; 0 where it has not come to anybody."""
    newest = "SELECT max(number) FROM rulebooks WHERE partition = 0"
    rows = bank.sql(
        f"SELECT adopted_stream FROM partitions WHERE partition = 1 AND adopted_rulebook = ({newest})"
    )
    return int(rows[0][0]) if rows else 0
