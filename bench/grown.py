"""Large stores, grown quickly from a small one that was lived through.

Every row of the small store comes ``times`` over, the copies interleaved: a history lies as scattered over
the log as in a bank of that many customers, and rows come in the order of their keys. Hashes are copied as
they are, so such a store is good for measuring a worker, which never checks them, and not for an audit.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select, update

from bench.place import Place, settle
from stores.database import connect, reading, writing
from stores.dialect import insert
from stores.schema import events, fact_keys, heads, partitions, snapshots, streams, timers

PARTITION = 1
_CHUNK = 50_000
_KEY_BYTES = 16
Row = tuple[Any, ...]


class Seed(NamedTuple):
    """The rows of the small store's one partition."""

    events: list[Row]
    streams: list[Row]
    heads: list[Row]
    timers: list[Row]
    snapshots: list[Row]
    facts: int
    counts: dict[str, int]


def seed_of(url: str) -> Seed:
    """The small store, read into memory."""
    engine = connect(url)
    with reading(engine) as connection:
        counted = connection.execute(select(partitions).where(partitions.c.partition == PARTITION)).one()
        seed = Seed(
            _rows(connection, events),
            _rows(connection, streams),
            _rows(connection, heads),
            _rows(connection, timers),
            _rows(connection, snapshots),
            len(_rows(connection, fact_keys)),
            dict(counted._mapping),
        )
    engine.dispose()
    return seed


def subject_of(stream: int) -> str:
    """The customer behind a stream of a grown store."""
    return f"C{stream:09d}"


def grow(place: Place, name: str, seed: Seed, *, times: int) -> str:
    """The URL of a new store with the rows of the seed so many times."""
    url = place.store(name, partitions=1)
    engine = connect(url)
    with writing(engine) as connection:
        _fill(connection, streams, _streams(seed, times))
        _fill(connection, events, _events(seed, times))
        _fill(connection, heads, _heads(seed, times))
        _fill(connection, timers, _timers(seed, times))
        _fill(connection, snapshots, _snapshots(seed, times))
        _fill(connection, fact_keys, _keys(seed.facts * times))
        connection.execute(
            update(partitions)
            .where(partitions.c.partition == PARTITION)
            .values(
                last_seq=seed.counts["last_seq"] * times,
                last_stream=seed.counts["last_stream"] * times,
                last_position=seed.counts["last_position"] * times,
                clock_at=seed.counts["clock_at"],
                adopted_rulebook=seed.counts["adopted_rulebook"],
                adopted_stream=seed.counts["adopted_stream"],
            )
        )
    if engine.dialect.name == "postgresql":
        # What its own housekeeping would have done long ago in a bank of that size.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
    engine.dispose()
    settle(url)
    return url


def _copied(number: int, copy: int, times: int) -> int:
    """Where copy 0, 1, ... of a number from 1 on lies; 0 stays nothing."""
    return (number - 1) * times + copy + 1 if number else 0


def _streams(seed: Seed, times: int) -> Iterator[Row]:
    for stream in range(1, len(seed.streams) * times + 1):
        yield PARTITION, stream, subject_of(stream)


def _events(seed: Seed, times: int) -> Iterator[Row]:
    for partition, seq, stream, version, prev, *rest in seed.events:
        for copy in range(times):
            yield (
                partition,
                _copied(seq, copy, times),
                _copied(stream, copy, times),
                version,
                _copied(prev, copy, times),
                *rest,
            )


def _heads(seed: Seed, times: int) -> Iterator[Row]:
    for partition, stream, version, seq, hash_ in seed.heads:
        for copy in range(times):
            yield partition, _copied(stream, copy, times), version, _copied(seq, copy, times), hash_


def _timers(seed: Seed, times: int) -> Iterator[Row]:
    for partition, stream, due_at in seed.timers:
        for copy in range(times):
            yield partition, _copied(stream, copy, times), due_at


def _snapshots(seed: Seed, times: int) -> Iterator[Row]:
    for partition, stream, *rest in seed.snapshots:
        for copy in range(times):
            yield partition, _copied(stream, copy, times), *rest


def _keys(number: int) -> Iterator[Row]:
    """Keys spread evenly over all that are possible, as digests are, in their order."""
    step = 256**_KEY_BYTES // (number + 1)
    for place in range(1, number + 1):
        key = (place * step).to_bytes(_KEY_BYTES)
        yield PARTITION, key, key


def _fill(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    waiting = iter(rows)
    while chunk := list(islice(waiting, _CHUNK)):
        insert(connection, table, chunk)


def _rows(connection: Connection, table: Table) -> list[Row]:
    query = select(table).where(table.c.partition == PARTITION).order_by(*table.primary_key.columns)
    return [tuple(row) for row in connection.execute(query)]
