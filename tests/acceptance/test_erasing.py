"""A person is erased: nothing of them is left in any file, no backup brings them back, the proof holds."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from audit.replay import replay as replayed
from domain.catalogue import ContactBounced, ContactOptedOut, ContactReplied, CustomFact, Envelope
from domain.errors import InputRefused, NotFound
from stores.journal import Journal
from stores.vault import vault_of
from support.bank import Bank
from support.facts import at, balance, granted, opened, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope
from tidings import erasing as tidings_erasing
from tidings.bootstrap import Tidings
from tidings.erasing import Erased, erase, erase_again
from tidings.holds import lift, place

NAME, FAMILY, MAIL, PHONE = "Božena", "Nečasová", "bozena.necasova@example.com", "+420601777888"
CITY = "Vinohradská 1896, Praha"
NOW = at("2026-12-31 12:00")
# As texts and as JSON, or a mail's header, may write them.
TRACES = [
    trace
    for word in (NAME, FAMILY, MAIL, PHONE, CITY)
    for trace in (word.encode(), word.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00"))
]


def facts(customer: str = "c-7") -> list[Envelope]:
    """A customer with a name, a number, addresses, and a bank's own fact on where they live."""
    own = CustomFact(source="/crm", id=f"{customer}-lives", data={"address": CITY, "floor": 3})
    reply = ContactReplied(source="/sms", id=f"{customer}-reply", channel="sms", text=f"{NAME} {PHONE}")
    dead = ContactBounced(source="/m", id=f"{customer}-b", channel="email", address=MAIL)
    stop = ContactOptedOut(
        source="/s",
        id=f"{customer}-stop",
        channel="sms",
        address=PHONE,
        provenance="STOP",
        text=f"STOP {NAME}",
    )
    return [
        envelope(
            customer,
            at("2026-01-01 12:00"),
            registered(given_name=NAME, family_name=FAMILY, email=MAIL, phone=PHONE),
        ),
        envelope(customer, at("2026-01-01 12:00"), granted()),
        envelope(customer, at("2026-01-02 12:00"), opened(matures_on=date(2026, 7, 1))),
        Envelope("x.lives/1", customer, at("2026-01-03 12:00"), own),
        envelope(customer, at("2026-01-31 12:00"), balance("100")),
        envelope(customer, at("2026-02-10 12:00"), paid()),
        Envelope("contact.replied/1", customer, at("2026-03-01 12:00"), reply),
        Envelope("contact.bounced/1", customer, at("2026-11-01 12:00"), dead),
        Envelope("contact.opted_out/1", customer, at("2026-11-02 12:00"), stop),
    ]


def lived(folder: Path, *, url: str | None = None) -> Bank:
    bank = Bank(folder, partitions=2, url=url)
    assert bank.take(facts()).refused == []
    assert bank.take([envelope("c-8", at("2026-01-01 12:00"), registered())]).refused == []
    # A fact that was refused lies among the dead letters with their name.
    known = facts()[0]
    refused = bank.take([known, replace(known, fact=replace(known.fact, id="f", birth_date=None))]).refused
    assert refused == []
    bank.run(NOW)
    return bank


def erased(bank: Bank, customer: str = "c-7") -> Erased:
    tidings = bank.tidings
    try:
        return erase(tidings, customer, by="Petra", reason="request 12", at=NOW)
    finally:
        tidings.engine.dispose()


def found_in(folder: Path) -> list[tuple[str, bytes]]:
    """Every file below the folder that holds a trace of the person."""
    return [
        (path.name, trace)
        for path in folder.rglob("*")
        if path.is_file()
        for content in [path.read_bytes()]
        for trace in TRACES
        if trace in content
    ]


def test_before_and_after(tmp_path: Path) -> None:
    bank = lived(tmp_path)
    before = bank.verify()
    assert (before.findings, before.erased) == ([], 0)
    # Nothing is in clear even before, but for what the sandbox wrote as sent.
    assert {name.rpartition(".")[2] for name, _ in found_in(tmp_path)} <= {"eml", "json"}
    assert found_in(bank.outbox)
    done = erased(bank)
    assert found_in(tmp_path) == []
    after = bank.verify()
    assert (after.findings, after.erased) == ([], 1)
    assert (done.first, done.findings, done.fate.suppressed) == (True, 0, 2)
    assert done.replayed > 0
    assert done.fate.files > 0
    # It stands in the record who ordered it and why, and that it was done.
    kinds = [row[0] for row in bank.sql("SELECT kind FROM events WHERE partition = 0 ORDER BY seq")]
    assert kinds[-2:] == ["erasure.ordered/1", "person.erased/1"]
    again = erased(bank)
    assert (again.first, again.fate) == (False, done.fate)


def test_what_is_counted_stays(tmp_path: Path) -> None:
    bank = lived(tmp_path)
    before = bank.ledger()
    assert {entry.customer for entry in before} >= {"c-7"}
    erased(bank)
    assert bank.ledger() == before
    # Also where it is made anew from the history.
    tidings = bank.tidings
    tidings.ledger.rebuild(tidings.history.customer_partitions(), progress=lambda _: None)
    assert bank.ledger() == before


def test_the_history_can_be_read_without_the_person(tmp_path: Path) -> None:
    bank = lived(tmp_path)
    known = replayed(bank.tidings.history, "c-7").history
    erased(bank)
    left = replayed(bank.tidings.history, "c-7")
    assert [event.kind for event in left.history][: len(known)] == [event.kind for event in known]
    assert left.customer.gone
    assert left.customer.given_name == ""
    assert left.customer.addresses == {}


def test_an_older_backup_without_the_key_brings_nothing_back(tmp_path: Path) -> None:
    bank = lived(tmp_path)
    backup = tmp_path / "backup"
    shutil.copyfile(bank.path, backup)
    erased(bank)
    # The store comes back from the backup; the keys, which are backed up apart, are as they are.
    shutil.copyfile(backup, bank.path)
    for suffix in ("-wal", "-shm"):
        Path(f"{bank.path}{suffix}").unlink(missing_ok=True)
    assert found_in(tmp_path) == []
    customer = bank.tidings.history.find("c-7")
    assert customer is not None
    assert not any(event.clear for event in bank.tidings.history.history(*customer))
    # The store does not know of the erasure any more: ordered again, it is recorded again.
    assert erased(bank).first
    assert bank.verify().findings == []


def test_keys_from_an_older_backup_are_destroyed_again(tmp_path: Path) -> None:
    bank = lived(tmp_path)
    keys = bank.path.with_suffix(".keys.db")
    copy = shutil.copyfile(keys, tmp_path / "copy")
    erased(bank)
    shutil.copyfile(copy, keys)
    for suffix in ("-wal", "-shm"):
        Path(f"{keys}{suffix}").unlink(missing_ok=True)
    tidings = bank.tidings
    assert erase_again(tidings, at=NOW) == ["c-7"]
    assert 1 not in vault_of(tidings.engine).kept(tidings.history.find("c-7")[0])  # type: ignore[index]
    assert bank.verify().findings == []


def test_nothing_is_told_of_them_any_more(tmp_path: Path) -> None:
    bank = lived(tmp_path)
    erased(bank)
    late = envelope("c-7", NOW, registered(given_name=NAME, email=MAIL))
    refused = bank.take([late, envelope("c-7", NOW, paid())]).refused
    assert [refusal.code for refusal in refused] == ["fact.customer_erased"]
    bank.run(NOW + timedelta(days=30))
    assert bank.verify().findings == []
    assert found_in(tmp_path) == []


def test_whoever_gets_the_number_next_is_still_not_written_to(tmp_path: Path) -> None:
    bank = lived(tmp_path)
    erased(bank)
    assert bank.take([envelope("c-9", NOW, registered(phone=PHONE, email=None))]).refused == []
    bank.run(NOW + timedelta(days=1))
    kinds = [line[0] for line in bank.histories()["c-9"]]
    assert "contact.opted_out/1" in kinds


def test_a_legal_hold_keeps_everything(tmp_path: Path) -> None:
    bank = lived(tmp_path)
    tidings = bank.tidings
    place(tidings.engine, "c-7", by="Jan", reason="court 3", at=NOW)
    with pytest.raises(InputRefused, match=r"erase\.held"):
        erased(bank)
    assert found_in(bank.outbox)
    lift(tidings.engine, "c-7", by="Jan", reason="over", at=NOW)
    assert erased(bank).first


def test_a_message_under_way_is_waited_for(tmp_path: Path) -> None:
    bank = Bank(tmp_path, partitions=1)
    bank.take(facts())
    commits = 1
    while not bank.sql("SELECT message FROM outbox"):
        bank.run_killed(NOW, commits=commits)
        commits += 1
        assert commits < 40
    with pytest.raises(InputRefused, match=r"erase\.under_way"):
        erased(bank)
    bank.run(NOW)
    assert erased(bank).first


def test_who_is_not_known_is_not_erased(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"customer\.unknown"):
        erased(lived(tmp_path), "c-77")


def test_a_worker_that_has_the_partition_takes_the_fact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = lived(tmp_path)
    monkeypatch.setattr(tidings_erasing, "_PATIENCE_SECONDS", 0.3)
    tidings: Tidings = bank.tidings
    found = tidings.history.find("c-7")
    assert found is not None
    with Journal(tidings.engine, found[0]), pytest.raises(InputRefused, match=r"erase\.waiting"):
        erase(tidings, "c-7", by="Petra", reason="", at=NOW)
    assert found_in(bank.outbox)
    bank.run(NOW)
    assert erased(bank).first
    assert bank.verify().findings == []


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
import tidings.erasing as erasing
from stores import erasing as stored
from stores.vault import Vault
from tidings.bootstrap import bootstrap
from tidings.settings import Settings
step = int(sys.argv[3])
def dying(owner, name, number):
    done = getattr(owner, name)
    def die(*given, **named):
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return done(*given, **named)
    setattr(owner, name, die)
steps = [(erasing, "_end"), (erasing, "_forget"), (stored, "keep_suppressed"), (erasing, "_remove_copies")]
steps += [(Vault, "destroy"), (stored, "clean"), (erasing.Erasure, "trigger_event")]
for number, (owner, name) in enumerate(steps):
    dying(owner, name, number)
at = datetime.fromisoformat(sys.argv[4])
erasing.erase(bootstrap(Settings(sys.argv[1], Path(sys.argv[2]))), "c-7", by="Petra", reason="", at=at)
"""


@pytest.mark.parametrize("step", range(7))
def test_what_is_killed_half_way_is_finished_by_doing_it_again(step: int, tmp_path: Path) -> None:
    bank = lived(tmp_path)
    command = [
        sys.executable,
        "-c",
        KILLED,
        bank.settings.store,
        str(bank.outbox),
        str(step),
        NOW.isoformat(),
    ]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    # Only what is done is carried out again: what was broken off is for whoever ordered it to finish.
    assert erase_again(bank.tidings, at=NOW) == []
    assert bank.verify().findings == []
    assert erased(bank).first
    assert found_in(tmp_path) == []
    assert bank.verify().findings == []


def test_on_postgresql_no_row_tells_of_them(tmp_path: Path) -> None:
    bank = lived(tmp_path, url=fresh_database())
    erased(bank)
    tables = bank.sql(
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'tidings_keys')"
    )
    for (table,) in tables:
        for (row,) in bank.sql(f"SELECT row_to_json(t)::text FROM {table} t"):
            assert not any(word in row for word in (NAME, FAMILY, MAIL, PHONE, CITY)), table
        columns = bank.sql(
            "SELECT column_name FROM information_schema.columns WHERE data_type = 'bytea' "
            "AND table_schema || '.' || table_name = ?",
            table,
        )
        for (column,) in columns:
            for (content,) in bank.sql(f"SELECT {column} FROM {table}"):
                assert not any(trace in bytes(content or b"") for trace in TRACES), (table, column)
    assert found_in(bank.outbox) == []
    after = bank.verify()
    assert (after.findings, after.erased) == ([], 1)


@pytest.mark.parametrize("statement", ["DELETE FROM customer_keys", "UPDATE customer_keys SET wrapped = x''"])
def test_a_key_that_goes_without_an_erasure_is_found(statement: str, tmp_path: Path) -> None:
    bank = lived(tmp_path)
    place = bank.tidings.history.find("c-8")
    assert place is not None
    with closing(sqlite3.connect(bank.path.with_suffix(".keys.db"))) as keys:
        keys.execute(f"{statement} WHERE partition = ? AND stream = ?", place)
        keys.commit()
    (found,) = bank.verify().findings
    assert (found.code, found.subject) == ("audit.key_gone", "c-8")
