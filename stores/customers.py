"""Which customers there are, as facts have made them known; read page by page."""

from collections.abc import Iterator

from sqlalchemy import Engine, func, select

from stores.database import customer_partitions, reading
from stores.dialect import run
from stores.schema import partitions

_PAGE = 5_000
_SELECT = """
SELECT stream, subject FROM streams
WHERE partition = :partition AND stream > :after ORDER BY stream LIMIT :limit
"""


def how_many(engine: Engine) -> int:
    """The number of all customers, as the partitions count them: one row is read for each partition."""
    with reading(engine) as connection:
        query = select(func.sum(partitions.c.last_stream)).where(
            partitions.c.partition.in_(customer_partitions(connection))
        )
        return int(str(connection.execute(query).scalar() or 0))


def every_customer(engine: Engine) -> Iterator[str]:
    """The ids of all customers, partition by partition in the order in which they were registered.

    No transaction stays open between two pages; who is registered meanwhile may come or not.
    """
    with reading(engine) as connection:
        numbers = customer_partitions(connection)
    for partition in numbers:
        after = 0
        while True:
            with reading(engine) as connection:
                rows = run(connection, _SELECT, partition=partition, after=after, limit=_PAGE).all()
            yield from (str(row[1]) for row in rows)
            if len(rows) < _PAGE:
                break
            after = rows[-1][0]
