"""Verifying all of a store or a part of it, by one process or several, with histories that go only so far."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from audit.findings import Verified
from audit.pieces import Sample, of_customer, sampled, shared, whole
from domain.chain import digest_of, genesis, link, stub
from domain.codec import encode_body
from domain.errors import NotFound
from domain.ports import Portion
from stores.history import StoredHistory
from support.bank import Bank
from support.facts import at, granted, noon, opened, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope
from tidings.cli.reading import Source
from tidings.cli.verifying import Wanted, verify_history, verify_source

NAMES = [f"c-{number}" for number in range(1, 31)]
UNTIL = at("2026-12-31 12:00")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def bank(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Thirty customers in three partitions; nobody may harm it."""
    url = fresh_database() if request.param == "postgresql" else None
    return lived(tmp_path_factory.mktemp("bank"), url)


@pytest.fixture
def harmed(tmp_path: Path) -> Bank:
    """One that may be harmed."""
    return lived(tmp_path, None)


def lived(folder: Path, url: str | None) -> Bank:
    bank = Bank(folder, partitions=3, url=url)
    told = []
    for name in NAMES:
        told += [
            envelope(name, at("2026-01-01 12:00"), registered()),
            envelope(name, at("2026-01-01 12:00"), granted()),
            envelope(name, at("2026-01-02 12:00"), opened(matures_on=date(2026, 7, 1))),
            envelope(name, noon(date(2026, 1, 10)), paid()),
        ]
    assert bank.take(told).refused == []
    bank.run(UNTIL)
    return bank


def verified(bank: Bank, wanted: Wanted, *, workers: int = 1) -> Verified:
    return verify_source(Source(bank.settings), lambda _: None, workers=workers, wanted=wanted)


def tidings(bank: Bank, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidings", "audit", "verify", *arguments]
    command += ["--store", bank.settings.store, "--lang", "en"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


def test_portions_have_every_event_between_them(bank: Bank) -> None:
    history = bank.tidings.history
    for partition in history.customer_partitions():
        last = history.ends(partition).last_seq
        all_of_it = list(history.events(partition, upto=last))
        parts = [Portion(rest=rest, of=4) for rest in range(4)]
        found = [event for part in parts for event in history.events(partition, upto=last, portion=part)]
        assert sorted(found, key=lambda event: event.seq) == all_of_it
        subjects = [history.subjects(partition, part) for part in parts]
        assert {k: v for some in subjects for k, v in some.items()} == history.subjects(partition)
        heads = [history.ends(partition, part).heads for part in parts]
        assert {k: v for some in heads for k, v in some.items()} == history.ends(partition).heads


def test_many_small_pieces_find_what_one_large_one_finds(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = bank.verify()
    monkeypatch.setattr("audit.pieces._CUSTOMERS_AT_ONCE", 2)
    assert len(whole(bank.tidings.history)) > 10
    assert bank.verify() == at_once
    assert at_once.customers == len(NAMES)


def test_one_large_partition_does_not_hold_up_all(tmp_path: Path) -> None:
    bank = Bank(tmp_path, partitions=1)
    told = [envelope(name, at("2026-01-01 12:00"), registered()) for name in NAMES]
    bank.take(told)
    bank.run(UNTIL)
    shares = shared(whole(bank.tidings.history, workers=2), workers=2)
    loads = [sum(piece.events for piece in share) for share in shares]
    assert min(loads) > 0.6 * max(loads)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_sample_is_the_same_however_it_is_taken(bank: Bank, workers: int) -> None:
    some = verified(bank, Wanted(sample=Sample(0.0, 7)), workers=workers)
    assert (some.customers, some.findings) == (7, [])
    share = verified(bank, Wanted(sample=Sample(0.3)), workers=workers)
    assert 3 <= share.customers <= 15
    assert share.replayed > 0


def chosen(bank: Bank, sample: Sample) -> set[str]:
    history = bank.tidings.history
    pieces = sampled(history, sample)
    found = [history.subjects(piece.partition, piece.portion).values() for piece in pieces]
    return {name for names in found for name in names}


def test_a_seed_chooses_always_the_same_and_another_others(bank: Bank) -> None:
    assert chosen(bank, Sample(0.0, 5)) == chosen(bank, Sample(0.0, 5))
    assert chosen(bank, Sample(0.0, 5)) != chosen(bank, Sample(0.0, 5, "other"))
    # More of them are the same and some more.
    assert chosen(bank, Sample(0.0, 5)) < chosen(bank, Sample(0.0, 12))
    assert chosen(bank, Sample(1.0)) == set(NAMES)


def test_one_customer_or_one_partition_is_all_that_is_gone_through(harmed: Bank) -> None:
    partition = harmed.tidings.history.find("c-1")[0]  # type: ignore[index]
    ((other,),) = harmed.sql(
        "SELECT min(partition) FROM streams WHERE partition > 0 AND partition <> ?", partition
    )
    harmed.sql("UPDATE events SET hash = ? WHERE partition = ?", bytes(32), other)
    assert verified(harmed, Wanted(customer="c-1")).findings == []
    assert verified(harmed, Wanted(customer="c-1")).customers == 1
    assert verified(harmed, Wanted(partition=partition)).findings == []
    assert not verified(harmed, Wanted(partition=int(other))).ok
    harmed.sql("UPDATE events SET body = ? WHERE kind = 'transaction.posted/1'", b"{}")
    (found,) = verified(harmed, Wanted(customer="c-1")).findings
    assert (found.code, found.partition, found.subject) == ("audit.hash_differs", partition, "c-1")


def test_who_is_not_known_is_told_in_one_line(bank: Bank) -> None:
    with pytest.raises(NotFound, match=r"customer\.unknown"):
        of_customer(bank.tidings.history, "nobody")
    with pytest.raises(NotFound, match=r"audit\.no_partition"):
        whole(bank.tidings.history, partition=9)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--customer", "c-99"], "no customer c-99 is known"),
        (["--partition", "7"], "there is no partition 7; customers live in 1 to 3"),
    ],
)
def test_a_part_that_is_not_there_is_refused(bank: Bank, arguments: list[str], told: str) -> None:
    done = tidings(bank, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--sample", "0"],
        ["--sample", "101%"],
        ["--sample", "-1"],
        ["--sample", "nan"],
        ["--sample", "1_0"],
        ["--sample", "inf"],
        ["--seed", "x"],
        ["--customer", "c-1", "--sample", "1"],
        ["--customer", "c-1", "--partition", "1"],
        ["--partition", "0"],
        ["--workers", "0"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(bank: Bank, arguments: list[str]) -> None:
    if bank.settings.store.startswith("sqlite"):
        done = tidings(bank, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.long
@pytest.mark.slow
def test_the_documents_keys_are_a_contract(bank: Bank) -> None:
    done = tidings(bank, "--json", "--sample", "20%", "--seed", "spring")
    told = json.loads(done.stdout)
    contract = {"customers", "events", "replayed", "differences", "chain_breaks", "ok"}
    assert told.keys() >= contract | {"erased", "redacted", "sample", "findings"}
    assert (told["ok"], told["sample"]) == (True, {"share": 0.2, "seed": "spring"})
    assert done.returncode == 0


@pytest.mark.long
@pytest.mark.slow
def test_a_difference_is_shown_field_by_field_to_people(harmed: Bank) -> None:
    harmed.sql("UPDATE rulebooks SET body = ?", b"{}")
    harmed.sql("UPDATE documents SET body = ? WHERE name = 'birthday-greeting'", b"{}")
    done = tidings(harmed, "--customer", "c-1")
    assert done.returncode == 1
    assert "Only the history of customer c-1" in done.stdout
    assert "the store: rulebook 1 was altered" in done.stderr


class Kept(StoredHistory):
    """A store of which some customers were erased, and of which retention let go of something."""

    gone: Callable[[int], set[int]] = staticmethod(lambda partition: set())
    let_go: dict[str, int] = {}  # noqa: RUF012 - set by a test for its own instance

    def erased(self, partition: int) -> set[int]:
        return self.gone(partition)

    def retained(self, partition: int) -> dict[str, int]:
        return self.let_go


def kept(bank: Bank) -> Kept:
    return Kept(bank.tidings.engine)


def test_an_erased_customer_is_counted_and_their_links_are_checked(harmed: Bank) -> None:
    """Their bodies say nothing any more, as if sealed by a key that is gone, and were chained so."""
    partition, stream = harmed.tidings.history.find("c-1")  # type: ignore[misc]
    before = verify_history(kept(harmed), lambda _: None)
    seal(harmed, partition, stream)
    history = kept(harmed)
    history.gone = lambda of: {stream} if of == partition else set()
    after = verify_history(history, lambda _: None)
    # Nobody has erased them: that their key is gone is what is found.
    assert [(found.code, found.subject) for found in after.findings] == [("audit.key_gone", "c-1")]
    assert (after.erased, after.customers) == (1, before.customers)
    assert 0 < after.replayed < before.replayed
    # Without being marked, the same history does not come out again.
    assert not verify_history(kept(harmed), lambda _: None).ok
    # Marked or not, a link that breaks is found.
    harmed.sql(
        "UPDATE events SET cause = 1 WHERE partition = ? AND stream = ? AND version = 9", partition, stream
    )
    found, _ = verify_history(history, lambda _: None).findings
    assert (found.code, found.subject, found.version) == ("audit.hash_differs", "c-1", 9)


def seal(bank: Bank, partition: int, stream: int) -> None:
    """Bodies that nobody can open, chained as they lie there."""
    rows = bank.sql(
        "SELECT e.seq, e.version, e.kind, e.occurred_at, e.recorded_at, e.cause, r.digest FROM events e "
        "JOIN rulebooks r ON r.number = e.rulebook WHERE e.partition = ? AND e.stream = ? ORDER BY seq",
        *(partition, stream),
    )
    previous, body = genesis("c-1"), b'{"sealed":"1.AAAA"}'
    for seq, version, kind, occurred_at, recorded_at, cause, digest in rows:
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
            "UPDATE events SET body = ?, hash = ? WHERE partition = ? AND seq = ?",
            *(body, previous, partition, seq),
        )
    bank.sql("UPDATE heads SET hash = ? WHERE partition = ? AND stream = ?", previous, partition, stream)


def test_a_body_that_retention_let_go_of_ends_the_following_and_not_the_chain(harmed: Bank) -> None:
    kind = "transaction.posted/1"
    rows = harmed.sql("SELECT partition, seq, body FROM events WHERE kind = ?", kind)
    for partition, seq, body in rows:
        harmed.sql("UPDATE events SET body = ? WHERE partition = ? AND seq = ?", stub(body), partition, seq)
    history = kept(harmed)
    history.let_go = {kind: 10**9}
    after = verify_history(history, lambda _: None)
    assert (after.findings, after.redacted) == ([], len(NAMES))
    # Further than retention went, each is a finding with its place.
    history.let_go = {kind: 0}
    found = verify_history(history, lambda _: None).findings
    assert {(f.code, f.partition, f.seq) for f in found} == {
        ("audit.body_missing", partition, seq) for partition, seq, _ in rows
    }


def test_a_stub_is_chained_as_the_body_was() -> None:
    body = encode_body(paid())
    assert digest_of(stub(body)) == digest_of(body)
    assert stub(stub(body)) == stub(body)
    assert digest_of(b"\x00" + bytes(31)) != bytes(31)
