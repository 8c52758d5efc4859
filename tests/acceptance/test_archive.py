"""An archive tells what the store tells, byte for byte, also after kills; what is wrong with it is named."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.findings import Verified
from audit.replay import replay
from domain.errors import StoreCorrupt, StoreUnusable
from domain.ports import History, StoredEvent
from stores.archive import manifest as listed
from stores.archive import parquet
from stores.archive.history import ArchivedHistory, Faults
from stores.archive.manifest import Fault
from stores.archive.writing import Written, write_archive
from stores.vault import vault_at, vault_of
from support.bank import Bank
from support.postgres import fresh_database
from tidings.bootstrap import archived as opened
from tidings.cli.verifying import verify_history
from tidings.cli.why import archived_explanation_of, explanation_of
from tidings.synthetic import synthetic_bank

pytestmark = [pytest.mark.slow, pytest.mark.long]

MIDDLE = datetime(2026, 4, 1, tzinfo=UTC)
UNTIL = datetime(2026, 7, 1, tzinfo=UTC)
FACTS = list(synthetic_bank(customers=40, days=181, start=date(2026, 1, 1), seed=11))


def lived_bank(folder: Path, *, url: str | None = None) -> Bank:
    bank = Bank(folder, partitions=2, url=url)
    assert bank.take(FACTS).refused == []
    bank.run(UNTIL)
    return bank


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return lived_bank(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def whole(lived: Bank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the bank in many files, which no test may change."""
    folder = tmp_path_factory.mktemp("archive") / "archive"
    write(lived, folder)
    return folder


@pytest.fixture
def harmed(whole: Path, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    bring_keys(whole.parent, tmp_path)
    return Path(shutil.copytree(whole, tmp_path / "archive"))


def write(bank: Bank, folder: Path, *, before: datetime | None = None, rows: int = 150) -> Written:
    tidings = bank.tidings
    bring_keys(bank.path.parent, folder.parent)
    try:
        return write_archive(
            tidings.history, folder, before=before, progress=lambda _: None, rows_in_file=rows
        )
    finally:
        tidings.engine.dispose()


def bring_keys(bank: Path, folder: Path) -> None:
    """Let the keys lie beside the archive, as if its store had been there."""
    for name in ("tidings.keys.db", "tidings.master-key"):
        if (bank / name).exists() and bank != folder:
            shutil.copyfile(bank / name, folder / name)


def archived(folder: Path, *, faults: Faults | None = None) -> ArchivedHistory:
    return opened(folder, keys=vault_at(f"sqlite:///{folder.parent / 'tidings.db'}"), faults=faults)


def verified(folder: Path) -> Verified:
    return verify_history(archived(folder), lambda _: None)


def rows_of(history: History) -> dict[int, list[Any]]:
    return {
        number: list(history.events(number, upto=history.ends(number).last_seq))
        for number in (0, *history.customer_partitions())
    }


def told(folder: Path) -> Iterator[listed.EventsFile]:
    for partition in listed.load(folder).partitions.values():
        yield from partition.events


@pytest.mark.parametrize("server", [False, True], ids=["sqlite", "postgresql"])
def test_an_archive_tells_all_that_its_store_tells(server: bool, tmp_path: Path) -> None:
    bank = lived_bank(tmp_path, url=fresh_database() if server else None)
    written = write(bank, tmp_path / "archive")
    store = bank.tidings
    archive = opened(tmp_path / "archive", keys=vault_of(store.engine))
    assert written.events == written.total == store.history.size() == archive.size()
    assert rows_of(archive) == rows_of(store.history)
    for number in (0, 1, 2):
        # Snapshots are the store's own matter.
        ends = msgspec.structs.replace(store.history.ends(number), snapshots={})
        assert archive.ends(number) == ends
        assert archive.subjects(number) == store.history.subjects(number)
    assert archive.rulebooks() == store.history.rulebooks()
    assert archive.documents() == store.history.documents()
    for subject in {fact.subject for fact in FACTS}:
        assert archive.find(subject) == store.history.find(subject)
        assert replay(archive, subject) == replay(store.history, subject)
    messages = [entry.id for entry in store.ledger.messages()]
    assert len(messages) > 20
    for message in messages[::10]:
        assert archived_explanation_of(archive, message) == explanation_of(store, message)
    assert verify_history(archive, lambda _: None) == bank.verify()
    store.engine.dispose()


@pytest.mark.long
@pytest.mark.slow
def test_the_command_line_reads_an_archive_when_the_store_is_gone(tmp_path: Path) -> None:
    bank = lived_bank(tmp_path)
    message = bank.sql("SELECT id FROM messages ORDER BY id")[0][0]
    store = ["--store", bank.settings.store]
    asked = [["audit", "verify"], ["replay", "C000007"], ["why", message]]
    expected = [tidings(tmp_path, *words, *store, "--json") for words in asked]
    done = json.loads(tidings(tmp_path, "archive", "kept", *store, "--json"))
    assert done.keys() == {"folder", "events", "files", "bytes", "total", "digest", "removed"}
    assert done["digest"] in tidings(tmp_path, "archive", "kept", *store)
    bank.path.unlink()
    assert done["digest"] in tidings(tmp_path, "audit", "verify", "--archive", "kept")
    found = [tidings(tmp_path, *words, "--archive", "kept", "--json") for words in asked]
    assert found[1:] == expected[1:]
    # The two looks at the customer are events of the store's own since; its tree is not in the archive.
    verified, before = json.loads(found[0]), json.loads(expected[0])
    assert verified["events"] == before["events"] + 2
    for name in ("customers", "replayed", "differences", "chain_breaks", "ok"):
        assert verified[name] == before[name]


def tidings(folder: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "tidings", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def test_a_second_run_adds_what_came_since_and_nothing_twice(tmp_path: Path) -> None:
    bank, archive = Bank(tmp_path, partitions=2), tmp_path / "archive"
    assert bank.take(FACTS).refused == []
    bank.run(MIDDLE)
    first = write(bank, archive)
    again = write(bank, archive)
    assert (again.events, again.files, again.digest) == (0, 0, first.digest)
    kept = {file.path for file in told(archive)}
    bank.run(UNTIL)
    second = write(bank, archive)
    assert second.events == second.total - first.total > 0
    # Full files stay as they are; the last of each partition was written anew.
    assert len(kept & {file.path for file in told(archive)}) >= len(kept) - 3 > 1
    assert rows_of(archived(archive)) == rows_of(bank.tidings.history)
    assert verified(archive) == bank.verify()
    assert files_on_disk(archive) == files_that_count(archive)


def files_on_disk(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return found - {"manifest.json", ".lock"}


def files_that_count(folder: Path) -> set[str]:
    return {file.path for file in listed.load(folder).files()}


@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 2, 10), date(2026, 5, 20)])
def test_an_archive_up_to_a_day_is_whole_as_far_as_it_goes(lived: Bank, day: date, tmp_path: Path) -> None:
    before = datetime(day.year, day.month, day.day, tzinfo=UTC)
    write(lived, tmp_path / "archive", before=before)
    archive = archived(tmp_path / "archive")
    assert verify_history(archive, lambda _: None).findings == []
    for number in (1, 2):
        upto = archive.ends(number).last_seq
        kept = list(archive.events(number, upto=upto))
        assert all(event.recorded_at < before.timestamp() * 1e6 for event in kept)
        following = next(lived.tidings.history.events(number, after=upto, upto=upto + 1))
        assert following.recorded_at >= before.timestamp() * 1e6
    write(lived, tmp_path / "archive")
    assert verified(tmp_path / "archive") == lived.verify()


def test_files_hold_whole_days_and_every_event_once(whole: Path) -> None:
    for number, partition in listed.load(whole).partitions.items():
        assert number == 0 or len(partition.events) > 3
        for file, following in zip(partition.events, partition.events[1:], strict=False):
            assert following.first_seq == file.last_seq + 1
            assert following.first_day != file.last_day or file.rows >= 300
        for file in partition.events:
            rows = list(parquet.read_events(whole / file.path))
            assert [row.seq for row in rows] == list(range(file.first_seq, file.last_seq + 1))


KILLED = """
import os, signal, sys
from pathlib import Path
from stores.archive import manifest
from stores.archive.writing import write_archive
from stores.database import open_store
from stores.history import StoredHistory
left, after = int(sys.argv[3]), sys.argv[4] == "after"
put = manifest.put_in_place
def put_or_die(*paths):
    global left
    left -= 1
    if left == 0 and after:
        put(*paths)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    put(*paths)
manifest.put_in_place = put_or_die
history = StoredHistory(open_store(sys.argv[1]))
write_archive(history, Path(sys.argv[2]), before=None, progress=lambda _: None, rows_in_file=150)
"""


@pytest.mark.parametrize("step", [1, 2, 9, 20])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_is_killed_leaves_nothing_that_counts_as_whole(
    step: int, moment: str, lived: Bank, whole: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    bring_keys(lived.path.parent, tmp_path)
    command = [sys.executable, "-c", KILLED, lived.settings.store, str(archive), str(step), moment]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    if (archive / "manifest.json").exists():
        faults: list[tuple[int, int, Fault]] = []
        history = archived(archive, faults=faults)
        assert verify_history(history, lambda _: None).findings == []
        assert [fault.code for _, _, fault in faults] == ["archive.unfinished"]
    else:
        assert (step, moment) == (1, "before")
    write(lived, archive)
    assert rows_of(archived(archive)) == rows_of(archived(whole))
    assert verified(archive) == lived.verify()
    assert files_on_disk(archive) == files_that_count(archive)


def test_a_run_that_is_killed_between_two_keeps_the_older_state(tmp_path: Path) -> None:
    bank, archive = Bank(tmp_path, partitions=2), tmp_path / "archive"
    bank.take(FACTS)
    bank.run(MIDDLE)
    size = write(bank, archive).total
    known = replay(archived(archive), "C000007")
    bank.run(UNTIL)
    command = [sys.executable, "-c", KILLED, bank.settings.store, str(archive), "9", "after"]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    history = archived(archive)
    assert history.size() >= size
    assert replay(history, "C000007") == known
    assert verify_history(history, lambda _: None).findings == []


def first_file(folder: Path) -> Path:
    return folder / next(file for file in told(folder) if file.path.startswith("events/partition=1/")).path


def removed(path: Path) -> None:
    path.unlink()


def shortened(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    path.write_bytes(content)


def foreign(path: Path) -> None:
    path.write_bytes(b"\x00" * path.stat().st_size)


Harm = Callable[[Path], None]
HARMS: list[tuple[Harm, str]] = [
    (removed, "archive.file_missing"),
    (shortened, "archive.file_resized"),
    (emptied, "archive.file_resized"),
    (overwritten, "archive.file_altered"),
    (foreign, "archive.file_altered"),
]


@pytest.mark.parametrize(("harm", "code"), HARMS, ids=lambda value: getattr(value, "__name__", value))
def test_a_file_that_is_not_whole_is_told_with_its_name(harm: Harm, code: str, harmed: Path) -> None:
    path = first_file(harmed)
    harm(path)
    report = json.loads(verify_command(harmed))
    assert report["ok"] is False
    assert report["findings"][0]["code"] == code
    assert report["findings"][0]["values"]["file"] == str(path)
    assert report["findings"][0]["partition"] == 1
    history = archived(harmed)
    subject = min(history.subjects(1).values())
    with pytest.raises(StoreCorrupt) as caught:
        replay(history, subject)
    assert caught.value.code == code
    complaint = tidings(harmed.parent, "replay", subject, "--archive", "archive", code=1)
    assert path.name in complaint
    assert len(complaint.splitlines()) == 1


def verify_command(folder: Path) -> str:
    command = [sys.executable, "-m", "tidings", "audit", "verify", "--archive", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    return done.stdout


@pytest.mark.parametrize("place", [0.02, 0.2, 0.5, 0.8, 0.97, 0.995])
def test_whatever_a_damaged_file_says_is_no_traceback(place: float, harmed: Path) -> None:
    path = first_file(harmed)
    content = bytearray(path.read_bytes())
    for offset in range(int(len(content) * place), int(len(content) * place) + 16):
        content[offset % len(content)] ^= 0xA5
    path.write_bytes(content)
    faults: list[tuple[int, int, Fault]] = []
    verify_history(archived(harmed, faults=faults), lambda _: None)
    assert faults[0][2].code == "archive.file_altered"


@pytest.mark.parametrize("folder", ["histories", "rulebooks", "documents"])
@pytest.mark.parametrize("harm", [removed, shortened, overwritten])
def test_what_a_reader_cannot_do_without_is_one_line(folder: str, harm: Harm, harmed: Path) -> None:
    path = sorted((harmed / folder).rglob("*.parquet"))[0]
    harm(path)
    command = [sys.executable, "-m", "tidings", "audit", "verify", "--archive", str(harmed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=harmed.parent)
    assert done.returncode == 1
    assert path.name in done.stderr
    assert "Traceback" not in done.stderr


def edited(folder: Path, change: Callable[[StoredEvent], StoredEvent]) -> Path:
    """Write a file anew with changed events, as somebody with the same library could."""
    path = first_file(folder)
    events = [change(event) for event in parquet.read_events(path)]
    writer = parquet.EventsWriter(path, partition=1)
    writer.write(events)
    writer.close()
    return path


def with_another_body(event: StoredEvent) -> StoredEvent:
    body = event.body.replace(b'"', b'" ', 1) if event.seq == 5 else event.body
    return msgspec.structs.replace(event, body=body)


def test_an_edited_row_is_found_in_its_place(harmed: Path) -> None:
    path = edited(harmed, with_another_body)
    report = json.loads(verify_command(harmed))
    assert report["findings"][0]["values"]["file"] == str(path)
    assert ("audit.hash_differs", 1, 5) in places(report)


def places(report: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(found["code"], found["partition"], found["seq"]) for found in report["findings"]]


def test_a_row_is_found_even_if_all_digests_were_made_to_fit(harmed: Path) -> None:
    path = edited(harmed, with_another_body)
    forge(harmed, path)
    report = json.loads(verify_command(harmed))
    assert places(report)[0] == ("audit.hash_differs", 1, 5)


def forge(folder: Path, path: Path) -> None:
    """Make the manifest fit a file that was changed."""
    manifest = listed.load(folder)
    partition = manifest.partitions[1]
    files = list(partition.events)
    index = next(i for i, file in enumerate(files) if folder / file.path == path)
    files[index] = msgspec.structs.replace(
        files[index], bytes=path.stat().st_size, sha256=listed.digest_of(path)
    )
    partition = msgspec.structs.replace(partition, events=tuple(files))
    manifest = manifest.with_partition(1, partition)
    listed.save(folder, msgspec.structs.replace(manifest, finished=True))


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ('"finished": true', '"finished": false'),
        ('"last_seq": 1', '"last_seq": 2'),
        ('"events/partition=1/0', '"events/partition=1/../../../../0'),
        ('"sha256": "', '"sha256": "0'),
        ("{", "["),
        ('"format": 1', '"format": 1, "more": 2'),
    ],
)
def test_a_manifest_that_was_edited_is_refused(found: str, put: str, harmed: Path) -> None:
    path = harmed / "manifest.json"
    content = path.read_text()
    assert found in content
    path.write_text(content.replace(found, put, 1))
    complaint = tidings(harmed.parent, "audit", "verify", "--archive", "archive", code=1)
    assert "manifest.json" in complaint
    assert len(complaint.splitlines()) == 1


def test_a_manifest_cannot_lead_out_of_its_folder(harmed: Path) -> None:
    manifest = listed.load(harmed)
    assert manifest.rulebooks is not None
    away = msgspec.structs.replace(manifest.rulebooks, path="rulebooks/../../away.parquet")
    listed.save(harmed, msgspec.structs.replace(manifest, rulebooks=away))
    with pytest.raises(StoreCorrupt, match="rulebooks"):
        listed.load(harmed)


def test_stretches_that_do_not_join_are_refused(harmed: Path) -> None:
    manifest = listed.load(harmed)
    partition = manifest.partitions[1]
    without = msgspec.structs.replace(partition, events=partition.events[:2] + partition.events[3:])
    listed.save(harmed, manifest.with_partition(1, without))
    with pytest.raises(StoreCorrupt, match="expected entries from"):
        listed.load(harmed)


def refused(bank: Bank, folder: Path) -> str:
    with pytest.raises((StoreCorrupt, StoreUnusable)) as caught:
        write(bank, folder)
    return str(caught.value.code)


def test_an_archive_of_another_store_is_not_added_to(harmed: Path, tmp_path: Path) -> None:
    other = Bank(tmp_path, partitions=2, name="other", url=None)
    last = "(SELECT max(seq) FROM events WHERE partition = 0)"
    other.sql(f"UPDATE events SET hash = zeroblob(32) WHERE partition = 0 AND seq = {last}")
    before = files_on_disk(harmed)
    assert refused(other, harmed) == "archive.other_store"
    assert files_on_disk(harmed) == before


def test_a_store_that_was_set_back_is_not_mistaken_for_the_newer_one(harmed: Path, tmp_path: Path) -> None:
    older = Bank(tmp_path, partitions=2, name="older")
    shutil.copyfile(Bank(tmp_path, partitions=2, name="fresh").path, older.path)
    assert refused(older, harmed) == "archive.ahead"


def test_a_store_with_a_gap_is_not_archived(lived: Bank, tmp_path: Path) -> None:
    torn = Bank(tmp_path, partitions=2, name="torn")
    torn.path.write_bytes(lived.path.read_bytes())
    torn.sql("DELETE FROM events WHERE partition = 1 AND seq = 7")
    assert refused(torn, tmp_path / "archive") == "archive.gap"
    torn.sql("DELETE FROM partitions WHERE partition = 2")
    assert refused(torn, tmp_path / "another") == "archive.stray_partition"


def test_rows_that_no_event_can_be_are_told_with_their_place(lived: Bank, tmp_path: Path) -> None:
    odd = Bank(tmp_path, partitions=2, name="odd")
    odd.path.write_bytes(lived.path.read_bytes())
    odd.sql("UPDATE events SET version = 'seven' WHERE partition = 1 AND seq = 7")
    assert refused(odd, tmp_path / "archive") == "archive.unwritable_rows"


def test_a_folder_with_something_else_in_it_is_left_alone(lived: Bank, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert refused(lived, tmp_path / "mine") == "archive.folder_taken"
    assert refused(lived, tmp_path / "mine" / "letter.txt") == "archive.unwritable"


def test_two_writers_do_not_write_at_once(lived: Bank, harmed: Path) -> None:
    import fcntl

    with (harmed / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refused(lived, harmed) == "archive.busy"
    write(lived, harmed)


def test_without_the_library_it_says_how_to_get_it(
    lived: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet.library.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refused(lived, tmp_path / "archive") == "archive.no_library"
    assert not (tmp_path / "archive").exists()
    parquet.library.cache_clear()


@pytest.mark.parametrize("command", [["audit", "verify"], ["replay", "C000007"], ["why", "m"]])
def test_a_folder_that_is_no_archive_is_one_line(command: list[str], tmp_path: Path) -> None:
    complaint = tidings(tmp_path, *command, "--archive", "nowhere", code=1)
    assert "there is no archive here" in complaint
    assert len(complaint.splitlines()) == 1


def test_an_unknown_customer_brings_near_names(whole: Path) -> None:
    complaint = tidings(whole.parent, "replay", "C00000", "--archive", "archive", code=1)
    assert "Did you mean C000" in complaint
    assert "no message m " in tidings(whole.parent, "why", "m", "--archive", "archive", code=1)


def test_a_newer_format_is_refused(harmed: Path) -> None:
    path = harmed / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2', 1))
    with pytest.raises(StoreUnusable, match="format"):
        ArchivedHistory(harmed, listed.load(harmed))
