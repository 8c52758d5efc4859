"""What SQLite and PostgreSQL do differently, all of it: statements, sets of rows, what they complain of.

Many rows are one statement. SQLite takes them by ``executemany``; PostgreSQL by COPY where rows are only
added, and by ``unnest`` of one array for each column where they are replaced or removed. Everything runs in
the caller's transaction.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    cast,
    collate,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, OperationalError

Row = Sequence[object]

# The execution option by which a driver that can choose gives its rows in their binary form.
BINARY = "tidings_binary"
_NULL = "NULL"
# COPY takes two round trips more than a statement does.
_WORTH_COPYING = 50

_ARRAYS: dict[type[object], str] = {
    SmallInteger: "int2",
    Integer: "int4",
    BigInteger: "int8",
    Text: "text",
    LargeBinary: "bytea",
}


# The database's own clock, in microseconds since 1970: hosts' clocks differ, and leases must not.
_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
}
_AMONG = {"sqlite": r"IN (SELECT value FROM json_each(:\1))", "postgresql": r"= ANY(:\1)"}

# What the databases' own codes mean for a user; the longest fitting prefix counts.
_COMPLAINTS = {
    "SQLITE_NOTADB": "store.not_a_store",
    "SQLITE_CORRUPT": "store.damaged",
    "SQLITE_BUSY": "store.locked",
    "SQLITE_LOCKED": "store.locked",
    "SQLITE_READONLY": "store.read_only",
    "SQLITE_FULL": "store.disk_full",
    "SQLITE_IOERR": "store.disk_error",
    "SQLITE_CANTOPEN": "store.cannot_open",
    "SQLITE_AUTH": "store.cannot_open",
    "08": "store.cannot_open",  # connection exceptions
    "25006": "store.read_only",
    "25P03": "store.too_slow",  # idle in transaction for too long
    "28": "store.cannot_open",  # authorization
    "3D000": "store.cannot_open",  # no such database
    "42501": "store.cannot_open",  # no privilege
    "53100": "store.disk_full",
    "53": "store.busy",  # out of some other resource
    "55P03": "store.locked",
    "57P": "store.cannot_open",  # shut down
    "58": "store.disk_error",
}


def run(connection: Connection, statement: str, **values: object) -> CursorResult[*tuple[Any, ...]]:
    """Execute one of our statements: ``:name`` is a value, ``{now}`` the database's clock in microseconds.

    ``{among name}`` asks whether what stands before it is one of a list of numbers or texts.
    """
    return _run(connection, statement, values, {})


def rows(connection: Connection, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """What one of our statements finds, as the driver gives it: many rows at a fraction of the price."""
    result = _run(connection, statement, values, {BINARY: True})
    try:
        return list(result.cursor.fetchall())
    finally:
        result.close()


def _run(
    connection: Connection, statement: str, values: dict[str, object], options: dict[str, bool]
) -> CursorResult[*tuple[Any, ...]]:
    dialect = connection.dialect.name
    as_list = json.dumps if dialect == "sqlite" else _array
    values = {name: as_list(v) if isinstance(v, list) else v for name, v in values.items()}
    return connection.exec_driver_sql(_prepared(statement, dialect), values, execution_options=options)


@cache
def _prepared(statement: str, dialect: str) -> str:
    filled = re.sub(r"\{among (\w+)\}", _AMONG[dialect], statement.replace("{now}", _NOW[dialect]))
    return filled if dialect == "sqlite" else re.sub(r"(?<!:):(\w+)", r"%(\1)s", filled.replace("%", "%%"))


def complaint(error: DBAPIError) -> str:
    """The code of the text catalogue for what the database refused."""
    state = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    if state is None:
        # A server that cannot be reached never got as far as giving a code.
        return "store.cannot_open" if isinstance(error, OperationalError) else "store.failed"
    fitting = [known for known in _COMPLAINTS if str(state).startswith(known)]
    return _COMPLAINTS[max(fitting, key=len)] if fitting else "store.failed"


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add rows, each with every column of the table in its order. A key that is there is an error."""
    if not rows:
        return
    if not is_postgresql(connection):
        _execute_many(connection, _insert_values(table), rows)
    elif len(rows) < _WORTH_COPYING:
        _execute_arrays(connection, _insert_arrays(table), rows)
    else:
        _copy(connection, table, rows)


def upsert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add rows, or replace those of the same key. No key may come twice."""
    if not rows:
        return
    if is_postgresql(connection):
        _execute_arrays(connection, _insert_arrays(table) + _replacing(table), rows)
    else:
        _execute_many(connection, _insert_values(table) + _replacing(table), rows)


def keep(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add rows, and leave those whose key is there as they are."""
    if not rows:
        return
    if is_postgresql(connection):
        _execute_arrays(connection, _insert_arrays(table) + " ON CONFLICT DO NOTHING", rows)
    else:
        _execute_many(connection, _insert_values(table) + " ON CONFLICT DO NOTHING", rows)


def update(connection: Connection, table: Table, values: Sequence[str], rows: Sequence[Row]) -> None:
    """Change the named columns of one partition's rows: each row holds the primary key, then the values.

    A value of None leaves its column as it is.
    """
    if not rows:
        return
    if is_postgresql(connection):
        _execute_in_partition(connection, _update_arrays(table, tuple(values)), rows)
    else:
        keys = len(table.primary_key.columns)
        _execute_many(
            connection, _update_values(table, tuple(values)), [(*row[keys:], *row[:keys]) for row in rows]
        )


def delete(connection: Connection, table: Table, keys: Sequence[Row]) -> None:
    """Remove one partition's rows of these primary keys, each with every column of the key in its order."""
    if not keys:
        return
    if is_postgresql(connection):
        _execute_in_partition(connection, _delete_arrays(table), keys)
    else:
        _execute_many(connection, _delete_values(table), keys)


def counted_from(connection: Connection, days: Column[Any], first: ColumnElement[int]) -> ColumnElement[int]:
    """The sum of a JSON text's values, ``{"<number>": value}``, whose numbers are not below ``first``."""
    each = func.jsonb_each_text(cast(days, JSONB)) if is_postgresql(connection) else func.json_each(days)
    told = each.table_valued("key", "value")
    number = func.coalesce(func.sum(cast(told.c.value, Integer)), 0)
    counting = select(number).select_from(told).where(cast(told.c.key, Integer) >= first)
    # Everything but the text's own parts belongs to the row that is looked at.
    return counting.correlate_except(told).scalar_subquery()


def scanning(connection: Connection) -> None:
    """Let PostgreSQL read whole tables for the rest of the transaction; SQLite knows by itself when to."""
    if is_postgresql(connection):
        for way in ("seqscan", "bitmapscan", "hashjoin"):
            connection.exec_driver_sql(f"SET LOCAL enable_{way} = on")


def by_code_point(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column as texts are ordered in Python, whatever the database's own order of letters."""
    return collate(column, "C" if is_postgresql(connection) else "BINARY")


def lock(connection: Connection, key: int) -> None:
    """Wait until nobody else has locked ``key``, until the end of the transaction; no table is locked.

    A writing transaction of SQLite is alone anyway.
    """
    if is_postgresql(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def end_reading(connection: Connection) -> None:
    """End a reading transaction of PostgreSQL, whose driver forgets all prepared statements on a rollback."""
    if is_postgresql(connection):
        with _driver(connection, "COMMIT") as driver:
            driver.commit()


@contextmanager
def _driver(connection: Connection, statement: str) -> Iterator[Any]:
    """PostgreSQL's own connection for what goes past SQLAlchemy; its errors must not."""
    refused = connection.dialect.loaded_dbapi.Error
    try:
        yield connection.connection.driver_connection
    except refused as error:
        raise DBAPIError.instance(statement, None, error, refused, dialect=connection.dialect) from error


def is_postgresql(connection: Connection) -> bool:
    """Whether the connection's database is PostgreSQL; the only other one is SQLite."""
    return connection.dialect.name == "postgresql"


def _execute_many(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    connection.exec_driver_sql(statement, list(map(tuple, rows)))


def _execute_arrays(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    connection.exec_driver_sql(statement, tuple(_array(column) for column in zip(*rows, strict=True)))


def _execute_in_partition(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    partitions, *columns = zip(*rows, strict=True)
    (partition,) = set(partitions)
    connection.exec_driver_sql(statement, (*(_array(column) for column in columns), partition))


def _array(values: Sequence[Any]) -> str:
    """PostgreSQL's text of an array of numbers, texts or bytes; the driver takes ten times as long for it."""
    given = next((value for value in values if value is not None), None)
    if isinstance(given, str):
        told: Iterable[str] = (_NULL if value is None else _quoted(value) for value in values)
    elif isinstance(given, bytes):
        told = (_NULL if value is None else f'"\\\\x{value.hex()}"' for value in values)
    else:
        told = (_NULL if value is None else str(value) for value in values)
    return "{" + ",".join(told) + "}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _copy(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    statement = _copy_statement(table)
    with _driver(connection, statement) as driver, driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(_types(table.columns.values()))
        for row in rows:
            copy.write_row(row)


@cache
def _copy_statement(table: Table) -> str:
    return f"COPY {table.name} ({_names(table)}) FROM STDIN (FORMAT BINARY)"


@cache
def _insert_values(table: Table) -> str:
    marks = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} ({_names(table)}) VALUES ({marks})"  # noqa: S608 - our own names


@cache
def _insert_arrays(table: Table) -> str:
    arrays = _arrays(table.columns.values())
    return f"INSERT INTO {table.name} ({_names(table)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - our own names


@cache
def _replacing(table: Table) -> str:
    key = ", ".join(column.name for column in table.primary_key.columns)
    values = ", ".join(f"{c.name} = excluded.{c.name}" for c in table.columns if not c.primary_key)
    return f" ON CONFLICT ({key}) DO UPDATE SET {values}"


@cache
def _update_values(table: Table, values: tuple[str, ...]) -> str:
    changes = ", ".join(f"{name} = coalesce(?, {name})" for name in values)
    key = " AND ".join(f"{column.name} = ?" for column in table.primary_key.columns)
    return f"UPDATE {table.name} SET {changes} WHERE {key}"  # noqa: S608 - our own names


@cache
def _update_arrays(table: Table, values: tuple[str, ...]) -> str:
    keys = _keys_in_partition(table)
    changes = ", ".join(f"{name} = coalesce(given.{name}, {table.name}.{name})" for name in values)
    given = _given([*keys, *(table.c[name] for name in values)])
    return f"UPDATE {table.name} SET {changes} FROM {given} WHERE {_matching(table)}"  # noqa: S608 - our own names


@cache
def _delete_values(table: Table) -> str:
    key = " AND ".join(f"{column.name} = ?" for column in table.primary_key.columns)
    return f"DELETE FROM {table.name} WHERE {key}"  # noqa: S608 - our own names


@cache
def _delete_arrays(table: Table) -> str:
    given = _given(_keys_in_partition(table))
    return f"DELETE FROM {table.name} USING {given} WHERE {_matching(table)}"  # noqa: S608 - our own names


def _given(columns: Sequence[Column[Any]]) -> str:
    names = ", ".join(column.name for column in columns)
    return f"unnest({_arrays(columns)}) AS given ({names})"


def _matching(table: Table) -> str:
    """Rows of one named partition, so that a database of many parts looks into one of them only."""
    rest = (f"{table.name}.{c.name} = given.{c.name}" for c in _keys_in_partition(table))
    return " AND ".join([*rest, f"{table.name}.partition = %s"])


def _keys_in_partition(table: Table) -> list[Column[Any]]:
    return [column for column in table.primary_key.columns if column.name != "partition"]


def _names(table: Table) -> str:
    return ", ".join(column.name for column in table.columns)


def _types(columns: Sequence[Column[Any]]) -> list[str]:
    return [_ARRAYS[type(column.type)] for column in columns]


def _arrays(columns: Sequence[Column[Any]]) -> str:
    return ", ".join(f"%s::{kind}[]" for kind in _types(columns))
