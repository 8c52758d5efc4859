"""What somebody could do to the database, and that an audit finds it and names the place.

The attacks stand in ``support.attacks``: single entries, whole histories made to fit, what stands beside the
events, and what was published. Each is tried on a file of SQLite and on PostgreSQL.
"""

import json
from pathlib import Path

import pytest

from audit.findings import Finding
from domain.errors import StoreCorrupt
from support.attacks import ATTACKS, TRACELESS, Attacked
from support.attacks_on_ends import a_snapshot_cannot_be_read
from support.attacks_on_entries import a_fact_is_altered
from support.attacks_on_histories import a_decision_is_rewritten, the_words_of_an_intent_are_rewritten
from support.bank import Bank
from support.facts import at, paid
from support.postgres import fresh_database
from support.scenario import envelope
from support.tampering import VICTIM, Place, copied, entries, entry, lived, make_fit, place, put


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A bank in a file of SQLite; nobody may harm it."""
    return lived(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """The same on PostgreSQL."""
    return lived(tmp_path_factory.mktemp("bank"), url=fresh_database())


@pytest.fixture
def bank(file: Bank, tmp_path: Path) -> Bank:
    """A copy that may be harmed."""
    return copied(file, tmp_path)


def check_found(bank: Bank, attacked: Attacked) -> None:
    where = attacked.attack(bank)
    findings = bank.verify().findings
    named = [found for found in findings if found.code == attacked.code and _is_at(found, where)]
    assert named, [(f.code, f.partition, f.seq, f.subject, f.version) for f in findings]


def _is_at(found: Finding, where: Place) -> bool:
    told = (found.partition, found.seq, found.subject, found.version)
    return all(expected in (None, said) for expected, said in zip(where, told, strict=True))


def test_nothing_is_found_where_nothing_was_done(file: Bank) -> None:
    verified = file.verify()
    assert verified.findings == []
    assert verified.customers == 3


@pytest.mark.parametrize("attacked", ATTACKS, ids=lambda attacked: attacked.name)
def test_it_is_found_in_a_file_and_its_place_is_named(bank: Bank, attacked: Attacked) -> None:
    check_found(bank, attacked)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("attacked", ATTACKS, ids=lambda attacked: attacked.name)
def test_it_is_found_on_a_server_and_its_place_is_named(
    server: Bank, tmp_path: Path, attacked: Attacked
) -> None:
    check_found(copied(server, tmp_path), attacked)


@pytest.mark.parametrize("attacked", TRACELESS, ids=lambda attacked: attacked.name)
def test_what_only_a_checkpoint_kept_elsewhere_can_tell_leaves_no_trace(
    bank: Bank, attacked: Attacked
) -> None:
    """Should this fail, the store has learnt to tell it: move the attack to the others."""
    attacked.attack(bank)
    assert bank.verify().findings == []


def test_there_are_enough_attacks() -> None:
    assert len({attacked.name for attacked in ATTACKS}) >= 50


def test_one_altered_byte_is_one_finding(bank: Bank) -> None:
    where = a_fact_is_altered(bank)
    assert where.seq is not None
    assert where.version is not None
    values: dict[str, object] = {"kind": "transaction.posted/1"}
    assert bank.verify().findings == [
        Finding("audit.hash_differs", 1, where.seq, VICTIM, where.version, values)
    ]


def test_a_decision_rewritten_with_all_its_hashes_is_shown_field_by_field(bank: Bank) -> None:
    """The chain holds, and the decision does not follow from its cause; nor do the words that left."""
    where = a_decision_is_rewritten(bank)
    first, *others = bank.verify().findings
    assert (first.code, first.seq, first.version) == ("audit.decision_differs", where.seq, where.version)
    # What was sealed with the decision is bound to it, and does not open any more.
    told = first.values["fields"]
    assert first.values["kind"] == "message.requested/1"
    assert isinstance(told, list)
    assert told[0] == {"path": "body.template", "expected": "win-back-survey", "found": "win-back-offer"}
    # With the snapshot, which is of the history as it was.
    assert {found.code for found in others} <= {
        "audit.decision_words_differ",
        "audit.decision_differs",
        "audit.snapshot_differs",
    }


def test_every_difference_of_a_customer_is_shown(bank: Bank) -> None:
    """One altered decision does not hide the next."""
    asked = [found for found in entries(bank) if found.kind == "message.sending/1"]
    for found in asked:
        digest = found.body.partition(b'"content_sha256":"')[2][:64]
        put(bank, found.seq, body=found.body.replace(digest, b"0" * 64))
    make_fit(bank)
    verified = bank.verify()
    assert len(asked) > 2
    assert [found.seq for found in verified.findings] == [found.seq for found in asked]
    assert {found.code for found in verified.findings} == {"audit.decision_words_differ"}
    assert verified.differences == len(asked)


def test_after_a_decision_of_another_kind_it_goes_on_with_the_next_fact(bank: Bank) -> None:
    """Two turns tampered with, each is told; what is in step between them is not."""
    first, later = entry(bank, "enrolment.ended/1"), entry(bank, "enrolment.ended/1", nth=-1)
    assert later.version > first.version + 5
    for found in (first, later):
        put(bank, found.seq, kind="timers.planned/1", body=b'{"due":{},"dropped":[],"reason":"none"}')
    make_fit(bank)
    told = {found.seq for found in bank.verify().findings if found.code == "audit.decision_differs"}
    assert {first.seq, later.seq} <= told


def test_a_customer_with_very_many_differences_is_given_up(bank: Bank) -> None:
    decided = [found for found in entries(bank) if b'"source":' not in found.body and found.cause]
    for found in decided:
        put(bank, found.seq, body=found.body.replace(b"{", b"{ ", 1))
    make_fit(bank)
    assert len(decided) > 20
    verified = bank.verify()
    differing = [found for found in verified.findings if found.is_difference]
    assert len(differing) == 20
    assert differing[-1].values["given_up"] is True


def test_other_words_are_a_finding_of_their_own(bank: Bank) -> None:
    """What makes words may have changed since: the intent stands, and the history is followed on."""
    before = bank.verify().replayed
    where = the_words_of_an_intent_are_rewritten(bank)
    verified = bank.verify()
    (found,) = verified.findings
    assert (found.code, found.seq) == ("audit.decision_words_differ", where.seq)
    fields = found.values["fields"]
    assert isinstance(fields, list)
    assert [field["path"] for field in fields] == ["body.content_sha256"]
    assert verified.replayed == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET version = 'two' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET body = X'FF00' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET kind = X'FF00' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET hash = 'text' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET occurred_at = 'long ago' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET occurred_at = 9e18 WHERE partition = 1 AND seq = 9",
        "UPDATE events SET stream = 'nobody' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET seq = 'nine' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET rulebook = 'none' WHERE partition = 1 AND seq = 9",
        "UPDATE partitions SET last_seq = 9000000000000000000 WHERE partition = 1",
        "UPDATE partitions SET facts_taken = -1 WHERE partition = 1",
        "UPDATE documents SET digest = 'none'",
        "DELETE FROM timers",
        "DELETE FROM heads WHERE partition = 1",
        "DELETE FROM events",
    ],
)
def test_whatever_is_made_of_the_store_is_a_finding_and_never_a_crash(bank: Bank, statement: str) -> None:
    bank.sql(statement)
    assert bank.verify().findings != []


def test_an_authored_document_cannot_be_altered_either(bank: Bank) -> None:
    bank.sql(
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'win-back', 'win-Back') AS BLOB) "
        "WHERE partition = 0 AND kind = 'journey.published/1'"
    )
    assert [(f.code, f.partition) for f in bank.verify().findings] == [("audit.hash_differs", 0)]


def test_very_many_findings_are_counted_and_not_all_kept(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.findings._KEPT", 5)
    bank.sql("UPDATE rulebooks SET digest = ?", "0" * 64)
    verified = bank.verify()
    assert len(verified.findings) == 5
    assert verified.chain_breaks > 50
    assert not verified.ok


def test_the_body_of_an_event_is_json_that_people_can_read(file: Bank) -> None:
    for (body,) in file.sql("SELECT body FROM events"):
        assert isinstance(json.loads(body), dict)


def test_a_snapshot_that_cannot_be_read_is_told_in_a_line(bank: Bank) -> None:
    a_snapshot_cannot_be_read(bank)
    bank.take([envelope(VICTIM, at("2027-02-01 12:00"), paid())])
    with pytest.raises(StoreCorrupt, match=r"store\.unreadable_snapshot"):
        bank.run(at("2027-02-02 12:00"))


def test_the_place_of_an_entry_is_its_number_customer_and_version(file: Bank) -> None:
    found = entries(file)[0]
    assert place(found) == (1, found.seq, VICTIM, 1)
