"""Which partitions have something to do: for workers that go on for ever and must cost little when idle."""

from datetime import datetime

from sqlalchemy import Engine

from domain.clock import to_micros
from stores.adoption import EVERYBODY
from stores.database import reading
from stores.dialect import run

_SELECT_DUE = """
SELECT p.partition FROM partitions p
WHERE p.partition {among partitions} AND (
    EXISTS (SELECT 1 FROM inbox i WHERE i.partition = p.partition AND i.occurred_at <= :now)
    OR EXISTS (SELECT 1 FROM timers t WHERE t.partition = p.partition AND t.due_at <= :now)
    OR EXISTS (SELECT 1 FROM outbox o WHERE o.partition = p.partition)
    OR p.adopted_rulebook < :rulebook OR p.adopted_stream < :everybody
) ORDER BY p.partition
"""
_SELECT_NUMBER = "SELECT max(number) FROM rulebooks WHERE partition = 0"


def due_partitions(engine: Engine, partitions: list[int], *, now: datetime, rulebook: int) -> list[int]:
    """Those of the partitions, in order, that have facts, wake-ups, messages or rules to take in by ``now``.

    ``now`` is aware UTC, ``rulebook`` the number of the one in force. Each is looked at by its keys only.
    """
    wanted = {"partitions": partitions, "now": to_micros(now), "rulebook": rulebook}
    with reading(engine) as connection:
        return [row[0] for row in run(connection, _SELECT_DUE, **wanted, everybody=EVERYBODY)]


def rulebook_in_force(engine: Engine) -> int:
    """The number of the rulebook in force; 0 before the first publication."""
    with reading(engine) as connection:
        return run(connection, _SELECT_NUMBER).scalar() or 0
