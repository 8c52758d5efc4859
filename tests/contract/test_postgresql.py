"""What is done for PostgreSQL alone: values as its text, plans without statistics, connections cut."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, select

from domain.errors import StoreUnusable
from stores import journal
from stores.database import open_store, reading, writing
from stores.dialect import delete, insert, rows, run, upsert
from stores.schema import heads, inbox, outbox
from support.bank import Bank
from support.postgres import fresh_database

AWKWARD = ["", "NULL", "null", 'a "quoted" one', "back\\slash", "{a,b}", " spaces ", "two\nlines", "漢字"]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_store(Bank(tmp_path, partitions=1, url=fresh_database()).settings.store)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("number", [3, 300], ids=["as arrays", "by COPY"])
def test_values_come_back_as_they_were(engine: Engine, number: int) -> None:
    names = [*AWKWARD, *(f"filling {n}" for n in range(number - len(AWKWARD)))]
    given = [(1, name, -(2**62) + n, n % 2) for n, name in enumerate(names)]
    with writing(engine) as connection:
        insert(connection, outbox, given)
        found = connection.execute(select(outbox)).all()
        assert sorted(map(tuple, found)) == sorted(given)
        delete(connection, outbox, [(1, name) for name in AWKWARD[:-1]])
        left = rows(connection, "SELECT message FROM outbox WHERE partition = :p AND stream < 0", p=1)
    assert {row[0] for row in left} == set(names) - set(AWKWARD[:-1])


def test_bytes_and_lists_of_texts_come_back_as_they_were(engine: Engine) -> None:
    hashes = [bytes(range(256)), b"", b'\\"{},', b"NULL"]
    with writing(engine) as connection:
        upsert(connection, heads, [(1, n, 1, n, hash_) for n, hash_ in enumerate(hashes)])
        upsert(connection, heads, [(1, n, 2, n, hash_) for n, hash_ in enumerate(hashes)])
        insert(connection, outbox, [(1, name, n, 0) for n, name in enumerate(AWKWARD)])
    with reading(engine) as connection:
        found = rows(connection, "SELECT version, hash FROM heads WHERE partition = :p ORDER BY stream", p=1)
        asked = "SELECT count(*) FROM outbox WHERE partition = 1 AND message {among names}"
        number = run(connection, asked, names=[*AWKWARD, "another"]).scalar()
    assert found == [(2, hash_) for hash_ in hashes]
    assert number == len(AWKWARD)


def test_what_waits_is_read_in_its_order_before_there_are_statistics(engine: Engine) -> None:
    with reading(engine) as connection:
        wanted = {"partition": 1, "until": 2**60, "limit": 2_000}
        for statement in (journal._SELECT_FACTS, journal._SELECT_TIMERS):
            plan = "\n".join(row[0] for row in run(connection, f"EXPLAIN {statement}", **wanted))
            assert "Index" in plan
            assert "Sort" not in plan


def test_what_is_removed_is_found_by_its_keys_before_there_are_statistics(engine: Engine) -> None:
    waiting = [(1, number, 1, number, 1, "kind", b"body") for number in range(5_000)]
    statements: list[tuple[str, Any]] = []
    with writing(engine) as connection:
        insert(connection, inbox, waiting)
        event.listen(engine, "before_cursor_execute", lambda *told: statements.append((told[2], told[3])))
        delete(connection, inbox, [row[:4] for row in waiting[:100]])
        (statement, values), *_ = statements
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values))
    assert "Nested Loop" in plan
    assert "position = given" in plan.replace('"', "")


def test_a_read_leaves_statements_prepared(engine: Engine) -> None:
    for _ in range(3):
        with reading(engine) as connection:
            run(connection, "SELECT stream FROM heads WHERE partition = :p", p=1)
    with reading(engine) as connection:
        kept = run(connection, "SELECT statement FROM pg_prepared_statements").scalars().all()
    assert "SELECT stream FROM heads WHERE partition = $1" in kept


def test_a_connection_that_was_cut_while_it_rested_is_replaced(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut() -> None:
        with reading(engine) as connection:
            process = run(connection, "SELECT pg_backend_pid()").scalar()
        with psycopg.connect(engine.url.set(drivername="postgresql").render_as_string(False)) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (process,))

    cut()
    with pytest.raises(StoreUnusable), reading(engine) as connection:
        run(connection, "SELECT 1")
    cut()
    later = monotonic() + 60
    monkeypatch.setattr("stores.database.monotonic", lambda: later)
    with reading(engine) as connection:
        assert run(connection, "SELECT 1").scalar() == 1
