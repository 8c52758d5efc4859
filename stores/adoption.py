"""How far each partition has come: its clock, and its customers under which rulebook.

``adopted_rulebook`` is the newest rulebook that the partition has seen, ``adopted_stream`` the last of its
customers who were looked at for it, in the order of their streams; ``EVERYBODY`` when all were.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from domain.clock import from_micros, to_micros
from stores.database import reading
from stores.dialect import run

EVERYBODY = 9_223_372_036_854_775_807

_SELECT = """
SELECT adopted_rulebook, adopted_stream, last_seq, last_stream FROM partitions
WHERE partition {among partitions} ORDER BY partition
"""
_SELECT_CLOCKS = "SELECT clock_at FROM partitions WHERE partition {among partitions} ORDER BY partition"
_SELECT_BEHIND = """
SELECT partition FROM partitions WHERE partition {among partitions}
AND (clock_at < :until OR adopted_rulebook < :rulebook OR adopted_stream < :everybody) ORDER BY partition
"""
_UPDATE = """
UPDATE partitions SET adopted_rulebook = :rulebook, adopted_stream = :stream WHERE partition = :partition
"""
_SELECT_NEXT = """
SELECT stream FROM heads WHERE partition = :partition AND stream > :after ORDER BY stream LIMIT :limit
"""
_SELECT_LAGGING = """
SELECT h.stream FROM heads h LEFT JOIN events e ON e.partition = :partition AND e.seq = h.seq
WHERE h.partition = :partition AND h.stream {among streams} AND (e.rulebook < :rulebook OR e.rulebook IS NULL)
"""


class Adopted(NamedTuple):
    """A partition's state of adoption, and how many events and customers it has."""

    rulebook: int
    stream: int
    last_seq: int
    last_stream: int


def adopted(engine: Engine, partitions: list[int]) -> list[Adopted]:
    """How far these partitions are, in the order of their numbers."""
    with reading(engine) as connection:
        return [Adopted(*row) for row in run(connection, _SELECT, partitions=partitions)]


def clocks(engine: Engine, partitions: list[int]) -> list[datetime]:
    """Where the clocks of these partitions stand (aware UTC), in the order of their numbers."""
    with reading(engine) as connection:
        return [from_micros(row[0]) for row in run(connection, _SELECT_CLOCKS, partitions=partitions)]


def behind(engine: Engine, partitions: list[int], *, until: datetime, rulebook: int) -> list[int]:
    """Those of the partitions, in order, that have not come to ``until`` (aware UTC) or to the rulebook."""
    wanted = {"partitions": partitions, "until": to_micros(until)}
    with reading(engine) as connection:
        rows = run(connection, _SELECT_BEHIND, **wanted, rulebook=rulebook, everybody=EVERYBODY)
        return [row[0] for row in rows]


def note_adopted(connection: Connection, partition: int, *, rulebook: int, stream: int) -> None:
    """Note how far the partition is, within the caller's transaction, which the fence has let in."""
    run(connection, _UPDATE, partition=partition, rulebook=rulebook, stream=stream)


def customers_after(engine: Engine, partition: int, stream: int, *, limit: int) -> list[int]:
    """The next customers who have a history, by stream."""
    with reading(engine) as connection:
        rows = run(connection, _SELECT_NEXT, partition=partition, after=stream, limit=limit)
        return [row[0] for row in rows]


def lagging(engine: Engine, partition: int, streams: Iterable[int], *, rulebook: int) -> set[int]:
    """Those of the customers whose last event cites a rulebook before this one, or lies in an archive."""
    wanted = sorted(streams)
    with reading(engine) as connection:
        rows = run(connection, _SELECT_LAGGING, partition=partition, streams=wanted, rulebook=rulebook)
        return {row[0] for row in rows}
