"""What the events of a stretch say to the projections: gathered by reading, taken in by writing."""

from collections.abc import Sequence
from operator import itemgetter

from msgspec import Struct, field
from sqlalchemy import Connection

from domain.catalogue import TaskDone
from domain.clock import to_micros
from domain.codec import decode_body
from domain.events import (
    Body,
    EnrolmentHeldOut,
    EnrolmentStarted,
    GoalReached,
    MessageRequested,
    SegmentEntered,
    SegmentLeft,
    SplitTaken,
    TaskCreated,
    TaskEscalated,
    Withheld,
)
from stores.deliveries import CHANGING, NOTHING_YET, known, message_of, tell
from stores.dialect import keep, rows, update
from stores.enrolments import Whereabouts
from stores.experiments import Noted
from stores.memberships import Memberships
from stores.schema import (
    messages,
    tasks,
)

_SELECT = """
SELECT stream, kind, occurred_at, recorded_at, body FROM events
WHERE partition = :partition AND seq > :after AND seq <= :upto
AND (kind LIKE 'message.%' OR kind LIKE 'enrolment.%' OR kind IN ('task.created/1', 'task.escalated/1',
    'task.done/1', 'contact.bounced/1', 'contact.complained/1', 'split.taken/1', 'goal.reached/1',
    'segment.entered/1', 'segment.left/1'))
ORDER BY seq
"""
_ROW = itemgetter(*(column.name for column in messages.columns))
_TASK_CHANGED = ("role", "status", "done_at")


class Stretch(Struct):
    """What the events of a stretch say: rows of what begins in it, and changes of what began before."""

    messages: list[tuple[object, ...]] = []
    tasks: list[tuple[object, ...]] = []
    changes: list[tuple[object, ...]] = []
    task_changes: list[tuple[object, ...]] = []
    noted: Noted = field(default_factory=Noted)
    members: Memberships = field(default_factory=lambda: Memberships(0))
    whereabouts: Whereabouts = field(default_factory=lambda: Whereabouts(0))

    def take_in(self, connection: Connection) -> None:
        keep(connection, messages, self.messages)
        keep(connection, tasks, self.tasks)
        update(connection, messages, CHANGING, self.changes)
        update(connection, tasks, _TASK_CHANGED, self.task_changes)
        self.noted.take_in(connection)
        self.members.take_in(connection)
        self.whereabouts.take_in(connection)


def gathered(connection: Connection, partition: int, after: int, upto: int) -> Stretch:
    """What the partition's events after one sequence number, up to another, say."""
    requested: dict[str, dict[str, object]] = {}
    # What is said of messages that were asked for before: stream, kind, both instants and the event.
    later: list[tuple[int, str, int, int, Body]] = []
    turned: dict[str, tuple[object, ...]] = {}
    stretch = Stretch(members=Memberships(partition), whereabouts=Whereabouts(partition))
    found = rows(connection, _SELECT, partition=partition, after=after, upto=upto)
    for stream, kind, happened_at, at, stored in found:
        body = decode_body(kind, stored)
        if isinstance(body, Withheld):
            continue
        stretch.whereabouts.hear(stream, at, body)
        match body:
            case MessageRequested():
                requested[body.message] = _requested(partition, stream, at, body)
            case TaskCreated():
                stretch.tasks.append(_created(partition, stream, at, body))
            case TaskEscalated():
                turned[body.task] = (body.role, "escalated", None)
            case TaskDone():
                # It may have been escalated within the stretch.
                role, *_ = turned.get(body.task, (None,))
                turned[body.task] = (role, body.outcome, at)
            case EnrolmentStarted() | EnrolmentHeldOut() | SplitTaken() | GoalReached():
                stretch.noted.note(partition, stream, at, body)
            case SegmentEntered() | SegmentLeft():
                stretch.members.note(stream, at, body)
            case _ if kind.startswith("enrolment."):
                pass
            case _:
                entry = requested.get(message_of(body) or "")
                if entry is None:
                    later.append((stream, kind, happened_at, at, body))
                elif entry["stream"] == stream:
                    tell(entry, kind, at=at, happened_at=happened_at, body=body)
    stretch.messages = list(map(_ROW, requested.values()))
    stretch.task_changes = [(partition, task, *change) for task, change in turned.items()]
    stretch.changes = _changes(connection, partition, later)
    return stretch


def _changes(
    connection: Connection, partition: int, later: Sequence[tuple[int, str, int, int, Body]]
) -> list[tuple[object, ...]]:
    """The entries of messages that were asked for before, as these events leave them.

    Whoever takes them in makes sure that nobody else has changed them meanwhile.
    """
    entries = known(connection, partition, {id_ for *_, body in later if (id_ := message_of(body))})
    for stream, kind, happened_at, at, body in later:
        entry = entries.get(message_of(body) or "")
        # A fact about somebody else's message says nothing.
        if entry is not None and entry["stream"] == stream:
            tell(entry, kind, at=at, happened_at=happened_at, body=body)
    return [(partition, id_, *(entry[name] for name in CHANGING)) for id_, entry in entries.items()]


def _requested(partition: int, stream: int, at: int, body: MessageRequested) -> dict[str, object]:
    return {
        "partition": partition,
        "id": body.message,
        "stream": stream,
        "enrolment": body.enrolment,
        "journey": body.journey,
        "version": body.version,
        "step": body.step,
        "template": body.template,
        "purpose": body.purpose,
        "requested_at": at,
        **NOTHING_YET,
    }


def _created(partition: int, stream: int, at: int, body: TaskCreated) -> tuple[object, ...]:
    return (
        partition,
        body.task,
        stream,
        body.journey,
        body.version,
        body.step,
        body.role,
        "open",
        at,
        to_micros(body.due_at),
        None,
    )
