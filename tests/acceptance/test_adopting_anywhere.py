"""Published later, the same journeys give the same histories, in any slices, on any store, killed or not."""

import signal
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import Envelope
from journeys.definition import EnterOnBirthday, Journey
from stores.adoption import behind
from support.bank import Bank
from support.facts import at, registered
from support.postgres import fresh_database
from support.scenario import envelope
from support.strategies import END, START, entered, entries, lives
from tidings import adopting
from tidings.cli.running import live_together
from tidings.synthetic import synthetic_bank

MIDDLE = START + timedelta(days=240)
SLICES = (1, 2, 7)


ENTERS = st.one_of(*entries.values())


@st.composite
def published(draw: st.DrawFn) -> list[Journey]:
    """What is published together: new journeys, and shipped ones entered otherwise."""
    names = draw(st.sets(st.sampled_from(["own", "other", "birthday", "maturity", "win-back"]), min_size=1))
    return [entered(name, draw(ENTERS), version=2) for name in sorted(names)]


def lived(bank: Bank, told: list[Envelope], journeys: list[list[Journey]]) -> Bank:
    """In one go: one slice, one batch."""
    bank.take(told)
    bank.run(MIDDLE)
    for number, group in enumerate(journeys):
        bank.publish(*(as_version(own, number + 2) for own in group))
        bank.run(MIDDLE + timedelta(days=150 * (number + 1)))
    bank.run(END)
    return bank


def as_version(own: Journey, version: int) -> Journey:
    return entered(own.journey, own.enter, version=version)


def lived_brokenly(
    bank: Bank, told: list[Envelope], journeys: list[list[Journey]], *, batch: int, commits: int
) -> Bank:
    """In small slices and batches, each run killed again and again, after ever more transactions."""
    bank.take(told)
    bank.run(MIDDLE, batch=batch)
    for number, group in enumerate(journeys):
        bank.publish(*(as_version(own, number + 2) for own in group))
        until = MIDDLE + timedelta(days=150 * (number + 1))
        while bank.run_killed(until, commits=commits, batch=batch):
            commits += 2
    while bank.run_killed(END, commits=commits, batch=batch):
        commits *= 2
    return bank


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    told=lives(customers=4, most=8),
    journeys=st.lists(published(), min_size=1, max_size=2),
    batch=st.sampled_from([1, 3, 50]),
    size=st.sampled_from(SLICES),
    commits=st.integers(3, 9),
)
def test_histories_do_not_depend_on_when_the_sweep_comes_by(
    told: list[Envelope], journeys: list[list[Journey]], batch: int, size: int, commits: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        whole = lived(Bank(Path(folder), partitions=1, name="whole"), told, journeys)
        patch.setattr(adopting, "SLICE", size)
        broken = lived_brokenly(
            Bank(Path(folder), partitions=3, name="broken"), told, journeys, batch=batch, commits=commits
        )
        assert broken.histories() == whole.histories()
        assert broken.verify().findings == []


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=lives(customers=4, most=8), journeys=st.lists(published(), min_size=1, max_size=2))
@pytest.mark.long
@pytest.mark.slow
def test_postgresql_adopts_as_sqlite_does(
    told: list[Envelope], journeys: list[list[Journey]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    files = lived(Bank(folder, partitions=1, name="files"), told, journeys)
    server = Bank(folder, partitions=2, name="server", url=fresh_database())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adopting, "SLICE", 2)
        lived_brokenly(server, told, journeys, batch=5, commits=6)
    assert server.histories() == files.histories()
    assert server.verify().findings == []


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_sweep_whose_process_is_killed_goes_on_where_it_was(tmp_path: Path, store: str) -> None:
    start, until = date(2026, 1, 1), START + timedelta(days=20)
    told = list(synthetic_bank(customers=1_700, days=2, start=start, seed=3))
    own = entered("own", EnterOnBirthday(at="18:00"))
    whole = Bank(tmp_path, partitions=4, name="whole")
    swept = Bank(
        tmp_path, partitions=1, name="swept", url=fresh_database() if store == "postgresql" else None
    )
    for bank in (whole, swept):
        bank.take(told)
        bank.run(START + timedelta(days=2))
        bank.publish(own)
    planned = whole.run(until).planned
    where = ["--store", swept.settings.store, "--outbox", str(swept.outbox)]
    command = [sys.executable, "-m", "tidings", "run", "--until", until.isoformat(), *where]
    process = subprocess.Popen(command, cwd=tmp_path, env=swept.environment)
    while not 0 < reached(swept) < 1_700 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "ended before it was killed"
    at_kill = reached(swept)
    again = swept.run(until).planned
    assert 0 < at_kill < 1_700
    assert 0 < again < planned
    assert swept.histories() == whole.histories()
    assert swept.verify().findings == []


def test_several_processes_adopt_as_one_does(tmp_path: Path) -> None:
    told = list(synthetic_bank(customers=60, days=2, start=date(2026, 1, 1), seed=3))
    own = entered("own", EnterOnBirthday(at="18:00"))
    one, several = Bank(tmp_path, partitions=1, name="one"), Bank(tmp_path, partitions=5, name="several")
    for bank in (one, several):
        bank.take(told)
        bank.run(START + timedelta(days=2))
        bank.publish(own)
    alone = one.run(MIDDLE)
    assert alone.planned > 50
    together = live_together(several.tidings, until=MIDDLE, advance=lambda _: None, workers=2)
    assert together == alone
    assert several.histories() == one.histories()


def reached(bank: Bank) -> int:
    """The customer up to whom the newest rulebook has come."""
    rows = bank.sql("SELECT adopted_stream FROM partitions WHERE partition = 1 AND adopted_rulebook = 2")
    return int(rows[0][0]) if rows else 0


def test_a_worker_that_joins_waits_for_a_sweep_in_other_hands(tmp_path: Path) -> None:
    """A partition whose clock is there and whose sweep is not has not come to the end of the run."""
    bank = Bank(tmp_path, partitions=2)
    bank.take([envelope(f"c-{n}", at("2026-01-01 12:00"), registered()) for n in range(9)])
    bank.run(MIDDLE)
    bank.publish(entered("own", EnterOnBirthday(at="18:00")))
    assert bank.run_killed(MIDDLE, commits=1)
    engine = bank.tidings.engine
    assert behind(engine, [1, 2], until=MIDDLE, rulebook=1) == [1]
    assert behind(engine, [1, 2], until=MIDDLE, rulebook=2) == [1, 2]
    bank.run(MIDDLE)
    assert behind(engine, [1, 2], until=MIDDLE, rulebook=2) == []
    engine.dispose()
