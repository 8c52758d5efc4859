"""Who entered a journey or was held out, by which ways, and who reached its goal: rows, and counts over them.

The rows are a part of the ledger (``stores.projections``), made from the events alone.
"""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, Engine

from domain.events import Body, EnrolmentHeldOut, EnrolmentStarted, GoalReached, SplitTaken
from stores.database import reading
from stores.dialect import keep, rows, update
from stores.schema import passages, ways

# A window's last day has ended in every zone two days after it began somewhere, clock changes included.
_COUNTS = """
WITH chosen AS (
    SELECT partition, stream, id, held_out,
        CASE WHEN entered_at + (window_days + 2) * 86400000000 <= :now THEN 1 END AS counted,
        CASE WHEN entered_at + (window_days + 2) * 86400000000 <= :now THEN reached_days END AS reached,
        row_number() OVER (PARTITION BY partition, stream ORDER BY entered_at, id) AS nth
    FROM passages
    WHERE partition > 0 AND journey = :journey AND version {among versions}
        AND entered_at >= :since AND entered_at < :until
),
placed AS (
    SELECT '' AS step, '' AS way, partition, id, held_out, counted, reached FROM chosen WHERE nth = 1
    UNION ALL
    SELECT ways.step, ways.way, chosen.partition, id, held_out, counted, reached
    FROM chosen JOIN ways ON ways.partition = chosen.partition AND ways.enrolment = chosen.id
    WHERE nth = 1
),
written AS (
    SELECT DISTINCT partition, enrolment FROM messages
    WHERE partition > 0 AND journey = :journey AND sent_at IS NOT NULL
)
SELECT step, way, held_out, count(*), count(enrolment), count(counted), count(reached)
FROM placed LEFT JOIN written ON written.partition = placed.partition AND written.enrolment = placed.id
GROUP BY step, way, held_out ORDER BY step, held_out, way
"""
_CLOCK = "SELECT min(clock_at) FROM partitions WHERE partition > 0"
_VERSIONS = (
    "SELECT DISTINCT version FROM passages WHERE partition > 0 AND journey = :journey ORDER BY version"
)


class Noted(Struct):
    """What a stretch of events says of entries: rows that begin in it, and goals that it reaches."""

    entered: list[tuple[object, ...]] = []
    ways: list[tuple[object, ...]] = []
    reached: list[tuple[object, ...]] = []

    def note(self, partition: int, stream: int, at: int, body: Body) -> None:
        """Take in one event, recorded ``at`` microseconds since 1970, if it is about entries."""
        match body:
            case EnrolmentStarted() | EnrolmentHeldOut():
                out = int(isinstance(body, EnrolmentHeldOut))
                place = (partition, body.enrolment, stream, body.journey, body.version)
                self.entered.append((*place, out, at, body.goal_days, None))
            case SplitTaken():
                self.ways.append((partition, body.enrolment, body.step, body.experiment, body.way))
            case GoalReached():
                self.reached.append((partition, body.enrolment, body.days))
            case _:
                pass

    def take_in(self, connection: Connection) -> None:
        """Write the rows."""
        keep(connection, passages, self.entered)
        keep(connection, ways, self.ways)
        update(connection, passages, ("reached_days",), self.reached)


class Count(Struct, frozen=True):
    """Customers of one group: how many, how many were written to, and of those whose window is over how many
    there are and have reached the goal. ``step`` and ``way`` are "" for those of a whole journey.
    """

    step: str
    way: str
    held_out: bool
    customers: int
    written_to: int
    counted: int
    reached: int


class Experiments:
    """Counts of customers by group, each customer once: by the first time that they entered in a period.

    They are as of the ledger: bring it up to date before.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def versions(self, journey: str) -> list[int]:
        """The versions of the journey that somebody entered or was held out of."""
        with reading(self._engine) as connection:
            return [version for (version,) in rows(connection, _VERSIONS, journey=journey)]

    def counts(
        self, journey: str, versions: Sequence[int], *, since: int, until: int
    ) -> tuple[int, list[Count]]:
        """The clock of the store, and the groups: enrolled, held out, then the ways by step.

        Who entered from ``since`` on and before ``until`` (microseconds since 1970).
        """
        with reading(self._engine) as connection:
            ((now,),) = rows(connection, _CLOCK)
            given = {"journey": journey, "versions": [*versions], "since": since, "until": until, "now": now}
            found = rows(connection, _COUNTS, **given)
        return now, [Count(step, way, bool(out), *numbers) for step, way, out, *numbers in found]
