"""Whoever is shown a person's data is recorded: who, when, why, by which command, at whose."""

from pathlib import Path
from typing import Any

import pytest

from stores.vault import vault_of
from support.bank import PUBLISHED_AT, Bank
from support.facts import at, registered
from support.office import Office
from support.postgres import fresh_database
from support.scenario import envelope
from tidings import cli
from tidings.accesses import MOST_NAMED, reads, record_read

START = at("2026-01-01 12:00")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.long])])
def office(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    """Two customers, each greeted on the third of May."""
    url = fresh_database() if request.param == "postgresql" else None
    bank = Bank(tmp_path, partitions=1, url=url)
    bank.take([envelope(f"c-{number}", START, registered()) for number in (1, 2)])
    bank.run(at("2026-06-01 12:00"))
    return Office(bank, capsys)


def recorded(office: Office, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = office.json("audit", "accesses", *options)
    return found


def message_of(office: Office, customer: str) -> str:
    return next(m.id for m in office.bank.ledger() if m.customer == customer)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["replay", "c-1"], "replay"),
        (["why", "MESSAGE"], "why"),
        (["messages", "--customer", "c-1"], "messages"),
        (["templates", "preview", "birthday-greeting", "--customer", "c-1"], "templates preview"),
        (
            ["templates", "proof", "birthday-greeting", "--customers", "c-1", "--out", "OUT"],
            "templates proof",
        ),
        (
            ["journeys", "simulate", "birthday", "--sample", "1", "--trace", "--customer", "c-1"],
            "journeys simulate",
        ),
    ],
)
def test_a_look_at_one_customer_is_recorded_once(
    office: Office, tmp_path: Path, command: list[str], what: str
) -> None:
    values = {"MESSAGE": message_of(office, "c-1"), "OUT": str(tmp_path / "out")}
    office(*[values.get(word, word) for word in command], "--reason", "a complaint", by="anna")
    (read,) = recorded(office)
    assert (read["by"], read["reason"], read["what"]) == ("anna", "a complaint", what)
    assert (read["customers"], read["number"]) == (["c-1"], 1)
    assert office.json("audit", "verify")["ok"] is True


@pytest.mark.parametrize("command", [["messages"], ["messages", "--json"], ["messages", "--limit", "2"]])
def test_a_list_names_all_who_were_in_it(office: Office, command: list[str]) -> None:
    office(*command, by="anna")
    (read,) = recorded(office)
    assert read["customers"] == ["c-1", "c-2"]


def test_who_was_not_shown_is_not_named(office: Office) -> None:
    office("messages", "--limit", "1", by="anna")
    (read,) = recorded(office)
    assert read["number"] == 1


def test_what_shows_nobody_is_not_recorded(office: Office) -> None:
    office("tasks")
    office("journeys", "list")
    office("templates", "preview", "birthday-greeting")
    office("journeys", "simulate", "birthday", "--customers", "5", "--trace")
    office("replay", "c-3", code=1)
    assert recorded(office) == []
    assert "No read" in office("audit", "accesses")[0]


def test_accesses_are_found_by_customer_person_and_time(office: Office) -> None:
    office("replay", "c-1", by="anna")
    office("replay", "c-2", by="ben")
    assert [r["by"] for r in recorded(office, "--customer", "c-1")] == ["anna"]
    assert [r["customers"] for r in recorded(office, "--by", "ben")] == [["c-2"]]
    assert len(recorded(office, "--from", "2026-01-01T00:00:00Z")) == 2
    assert recorded(office, "--to", "2026-01-01T00:00:00Z") == []
    assert "c-2" in office("audit", "accesses")[0]


def test_of_very_many_only_the_number_is_told_and_each_may_have_been_among_them(office: Office) -> None:
    engine = office.bank.tidings.engine
    many = [f"x-{number}" for number in range(MOST_NAMED + 1)]
    record_read(engine, by="anna", why="", what="audience list", customers=many, at=PUBLISHED_AT)
    record_read(engine, by="anna", why="", what="audience list", customers=many[1:], at=PUBLISHED_AT)
    assert [(len(r.customers), r.number) for r in reads(engine)] == [(0, 1_001), (1_000, 1_000)]
    assert [r.concerns("c-1") for r in reads(engine)] == [True, False]
    engine.dispose()


def test_a_look_is_one_event(office: Office) -> None:
    count = "SELECT count(*) FROM events WHERE partition = 0"
    before = office.bank.sql(count)[0][0]
    office("replay", "c-1", by="anna")
    assert office.bank.sql(count)[0][0] == before + 1


def test_where_it_cannot_be_recorded_nothing_is_shown(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store lies on a medium that can be read only."""
    if not office.bank.settings.store.startswith("sqlite"):
        pytest.skip("a file's matter")
    from stores import database

    connect = database.connect
    monkeypatch.setattr(database, "open_store", lambda url, **_: connect(url, read_only=True))
    monkeypatch.setattr("stores.recorder_factory.open_store", lambda url: connect(url, read_only=True))
    for command in (["replay", "c-1"], ["messages"], ["why", message_of(office, "c-1")]):
        line = office.refused(*command)
        assert "only where it can be recorded who saw them" in line


def test_an_archive_alone_tells_that_it_was_not_recorded(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    # The archive is alone; the keys that open it are not.
    keys = vault_of(office.bank.tidings.engine).place
    monkeypatch.setenv("TIDINGS_KEYS", keys.url)
    monkeypatch.setenv("TIDINGS_MASTER_KEY_FILE", str(keys.master_file.absolute()))
    folder = str(tmp_path / "archive")
    office("archive", folder)
    assert cli.run(["replay", "c-1", "--archive", folder]) == 0
    assert "was not recorded" in capsys.readouterr().err
    assert recorded(office) == []
    # With the store beside it, it is recorded there.
    office("replay", "c-1", "--archive", folder, by="anna")
    assert len(recorded(office)) == 1


def test_what_changes_the_store_and_publishes_nothing_is_recorded(office: Office) -> None:
    office("broadcast", "x.storm/1", "--id", "storm", "--reason", "a storm", by="anna")
    office("rebuild", by="ben")
    found = office.json("audit", "changes")
    assert [(c["by"], c["what"], c["reason"]) for c in found] == [
        ("anna", "broadcast", "a storm"),
        ("ben", "rebuild", ""),
    ]
    assert found[0]["details"] == {"id": "storm", "type": "x.storm/1", "customers": "2"}
    assert len(office.json("audit", "changes", "--by", "ben")) == 1
    assert "rebuild" in office("audit", "changes")[0]
