"""The physical reference: the rows of a finished store, inserted into an empty one and nothing else.

By ``executemany`` on SQLite and binary COPY on PostgreSQL, with the same schema, batches and durability. Each
row that the run left behind is written once; what the run wrote and replaced meanwhile is not written at all.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Engine, Integer, LargeBinary, SmallInteger, Table, Text, select

from bench.place import Place, settle
from bench.stopwatch import Spent, Stopwatch
from stores.database import connect, customer_partitions, reading, writing
from stores.schema import events, fact_keys, heads, messages, streams, tasks, timers

Rows = list[tuple[Any, ...]]
_WHOLE = (streams, fact_keys, messages, tasks)
_SEQ_OF_HEAD = 3
_TYPES: dict[type[object], str] = {
    SmallInteger: "int2",
    Integer: "int4",
    BigInteger: "int8",
    Text: "text",
    LargeBinary: "bytea",
}


class Raw(NamedTuple):
    """What the bare inserts took: the log's rows alone, then those of all other tables."""

    log_rows: int
    log: Spent
    other_rows: int
    other: Spent


def insert_again(place: Place, source: str, *, batches: int) -> Raw:
    """Insert the rows of the store at ``source`` into a new one, the log in ``batches`` transactions."""
    log, others = _batches(source, batches), _others(source)
    url = place.store("raw", partitions=len({number for number, _ in log}))
    engine = connect(url)
    settle(url)
    writing_log, writing_others = Stopwatch(), Stopwatch()
    with writing_log:
        for _, parts in log:
            _insert(engine, parts)
    settle(url)
    size = max(1, sum(len(rows) for _, rows in others) // max(1, batches))
    with writing_others:
        for table, rows in others:
            for start in range(0, len(rows), size):
                _insert(engine, [(table, rows[start : start + size])])
    engine.dispose()
    place.drop("raw")
    return Raw(
        sum(len(rows) for _, parts in log for _, rows in parts),
        writing_log.spent,
        sum(len(rows) for _, rows in others),
        writing_others.spent,
    )


def _insert(engine: Engine, parts: Sequence[tuple[Table, Rows]]) -> None:
    with writing(engine) as connection:
        for table, rows in parts:
            if rows and engine.dialect.name == "sqlite":
                driver: Any = connection.connection.driver_connection
                marks = ", ".join("?" * len(table.columns))
                driver.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows).close()  # noqa: S608
            elif rows:
                _copy(connection, table, rows)


def _copy(connection: Connection, table: Table, rows: Rows) -> None:
    driver: Any = connection.connection.driver_connection
    names = ", ".join(column.name for column in table.columns)
    with driver.cursor() as cursor:
        statement = f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)"
        with cursor.copy(statement) as copy:
            copy.set_types([_TYPES[type(column.type)] for column in table.columns])
            for row in rows:
                copy.write_row(row)


def _batches(source: str, batches: int) -> list[tuple[int, list[tuple[Table, Rows]]]]:
    """Events in order; a head and a wake-up come with the last event of their customer."""
    engine = connect(source)
    made = []
    with reading(engine) as connection:
        numbers = customer_partitions(connection)
        for partition in numbers:
            log = _rows(connection, events, partition)
            ends = {row[_SEQ_OF_HEAD]: row for row in _rows(connection, heads, partition)}
            due = {row[1]: row for row in _rows(connection, timers, partition)}
            size = max(1, -(-len(log) * len(numbers) // max(1, batches)))
            for start in range(0, len(log), size):
                part = log[start : start + size]
                ending = sorted(ends[row[1]] for row in part if row[1] in ends)
                waking = [due[head[1]] for head in ending if head[1] in due]
                made.append((partition, [(events, part), (heads, ending), (timers, waking)]))
    engine.dispose()
    return made


def _others(source: str) -> list[tuple[Table, Rows]]:
    engine = connect(source)
    with reading(engine) as connection:
        numbers = customer_partitions(connection)
        found = [
            (table, [row for number in numbers for row in _rows(connection, table, number)])
            for table in _WHOLE
        ]
    engine.dispose()
    return found


def _rows(connection: Connection, table: Table, partition: int) -> Rows:
    query = select(table).where(table.c.partition == partition).order_by(*table.primary_key.columns)
    return [tuple(row) for row in connection.execute(query)]
