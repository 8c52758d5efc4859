"""Several processes do what one does, and tell the first fault of any."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from domain.catalogue import Envelope
from support.bank import Bank
from support.facts import at, granted, noon, opened, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope
from tidings.cli.running import live_together

UNTIL = at("2026-12-31 12:00")


def told() -> list[Envelope]:
    told = []
    for number in range(40):
        subject = f"c-{number}"
        told += [
            envelope(subject, at("2026-01-01 12:00"), registered()),
            envelope(subject, at("2026-01-01 12:00"), granted()),
            envelope(subject, at("2026-01-02 12:00"), opened(matures_on=date(2026, 7, 1))),
            *(envelope(subject, noon(date(2026, month, 10)), paid()) for month in range(1, 5)),
        ]
    return told


def filled(folder: Path, name: str, facts: list[Envelope], url: str | None = None) -> Bank:
    bank = Bank(folder, partitions=4, name=name, url=url)
    assert bank.take(facts).refused == []
    return bank


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_three_processes_do_what_one_does(tmp_path: Path, kind: str) -> None:
    facts = told()
    one = filled(tmp_path, "one", facts)
    three = filled(tmp_path, "three", facts, fresh_database() if kind == "postgresql" else None)
    alone = one.run(UNTIL)
    seen: list[int] = []
    together = live_together(three.tidings, until=UNTIL, advance=seen.append, workers=3)
    assert together == alone
    assert alone.facts == 280
    assert seen == sorted(seen)
    assert three.histories() == one.histories()
    assert three.verify().findings == []


def test_a_fault_in_one_process_is_one_line(tmp_path: Path) -> None:
    bank = filled(tmp_path, "harmed", told())
    bank.sql("UPDATE inbox SET body = ? WHERE partition = 3 AND kind = 'holding.opened/1'", b"{")
    command = [sys.executable, "-m", "tidings", "run", "--until", UNTIL.isoformat(), "--workers", "2"]
    where = {**os.environ, "TIDINGS_STORE": bank.settings.store, "TIDINGS_OUTBOX": str(bank.outbox)}
    done = subprocess.run(command, env=where, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "holding.opened/1" in done.stderr


def test_the_sum_of_several_is_told(tmp_path: Path) -> None:
    bank = filled(tmp_path, "told", told())
    command = [sys.executable, "-m", "tidings", "run", "--until", UNTIL.isoformat(), "--workers", "2"]
    where = {**os.environ, "TIDINGS_STORE": bank.settings.store, "TIDINGS_OUTBOX": str(bank.outbox)}
    done = subprocess.run([*command, "--json"], env=where, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["facts"] == 280
