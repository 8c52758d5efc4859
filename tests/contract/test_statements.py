"""Every statement of import and worker names its partition, so that the tables can be spread over servers."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, MetaData, event

from stores.database import SCHEMA_VERSION, connect, writing
from stores.schema import metadata, partitions
from stores.vault import vault_of
from support.bank import Bank
from support.facts import at, granted, opened, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope

PARTS = 4
NEW_YEAR = at("2026-01-01 12:00")
# What concerns the store as a whole, asked once when a command starts.
WHOLE = ("FROM partitions", "alembic_version", "pg_catalog", "pg_advisory", "show ", "set ")


@pytest.fixture
def url() -> str:
    """A database whose tables are hash-partitioned by our partition, as on several servers."""
    url = fresh_database()
    spread = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(spread).dialect_options["postgresql"]["partition_by"] = "HASH (partition)"
    engine = connect(url)
    vault_of(engine).set_up()
    with writing(engine) as connection:
        spread.create_all(connection)
        for name in spread.tables:
            for part in range(PARTS):
                connection.exec_driver_sql(
                    f"CREATE TABLE {name}_p{part} PARTITION OF {name} "
                    f"FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part})"
                )
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num text)")
        connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{SCHEMA_VERSION}')")
        connection.execute(partitions.insert(), [{"partition": number} for number in range(9)])
    engine.dispose()
    return url


def test_the_plan_of_each_statement_looks_into_one_part_only(url: str, tmp_path: Path) -> None:
    bank = Bank(tmp_path, url=url, partitions=8)
    statements: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        deposit = opened(matures_on=NEW_YEAR.date() + timedelta(days=90))
        told = []
        for number in range(12):
            given = (registered(), granted(), replace(deposit, id=f"deposit-{number}"), paid())
            told += [envelope(f"c-{number}", NEW_YEAR, fact) for fact in given]
        assert bank.take(told).refused == []
        bank.run(at("2026-12-31 12:00"), batch=7)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    asked = {statement: parameters for statement, parameters in statements if _is_checked(statement)}
    assert len(asked) > 15
    with psycopg.connect(url) as connection:
        for statement, parameters in asked.items():
            plan = "\n".join(
                row[0] for row in connection.execute(f"EXPLAIN {statement}".encode(), parameters).fetchall()
            )
            touched = {(table, part) for table, part in re.findall(r"\b(\w+)_p(\d)\b(?!key)", plan)}
            for table in metadata.tables:
                parts = {part for name, part in touched if name == table}
                assert len(parts) <= 1, f"{statement}\n{plan}"
    assert bank.verify().findings == []


def _is_checked(statement: str) -> bool:
    # Keys lie in a database of their own, which is not spread.
    keys = "store_keys", "customer_keys"
    return not any(mark.lower() in statement.lower() for mark in (*WHOLE, *keys))
