"""The same facts give each customer the same history, on any store, with any number of workers."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from domain.catalogue import Envelope
from journeys.definition import Journey
from support.bank import Bank
from support.postgres import fresh_database
from support.strategies import END, lives, own_journeys
from tidings.synthetic import synthetic_bank

START = date(2026, 1, 1)
UNTIL = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=lives(), own=own_journeys())
def test_postgresql_tells_what_sqlite_tells(
    told: list[Envelope], own: list[Journey], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    files, server = Bank(folder, partitions=1), Bank(folder, partitions=3, name="pg", url=fresh_database())
    for bank in (files, server):
        bank.publish(*own)
        bank.take(told)
        bank.run(END, batch=5)
        assert bank.verify().findings == []
    assert server.histories() == files.histories()
    assert server.ledger() == files.ledger()


def worker(bank: Bank) -> "subprocess.Popen[bytes]":
    """One more worker process on the bank's store."""
    where = ["--store", bank.settings.store, "--outbox", str(bank.outbox)]
    command = [sys.executable, "-m", "tidings", "run", "--until", UNTIL.isoformat(), "--join", *where]
    return subprocess.Popen(command, cwd=bank.outbox.parent, env=bank.environment)


@pytest.mark.long
@pytest.mark.slow
def test_three_workers_of_which_two_are_killed_tell_what_one_tells(tmp_path: Path) -> None:
    seed = int(os.environ.get("TIDINGS_TEST_SEED", "7"))
    chance = random.Random(seed)
    told = list(synthetic_bank(customers=400, days=181, start=START, seed=seed))
    one = Bank(tmp_path, partitions=1, name="one")
    eight = Bank(tmp_path, partitions=8, name="eight")
    shared = Bank(tmp_path, partitions=16, name="shared", url=fresh_database())
    for bank in (one, eight, shared):
        assert bank.take(told).refused == []
    for bank in (one, eight):
        bank.run(UNTIL)
    total = one.committed()
    workers = [worker(shared) for _ in range(3)]
    for moment, victim in zip(
        sorted(chance.sample(range(total // 10, total // 2), 2)), workers, strict=False
    ):
        while shared.committed() < moment and victim.poll() is None:
            time.sleep(0.005)
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL, f"ended before it was killed; seed {seed}"
    assert workers[2].wait(timeout=200) == 0
    assert eight.histories() == one.histories()
    assert shared.histories() == one.histories()
    assert shared.ledger() == one.ledger()
    assert shared.verify().findings == []


@pytest.mark.long
@pytest.mark.slow
def test_the_command_line_works_on_postgresql(tmp_path: Path) -> None:
    url = fresh_database()

    def tidings(*arguments: str) -> str:
        command = [sys.executable, "-m", "tidings", *arguments, "--store", url, "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    examples = Path(__file__).resolve().parents[2] / "examples"
    assert json.loads(tidings("init"))["made"] is True
    assert json.loads(tidings("init"))["made"] is False
    assert json.loads(tidings("import", "cloudevents", str(examples / "one-customer.jsonl")))["accepted"] == 3
    tidings("run", "--until", "2026-12-31T00:00:00Z")
    messages = json.loads(tidings("messages"))
    assert len(messages) == 9
    (refused, *_) = [message for message in messages if message["status"] == "suppressed"]
    assert json.loads(tidings("why", refused["id"]))["rule"] == "no_consent"
    assert json.loads(tidings("audit", "verify"))["ok"] is True


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be opened"),
        ("postgresql:///none?host=/nowhere", "cannot be opened"),
    ],
)
def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, url: str, told: str) -> None:
    command = [sys.executable, "-m", "tidings", "messages", "--store", url]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
