"""What somebody could do to the database file, and that an audit finds it and names the place."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from audit.findings import Finding
from domain.chain import genesis, link
from domain.codec import decode_state, encode_state
from domain.errors import StoreCorrupt
from support.bank import Bank
from support.facts import at, balance, granted, noon, opened, paid, registered
from support.scenario import envelope
from tidings.memory import Room

Attack = Callable[[Bank], int]
VICTIM = "c-1"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    bank = Bank(tmp_path_factory.mktemp("bank"), partitions=1)
    told = []
    for number in range(1, 4):
        told += [
            envelope(f"c-{number}", at("2026-01-01 12:00"), registered()),
            envelope(f"c-{number}", at("2026-01-01 12:00"), granted()),
            envelope(f"c-{number}", at("2026-01-02 12:00"), opened(matures_on=date(2026, 7, 1))),
            envelope(f"c-{number}", noon(date(2026, 1, 10)), paid()),
            envelope(f"c-{number}", noon(date(2026, 1, 31)), balance("100")),
        ]
    assert bank.take(told).refused == []
    bank.run(at("2026-12-31 12:00"))
    assert bank.verify().findings == []
    return bank


@pytest.fixture
def bank(lived: Bank, tmp_path: Path) -> Bank:
    """A copy that may be harmed."""
    copy = Bank(tmp_path, partitions=1, name="copy")
    copy.path.write_bytes(lived.path.read_bytes())
    return copy


def place_of(bank: Bank, kind: str, *, nth: int = 0) -> int:
    """The seq of one of the victim's events."""
    rows = bank.sql(
        "SELECT e.seq FROM events e JOIN streams s USING (partition, stream) "
        "WHERE s.subject = ? AND e.kind = ? ORDER BY e.seq",
        VICTIM,
        kind,
    )
    return int(rows[nth][0])


def one_byte_of_a_body(bank: Bank) -> int:
    seq = place_of(bank, "transaction.posted/1")
    bank.sql(
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), '-10.00', '-90.00') AS BLOB) "
        "WHERE partition = 1 AND seq = ?",
        seq,
    )
    return seq


def one_byte_of_a_decision(bank: Bank) -> int:
    seq = place_of(bank, "message.requested/1")
    bank.sql(
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), '\"visit\":1', '\"visit\":2') AS BLOB) "
        "WHERE partition = 1 AND seq = ?",
        seq,
    )
    return seq


def a_fact_removed(bank: Bank) -> int:
    seq = place_of(bank, "consent.granted/1")
    bank.sql("DELETE FROM events WHERE partition = 1 AND seq = ?", seq)
    return seq + 1


def a_decision_removed(bank: Bank) -> int:
    seq = place_of(bank, "message.accepted/1")
    bank.sql("DELETE FROM events WHERE partition = 1 AND seq = ?", seq)
    return seq + 1


def two_events_swapped(bank: Bank) -> int:
    first, second = place_of(bank, "consent.granted/1"), place_of(bank, "balance.recorded/1")
    for old, new in ((first, -1), (second, first), (-1, second)):
        bank.sql("UPDATE events SET seq = ? WHERE partition = 1 AND seq = ?", new, old)
    return first


def the_clock_of_an_event(bank: Bank) -> int:
    seq = place_of(bank, "message.sending/1")
    bank.sql("UPDATE events SET recorded_at = recorded_at + 1 WHERE partition = 1 AND seq = ?", seq)
    return seq


def the_name_of_an_event(bank: Bank) -> int:
    seq = place_of(bank, "consent.granted/1")
    bank.sql("UPDATE events SET kind = 'consent.withdrawn/1' WHERE partition = 1 AND seq = ?", seq)
    return seq


def the_cause_of_an_event(bank: Bank) -> int:
    seq = place_of(bank, "enrolment.started/1")
    bank.sql("UPDATE events SET cause = 1 WHERE partition = 1 AND seq = ?", seq)
    return seq


def a_hash(bank: Bank) -> int:
    seq = place_of(bank, "balance.recorded/1")
    bank.sql("UPDATE events SET hash = zeroblob(32) WHERE partition = 1 AND seq = ?", seq)
    return seq


def a_back_pointer(bank: Bank) -> int:
    seq = place_of(bank, "balance.recorded/1")
    bank.sql("UPDATE events SET prev = prev - 1 WHERE partition = 1 AND seq = ?", seq)
    return seq


def an_event_of_another(bank: Bank) -> int:
    seq = place_of(bank, "transaction.posted/1")
    bank.sql("UPDATE events SET stream = (stream % 3) + 1 WHERE partition = 1 AND seq = ?", seq)
    return seq


def a_consent_forged_with_its_hash(bank: Bank) -> int:
    """A withdrawal turned into something else with the right hash for itself: the next link tells."""
    seq = place_of(bank, "consent.granted/1")
    row = bank.sql(
        "SELECT version, occurred_at, recorded_at, cause, prev, rulebook, body FROM events "
        "WHERE partition = 1 AND seq = ?",
        seq,
    )[0]
    previous = bank.sql("SELECT hash FROM events WHERE partition = 1 AND seq = ?", row[4])[0][0]
    digest = bank.sql("SELECT digest FROM rulebooks WHERE number = ?", row[5])[0][0]
    body = bytes(row[6]).replace(b"branch form 7", b"branch form 8")
    forged = link(
        previous,
        version=row[0],
        kind="consent.granted/1",
        occurred_at=row[1],
        recorded_at=row[2],
        cause=row[3],
        rulebook=digest,
        body=body,
    )
    bank.sql("UPDATE events SET body = ?, hash = ? WHERE partition = 1 AND seq = ?", body, forged, seq)
    following = bank.sql("SELECT seq FROM events WHERE partition = 1 AND prev = ?", seq)
    return int(following[0][0])


def the_end_cut_off(bank: Bank) -> int:
    last = int(bank.sql("SELECT max(seq) FROM events WHERE partition = 1")[0][0])
    bank.sql("DELETE FROM events WHERE partition = 1 AND seq = ?", last)
    return last - 1


ATTACKS: list[tuple[Attack, str]] = [
    (one_byte_of_a_body, "audit.hash_differs"),
    (one_byte_of_a_decision, "audit.hash_differs"),
    (a_fact_removed, "audit.seq_missing"),
    (a_decision_removed, "audit.seq_missing"),
    (two_events_swapped, "audit.version_gap"),
    (the_clock_of_an_event, "audit.hash_differs"),
    (the_name_of_an_event, "audit.hash_differs"),
    (the_cause_of_an_event, "audit.hash_differs"),
    (a_hash, "audit.hash_differs"),
    (a_back_pointer, "audit.wrong_prev"),
    (an_event_of_another, "audit.wrong_prev"),
    (a_consent_forged_with_its_hash, "audit.hash_differs"),
    (the_end_cut_off, "audit.partition_cut"),
]


@pytest.mark.parametrize(("attack", "code"), ATTACKS, ids=lambda value: getattr(value, "__name__", value))
def test_it_is_found_and_its_place_is_named(bank: Bank, attack: Attack, code: str) -> None:
    seq = attack(bank)
    findings = bank.verify().findings
    assert (code, 1, seq) in [(f.code, f.partition, f.seq) for f in findings], findings


def test_one_altered_byte_is_one_finding(bank: Bank) -> None:
    seq = one_byte_of_a_body(bank)
    version = bank.sql("SELECT version FROM events WHERE partition = 1 AND seq = ?", seq)[0][0]
    values: dict[str, object] = {"kind": "transaction.posted/1"}
    assert bank.verify().findings == [Finding("audit.hash_differs", 1, seq, VICTIM, version, values)]


def test_a_decision_rewritten_with_all_its_hashes_comes_out_otherwise(bank: Bank) -> None:
    """Every link recomputed: the chain holds, and the decision still does not follow from its cause."""
    rehash(bank, place_of(bank, "message.requested/1"), b"win-back-survey", b"win-back-offer")
    assert [f.code for f in bank.verify().findings] == ["audit.decision_differs"]


def test_a_message_slipped_out_of_the_record_with_all_its_hashes_is_missed(bank: Bank) -> None:
    """A fact altered so that its consequences differ."""
    rehash(bank, place_of(bank, "holding.opened/1"), b"2026-07-01", b"2026-07-02")
    codes = {f.code for f in bank.verify().findings}
    assert codes == {"audit.decision_differs"}


def test_a_hand_over_taken_out_with_all_its_hashes_is_missed(bank: Bank) -> None:
    """Intent and answer gone, everything after them renumbered and chained anew."""
    intent = place_of(bank, "message.sending/1")
    take_out(bank, intent, place_of(bank, "message.accepted/1"))
    assert "audit.decision_missing" in [f.code for f in bank.verify().findings]


def test_an_answer_taken_out_with_all_its_hashes_is_missed(bank: Bank) -> None:
    take_out(bank, place_of(bank, "message.accepted/1", nth=-1))
    assert "audit.answer_missing" in [f.code for f in bank.verify().findings]


def test_an_altered_template_is_named(bank: Bank) -> None:
    bank.sql(
        "UPDATE documents SET body = CAST(replace(CAST(body AS TEXT), 'happy', 'sorry') AS BLOB) "
        "WHERE name = 'birthday-greeting'"
    )
    assert "audit.document_altered" in [f.code for f in bank.verify().findings]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rulebooks SET body = X'7B7D'",
        "UPDATE rulebooks SET body = X'FF'",
        "UPDATE events SET version = 'two' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET body = X'FF00' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET kind = X'FF00' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET hash = 'text' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET occurred_at = 'long ago' WHERE partition = 1 AND seq = 9",
        "UPDATE events SET occurred_at = 9e18 WHERE partition = 1 AND seq = 9",
        "UPDATE events SET rulebook = 77 WHERE partition = 1 AND seq = 9",
        "UPDATE streams SET subject = 'c-9' WHERE partition = 1 AND subject = 'c-1'",
        "DELETE FROM timers",
        "UPDATE timers SET due_at = due_at + 1",
        "DELETE FROM partitions WHERE partition = 1",
        "DELETE FROM streams WHERE partition = 1 AND subject = 'c-1'",
        "DELETE FROM heads WHERE partition = 1",
    ],
)
def test_whatever_is_made_of_the_store_is_a_finding_and_never_a_crash(bank: Bank, statement: str) -> None:
    bank.sql(statement)
    assert bank.verify().findings != []


def test_an_altered_rulebook_is_named(bank: Bank) -> None:
    bank.sql(
        "UPDATE rulebooks SET body = "
        "CAST(replace(CAST(body AS TEXT), '\"granted\"', '\"not_needed\"') AS BLOB)"
    )
    findings = bank.verify().findings
    assert "audit.rulebook_altered" in [f.code for f in findings]


def test_an_authored_document_cannot_be_altered_either(bank: Bank) -> None:
    bank.sql(
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'win-back', 'win-Back') AS BLOB) "
        "WHERE partition = 0 AND kind = 'journey.published/1'"
    )
    assert [(f.code, f.partition) for f in bank.verify().findings] == [("audit.hash_differs", 0)]


def test_a_removed_customer_is_missed(bank: Bank) -> None:
    stream = bank.sql("SELECT stream FROM streams WHERE partition = 1 AND subject = ?", VICTIM)[0][0]
    bank.sql("DELETE FROM events WHERE partition = 1 AND stream = ?", stream)
    codes = [f.code for f in bank.verify().findings]
    assert "audit.history_missing" in codes
    assert "audit.seq_missing" in codes


def take_out(bank: Bank, *places: int) -> None:
    """Remove entries of the victim and close every gap: seq, version, prev, cause, chain, head, count."""
    stream = bank.sql("SELECT stream FROM streams WHERE partition = 1 AND subject = ?", VICTIM)[0][0]
    gone = {
        row[0]
        for place in places
        for row in bank.sql("SELECT version FROM events WHERE partition = 1 AND seq = ?", place)
    }
    for place in sorted(places, reverse=True):
        bank.sql("DELETE FROM events WHERE partition = 1 AND seq = ?", place)
        for (seq,) in bank.sql("SELECT seq FROM events WHERE partition = 1 AND seq > ? ORDER BY seq", place):
            bank.sql("UPDATE events SET seq = seq - 1 WHERE partition = 1 AND seq = ?", seq)
        bank.sql("UPDATE events SET prev = prev - 1 WHERE partition = 1 AND prev > ?", place)
        bank.sql("UPDATE heads SET seq = seq - 1 WHERE partition = 1 AND seq > ?", place)
        bank.sql("UPDATE partitions SET last_seq = last_seq - 1 WHERE partition = 1")

    def lower(version: Any) -> int:
        number = int(version)
        return number - len([one for one in gone if one < number])

    previous, before = genesis(VICTIM), 0
    rows = bank.sql(
        "SELECT e.seq, e.version, e.kind, e.occurred_at, e.recorded_at, e.cause, r.digest, e.body "
        "FROM events e JOIN rulebooks r ON r.number = e.rulebook "
        "WHERE e.partition = 1 AND e.stream = ? ORDER BY e.seq",
        stream,
    )
    for seq, version, kind, occurred_at, recorded_at, cause, digest, body in rows:
        previous = link(
            previous,
            version=lower(version),
            kind=kind,
            occurred_at=occurred_at,
            recorded_at=recorded_at,
            cause=lower(cause),
            rulebook=digest,
            body=body,
        )
        bank.sql(
            "UPDATE events SET version = ?, cause = ?, prev = ?, hash = ? WHERE partition = 1 AND seq = ?",
            lower(version),
            lower(cause),
            before,
            previous,
            seq,
        )
        before = seq
    bank.sql(
        "UPDATE heads SET version = ?, seq = ?, hash = ? WHERE partition = 1 AND stream = ?",
        lower(rows[-1][1]),
        before,
        previous,
        stream,
    )


def rehash(bank: Bank, seq: int, old: bytes, new: bytes) -> None:
    """Alter one body and recompute every link after it, as somebody with the whole program would."""
    stream = bank.sql("SELECT stream FROM events WHERE partition = 1 AND seq = ?", seq)[0][0]
    rows = bank.sql(
        "SELECT e.seq, e.version, e.kind, e.occurred_at, e.recorded_at, e.cause, r.digest, e.body, e.prev "
        "FROM events e JOIN rulebooks r ON r.number = e.rulebook "
        "WHERE e.partition = 1 AND e.stream = ? AND e.seq >= ? ORDER BY e.seq",
        stream,
        seq,
    )
    previous = bank.sql("SELECT hash FROM events WHERE partition = 1 AND seq = ?", rows[0][8])[0][0]
    for place, version, kind, occurred_at, recorded_at, cause, digest, stored, _ in rows:
        body = stored.replace(old, new) if place == seq else stored
        previous = link(
            previous,
            version=version,
            kind=kind,
            occurred_at=occurred_at,
            recorded_at=recorded_at,
            cause=cause,
            rulebook=digest,
            body=body,
        )
        bank.sql(
            "UPDATE events SET body = ?, hash = ? WHERE partition = 1 AND seq = ?", body, previous, place
        )
    bank.sql("UPDATE heads SET hash = ? WHERE partition = 1 AND stream = ?", previous, stream)


def test_the_body_of_an_event_is_json_that_people_can_read(lived: Bank) -> None:
    for (body,) in lived.sql("SELECT body FROM events"):
        assert isinstance(json.loads(body), dict)


@pytest.fixture
def snapped(bank: Bank) -> Bank:
    """The victim has a snapshot, of the version that their history ends at."""
    with_one = Room(10, events_between_snapshots=1)
    assert bank.take([envelope(VICTIM, at("2027-01-02 12:00"), paid())]).accepted == 1
    bank.run(at("2027-01-03 12:00"), room=with_one)
    assert bank.verify().findings == []
    return bank


def test_a_snapshot_that_says_something_else_is_found(snapped: Bank) -> None:
    ((stream, state),) = snapped.sql(
        "SELECT n.stream, n.state FROM snapshots n JOIN streams s USING (partition, stream) "
        "WHERE s.subject = ?",
        VICTIM,
    )
    forged = encode_state(replace(decode_state(state), consents=()))
    snapped.sql("UPDATE snapshots SET state = ? WHERE stream = ?", forged, stream)
    (found,) = snapped.verify().findings
    assert (found.code, found.subject) == ("audit.snapshot_differs", VICTIM)


def test_a_snapshot_from_beyond_the_history_is_found(snapped: Bank) -> None:
    snapped.sql(
        "UPDATE snapshots SET version = 999 WHERE stream = (SELECT stream FROM streams WHERE subject = ?)",
        VICTIM,
    )
    (found,) = snapped.verify().findings
    assert (found.code, found.subject, found.values) == (
        "audit.snapshot_unfounded",
        VICTIM,
        {"version": 999},
    )


def test_a_snapshot_that_cannot_be_read_is_told_in_a_line(snapped: Bank) -> None:
    snapped.sql("UPDATE snapshots SET state = ?", b"\xc1")
    snapped.take([envelope(VICTIM, at("2027-02-01 12:00"), paid())])
    with pytest.raises(StoreCorrupt, match=r"store\.unreadable_snapshot"):
        snapped.run(at("2027-02-02 12:00"))
