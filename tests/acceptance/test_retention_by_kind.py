"""Old facts lose their bodies by kind: life goes on as it would have, the chain holds, and holds are kept."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from domain.chain import stub
from domain.codec import encode_state
from stores.journal import Journal
from support.bank import Bank
from support.postgres import fresh_database
from tidings import holds, retention
from tidings.memory import Room
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
    rows = sorted(bank.sql(f"SELECT {COLUMNS} FROM events"))
    bodies = {row[:2]: bytes(row[2]) for row in bank.sql("SELECT partition, seq, body FROM events")}
    keep(bank, transaction=30, balance=10, holding=0 + 1)
    applied = apply(bank)
    assert applied.kinds.keys() == {PAID, BALANCE, OPENED}
    assert sorted(bank.sql(f"SELECT {COLUMNS} FROM events")) [: len(rows)] != []
    for partition, seq, kind, recorded_at, body in bank.sql(
        "SELECT partition, seq, kind, recorded_at, body FROM events WHERE partition > 0"
    ):
        days = {PAID: 30, BALANCE: 10, OPENED: 1}.get(kind)
        goes = days is not None and recorded_at < (MIDDLE - timedelta(days=days)).timestamp() * 1e6
        was = bodies[partition, seq]
        assert bytes(body) == (stub(was) if goes else was)
    customers = [row for row in bank.sql(f"SELECT {COLUMNS} FROM events WHERE partition > 0")]
    assert sorted(customers) == [row for row in rows if row[0] > 0]
    assert states(bank) == states(whole)
    for each in (bank, whole):
        each.run(UNTIL, room=OFTEN)
    assert states(bank) == states(whole)
    assert decisions(bank) == decisions(whole)
    assert [entry.id for entry in bank.ledger()] == [entry.id for entry in whole.ledger()]


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
        told[subject] = [
            line[:4] if line[0] in (PAID, BALANCE, OPENED) else line[:5] for line in lines
        ]
    return told
