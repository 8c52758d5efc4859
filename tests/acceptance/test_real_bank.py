"""Three years of a real bank's records: the ledger against an independent count, runs against each other.

The records are not part of the project; without them beside it these tests say so and are left out.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from support.berka_oracle import Expected, expect
from support.told import heads_told

BERKA = Path(__file__).resolve().parents[3] / "shared" / "data" / "berka"
UNTIL = "1996-01-01T00:00:00+01:00"
# The programmes that are counted independently; the others speak besides.
COUNTED = ("birthday", "maturity", "tier-upgrade", "win-back")

pytestmark = [
    pytest.mark.skipif(not BERKA.is_dir(), reason="the real bank's records are not beside the project"),
    pytest.mark.slow,
]


class Folder:
    """A folder to run the command line in, as an operator does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tidings", *arguments]

    def tidings(self, *arguments: str) -> str:
        """What the command prints; it must exit 0."""
        done = subprocess.run(self.command(*arguments), cwd=self.path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def heads(self) -> list[tuple[str, int, str]]:
        """Each customer's last version and hash, of what was told: keys differ from store to store."""
        return heads_told(f"sqlite:///{self.path / 'tidings.db'}")

    def recorded(self) -> int:
        """How many events of customers are committed."""
        return int(str(self._select("SELECT sum(last_seq) FROM partitions WHERE partition > 0")[0][0]))

    def _select(self, statement: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.path / "tidings.db", timeout=30)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def sent(self) -> dict[str, bytes]:
        """Every file of the outbox with its bytes."""
        outbox = self.path / "outbox"
        return {str(p.relative_to(outbox)): p.read_bytes() for p in outbox.rglob("*") if p.is_file()}


def imported(path: Path, *, consent: bool = True, partitions: int = 8) -> Folder:
    folder = Folder(path)
    folder.tidings("init", "--partitions", str(partitions))
    assumed = ["--assume-consent", "marketing"] if consent else []
    counts = json.loads(folder.tidings("import", "berka", str(BERKA), *assumed, "--json"))
    assert counts["refused"] == counts["repeated"] == 0
    return folder


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The real bank, with consent assumed, lived through."""
    folder = imported(tmp_path_factory.mktemp("bank") / "one")
    folder.tidings("run", "--until", UNTIL)
    return folder


def independent(*, consent: bool) -> Expected:
    return expect(BERKA, until=datetime.fromisoformat(UNTIL), marketing_consent=consent)


def told(folder: Folder) -> Counter[tuple[str, str, str, datetime, str]]:
    """The ledger as the independent count tells it: who, what, when, and whether."""
    statuses = {"accepted": "sent", "suppressed": "suppressed"}
    return Counter(
        (
            entry["customer"],
            entry["journey"],
            entry["template"],
            datetime.fromisoformat(entry["requested_at"]),
            statuses[entry["status"]],
        )
        for entry in json.loads(folder.tidings("messages", "--json"))
        if entry["journey"] in COUNTED
    )


def expected(count: Expected) -> Counter[tuple[str, str, str, datetime, str]]:
    return Counter((m.customer, m.journey, m.template, m.at, m.status) for m in count.messages)


@pytest.mark.long
@pytest.mark.slow
def test_the_ledger_is_what_an_independent_count_says(lived: Folder) -> None:
    count = independent(consent=True)
    assert told(lived) == expected(count)
    tasks = Counter(
        (t["customer"], t["journey"], datetime.fromisoformat(t["created_at"]))
        for t in json.loads(lived.tidings("tasks", "--json"))
        if t["journey"] in COUNTED
    )
    assert tasks == Counter((t.customer, t.journey, t.at) for t in count.tasks)
    ledger = json.loads(lived.tidings("messages", "--json"))
    assert len(lived.sent()) == sum(entry["status"] == "accepted" for entry in ledger)
    assert any(message.status == "suppressed" for message in count.messages)


@pytest.mark.long
@pytest.mark.slow
def test_without_consent_the_same_is_asked_for_and_marketing_is_kept_back(tmp_path: Path) -> None:
    folder = imported(tmp_path / "silent", consent=False)
    folder.tidings("run", "--until", UNTIL)
    count = independent(consent=False)
    assert told(folder) == expected(count)
    kept_back = sum(message.status == "suppressed" for message in count.messages)
    minors = sum(message.status == "suppressed" for message in independent(consent=True).messages)
    reasons = Counter(
        entry["reason"]
        for entry in json.loads(folder.tidings("messages", "--status", "suppressed", "--json"))
        if entry["journey"] in COUNTED
    )
    assert reasons == {"no_consent": kept_back - minors, "too_young": minors}


@pytest.mark.long
@pytest.mark.slow
def test_every_fact_of_the_records_is_taken_once(lived: Folder) -> None:
    counts = json.loads(
        lived.tidings("import", "berka", str(BERKA), "--assume-consent", "marketing", "--json")
    )
    assert counts == {
        "read": counts["read"],
        "accepted": 0,
        "repeated": sum(independent(consent=True).facts.values()),
        "refused": 0,
    }


@pytest.mark.long
@pytest.mark.slow
def test_the_whole_history_is_decided_again_without_a_difference(lived: Folder) -> None:
    verified = json.loads(lived.tidings("audit", "verify", "--json"))
    assert verified["ok"] is True
    assert (verified["differences"], verified["chain_breaks"]) == (0, 0)
    assert verified["replayed"] > 40_000


@pytest.mark.long
@pytest.mark.slow
def test_another_store_with_other_partitions_tells_the_same_to_the_byte(
    lived: Folder, tmp_path: Path
) -> None:
    other = imported(tmp_path / "other", partitions=3)
    other.tidings("run", "--until", UNTIL)
    assert other.tidings("messages", "--json") == lived.tidings("messages", "--json")
    assert other.heads() == lived.heads()
    assert other.sent() == lived.sent()


@pytest.mark.long
def test_killed_at_ten_random_moments_it_tells_the_same_to_the_byte(lived: Folder, tmp_path: Path) -> None:
    seed = int(os.environ.get("TIDINGS_TEST_SEED", "20260101"))
    chance = random.Random(seed)
    folder = imported(tmp_path / "killed")
    moments = sorted(chance.sample(range(1, lived.recorded() * 9 // 10), 10))
    for number, moment in enumerate(moments):
        running = subprocess.Popen(folder.command("run", "--until", UNTIL), cwd=folder.path)
        while folder.recorded() < moment and running.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.05)
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL, f"ended before kill {number} at {moment}; seed {seed}"
    folder.tidings("run", "--until", UNTIL)
    assert folder.tidings("messages", "--json") == lived.tidings("messages", "--json")
    assert folder.heads() == lived.heads()
    assert folder.sent() == lived.sent()
