"""Changes need two persons, what was approved is bound by digest, and nothing else is run."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from domain.approvals import REGISTER
from domain.errors import InputRefused
from stores.database import create_store
from support.bank import PUBLISHED_AT, Bank
from support.facts import at
from support.office import Office
from support.postgres import fresh_database
from tidings import cli
from tidings.approved import approvals
from tidings.approving import approve, change
from tidings.authoring import publish
from tidings.documents import Documents, shipped
from tidings.publications import Authoring
from tidings.sanctions import Person

GREETING = next(t for t in shipped().templates if t.template == "birthday-greeting")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.long])])
def office(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    url = fresh_database() if request.param == "postgresql" else None
    return Office(Bank(tmp_path, partitions=1, url=url), capsys)


def newer_greeting() -> Documents:
    return Documents([], [replace(GREETING, version=GREETING.version + 1)])


class TestTwoPersons:
    def test_what_one_proposes_comes_into_force_by_another(self, office: Office) -> None:
        out, _ = office("journeys", "publish", str(office.written()), "--reason", "asked for", by="anna")
        assert "Nothing is in force yet" in out
        assert "own" not in office.in_force()
        (waiting,) = office.json("approvals", "list")
        assert (waiting["by"], waiting["reason"], waiting["state"]) == ("anna", "asked for", "pending")
        told = office.json("approvals", "approve", waiting["proposal"], by="ben")
        assert told["published"] == [{"kind": "journey", "name": "own", "version": 1}]
        assert office.in_force()["own"] == 1
        assert office.json("approvals", "list") == []
        given = office.json("approvals", "given")[-1]
        assert (given["proposed_by"], given["approved_by"], given["reason"]) == ("anna", "ben", "asked for")
        assert given["documents"] == waiting["documents"]
        assert office.json("audit", "verify")["ok"] is True

    def test_exactly_the_bytes_that_were_proposed_come_into_force(self, office: Office) -> None:
        name = office.propose()
        text = office.json("approvals", "show", name)["texts"][0]
        # Whoever changes the file in between changes nothing.
        office.written().write_text("journey: other", encoding="utf-8")
        office("approvals", "approve", name, by="ben")
        body = office.bank.sql("SELECT body FROM documents WHERE kind = 'journey' AND name = 'own'")[0][0]
        assert bytes(body) == text.encode()

    def test_whoever_approves_reads_what_is_new_and_what_differs(self, office: Office) -> None:
        first = office.propose()
        assert '"template": "birthday-greeting"' in office("approvals", "show", first)[0]
        office("approvals", "approve", first, by="ben")
        shown = office("approvals", "show", office.propose(2, days=5))[0]
        assert "Step rest does something else." in shown
        paused = office.json("journeys", "pause", "own", by="anna")
        assert paused["changed"] is True
        resumed = office.json("journeys", "resume", "own", by="anna")["proposal"]
        assert '+  "state": "running"' in office("approvals", "show", resumed)[0]

    @pytest.mark.parametrize("by", ["anna", "Anna", " ANNA ", "ａｎｎａ"])
    def test_one_person_is_not_two(self, office: Office, by: str) -> None:
        name = office.propose(by="anna")
        assert "another person must approve it" in office.refused("approvals", "approve", name, by=by)
        assert "own" not in office.in_force()

    def test_who_names_nobody_is_the_systems_user(self, office: Office) -> None:
        told = office.json("journeys", "publish", str(office.written()))
        (waiting,) = office.json("approvals", "list")
        assert waiting["by"].startswith("os:")
        assert "another person" in office.refused("approvals", "approve", told["proposal"])

    def test_a_proposal_that_is_made_again_is_the_same(self, office: Office) -> None:
        assert office.propose() == office.propose()
        assert len(office.json("approvals", "list")) == 1

    def test_what_is_wrong_is_not_even_proposed(self, office: Office) -> None:
        faulty = office.written(template="no-such-template")
        _, err = office("journeys", "publish", str(faulty), by="anna", code=1)
        assert "no-such-template" in err
        assert office.json("approvals", "list") == []

    def test_a_segment_and_a_template_are_proposed_too(self, office: Office) -> None:
        told = office.json("segments", "publish", by="anna")
        assert told["published"] == []
        assert {part["kind"] for part in told["proposed"]} == {"segment"}
        office("approvals", "approve", told["proposal"], by="ben")
        told = office.json("templates", "withdraw", "birthday-greeting", by="anna")
        assert told["withdrawn"] == []
        office("approvals", "approve", told["proposal"], by="ben")
        again = office("templates", "withdraw", "birthday-greeting", by="anna")[0]
        assert "withdrawn already" in again


class TestDecisions:
    def test_who_proposed_withdraws_and_others_reject(self, office: Office) -> None:
        first, second = office.propose(days=3), office.propose(days=4)
        assert "withdraw it, others reject" in office.refused(
            "approvals", "reject", first, "--reason", "no", by="anna"
        )
        assert "only anna" in office.refused("approvals", "withdraw", first, by="ben")
        assert "--reason" in office.refused("approvals", "reject", first, by="ben")
        assert office.json("approvals", "reject", first, "--reason", "no", by="ben")["changed"] is True
        assert office.json("approvals", "withdraw", second, by="anna")["changed"] is True
        assert "rejected already" in office("approvals", "reject", first, "--reason", "no", by="ben")[0]
        assert "was rejected by ben" in office.refused("approvals", "approve", first, by="cleo")
        assert "was withdrawn by anna" in office.refused("approvals", "approve", second, by="cleo")
        states = [found["state"] for found in office.json("approvals", "list", "--all")]
        assert states == ["rejected", "withdrawn"]

    def test_an_unknown_proposal_brings_near_names(self, office: Office) -> None:
        name = office.propose()
        for command in (["approve"], ["withdraw"], ["reject", "--reason", "no"], ["show"]):
            by = None if command == ["show"] else "ben"
            line = office.refused("approvals", command[0], f"{name[:-1]}x", *command[1:], by=by)
            assert f"Did you mean {name}?" in line

    def test_the_second_to_approve_is_told_who_was_first(self, office: Office) -> None:
        name = office.propose()
        office("approvals", "approve", name, by="ben")
        assert "You approved" in office("approvals", "approve", name, by="ben")[0]
        assert "was approved by ben already" in office.refused("approvals", "approve", name, by="cleo")

    def test_of_two_who_approve_at_once_one_wins(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Cleo comes in between when Ben has looked at everything and is about to save."""
        name, save = office.propose(), Authoring.save

        def interrupted(authoring: Authoring, *objects: object, **given: object) -> object:
            monkeypatch.setattr(Authoring, "save", save)
            office("approvals", "approve", name, by="cleo")
            return save(authoring, *objects, **given)  # type: ignore[arg-type]

        monkeypatch.setattr(Authoring, "save", interrupted)
        tidings = office.bank.tidings
        with pytest.raises(InputRefused) as refused:
            approve(tidings.engine, name, person=Person("ben"), at=PUBLISHED_AT)
        assert (refused.value.code, refused.value.values["by"]) == ("approvals.already_approved", "cleo")
        given = approvals(tidings.engine).given
        assert [a.approved_by for _, a in given if a.proposal] == ["cleo"]
        assert len(given) == 2
        tidings.engine.dispose()

    def test_a_crash_after_the_approval_is_made_good_by_a_second_try(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = office.propose()
        with monkeypatch.context() as patch:
            patch.setattr("tidings.authoring._put_in_force", lambda *_: None)
            office("approvals", "approve", name, by="ben")
        assert "own" not in office.in_force()
        codes = [found["code"] for found in _findings(office)]
        assert codes == ["audit.approved_missing"] * 2
        office("approvals", "approve", name, by="ben")
        assert office.in_force()["own"] == 1
        assert office.json("audit", "verify")["ok"] is True


class TestWhatItRestsOn:
    def test_a_template_that_changed_in_between_is_told(self, office: Office) -> None:
        name = office.propose()
        _publish(office, newer_greeting())
        line = office.refused("approvals", "approve", name, by="ben")
        assert "template birthday-greeting 1" in line
        assert "template birthday-greeting 2" in line
        assert office.json("approvals", "show", name)["overtaken"] != []
        assert "own" not in office.in_force()
        # Proposed again, it rests on what is there now.
        office("approvals", "withdraw", name, by="anna")
        office("approvals", "approve", office.propose(), by="ben")
        assert office.in_force()["own"] == 1

    def test_of_two_proposals_of_one_version_the_second_comes_too_late(self, office: Office) -> None:
        first, second = office.propose(days=3), office.propose(days=4)
        office("approvals", "approve", first, by="ben")
        assert 'rests on "journey own 0"' in office.refused("approvals", "approve", second, by="ben")

    def test_a_pause_of_another_journey_is_in_nobodys_way(self, office: Office) -> None:
        name = office.propose()
        office("journeys", "pause", "birthday", by="cleo")
        office("approvals", "approve", name, by="ben")
        assert office.in_force()["own"] == 1

    def test_altered_bytes_are_not_put_in_force(self, office: Office) -> None:
        name = office.propose()
        _alter(office.bank, "proposal.made/1", b"days", b"dayz")
        assert "was altered in the store" in office.refused("approvals", "approve", name, by="ben")
        assert "own" not in office.in_force()


class TestOrders:
    def test_one_person_pauses_at_once_and_two_let_it_run_again(self, office: Office) -> None:
        assert office.json("journeys", "pause", "birthday", by="anna")["changed"] is True
        told = office.json("journeys", "resume", "birthday", by="anna")
        assert told["changed"] is False
        assert "is paused already" in office("journeys", "pause", "birthday", by="anna")[0]
        assert "another person" in office.refused("approvals", "approve", told["proposal"], by="anna")
        office("approvals", "approve", told["proposal"], by="ben")
        assert "runs already" in office("journeys", "resume", "birthday", by="anna")[0]

    def test_to_stop_needs_two(self, office: Office) -> None:
        told = office.json("journeys", "stop", "birthday", "--end-now", by="anna")
        assert (told["changed"], bool(told["proposal"])) == (False, True)

    def test_a_migration_is_bound_by_its_digest(self, office: Office) -> None:
        for version in (1, 2):
            office("approvals", "approve", office.propose(version), by="ben")
        plan = office.json("journeys", "migrate", "own", "--to", "2", by="anna")
        told = office.json("journeys", "migrate", "own", "--to", "2", "--approve", plan["digest"], by="anna")
        assert (told["new"], told["published"]) == (False, False)
        assert "Nobody is inside" in office("approvals", "show", told["proposal"])[0]
        office("approvals", "approve", told["proposal"], by="ben")
        assert office.json("journeys", "migrate", "own", "--to", "2", by="anna")["published"] is True
        bound = office.json("approvals", "given")[-1]["documents"]
        assert [(b["kind"], b["digest"]) for b in bound] == [("migration", plan["digest"])]


class TestTheSetting:
    def test_init_makes_a_store_that_needs_two_and_alone_one_that_does_not(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name, options, told in (("two", [], "on"), ("one", ["--alone", "--by", "anna"], "off")):
            store = ["--store", f"sqlite:///{tmp_path / name}.db"]
            assert cli.run(["init", *options, *store]) == 0
            capsys.readouterr()
            assert cli.run(["approvals", "four-eyes", *store, "--json"]) == 0
            assert f'"four_eyes":{str(told == "on").lower()}' in capsys.readouterr().out
        store = ["--store", f"sqlite:///{tmp_path / 'two'}.db"]
        assert cli.run(["init", "--alone", *store]) == 1
        assert "this store needs two persons" in capsys.readouterr().err
        assert cli.run(["init", *store]) == 0

    def test_a_store_without_a_word_on_it_needs_two(self, tmp_path: Path) -> None:
        engine, _ = create_store(f"sqlite:///{tmp_path / 'bare'}.db", customer_partitions=1)
        publish(engine, shipped(), at=PUBLISHED_AT)
        assert change(engine, newer_greeting(), person=Person("anna"), at=PUBLISHED_AT).proposal is not None
        engine.dispose()

    def test_what_is_shipped_is_approved_by_the_release(self, office: Office) -> None:
        assert cli.run(["init", "--store", office.bank.settings.store]) == 0
        office("journeys", "list")
        given = office.json("approvals", "given")[-1]
        assert (given["approved_by"].split()[0], given["reason"]) == ("tidings", "shipped")

    def test_two_turn_it_off_and_anybody_turns_it_on(self, office: Office) -> None:
        name = office.json("approvals", "four-eyes", "off", by="anna")["proposal"]
        assert office.json("approvals", "four-eyes") == {"four_eyes": True, "proposal": None}
        assert "another person" in office.refused("approvals", "approve", name, by="anna")
        office("approvals", "approve", name, by="ben")
        assert office.json("approvals", "four-eyes") == {"four_eyes": False, "proposal": None}
        told = office.json("journeys", "publish", str(office.written()), by="anna")
        assert told["published"] == [{"kind": "journey", "name": "own", "version": 1}]
        assert office.json("approvals", "four-eyes", "on", by="cleo")["four_eyes"] is True
        office.propose(2)
        assert office.json("audit", "verify")["ok"] is True


Attack = Callable[[Bank], None]


def insert_a_document(bank: Bank) -> None:
    """Somebody who owns the database brings in a template of their own."""
    (body,) = bank.sql("SELECT body FROM documents WHERE name = 'birthday-greeting'")[0]
    forged = bytes(body).replace(b"Happy birthday", b"Send us money")
    bank.sql(
        "INSERT INTO documents (partition, kind, name, version, digest, body) VALUES (0, ?, ?, 2, ?, ?)",
        "template", "birthday-greeting", sha256(forged).hexdigest(), forged,
    )  # fmt: skip


def alter_a_document(bank: Bank) -> None:
    (body,) = bank.sql("SELECT body FROM documents WHERE name = 'birthday-greeting'")[0]
    forged = bytes(body).replace(b"Happy birthday", b"Send us money")
    assert forged != bytes(body)
    bank.sql(
        "UPDATE documents SET body = ?, digest = ? WHERE name = 'birthday-greeting'",
        forged, sha256(forged).hexdigest(),
    )  # fmt: skip


def alter_a_document_under_its_digest(bank: Bank) -> None:
    (body,) = bank.sql("SELECT body FROM documents WHERE name = 'birthday-greeting'")[0]
    forged = bytes(body).replace(b"Happy birthday", b"Send us money")
    bank.sql("UPDATE documents SET body = ? WHERE name = 'birthday-greeting'", forged)


def insert_a_rulebook(bank: Bank) -> None:
    (body,) = bank.sql("SELECT body FROM rulebooks ORDER BY number DESC LIMIT 1")[0]
    forged = bytes(body).replace(b'"purpose":"care"', b'"purpose":"service"')
    assert forged != bytes(body)
    bank.sql(
        "INSERT INTO rulebooks (partition, number, digest, body) VALUES (0, 99, ?, ?)",
        sha256(forged).hexdigest(), forged,
    )  # fmt: skip


def put_a_former_rulebook_back(bank: Bank) -> None:
    digest, body = bank.sql("SELECT digest, body FROM rulebooks ORDER BY number LIMIT 1")[0]
    bank.sql(
        "INSERT INTO rulebooks (partition, number, digest, body) VALUES (0, 99, ?, ?)", digest, bytes(body)
    )


def take_an_approval_back(bank: Bank) -> None:
    """The approval is altered, so nothing from it on counts as approved."""
    _alter(bank, "approval.given/1", b"program", b"nobody!")


@pytest.mark.parametrize(
    ("attack", "place"),
    [
        (insert_a_document, "template birthday-greeting 2"),
        (alter_a_document, "template birthday-greeting 1"),
        (alter_a_document_under_its_digest, "template birthday-greeting 1"),
        (insert_a_rulebook, "rulebook 99"),
        (put_a_former_rulebook_back, "rulebook 99"),
        (take_an_approval_back, "calendar"),
    ],
)
def test_the_engine_runs_nothing_that_nobody_approved(office: Office, attack: Attack, place: str) -> None:
    attack(office.bank)
    line = office.refused("run", "--until", "2026-01-02T00:00:00Z")
    assert f"the {place}" in line
    assert "no approval names what it says" in line
    codes = ("audit.unapproved", "audit.document_altered")
    found = [f for f in _findings(office) if f["code"] in codes]
    assert any(str(f["values"]["name"]).startswith(place) for f in found)


def test_what_was_approved_and_is_gone_is_found(office: Office) -> None:
    office.bank.sql("DELETE FROM documents WHERE name = 'birthday-greeting'")
    # Both that an approval names it, and that a rulebook runs on it.
    assert [(f["code"], f["values"]["name"]) for f in _findings(office)] == [
        ("audit.approved_missing", "template birthday-greeting 1"),
        ("audit.document_missing", "template birthday-greeting 1"),
    ]


def test_a_broken_register_is_told_by_its_place(office: Office) -> None:
    _alter(office.bank, "approval.given/1", b"program", b"nobody!")
    broken = [f for f in _findings(office) if f["code"] == "audit.register_altered"]
    assert [(f["subject"], f["version"]) for f in broken] == [(REGISTER, 3)]


def test_a_program_that_publishes_alone_is_recorded_as_such_and_found(office: Office) -> None:
    office("journeys", "pause", "birthday", by="anna")
    assert office.json("audit", "verify")["ok"] is True
    _publish(office, newer_greeting())
    assert office.json("approvals", "given")[-1]["approved_by"] == "program"
    (found,) = _findings(office)
    assert found["code"] == "audit.approved_alone"
    assert found["values"] == {"name": "template birthday-greeting 2", "by": "program"}


def test_a_change_by_a_program_that_asks_for_two_is_a_proposal(office: Office) -> None:
    tidings = office.bank.tidings
    changed = change(tidings.engine, newer_greeting(), person=Person("anna"), at=at("2026-01-01 12:00"))
    assert changed.proposal is not None
    assert changed.proposal.rests_on == ["template birthday-greeting 1"]
    tidings.engine.dispose()


def _publish(office: Office, documents: Documents) -> None:
    tidings = office.bank.tidings
    publish(tidings.engine, documents, at=PUBLISHED_AT)
    tidings.engine.dispose()


def _findings(office: Office) -> list[dict[str, Any]]:
    out, _ = office("audit", "verify", "--json", code=1)
    found: list[dict[str, Any]] = json.loads(out)["findings"]
    return found


def _alter(bank: Bank, kind: str, old: bytes, new: bytes) -> None:
    """Change the body of the last event of a kind, without its hash."""
    seq, body = bank.sql(
        "SELECT seq, body FROM events WHERE partition = 0 AND kind = ? ORDER BY seq DESC LIMIT 1", kind
    )[0]
    assert old in bytes(body)
    bank.sql("UPDATE events SET body = ? WHERE partition = 0 AND seq = ?", bytes(body).replace(old, new), seq)


@pytest.mark.parametrize("table", ["documents", "rulebooks"])
def test_a_text_that_somebody_left_in_place_of_bytes_is_one_line(office: Office, table: str) -> None:
    if not office.bank.settings.store.startswith("sqlite"):
        pytest.skip("PostgreSQL takes bytes only")
    office.bank.sql(f"UPDATE {table} SET body = replace(body, 'birthday', 'birthdaY')")
    line = office.refused("run", "--until", "2026-02-01T00:00:00Z")
    assert "approv" in line
    assert {f["code"] for f in _findings(office)} >= {f"audit.{table[:-1]}_altered"}
