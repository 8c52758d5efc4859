"""What the events of a stretch say to the projections: gathered by reading, taken in by writing."""

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
    MessageAccepted,
    MessageDeferred,
    MessageRejected,
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    MessageUnknown,
    SegmentEntered,
    SegmentLeft,
    SplitTaken,
    TaskCreated,
    TaskEscalated,
    status_of,
)
from stores.dialect import keep, rows, update
from stores.enrolments import Whereabouts
from stores.experiments import Noted
from stores.memberships import Memberships
from stores.schema import (
    messages,
    tasks,
)

_SELECT = """
SELECT stream, kind, recorded_at, body FROM events
WHERE partition = :partition AND seq > :after AND seq <= :upto
AND (kind LIKE 'message.%' OR kind LIKE 'enrolment.%' OR kind IN ('task.created/1', 'task.escalated/1',
    'task.done/1', 'split.taken/1', 'goal.reached/1', 'segment.entered/1', 'segment.left/1'))
ORDER BY seq
"""
_TASK_CHANGED = ("role", "status", "done_at")
_CHANGED = ("channel", "status", "reason", "sent_at")


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
        update(connection, messages, _CHANGED, self.changes)
        update(connection, tasks, _TASK_CHANGED, self.task_changes)
        self.noted.take_in(connection)
        self.members.take_in(connection)
        self.whereabouts.take_in(connection)


def gathered(connection: Connection, partition: int, after: int, upto: int) -> Stretch:
    """What the partition's events after one sequence number, up to another, say."""
    requested: dict[str, dict[str, object]] = {}
    changed: dict[str, dict[str, object]] = {}
    turned: dict[str, tuple[object, ...]] = {}
    stretch = Stretch(members=Memberships(partition), whereabouts=Whereabouts(partition))
    for stream, kind, at, stored in rows(connection, _SELECT, partition=partition, after=after, upto=upto):
        body = decode_body(kind, stored)
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
                message = str(getattr(body, "message", ""))
                entry = requested.get(message) or changed.setdefault(message, {})
                entry.update(_change(kind, at, body))
    stretch.messages = [tuple(entry[c.name] for c in messages.columns) for entry in requested.values()]
    stretch.task_changes = [(partition, task, *change) for task, change in turned.items()]
    stretch.changes = [
        (partition, message, *(entry.get(name) for name in _CHANGED)) for message, entry in changed.items()
    ]
    return stretch


def _requested(partition: int, stream: int, at: int, body: MessageRequested) -> dict[str, object]:
    return {
        "partition": partition,
        "id": body.message,
        "stream": stream,
        "enrolment": body.enrolment,
        "journey": body.journey,
        "version": body.version,
        "step": body.step,
        "channel": None,
        "template": body.template,
        "purpose": body.purpose,
        "status": "requested",
        "reason": None,
        "requested_at": at,
        "sent_at": None,
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


def _change(kind: str, at: int, body: Body) -> dict[str, object]:
    """What an event of a message's life says about it; what it does not speak of stays."""
    told: dict[str, object] = {"status": status_of(kind)}
    match body:
        case MessageSending():
            # What it was put off for is no reason any more; None would leave it as it is.
            told |= {"channel": body.channel, "reason": ""}
        case MessageDeferred():
            told |= {"channel": body.channel, "reason": body.rule}
        case MessageSuppressed():
            told |= {"channel": body.channel, "reason": body.rule}
        case MessageAccepted():
            told["sent_at"] = at
        case MessageRejected() | MessageUnknown():
            told["reason"] = body.reason
        case _:
            pass
    return told
