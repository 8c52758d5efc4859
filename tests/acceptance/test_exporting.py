"""Everything that is held on a person, in one file that only its owner may read."""

import json
import re
import stat
from datetime import date, timedelta
from pathlib import Path

import pytest

from domain import catalogue as facts
from domain.clock import to_micros
from domain.errors import InputRefused, NotFound
from stores.archive.retention import remove_archived
from stores.archive.writing import write_archive
from stores.inbox import Refusal
from stores.vault import vault_of
from support.bank import Bank
from support.facts import at, granted, paid, registered, withdrawn
from support.postgres import fresh_database
from support.scenario import envelope
from tidings import retention
from tidings.accesses import record_read
from tidings.bootstrap import joined
from tidings.cli import run
from tidings.exporting import FORMAT, Export, export
from tidings.private_file import write_private

T0 = at("2026-01-01 12:00")
MAY = at("2026-05-03 09:00")
NOW = at("2026-06-01 12:00")
PERSON = {"given_name": "Quirinus", "family_name": "Zweig", "email": "qz@example.com"}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "personal-data.md"


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    bank = Bank(tmp_path, url=fresh_database() if request.param == "postgresql" else None)
    bank.take(
        [
            envelope("4711", T0, registered(**PERSON)),
            envelope("4711", T0, granted()),
            envelope("4711", T0 + timedelta(days=1), withdrawn(channel="sms")),
            envelope("4711", T0 + timedelta(days=2), paid("-777.77")),
            envelope("0815", T0, registered(given_name="Ottokar", birth_date=date(1970, 5, 3))),
        ]
    )
    bank.run(MAY)
    return bank


def exported(bank: Bank, customer: str = "4711") -> Export:
    tidings = bank.tidings
    return export(tidings, tidings.history, customer, at=NOW)


def test_it_says_who_somebody_is_and_all_that_happened(bank: Bank) -> None:
    bank.take([envelope("4711", NOW, paid("-5.55"))])
    refusal = Refusal("line 9", "import.unknown_type", {"kind": "x"}, b'{"email": "qz@example.com"}')
    other = Refusal("line 10", "import.unknown_type", {"subject": "47110"}, b"other")
    bank.tidings.inbox.take([refusal, other], origin="facts.jsonl", at=to_micros(NOW))
    record_read(bank.tidings.engine, by="ann", why="call", what="why", customers=["4711", "0815"], at=NOW)
    record_read(bank.tidings.engine, by="bob", why="", what="why", customers=["0815"], at=NOW)
    found = exported(bank)
    assert (found.format, found.customer, found.erased_at) == (FORMAT, "4711", None)
    assert found.identity["family_name"] == "Zweig"
    assert found.addresses["addresses"]["email"] == "qz@example.com"
    assert [(e["kind"], e["data"]["provenance"]) for e in found.consents] == [
        ("consent.granted/1", "branch form 7"),
        ("consent.withdrawn/1", "preference page"),
    ]
    assert [event["version"] for event in found.events] == list(range(1, len(found.events) + 1))
    assert found.events[0]["data"]["given_name"] == "Quirinus"
    assert found.state["version"] == len(found.events)
    assert {e["journey"] for e in found.enrolments} <= {"onboarding", "birthday", "win-back", "maturity"}
    assert [fact["fact"]["amount"] for fact in found.waiting_facts] == ["-5.55"]
    assert [letter["place"] for letter in found.refused] == ["line 9"]
    assert [(read["by"], read["reason"]) for read in found.read_by] == [("ann", "call")]
    assert "Ottokar" not in repr(found)
    assert "0815" not in repr(found)


def test_messages_come_with_their_words_as_they_were_sent(bank: Bank) -> None:
    # What is told later changes no letter that has left.
    bank.take(
        [
            envelope(
                "4711",
                MAY + timedelta(days=1),
                facts.CustomerChanged(source="/t", id="n", given_name="Other"),
            )
        ]
    )
    bank.run(MAY + timedelta(days=2))
    found = exported(bank)
    ledger = [entry.id for entry in bank.ledger() if entry.customer == "4711"]
    assert [message["id"] for message in found.messages] == ledger != []
    greeted = [m for m in found.messages if m["journey"] == "birthday"]
    assert [m["status"] for m in greeted] == ["accepted"]
    (sent,) = greeted[0]["sent"]
    assert "Quirinus" in sent["text"]
    assert sent["address"] == "qz@example.com"


def test_what_retention_removed_is_told_by_its_digest(bank: Bank) -> None:
    tidings = bank.tidings
    assert retention.set_rule(tidings.engine, "transaction.posted/1", 30, by="ann", reason="", at=NOW)
    before = exported(bank)
    assert retention.apply(tidings, as_of=MAY, by="ann", reason="", at=NOW).number == 1
    found = exported(bank)
    (gone,) = [event for event in found.events if event["kind"] == "transaction.posted/1"]
    assert gone["data"] is None
    assert re.fullmatch(r"[0-9a-f]{64}", gone["removed_by_retention"])
    assert "777" not in repr(found)
    assert (found.state, found.messages) == (before.state, before.messages)


def test_of_who_was_erased_is_left_what_names_nobody(bank: Bank) -> None:
    bank.take([envelope("4711", NOW, facts.CustomerErased(source="/t", id="e"))])
    bank.run(NOW)
    partition, stream = bank.tidings.history.find("4711") or (0, 0)
    assert vault_of(bank.tidings.engine).destroy(partition, stream)
    found = exported(bank)
    assert found.erased_at == NOW
    assert found.identity["given_name"] == found.identity["family_name"] == ""
    assert found.addresses["addresses"] == {}
    assert len(found.events) > 10
    assert {time["text"] for message in found.messages for time in message["sent"]} <= {None}
    for word in PERSON.values():
        assert word not in repr(found)


def test_events_that_an_archive_has_are_in_it(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    told = [envelope("4711", T0 + timedelta(days=n), paid(f"-{n}.00")) for n in range(1, 60)]
    bank.take([envelope("4711", T0, registered(**PERSON)), *told])
    bank.run(MAY)
    whole = exported(bank)
    archive = tmp_path / "archive"
    write_archive(bank.tidings.history, archive, before=None, progress=lambda _: None)
    bank.tidings.ledger.catch_up()
    assert remove_archived(bank.tidings.engine, archive, before=MAY, progress=lambda _: None) > 0
    tidings = bank.tidings
    assert export(tidings, joined(tidings, archive), "4711", at=NOW) == whole


def test_nobody_is_exported_who_is_not_known(bank: Bank) -> None:
    with pytest.raises(NotFound) as caught:
        exported(bank, "471")
    assert caught.value.near == ("4711",)


def test_the_page_describes_every_member() -> None:
    told = PAGE.read_text(encoding="utf-8")
    assert [name for name in Export.__struct_fields__ if f"| `{name}` |" not in told] == []


def test_the_command_writes_once_and_privately_and_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = Bank(tmp_path)
    bank.take([envelope("4711", T0, registered(**PERSON))])
    bank.run(MAY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDINGS_STORE", bank.settings.store)

    def tidings(*arguments: str, code: int) -> str:
        assert run(arguments) == code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return err if code else out

    asked = ["audit", "export", "4711", "--by", "ann", "--reason", "request 12"]
    told = json.loads(tidings(*asked, "--out", "4711.json", "--json", code=0))
    content = (tmp_path / "4711.json").read_bytes()
    assert told["bytes"] == len(content)
    assert json.loads(content)["identity"]["given_name"] == "Quirinus"
    assert stat.S_IMODE((tmp_path / "4711.json").stat().st_mode) == 0o600
    assert json.loads(content)["read_by"][0]["by"] == "ann"
    assert "there is a file" in tidings(*asked, "--out", "4711.json", code=1)
    assert (tmp_path / "4711.json").read_bytes() == content
    assert "cannot be written" in tidings(*asked, "--out", "none/4711.json", code=1)
    assert "Did you mean 4711" in tidings("audit", "export", "471", "--out", "x.json", code=1)
    assert (
        sorted(path.name for path in tmp_path.iterdir() if "part" in path.name or path.name == "x.json") == []
    )


def test_a_file_that_came_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "4711.json"
    write_private(path, b"first")
    with pytest.raises(InputRefused, match=r"export\.file_exists"):
        write_private(path, b"second")
    assert path.read_bytes() == b"first"
    assert [found.name for found in tmp_path.iterdir()] == ["4711.json"]
