"""Old facts lose their bodies by kind: life goes on as it would have, the chain holds, and holds are kept."""

import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from audit.evidence.contents import Period, disclosed, event_line
from audit.replay import replay
from domain.chain import genesis, is_stub, link, stub
from domain.codec import encode_state, restored
from domain.errors import InputRefused, LeaseLost, NotFound, StoreCorrupt
from domain.events import Withheld
from stores import redaction
from stores.archive.retention import remove_archived, restore_removed
from stores.archive.writing import write_archive
from stores.journal import Journal
from stores.vault import vault_of
from support.bank import Bank
from support.postgres import fresh_database
from tidings import holds, retention
from tidings.bootstrap import archived
from tidings.cli import run
from tidings.cli.verifying import verify_history
from tidings.memory import Room
from tidings.personal_orders import PersonalOrders, Removal
from tidings.retention import Applied
from tidings.synthetic import synthetic_bank

MIDDLE = datetime(2026, 4, 1, tzinfo=UTC)
UNTIL = datetime(2026, 7, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
OFTEN = Room(customers=50_000, events_between_snapshots=5)
FACTS = list(synthetic_bank(customers=25, days=181, start=date(2026, 1, 1), seed=11))
PAID, BALANCE, OPENED = "transaction.posted/1", "balance.recorded/1", "holding.opened/1"
COLUMNS = "partition, seq, stream, version, prev, kind, occurred_at, recorded_at, cause, rulebook, hash"


def bank_of(folder: Path, *, url: str | None = None, name: str = "tidings") -> Bank:
    bank = Bank(folder, partitions=2, url=url, name=name)
    assert bank.take(FACTS).refused == []
    bank.run(MIDDLE, room=OFTEN)
    return bank


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return bank_of(tmp_path)


def keep(bank: Bank, **days: int) -> None:
    """Rules by the first word of the kind."""
    kinds = {"transaction": PAID, "balance": BALANCE, "holding": OPENED}
    for word, number in days.items():
        said = {"by": "ann", "reason": "policy 7", "at": NOW}
        assert retention.set_rule(bank.tidings.engine, kinds[word], number, **said)  # type: ignore[arg-type]


def apply(bank: Bank, *, as_of: datetime = MIDDLE) -> Applied:
    return retention.apply(bank.tidings, as_of=as_of, by="ann", reason="yearly", at=NOW)


def left(bank: Bank, kind: str) -> int:
    """How many events of a kind still have their bodies."""
    where = "kind = ? AND substr(body, 1, 1) <> ?"
    return int(bank.sql(f"SELECT count(*) FROM events WHERE {where}", kind, b"\x00")[0][0])


def hold(bank: Bank, customer: str) -> None:
    holds.place(bank.tidings.engine, customer, by="law", reason="case 12", at=NOW)


@pytest.mark.parametrize("server", [False, True], ids=["sqlite", "postgresql"])
def test_life_goes_on_as_if_nothing_had_been_removed(server: bool, tmp_path: Path) -> None:
    bank = bank_of(tmp_path, url=fresh_database() if server else None)
    whole = bank_of(tmp_path, name="whole")
    rows = sorted(bank.sql(f"SELECT {COLUMNS} FROM events WHERE partition > 0"))
    bodies = {row[:2]: bytes(row[2]) for row in bank.sql("SELECT partition, seq, body FROM events")}
    keep(bank, transaction=30, balance=10, holding=1)
    applied = apply(bank)
    assert applied.kinds.keys() == {PAID, BALANCE, OPENED}
    for partition, seq, kind, recorded_at, body in bank.sql(
        "SELECT partition, seq, kind, recorded_at, body FROM events WHERE partition > 0"
    ):
        days = {PAID: 30, BALANCE: 10, OPENED: 1}.get(kind)
        goes = days is not None and recorded_at < (MIDDLE - timedelta(days=days)).timestamp() * 1e6
        was = bodies[partition, seq]
        assert bytes(body) == (stub(was) if goes else was)
    assert sorted(bank.sql(f"SELECT {COLUMNS} FROM events WHERE partition > 0")) == rows
    assert states(bank) == states(whole)
    for each in (bank, whole):
        each.run(UNTIL, room=OFTEN)
    assert states(bank) == states(whole)
    assert decisions(bank) == decisions(whole)
    assert bank.ledger() == whole.ledger()
    verified = bank.verify()
    assert verified.findings == []
    assert verified.redacted > 0


def states(bank: Bank) -> dict[str, bytes]:
    """Each customer's state as the next worker will have it."""
    from tidings.memory import state_of

    engine, told = bank.tidings.engine, {}
    for partition in (1, 2):
        with Journal(engine, partition) as journal:
            streams = [row[0] for row in bank.sql(f"SELECT stream FROM heads WHERE partition = {partition}")]
            for stored in journal.load(streams).values():
                told[stored.subject] = encode_state(state_of(stored))
    return told


def decisions(bank: Bank) -> dict[str, list[tuple[object, ...]]]:
    """All that was recorded of each customer, without the facts' bodies; what is sealed opened."""
    told: dict[str, list[tuple[object, ...]]] = {}
    for subject, lines in bank.histories().items():
        told[subject] = [line[:4] if line[0] in (PAID, BALANCE, OPENED) else line[:5] for line in lines]
    return told


def test_the_chain_holds_over_what_was_removed(bank: Bank) -> None:
    keep(bank, transaction=1, balance=1)
    assert apply(bank).number > 0
    digests = {number: digest for number, digest in bank.sql("SELECT number, digest FROM rulebooks")}
    ends: dict[tuple[int, int], bytes] = {}
    subjects = {row[:2]: row[2] for row in bank.sql("SELECT partition, stream, subject FROM streams")}
    for row in bank.sql(f"SELECT {COLUMNS}, body FROM events WHERE partition > 0 ORDER BY partition, seq"):
        partition, _, stream, version, _, kind, occurred_at, recorded_at, cause, rulebook, hash_, body = row
        made = link(
            ends.get((partition, stream), genesis(subjects[partition, stream])),
            version=version,
            kind=kind,
            occurred_at=occurred_at,
            recorded_at=recorded_at,
            cause=cause,
            rulebook=digests[rulebook],
            body=bytes(body),
        )
        assert made == hash_
        ends[partition, stream] = made


def test_nothing_goes_without_a_rule_and_nothing_twice(bank: Bank) -> None:
    assert apply(bank).number == 0
    keep(bank, transaction=30)
    before = left(bank, PAID)
    would = retention.would_go(bank.tidings, as_of=MIDDLE)
    applied = apply(bank)
    assert sum(due.kinds[PAID] for due in would.values()) == before - left(bank, PAID)
    assert dict(applied.kinds) == {PAID: before - left(bank, PAID)}
    assert 0 < applied.number < before
    assert apply(bank).number == 0


def test_a_rule_can_be_changed_and_dropped(bank: Bank) -> None:
    engine = bank.tidings.engine
    keep(bank, transaction=10_000)
    assert apply(bank).number == 0
    assert not retention.set_rule(engine, PAID, 10_000, by="bob", reason="", at=NOW)
    keep(bank, transaction=40)
    assert [(rule.kind, rule.days, rule.by) for rule in retention.rules(engine)] == [(PAID, 40, "ann")]
    keep(bank, transaction=0)
    assert retention.rules(engine) == []
    assert apply(bank).number == 0


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("customer.registered/1", "retention.needed"),
        ("consent.withdrawn/1", "retention.needed"),
        ("care_hold.placed/1", "retention.needed"),
        ("contact.opted_out/1", "retention.needed"),
        ("task.done/1", "retention.needed"),
        ("message.requested/1", "retention.unknown_kind"),
        ("transactions.posted/1", "retention.unknown_kind"),
    ],
)
def test_what_the_record_needs_has_no_rule(kind: str, code: str, bank: Bank) -> None:
    with pytest.raises((InputRefused, NotFound)) as caught:
        retention.set_rule(bank.tidings.engine, kind, 30, by="ann", reason="", at=NOW)
    assert caught.value.code == code


@pytest.mark.parametrize("days", [-1, 36_526])
def test_days_that_cannot_be_meant_are_refused(days: int, bank: Bank) -> None:
    with pytest.raises(InputRefused, match=r"retention\.days"):
        retention.set_rule(bank.tidings.engine, PAID, days, by="ann", reason="", at=NOW)


def test_it_does_not_count_back_from_the_future(bank: Bank) -> None:
    keep(bank, transaction=30)
    with pytest.raises(InputRefused, match=r"retention\.ahead"):
        apply(bank, as_of=NOW + timedelta(days=1))


def test_what_went_is_recorded_with_who_and_why(bank: Bank) -> None:
    keep(bank, transaction=30, balance=20)
    applied = apply(bank)
    with PersonalOrders(bank.tidings.engine) as orders:
        ordered, done = orders.recorded(Removal.Created, Removal.Done)
    assert isinstance(ordered, Removal.Created)
    assert isinstance(done, Removal.Done)
    assert (ordered.by, ordered.reason, ordered.timestamp) == ("ann", "yearly", NOW)
    assert ordered.cutoffs == {
        PAID: (MIDDLE - timedelta(days=30)).isoformat(),
        BALANCE: (MIDDLE - timedelta(days=20)).isoformat(),
    }
    assert done.kinds == dict(applied.kinds)
    for partition, (number, upto) in done.partitions.items():
        gone = bank.sql("SELECT seq FROM events WHERE partition = ? AND length(body) = 33", int(partition))
        assert (len(gone), max(row[0] for row in gone)) == (number, upto)


def test_nothing_of_a_customer_under_a_legal_hold_goes_until_it_is_lifted(bank: Bank) -> None:
    keep(bank, transaction=1)
    held = sorted({fact.subject for fact in FACTS})[0]
    engine = bank.tidings.engine
    hold(bank, held)
    assert holds.is_held(engine, held)
    (partition, stream) = bank.tidings.history.find(held) or (0, 0)
    theirs = f"partition = {partition} AND stream = {stream} AND kind = '{PAID}' AND recorded_at < "
    theirs += str(int((MIDDLE - timedelta(days=1)).timestamp() * 1e6))
    number = bank.sql(f"SELECT count(*) FROM events WHERE {theirs}")[0][0]
    assert number > 0
    assert apply(bank).number > 0
    assert bank.sql(f"SELECT count(*) FROM events WHERE {theirs} AND length(body) > 33")[0][0] == number
    assert apply(bank).number == 0
    holds.lift(engine, held, by="law", reason="settled", at=NOW)
    assert not holds.is_held(engine, held)
    assert apply(bank).number == number
    # Placed again, it counts again.
    hold(bank, held)
    assert [found.customer for found in holds.holds(engine)] == [held]


def test_a_hold_is_placed_and_lifted_once_and_on_somebody_known(bank: Bank) -> None:
    engine, held = bank.tidings.engine, FACTS[0].subject
    with pytest.raises(InputRefused, match=r"hold\.none"):
        holds.lift(engine, held, by="law", reason="", at=NOW)
    hold(bank, held)
    with pytest.raises(InputRefused, match=r"hold\.placed"):
        hold(bank, held)
    with pytest.raises(NotFound) as caught:
        hold(bank, f"{held}x")
    assert held in caught.value.near
    assert not holds.is_held(engine, "nobody")
    assert [(found.customer, found.by) for found in holds.holds(engine)] == [(held, "law")]


def test_a_hold_placed_while_bodies_go_counts_from_the_next_chunk(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(bank, transaction=1)
    monkeypatch.setattr(redaction, "_AT_ONCE", 10)
    held = FACTS[-1].subject
    partition, stream = bank.tidings.history.find(held) or (0, 0)
    theirs = f"partition = {partition} AND stream = {stream} AND kind = '{PAID}' AND length(body) > 33"
    kept: list[object] = []

    def progress(_: int) -> None:
        if not kept:
            hold(bank, held)
            kept.extend(bank.sql(f"SELECT seq FROM events WHERE {theirs}"))

    retention.apply(bank.tidings, as_of=MIDDLE, by="ann", reason="", at=NOW, progress=progress)
    assert len(kept) > 5
    assert bank.sql(f"SELECT seq FROM events WHERE {theirs}") == kept


def test_customers_without_a_snapshot_get_one_first(bank: Bank) -> None:
    whole = states(bank)
    bank.sql("DELETE FROM snapshots")
    keep(bank, balance=1, holding=1)
    assert apply(bank).number > 0
    assert states(bank) == whole
    lacking = "SELECT count(*) FROM events e LEFT JOIN snapshots n ON n.partition = e.partition "
    lacking += "AND n.stream = e.stream WHERE length(e.body) = 33 AND coalesce(n.version, 0) < e.version"
    assert bank.sql(lacking) == [(0,)]


def test_a_partition_that_a_worker_keeps_is_left_alone(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(bank, transaction=1)
    monkeypatch.setattr(redaction, "_REST_SECONDS", 0.0)
    before = left(bank, PAID)
    with Journal(bank.tidings.engine, 1), pytest.raises(LeaseLost):
        apply(bank)
    assert left(bank, PAID) == before
    assert apply(bank).number > 0


def test_what_the_ledger_has_not_taken_in_stays(bank: Bank) -> None:
    cutoffs = {PAID: int(MIDDLE.timestamp() * 1e6)}
    bank.tidings.ledger.catch_up()
    half = bank.sql("SELECT last_seq / 2 FROM partitions WHERE partition = 1")[0][0]
    bank.sql("UPDATE projections SET seq = ?", half)
    removed = redaction.remove_old(
        bank.tidings.engine, 1, cutoffs, upto={PAID: 10**9}, spared=set[str], progress=lambda _: None
    )
    assert 0 < removed.upto <= half


def test_history_and_projections_go_on_without_the_bodies(bank: Bank) -> None:
    engine = bank.tidings.engine
    for kind in (PAID, "message.opened/1", "session.started/1"):
        assert retention.set_rule(engine, kind, 1, by="ann", reason="", at=NOW)
    ledger = bank.ledger()
    assert apply(bank).number > 0
    events = [event for fact in FACTS[:50] for event in replay(bank.tidings.history, fact.subject).history]
    assert any(isinstance(event.body, Withheld) for event in events)
    tidings = bank.tidings
    tidings.ledger.rebuild([1, 2], progress=lambda _: None)
    assert bank.ledger() == ledger


def test_an_archive_from_before_is_no_stranger_and_brings_back_only_till_the_next_time(
    bank: Bank, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    write_archive(bank.tidings.history, archive, before=None, progress=lambda _: None)
    keep(bank, transaction=30)
    number = apply(bank).number
    tidings = bank.tidings
    removed = remove_archived(tidings.engine, archive, before=MIDDLE, progress=lambda _: None)
    assert removed > 0
    assert restore_removed(tidings.engine, archive, progress=lambda _: None) == removed
    assert 0 < apply(bank).number <= number
    assert apply(bank).number == 0


def test_an_event_that_was_altered_is_not_taken_for_one_that_retention_removed(
    bank: Bank, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    write_archive(bank.tidings.history, archive, before=None, progress=lambda _: None)
    bank.tidings.ledger.catch_up()
    bank.sql("UPDATE events SET body = ? WHERE partition = 1 AND seq = 3", b"\x00" + bytes(32))
    with pytest.raises(StoreCorrupt, match=r"archive\.other_store"):
        remove_archived(bank.tidings.engine, archive, before=MIDDLE, progress=lambda _: None)


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from stores import redaction
from tidings import retention
from tidings.bootstrap import bootstrap
from tidings.settings import Settings
redaction._AT_ONCE = 40
left, update = int(sys.argv[2]), redaction.update
def update_or_die(*given):
    global left
    left -= 1
    update(*given)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
redaction.update = update_or_die
at = datetime(2026, 4, 1, tzinfo=UTC)
retention.apply(bootstrap(Settings(sys.argv[1])), as_of=at, by="ann", reason="", at=at)
"""


@pytest.mark.parametrize("step", [1, 4])
def test_a_removal_that_is_killed_is_finished_by_the_next(step: int, bank: Bank) -> None:
    keep(bank, transaction=1)
    before = left(bank, PAID)
    command = [sys.executable, "-c", KILLED, bank.settings.store, str(step)]
    assert subprocess.run(command, env={**os.environ, "PYTHONPATH": "."}).returncode == -signal.SIGKILL
    assert (left(bank, PAID) < before) == (step > 1)
    assert apply(bank).number > 0
    with PersonalOrders(bank.tidings.engine) as orders:
        assert len(list(orders.recorded(Removal.Created))) == 2
        assert len(list(orders.recorded(Removal.Done))) == 1


def test_a_body_that_somebody_else_took_out_is_found(bank: Bank) -> None:
    keep(bank, transaction=30)
    assert apply(bank).number > 0
    assert bank.verify().findings == []
    where = "WHERE kind = ? AND partition = 1 AND length(body) > 33 ORDER BY seq DESC LIMIT 1"
    ((seq, body),) = bank.sql(f"SELECT seq, body FROM events {where}", PAID)
    bank.sql("UPDATE events SET body = ? WHERE partition = 1 AND seq = ?", stub(bytes(body)), seq)
    (found,) = bank.verify().findings
    assert (found.code, found.partition, found.seq) == ("audit.body_missing", 1, seq)


def test_an_archive_knows_what_retention_removed(bank: Bank, tmp_path: Path) -> None:
    keep(bank, transaction=30, balance=1)
    assert apply(bank).number > 0
    archive = tmp_path / "archive"
    write_archive(bank.tidings.history, archive, before=None, progress=lambda _: None)
    keys = vault_of(bank.tidings.engine)
    verified = verify_history(archived(archive, keys=keys), lambda _: None)
    assert verified.findings == []
    assert verified.redacted == bank.verify().redacted > 0


def test_replay_says_what_was_removed(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(bank, transaction=30)
    assert apply(bank).number > 0
    monkeypatch.setenv("TIDINGS_STORE", bank.settings.store)
    assert run(["replay", FACTS[0].subject, "--as-of", "2026-03-30T00:00:00Z"]) == 0
    assert "removed_by retention" in capsys.readouterr().out


def test_an_evidence_pack_tells_what_was_removed_by_its_digest(bank: Bank, tmp_path: Path) -> None:
    subject = FACTS[0].subject
    keep(bank, transaction=30, balance=20)
    assert apply(bank).number > 0
    place = bank.tidings.history.find(subject) or (0, 0)
    stored = bank.tidings.history.history(*place)
    told = disclosed([restored(event) for event in stored], Period(), customer=subject)
    for event in stored:
        line = event_line(event, {}, with_body=event.version in told.all)
        gone = is_stub(event.body)
        assert ("body" in line) != gone
        assert not gone or line["body_sha256"] == event.body[1:].hex()
    assert any(is_stub(event.body) for event in stored)
