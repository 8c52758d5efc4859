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
from tidings.cli.verifying import verify_all

pytestmark = [pytest.mark.slow, pytest.mark.long]

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


def test_three_processes_find_what_one_finds(tmp_path: Path) -> None:
    bank = filled(tmp_path, "harmed", told())
    bank.run(UNTIL)
    bank.sql("UPDATE events SET body = ? WHERE partition IN (1, 4) AND seq IN (7, 11)", b"{}")
    bank.sql("UPDATE documents SET body = ? WHERE kind = 'policy'", b"{}")
    alone = bank.verify()
    assert len(alone.findings) == 5
    together = verify_all(bank.tidings, lambda _: None, workers=3)
    assert sorted(map(repr, together.findings)) == sorted(map(repr, alone.findings))
    assert (together.customers, together.events, together.replayed) == (
        alone.customers,
        alone.events,
        alone.replayed,
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_ledger_is_made_again_from_the_events(tmp_path: Path, kind: str, workers: str) -> None:
    bank = filled(tmp_path, "kept", told(), fresh_database() if kind == "postgresql" else None)
    bank.run(UNTIL)
    before = bank.tidings.ledger.messages()
    assert len(before) > 40
    bank.sql("UPDATE messages SET status = 'accepted'")
    bank.sql("DELETE FROM messages WHERE partition = 2")
    told_again = command(bank, "rebuild", "--workers", workers, "--json")
    assert told_again.returncode == 0, told_again.stderr
    assert json.loads(told_again.stdout) == {"messages": len(before), "tasks": 40}
    assert bank.tidings.ledger.messages() == before


def test_a_ledger_is_not_thrown_away_where_the_first_events_are_gone(tmp_path: Path) -> None:
    bank = filled(tmp_path, "cut", told())
    bank.run(UNTIL)
    before = bank.tidings.ledger.messages()
    bank.sql("DELETE FROM events WHERE partition = 1 AND seq < 10")
    refused = command(bank, "rebuild")
    assert refused.returncode == 1
    assert "begins at event 10" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert bank.tidings.ledger.messages() == before


def command(bank: Bank, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = {**os.environ, "TIDINGS_STORE": bank.settings.store, "TIDINGS_OUTBOX": str(bank.outbox)}
    asked = [sys.executable, "-m", "tidings", *arguments]
    return subprocess.run(asked, env=where, capture_output=True, text=True, cwd=bank.outbox.parent)


def test_a_fault_in_one_process_is_one_line(tmp_path: Path) -> None:
    bank = filled(tmp_path, "harmed", told())
    bank.sql("UPDATE inbox SET body = ? WHERE partition = 3 AND kind = 'holding.opened/1'", b"{")
    done = command(bank, "run", "--until", UNTIL.isoformat(), "--workers", "2")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "holding.opened/1" in done.stderr


def test_the_sum_of_several_is_told(tmp_path: Path) -> None:
    bank = filled(tmp_path, "told", told())
    done = command(bank, "run", "--until", UNTIL.isoformat(), "--workers", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["facts"] == 280
