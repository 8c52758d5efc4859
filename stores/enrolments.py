"""The projection of who is inside which journey: where they stand, and what they were sent on the way.

``held`` is the step at which somebody goes on whom a pause holds up, else empty. ``sent`` lists the messages
asked for, each as step and template, in the order in which they were asked for first.
"""

from msgspec import Struct
from sqlalchemy import Connection

from domain.events import (
    Body,
    EnrolmentEnded,
    EnrolmentHeld,
    EnrolmentHeldOut,
    EnrolmentMigrated,
    EnrolmentResumed,
    EnrolmentStarted,
    GoalReached,
    MessageRequested,
    TaskEscalated,
)
from stores.dialect import delete, run, upsert
from stores.schema import enrolments

_BETWEEN, _WITHIN = " ", "="
# These name an enrolment that need not be going on.
_NOT_INSIDE = (EnrolmentHeldOut, GoalReached, TaskEscalated)
_SELECT = """
SELECT id, stream, journey, version, step, held, sent, since FROM enrolments
WHERE partition = :partition AND id {among ids}
"""
_SELECT_GROUPS = """
SELECT version, step, held, sent, count(*) FROM enrolments
WHERE partition {among partitions} AND journey = :journey
GROUP BY version, step, held, sent ORDER BY version, step, held, sent
"""


class Group(Struct, frozen=True):
    """So many enrolments that stand alike: where, where they go on if held up, what they were sent."""

    version: int
    step: str
    held: str | None
    sent: tuple[tuple[str, str], ...]
    enrolments: int


class _Passage(Struct):
    """One enrolment as a stretch of events tells of it; what it does not tell is None."""

    stream: int = 0
    journey: str | None = None
    version: int | None = None
    step: str | None = None
    held: str | None = None
    held_then: str | None = None
    sent: list[str] = []
    since: int = 0
    started: bool = False
    ended: bool = False


class Whereabouts:
    """What a stretch of events says of enrolments."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._told: dict[str, _Passage] = {}

    def hear(self, stream: int, at: int, body: Body) -> None:
        """Take note of an event, recorded ``at`` (microseconds since 1970), if it is about an enrolment."""
        name, step = getattr(body, "enrolment", None), getattr(body, "step", None)
        if name is None or isinstance(body, _NOT_INSIDE):
            return
        told = self._told.setdefault(name, _Passage(stream))
        if step is not None:
            told.step, told.since = step, at
        match body:
            case EnrolmentStarted():
                told.started, told.journey, told.version, told.since = True, body.journey, body.version, at
            case EnrolmentEnded():
                told.ended = True
            case EnrolmentMigrated():
                # Only who was held up, maybe since an earlier stretch, is so afterwards.
                told.version, told.held_then = body.version, body.next or ""
                told.held = told.held and told.held_then
            case EnrolmentHeld():
                told.held = body.next
            case EnrolmentResumed():
                told.held = ""
            case MessageRequested():
                told.sent = [*told.sent, f"{body.step}{_WITHIN}{body.template}"]
            case _:
                pass

    def take_in(self, connection: Connection) -> None:
        """Bring the partition's rows up to the end of the stretch, within the caller's transaction."""
        partition = self._partition
        before = sorted(name for name, told in self._told.items() if not told.started)
        known = {row[0]: row[1:] for row in run(connection, _SELECT, partition=partition, ids=before)}
        delete(connection, enrolments, [(partition, n) for n in sorted(known) if self._told[n].ended])
        rows: list[tuple[object, ...]] = []
        for name, told in self._told.items():
            if not told.ended and (told.started or name in known):
                rows.append(
                    (partition, name, *_row(told, known.get(name, (told.stream, "", 0, "", "", "", 0))))
                )
        upsert(connection, enrolments, rows)


def _row(told: _Passage, known: tuple[object, ...]) -> tuple[object, ...]:
    stream, journey, version, step, held, sent, since = known
    if told.held is None and told.held_then is not None and held:
        held = told.held_then
    said = dict.fromkeys([*filter(None, str(sent).split(_BETWEEN)), *told.sent])
    return (
        stream,
        journey if told.journey is None else told.journey,
        version if told.version is None else told.version,
        step if told.step is None else told.step,
        held if told.held is None else told.held,
        _BETWEEN.join(said),
        told.since or since,
    )


def inside(connection: Connection, partitions: list[int], journey: str) -> list[Group]:
    """Who is inside the journey, in groups, by version, step and what they were sent."""
    found = run(connection, _SELECT_GROUPS, partitions=partitions, journey=journey)
    return [
        Group(version, step, held or None, _pairs(sent), number)
        for version, step, held, sent, number in found
    ]


def _pairs(sent: str) -> tuple[tuple[str, str], ...]:
    parts = (said.partition(_WITHIN) for said in sent.split(_BETWEEN) if said)
    return tuple((step, template) for step, _, template in parts)
