"""Back-pressure: what waits undecided is counted, not looked for, and a full inbox takes no further chunk."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from domain import catalogue as facts
from domain.catalogue import Envelope
from domain.errors import InputRefused
from stores.database import open_store
from stores.inbox import Inbox, Taken, Told
from support.bank import Bank
from support.facts import at, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope

NEW_YEAR = at("2026-01-01 12:00")
NO_LIMIT = 1_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    return Bank(tmp_path, partitions=3, url=fresh_database() if request.param == "postgresql" else None)


def take(bank: Bank, told: list[Envelope], *, limit: int = NO_LIMIT) -> Taken:
    engine = open_store(bank.settings.store)
    try:
        inbox = Inbox(engine, limit=limit)
        return inbox.take([Told(e, f"fact {n}") for n, e in enumerate(told)], origin="test", at=0)
    finally:
        engine.dispose()


def people(first: int, last: int) -> list[Envelope]:
    """Registrations, and a payment a day later."""
    told: list[Envelope] = []
    for number in range(first, last + 1):
        told.append(envelope(f"c-{number}", NEW_YEAR, registered()))
        told.append(envelope(f"c-{number}", NEW_YEAR + timedelta(days=1), paid()))
    return told


def counted(bank: Bank) -> int:
    """How many facts wait, as the partitions' rows tell it."""
    return int(bank.sql("SELECT sum(last_position - facts_taken) FROM partitions WHERE partition > 0")[0][0])


def found(bank: Bank) -> int:
    return int(bank.sql("SELECT count(*) FROM inbox")[0][0])


def test_a_full_inbox_refuses_the_chunk_whole_and_takes_it_later(bank: Bank) -> None:
    first, second = people(1, 5), people(6, 10)
    assert take(bank, first, limit=10).accepted == 10
    unknown = envelope("nobody", NEW_YEAR, paid())
    with pytest.raises(InputRefused) as refused:
        take(bank, [*second, unknown], limit=10)
    assert (refused.value.code, refused.value.values) == ("inbox.full", {"waiting": 10, "limit": 10})
    assert found(bank) == 10
    assert bank.sql("SELECT count(*) FROM dead_letters") == [(0,)]
    assert bank.sql("SELECT count(*) FROM streams WHERE partition > 0") == [(5,)]
    bank.run(NEW_YEAR)
    again = take(bank, [*first, *second, unknown], limit=10)
    assert (again.accepted, again.repeated, len(again.refused)) == (10, 10, 1)


@pytest.mark.parametrize("batch", [1, 3, 2_000])
def test_what_waits_is_counted_exactly(bank: Bank, batch: int) -> None:
    for told in (people(1, 4), people(5, 9), people(1, 2)):
        take(bank, told)
        assert counted(bank) == found(bank)
        bank.run(NEW_YEAR + timedelta(hours=1), batch=batch)
        assert counted(bank) == found(bank) > 0
    bank.run(NEW_YEAR + timedelta(days=2), batch=batch)
    assert counted(bank) == found(bank) == 0


def test_the_inbox_is_not_searched_for_what_waits(bank: Bank) -> None:
    take(bank, people(1, 3))
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with pytest.raises(InputRefused):
            take(bank, people(4, 6), limit=1)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any("FROM partitions" in statement for statement in statements)
    assert [statement for statement in statements if "inbox" in statement] == []


def test_what_counts_once_is_a_repetition_whatever_it_says_the_second_time(bank: Bank) -> None:
    take(bank, people(1, 1))
    tellings = [
        Told(
            envelope(
                "c-1", moment, facts.MessageDelivered(source="callback/post", id="r-1", message=message)
            ),
            "receipt",
            once=once,
        )
        for moment, message, once in (
            (NEW_YEAR, "m-1", True),
            (NEW_YEAR + timedelta(hours=1), "m-1", True),
            (NEW_YEAR, "m-2", True),
            (NEW_YEAR, "m-2", False),
        )
    ]
    engine = open_store(bank.settings.store)
    inbox = Inbox(engine, limit=NO_LIMIT)
    taken = inbox.take(tellings[:2], origin="test", at=0)
    again = inbox.take(tellings[2:], origin="test", at=0)
    engine.dispose()
    assert (taken.accepted, taken.repeated, taken.refused) == (1, 1, [])
    assert (again.accepted, again.repeated) == (0, 1)
    assert [refusal.code for refusal in again.refused] == ["fact.id_reused"]
    assert found(bank) == 3


def test_two_imports_at_once_are_counted_one_after_the_other(bank: Bank) -> None:
    chunks = [people(first, first + 3) for first in range(1, 41, 4)]
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda told: take(bank, told), chunks))
    assert sum(chunk.accepted for chunk in taken) == counted(bank) == found(bank) == 80
