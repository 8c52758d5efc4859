"""Who is in which class of a segment: now, by a table made from the events, and at a time, by the events.

``Ledger`` brings the table up to date. Instants are microseconds since 1970.
"""

from collections.abc import Iterator

from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select

from domain.codec import decode_body
from domain.errors import InputRefused
from domain.events import SegmentEntered, SegmentLeft
from stores.database import customer_partitions, reading
from stores.dialect import delete, rows, upsert
from stores.schema import partitions, segments, streams

_CHUNK = 20_000
_SELECT_CHANGES = """
SELECT stream, kind, recorded_at, body FROM events
WHERE partition = :partition AND seq > :after AND seq <= :upto AND recorded_at < :until
AND kind IN ('segment.entered/1', 'segment.left/1') ORDER BY seq
"""
Row = tuple[object, ...]


class Member(Struct, frozen=True):
    """A customer's class of a segment, and since when they are in it."""

    customer: str
    into: str
    since: int


class Memberships(Struct):
    """What a stretch of one partition's events says: the last class by stream and segment, None for none."""

    partition: int
    last: dict[tuple[int, str], tuple[str, int] | None] = {}

    def note(self, stream: int, at: int, body: SegmentEntered | SegmentLeft) -> None:
        self.last[stream, body.segment] = (body.into, at) if isinstance(body, SegmentEntered) else None

    def take_in(self, connection: Connection) -> None:
        """Bring the table to it."""
        entered: list[Row] = []
        left: list[Row] = []
        for (stream, segment), found in sorted(self.last.items()):
            key = (self.partition, stream, segment)
            if found is None:
                left.append(key)
            else:
                entered.append((*key, *found))
        upsert(connection, segments, entered)
        delete(connection, segments, left)


def counts(engine: Engine) -> dict[tuple[str, str], int]:
    """The number of customers by segment and class, as of when the table was last brought up to date."""
    named = (segments.c.segment, segments.c["class"])
    query = select(*named, func.count()).where(segments.c.partition > 0).group_by(*named)
    with reading(engine) as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}


def members(engine: Engine, segment: str) -> list[Member]:
    """Who is in the segment as of then, by customer."""
    query = (
        select(streams.c.subject, segments.c["class"], segments.c.since)
        .join(
            streams, (streams.c.partition == segments.c.partition) & (streams.c.stream == segments.c.stream)
        )
        .where(segments.c.partition > 0, segments.c.segment == segment)
        .order_by(streams.c.subject)
    )
    with reading(engine) as connection:
        return [Member(*row) for row in connection.execute(query)]


def members_before(engine: Engine, segment: str, until: int) -> list[Member]:
    """Who was in the segment after everything recorded before ``until``, by customer.

    Raises InputRefused where the first events are not in the store any more.
    """
    with reading(engine) as connection:
        numbers = customer_partitions(connection)
    found = [member for number in numbers for member in _members_of(engine, number, segment, until)]
    return sorted(found, key=lambda member: member.customer)


def _members_of(engine: Engine, partition: int, segment: str, until: int) -> Iterator[Member]:
    ends = select(partitions.c.last_seq, partitions.c.removed_seq).where(partitions.c.partition == partition)
    with reading(engine) as connection:
        last, removed = map(int, map(str, connection.execute(ends).one()))
    if removed:
        raise InputRefused("segments.history_gone", partition=partition, first=removed + 1)
    inside: dict[int, tuple[str, int]] = {}
    for first in range(0, last, _CHUNK):
        upto = min(first + _CHUNK, last)
        stretch = {"partition": partition, "after": first, "upto": upto, "until": until}
        with reading(engine) as connection:
            changes = rows(connection, _SELECT_CHANGES, **stretch)
        for stream, kind, at, stored in changes:
            body = decode_body(kind, stored)
            if isinstance(body, SegmentEntered) and body.segment == segment:
                inside[stream] = (body.into, at)
            elif isinstance(body, SegmentLeft) and body.segment == segment:
                inside.pop(stream, None)
    query = select(streams.c.stream, streams.c.subject).where(streams.c.partition == partition)
    with reading(engine) as connection:
        for stream, subject in connection.execute(query):
            if stream in inside:
                yield Member(subject, *inside[stream])
