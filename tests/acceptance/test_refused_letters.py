"""What was refused can be looked at, mended and told again, and is gone for good after a while."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.clock import to_micros
from domain.errors import InputRefused, NotFound
from stores.inbox import Refusal
from stores.letters import Letter, Letters
from stores.vault import vault_of
from support.bank import Bank
from support.facts import at, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope
from tidings import retention
from tidings.cli import run
from tidings.mending import retry

T0 = at("2026-01-01 12:00")
NOW = datetime(2026, 5, 3, 9, tzinfo=UTC)
REGISTERED = {
    "specversion": "1.0",
    "type": "customer.registered/1",
    "source": "/core",
    "id": "1",
    "subject": "4711",
    "time": "2026-01-01T10:00:00Z",
    "data": {"given_name": "Quirinus"},
}
PAID = {
    **REGISTERED,
    "type": "transaction.posted/1",
    "id": "2",
    "data": {"account": "a-1", "amount": "-10.00"},
}


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    return Bank(tmp_path, url=fresh_database() if request.param == "postgresql" else None)


def refuse(bank: Bank, raw: bytes, *, at: datetime = NOW, values: dict[str, object] | None = None) -> None:
    """Let something be refused at an instant."""
    refusal = Refusal("line 1", "import.unknown_type", values or {"kind": "x"}, raw)
    bank.tidings.inbox.take([refusal], origin="facts.jsonl", at=to_micros(at))


def letters(bank: Bank) -> list[Letter]:
    return list(Letters(bank.tidings.engine).all())


def keys(bank: Bank) -> list[int]:
    return vault_of(bank.tidings.engine).ring().letters_keys()


def test_a_letter_is_opened_for_who_asks_and_sealed_in_the_store(bank: Bank) -> None:
    refuse(bank, b"the raw Zweig line", values={"subject": "Zweig"})
    (letter,) = letters(bank)
    assert (letter.number, letter.refused_at, letter.origin) == (1, NOW, "facts.jsonl")
    assert (letter.code, letter.reason, letter.raw) == (
        "import.unknown_type",
        "subject=Zweig",
        b"the raw Zweig line",
    )
    ((reason, raw),) = bank.sql("SELECT reason, raw FROM dead_letters")
    assert "Zweig" not in reason
    assert b"Zweig" not in bytes(raw)


def test_letters_come_newest_first_however_many(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stores.letters._AT_ONCE", 3)
    for number in range(7):
        refuse(bank, f"raw {number}".encode())
    assert [letter.raw for letter in letters(bank)] == [f"raw {n}".encode() for n in reversed(range(7))]
    assert [letter.number for letter in Letters(bank.tidings.engine).find([5, 2])] == [5, 2]
    with pytest.raises(NotFound, match=r"refused\.unknown"):
        Letters(bank.tidings.engine).find([5, 8])


def test_a_fact_that_can_be_taken_now_is_taken_and_its_letter_goes(bank: Bank) -> None:
    raw = json.dumps(PAID).encode() + b"\n"
    refuse(bank, raw)
    (letter,) = letters(bank)
    again = retry(bank.tidings, letter, at=NOW)
    assert (again.outcome, again.refusal and again.refusal.code) == ("refused", "fact.unknown_customer")
    (letter,) = letters(bank)
    assert (letter.raw, letter.origin, letter.refused_at) == (raw, "facts.jsonl", NOW)
    refuse(bank, raw)
    bank.take([envelope("4711", T0, registered())])
    newer, older = letters(bank)
    assert retry(bank.tidings, older, at=NOW).outcome == "accepted"
    assert retry(bank.tidings, newer, at=NOW).outcome == "repeated"
    assert letters(bank) == []
    assert bank.sql("SELECT count(*) FROM inbox WHERE kind = 'transaction.posted/1'") == [(1,)]


def test_a_letter_can_be_mended(bank: Bank) -> None:
    bank.take([envelope("4711", T0, registered())])
    refuse(bank, b"{broken")
    (letter,) = letters(bank)
    with pytest.raises(InputRefused, match=r"refused\.no_event"):
        retry(bank.tidings, letter, at=NOW)
    assert letters(bank) == [letter]
    assert retry(bank.tidings, letter, mended=json.dumps(PAID).encode(), at=NOW).outcome == "accepted"
    assert letters(bank) == []


def test_each_month_has_a_key_of_its_own(bank: Bank) -> None:
    for day in (NOW, NOW + timedelta(days=20), NOW + timedelta(days=40), NOW + timedelta(days=75)):
        refuse(bank, b"raw", at=day)
    sealed_by = [row[0] for row in bank.sql("SELECT sealed_by FROM dead_letters ORDER BY number")]
    assert sealed_by == [1, 1, 2, 3]
    assert [letter.raw for letter in letters(bank)] == [b"raw"] * 4


def test_old_letters_go_with_their_keys_so_that_no_copy_of_them_opens(bank: Bank) -> None:
    refuse(bank, b"May", at=NOW)
    refuse(bank, b"June", at=NOW + timedelta(days=40))
    kept = bank.sql("SELECT * FROM dead_letters WHERE number = 1")[0]
    store = Letters(bank.tidings.engine)
    assert store.clean(NOW) == 0
    assert keys(bank) == [1, 2]
    assert store.clean(NOW + timedelta(days=10)) == 1
    assert [letter.raw for letter in letters(bank)] == [b"June"]
    assert keys(bank) == [2]
    # A backup brings the row back, and no more than that.
    marks = ", ".join("?" * len(kept))
    bank.sql(f"INSERT INTO dead_letters VALUES ({marks})", *kept)
    assert [(letter.reason, letter.raw) for letter in letters(bank)] == [("kind=x", b"June"), (None, None)]


def test_the_newest_key_goes_too_when_all_it_sealed_is_old(bank: Bank) -> None:
    refuse(bank, b"May", at=NOW)
    assert Letters(bank.tidings.engine).clean(NOW + timedelta(days=1)) == 1
    assert keys(bank) == [2]
    refuse(bank, b"later", at=NOW + timedelta(days=2))
    assert [letter.raw for letter in letters(bank)] == [b"later"]


def test_while_it_serves_old_letters_and_old_facts_go_by_themselves(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.take([envelope("4711", T0, registered()), envelope("4711", T0, paid())])
    bank.run(T0 + timedelta(days=1))
    engine = bank.tidings.engine
    assert retention.set_rule(engine, "transaction.posted/1", 30, by="ann", reason="", at=NOW)
    refuse(bank, b"old", at=NOW - timedelta(days=31))
    refuse(bank, b"young", at=NOW - timedelta(days=29))
    retention.sweep(bank.tidings, NOW)
    assert [letter.raw for letter in letters(bank)] == [b"young"]
    gone = "SELECT count(*) FROM events WHERE kind = 'transaction.posted/1' AND length(body) = 33"
    assert bank.sql(gone) == [(1,)]


def test_the_commands_list_show_retry_and_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def tidings(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert run(arguments) == code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return out, err

    tidings("init")
    assert "Nothing was refused" in tidings("refused", "list")[0]
    (tmp_path / "facts.jsonl").write_text(json.dumps(PAID) + "\n" + "a,b,c\n")
    tidings("import", "cloudevents", "facts.jsonl", code=1)
    assert "4711" in tidings("refused", "list")[0]
    told = json.loads(tidings("refused", "list", "--json")[0])
    assert [(letter["number"], letter["place"]) for letter in told] == [(2, "line 2"), (1, "line 1")]
    assert "a,b,c" in tidings("refused", "show", "2")[0]
    assert "no letter 9" in tidings("refused", "show", "9", code=1)[1]
    assert "no CloudEvent" in tidings("refused", "retry", "2", code=1)[1]
    assert "refused again" in tidings("refused", "retry", "1", code=1)[1]
    (tmp_path / "mended.json").write_text(json.dumps(REGISTERED))
    assert "taken" in tidings("refused", "retry", "2", "--with", "mended.json")[0]
    assert "taken" in tidings("refused", "retry", "3")[0]
    assert "missing.json" in tidings("refused", "retry", "3", "--with", "missing.json", code=1)[1]
    (tmp_path / "facts.jsonl").write_text("a,b,c\n")
    tidings("import", "cloudevents", "facts.jsonl", code=1)
    assert json.loads(tidings("refused", "clean", "--json")[0]) == {"removed": 0}
    assert json.loads(tidings("refused", "clean", "--days", "0", "--json")[0]) == {"removed": 1}
