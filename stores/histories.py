"""Reads histories backwards from their ends, by the number of each event's predecessor."""

from sqlalchemy import Connection

from domain.ports import StoredEvent
from stores.dialect import rows

_SELECT_HISTORIES = """
WITH RECURSIVE back (seq, prev, past) AS (
    SELECT h.seq, e.prev, coalesce(n.version, -1)
    FROM heads h JOIN events e ON e.partition = :partition AND e.seq = h.seq
    LEFT JOIN snapshots n ON n.partition = :partition AND n.stream = h.stream AND n.form = :form
    WHERE h.partition = :partition AND h.stream {among streams} AND h.version > coalesce(n.version, -1)
    UNION ALL
    SELECT e.seq, e.prev, back.past FROM back JOIN events e ON e.partition = :partition AND e.seq = back.prev
    WHERE e.version > back.past
)
SELECT e.seq, e.stream, e.version, e.prev, e.kind, e.occurred_at, e.recorded_at, e.cause, e.rulebook,
       e.hash, e.body
FROM back JOIN events e ON e.partition = :partition AND e.seq = back.seq ORDER BY e.stream, e.version
"""
_WHOLE = ""


def select_histories(
    connection: Connection, partition: int, streams: list[int], *, form: str = _WHOLE
) -> list[StoredEvent]:
    """The histories of these streams, by stream and version; with a ``form``, what snapshots of it leave.

    Nothing in them is opened.
    """
    found = rows(connection, _SELECT_HISTORIES, partition=partition, streams=streams, form=form)
    return [StoredEvent(*row) for row in found]
