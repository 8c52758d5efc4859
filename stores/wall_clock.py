"""Whether a store goes by the clock on the wall: what really leaves must not be lived ahead of time.

The row of partition 0, which has no customers and so no clock of its own, keeps since when.
"""

from datetime import datetime

from sqlalchemy import Engine

from domain.clock import from_micros, to_micros
from stores.database import reading, writing
from stores.dialect import run

_NOTE = "UPDATE partitions SET clock_at = :now WHERE partition = 0 AND clock_at = 0"
_SELECT = "SELECT clock_at FROM partitions WHERE partition = 0"


def note_served(engine: Engine, now: datetime) -> None:
    """From now on (aware UTC) messages of this store really leave; known once, it stays so."""
    with writing(engine) as connection:
        run(connection, _NOTE, now=to_micros(now))


def served_since(engine: Engine) -> datetime | None:
    """Since when messages of this store really leave (aware UTC); None where they never did."""
    with reading(engine) as connection:
        since = run(connection, _SELECT).scalar() or 0
    return from_micros(since) if since else None
