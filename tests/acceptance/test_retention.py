"""Events that an archive holds may leave the store: everything goes on as before, and nothing is lost."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from shutil import copyfile

import pytest
from msgspec.structs import replace as changed

from audit.findings import Verified
from audit.replay import replay
from domain.errors import LeaseLost, StoreCorrupt
from journeys.definition import EnterOnBirthday
from stores import journal as journals
from stores.archive import manifest as listed
from stores.archive.history import Faults
from stores.archive.retention import remove_archived, restore_removed
from stores.archive.writing import write_archive
from stores.journal import Journal
from support.bank import Bank
from support.postgres import fresh_database
from tidings.bootstrap import joined
from tidings.cli.verifying import verify_history
from tidings.cli.why import explanation_of
from tidings.memory import Room
from tidings.synthetic import synthetic_bank

pytestmark = [pytest.mark.slow, pytest.mark.long]

MIDDLE = datetime(2026, 4, 1, tzinfo=UTC)
UNTIL = datetime(2026, 7, 1, tzinfo=UTC)
OFTEN = Room(customers=50_000, events_between_snapshots=5)
FACTS = list(synthetic_bank(customers=40, days=181, start=date(2026, 1, 1), seed=11))


def bank_of(folder: Path, *, url: str | None = None, name: str = "tidings") -> Bank:
    bank = Bank(folder, partitions=2, url=url, name=name)
    assert bank.take(FACTS).refused == []
    bank.run(MIDDLE, room=OFTEN)
    return bank


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return bank_of(tmp_path_factory.mktemp("bank"))


@pytest.fixture
def bank(made: Bank, tmp_path: Path) -> Bank:
    copy = Bank(tmp_path, partitions=2)
    for suffix in (".db", ".keys.db", ".master-key"):
        copyfile(made.path.with_suffix(suffix), copy.path.with_suffix(suffix))
    return copy


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def write(bank: Bank, archive: Path) -> None:
    history = bank.tidings.history
    write_archive(history, archive, before=None, progress=lambda _: None, rows_in_file=150)


def remove(bank: Bank, archive: Path, *, before: datetime = MIDDLE) -> int:
    """Archive everything, and remove what may go."""
    write(bank, archive)
    tidings = bank.tidings
    tidings.ledger.catch_up()
    return remove_archived(tidings.engine, archive, before=before, progress=lambda _: None)


def left(bank: Bank) -> int:
    return int(bank.sql("SELECT count(*) FROM events WHERE partition > 0")[0][0])


def verified(bank: Bank, archive: Path, faults: Faults | None = None) -> Verified:
    return verify_history(joined(bank.tidings, archive, faults=faults), lambda _: None)


@pytest.mark.parametrize("server", [False, True], ids=["sqlite", "postgresql"])
def test_life_goes_on_as_if_nothing_had_been_removed(server: bool, archive: Path, tmp_path: Path) -> None:
    bank = bank_of(tmp_path, url=fresh_database() if server else None)
    whole = bank_of(tmp_path, name="whole")
    before = left(bank)
    removed = remove(bank, archive)
    assert removed > before / 2
    assert left(bank) == before - removed
    for each in (bank, whole):
        each.run(UNTIL, room=OFTEN)
    write(bank, archive)
    assert verified(bank, archive) == whole.verify()
    history, store = joined(bank.tidings, archive), whole.tidings
    for subject in {fact.subject for fact in FACTS}:
        # Two banks seal the same body in other bytes.
        there, here = replay(history, subject), replay(store.history, subject)
        assert (there.history, there.customer) == (here.history, here.customer)
    messages = [entry.id for entry in store.ledger.messages()]
    assert [entry.id for entry in bank.tidings.ledger.messages()] == messages
    for message in messages[::10]:
        assert explanation_of(bank.tidings, message, history) == explanation_of(store, message)
    assert remove(bank, archive, before=UNTIL) > 0
    assert verified(bank, archive) == whole.verify()


def test_rules_that_are_published_later_reach_whom_the_archive_has(
    bank: Bank, archive: Path, tmp_path: Path
) -> None:
    whole = bank_of(tmp_path, name="whole")
    assert remove(bank, archive) > 0
    heads = "FROM heads h LEFT JOIN events e ON e.partition = h.partition AND e.seq = h.seq"
    assert bank.sql(f"SELECT count(*) {heads} WHERE e.seq IS NULL")[0][0] > 0
    birthday = changed(bank.tidings.in_force().rules.journeys["birthday"], version=2)
    later = changed(birthday, enter=EnterOnBirthday(at="18:00"))
    for each in (bank, whole):
        each.publish(later)
    assert bank.run(UNTIL, room=OFTEN) == whole.run(UNTIL, room=OFTEN)
    write(bank, archive)
    assert verified(bank, archive) == whole.verify()


@pytest.mark.parametrize("limit", [datetime(2026, 2, 15, tzinfo=UTC), UNTIL])
def test_only_what_snapshots_cover_and_what_is_old_is_removed(
    limit: datetime, bank: Bank, archive: Path
) -> None:
    bank.sql("DELETE FROM snapshots WHERE stream % 3 = 0")
    rows = set(bank.sql("SELECT partition, seq, stream, version, recorded_at FROM events"))
    assert remove(bank, archive, before=limit) > 0
    stay = set(bank.sql("SELECT partition, seq, stream, version, recorded_at FROM events"))
    floors = {row[:2]: row[2] for row in bank.sql("SELECT partition, stream, version FROM snapshots")}
    for partition, seq, stream, version, recorded_at in rows:
        covered = version <= floors.get((partition, stream), 0)
        old = recorded_at < limit.timestamp() * 1e6
        gone = (partition, seq, stream, version, recorded_at) not in stay
        assert gone == (covered and old)


def test_without_the_archive_it_says_that_events_were_removed(bank: Bank, archive: Path) -> None:
    remove(bank, archive)
    codes = [(finding.code, finding.partition) for finding in bank.verify().findings]
    assert codes == [("audit.events_removed", 1), ("audit.events_removed", 2)]
    message = bank.tidings.ledger.messages()[0]
    for asked in (["replay", message.customer], ["why", message.id]):
        complaint = tidings(bank, *asked, code=1)
        assert message.customer in complaint
        assert "--archive" in complaint
        assert tidings(bank, *asked, "--archive", str(archive), code=0)


def tidings(bank: Bank, *arguments: str, code: int) -> str:
    command = [sys.executable, "-m", "tidings", *arguments, "--store", bank.settings.store]
    done = subprocess.run(command, capture_output=True, text=True, cwd=bank.path.parent)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


@pytest.mark.long
@pytest.mark.slow
def test_the_command_removes_verifies_and_restores(bank: Bank, archive: Path) -> None:
    kept = ["archive", str(archive)]
    before = left(bank)
    assert "--before" in tidings(bank, *kept, "--remove", code=2)
    assert "alone" in tidings(
        bank, *kept, "--restore", "--remove", "--before", "2026-04-01T00:00:00Z", code=2
    )
    assert "no archive" in tidings(bank, *kept, "--restore", code=1)
    assert not archive.exists()
    done = json.loads(tidings(bank, *kept, "--before", "2026-04-01T00:00:00Z", "--remove", "--json", code=0))
    assert done["removed"] == before - left(bank) > 0
    assert "removed into an archive" in tidings(bank, "audit", "verify", code=1)
    report = tidings(bank, "audit", "verify", "--archive", str(archive), "--json", code=0)
    assert json.loads(report)["ok"] is True
    restored = json.loads(tidings(bank, *kept, "--restore", "--json", code=0))
    assert restored["restored"] == done["removed"]
    assert json.loads(tidings(bank, "audit", "verify", "--json", code=0))["ok"] is True


def test_a_ledger_is_not_thrown_away_once_events_are_gone(bank: Bank, archive: Path) -> None:
    entries = bank.tidings.ledger.messages()
    assert remove(bank, archive) > 0
    bank.sql("DELETE FROM events WHERE partition = 1")
    assert "archive" in tidings(bank, "rebuild", code=1)
    assert bank.tidings.ledger.messages() == entries


def test_several_processes_read_store_and_archive(bank: Bank, archive: Path) -> None:
    remove(bank, archive)
    asked = ["audit", "verify", "--archive", str(archive), "--workers", "2", "--json"]
    assert json.loads(tidings(bank, *asked, code=0))["ok"] is True
    (archive / listed.load(archive).partitions[2].events[0].path).unlink()
    command = [sys.executable, "-m", "tidings", *asked, "--store", bank.settings.store]
    done = subprocess.run(command, capture_output=True, text=True)
    codes = [finding["code"] for finding in json.loads(done.stdout)["findings"]]
    assert codes[0] == "archive.file_missing"


def test_what_was_removed_comes_back_byte_for_byte(bank: Bank, archive: Path) -> None:
    rows = bank.sql("SELECT * FROM events ORDER BY partition, seq")
    removed = remove(bank, archive)
    assert restore_removed(bank.tidings.engine, archive, progress=lambda _: None) == removed
    assert bank.sql("SELECT * FROM events ORDER BY partition, seq") == rows
    assert bank.verify().findings == []
    assert restore_removed(bank.tidings.engine, archive, progress=lambda _: None) == 0


def test_a_damaged_archive_removes_nothing(bank: Bank, archive: Path) -> None:
    write(bank, archive)
    before = left(bank)
    path = archive / listed.load(archive).partitions[1].events[0].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    bank.tidings.ledger.catch_up()
    with pytest.raises(StoreCorrupt) as caught:
        remove_archived(bank.tidings.engine, archive, before=MIDDLE, progress=lambda _: None)
    assert caught.value.code == "archive.file_altered"
    assert left(bank) == before


@pytest.mark.parametrize("column", ["body", "hash"])
def test_an_event_that_differs_from_the_archives_is_not_removed(
    column: str, bank: Bank, archive: Path
) -> None:
    write(bank, archive)
    bank.sql(f"UPDATE events SET {column} = zeroblob(32) WHERE partition = 1 AND seq = 3")
    before = left(bank)
    bank.tidings.ledger.catch_up()
    with pytest.raises(StoreCorrupt) as caught:
        remove_archived(bank.tidings.engine, archive, before=MIDDLE, progress=lambda _: None)
    assert (caught.value.code, caught.value.values["seq"]) == ("archive.other_store", 3)
    assert left(bank) == before


def test_a_partition_that_a_worker_has_is_left_alone(bank: Bank, archive: Path) -> None:
    write(bank, archive)
    bank.tidings.ledger.catch_up()
    before = left(bank)
    with Journal(bank.tidings.engine, 1), pytest.raises(LeaseLost):
        remove_archived(bank.tidings.engine, archive, before=MIDDLE, progress=lambda _: None)
    assert left(bank) == before


def test_what_the_ledger_has_not_taken_in_stays(bank: Bank, archive: Path) -> None:
    write(bank, archive)
    bank.sql("DELETE FROM projections")
    assert remove_archived(bank.tidings.engine, archive, before=MIDDLE, progress=lambda _: None) == 0


def test_without_snapshots_nothing_goes(bank: Bank, archive: Path) -> None:
    bank.sql("DELETE FROM snapshots")
    assert remove(bank, archive) == 0
    assert bank.verify().findings == []


def test_a_worker_that_cannot_use_the_snapshots_any_more_stops(
    bank: Bank, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(bank, archive)
    monkeypatch.setattr(journals, "state_form", lambda: "another")
    with pytest.raises(StoreCorrupt) as caught:
        bank.run(UNTIL)
    assert caught.value.code == "store.history_removed"
    monkeypatch.undo()
    restore_removed(bank.tidings.engine, archive, progress=lambda _: None)
    monkeypatch.setattr(journals, "state_form", lambda: "another")
    bank.run(UNTIL)


def test_a_new_archive_cannot_be_begun_once_events_are_gone(bank: Bank, archive: Path) -> None:
    remove(bank, archive)
    with pytest.raises(StoreCorrupt) as caught:
        write(bank, archive.parent / "another")
    assert caught.value.code == "archive.behind"
    with pytest.raises(StoreCorrupt) as caught:
        restore_removed(bank.tidings.engine, archive.parent / "another", progress=lambda _: None)
    assert caught.value.code == "archive.behind"


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from stores.archive import retention
from stores.database import open_store
retention._AT_ONCE = 40
left, delete = int(sys.argv[3]), retention.delete
def delete_or_die(*given):
    global left
    left -= 1
    delete(*given)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
retention.delete = delete_or_die
before = datetime(2026, 4, 1, tzinfo=UTC)
retention.remove_archived(open_store(sys.argv[1]), Path(sys.argv[2]), before=before, progress=lambda _: None)
"""


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_removal_that_is_killed_loses_nothing(step: int, bank: Bank, archive: Path) -> None:
    sound = bank.verify()
    before = left(bank)
    write(bank, archive)
    bank.tidings.ledger.catch_up()
    command = [sys.executable, "-c", KILLED, bank.settings.store, str(archive), str(step)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert (left(bank) < before) == (step > 1)
    assert verified(bank, archive) == sound
    assert remove(bank, archive) > 0
    assert verified(bank, archive) == sound
    assert sum(finding.code == "audit.events_removed" for finding in bank.verify().findings) == 2


Harm = Callable[[Bank, Path], None]


def a_row_of_the_store(bank: Bank, archive: Path) -> None:
    seq = bank.sql("SELECT max(seq) FROM events WHERE partition = 1")[0][0]
    bank.sql("UPDATE events SET recorded_at = recorded_at + 1 WHERE partition = 1 AND seq = ?", seq)


def a_file_of_the_archive(bank: Bank, archive: Path) -> None:
    (archive / listed.load(archive).partitions[1].events[0].path).unlink()


@pytest.mark.parametrize(
    ("harm", "codes"),
    [
        (a_row_of_the_store, {"archive.event_differs"}),
        (a_file_of_the_archive, {"archive.file_missing"}),
    ],
)
def test_what_is_wrong_with_either_is_found(harm: Harm, codes: set[str], bank: Bank, archive: Path) -> None:
    remove(bank, archive, before=datetime(2026, 3, 1, tzinfo=UTC))
    faults: Faults = []
    assert verified(bank, archive, faults).findings == []
    assert faults == []
    harm(bank, archive)
    findings = verified(bank, archive, faults).findings
    assert {fault.code for _, _, fault in faults} == codes
    assert findings != []


def test_an_archive_of_another_store_is_not_read_beside_it(bank: Bank, archive: Path, tmp_path: Path) -> None:
    write(bank, archive)
    last = "(SELECT max(seq) FROM events WHERE partition = 0)"
    bank.sql(f"UPDATE events SET hash = zeroblob(32) WHERE partition = 0 AND seq = {last}")
    with pytest.raises(StoreCorrupt) as caught:
        joined(bank.tidings, archive)
    assert caught.value.code == "archive.other_store"
