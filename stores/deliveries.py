"""What becomes of messages, as the ledger tells it: their sending, and beside it what came back."""

from collections.abc import Iterable

from sqlalchemy import Connection

from domain.catalogue import (
    ContactBounced,
    ContactComplained,
    MessageClicked,
    MessageDelivered,
    MessageOpened,
    MessageSettled,
    MessageUndelivered,
)
from domain.events import (
    Body,
    MessageAccepted,
    MessageDeferred,
    MessagePostponed,
    MessageRejected,
    MessageSending,
    MessageSuppressed,
    MessageUnknown,
    status_of,
)
from stores.dialect import rows

# What a receipt says may come late and in any order: the gravest word stays.
_GRAVITY = {"": 0, "undelivered": 1, "delivered": 2, "bounced": 3, "complained": 4}
# The rule by which a message that did not leave is put off until it is tried again.
_TRIED_AGAIN = "postponed"
CHANGING = (
    "channel", "status", "reason", "sent_at", "provider", "tries", "in_doubt", "delivery",
    "handed_at", "delivered_at", "opened_at", "clicked_at",
)  # fmt: skip
# The columns of a message that was only asked for.
NOTHING_YET: dict[str, object] = {
    "channel": None,
    "status": "requested",
    "reason": None,
    "sent_at": None,
    "provider": "",
    "tries": 0,
    "in_doubt": 0,
    "delivery": "",
    "handed_at": None,
    "delivered_at": None,
    "opened_at": None,
    "clicked_at": None,
}
_SELECT = """
SELECT id, stream, {columns} FROM messages WHERE partition = :partition AND id {{among ids}}
"""
Entry = dict[str, object]


def message_of(body: Body) -> str | None:
    """The message that an event speaks of, as far as it names one that the ledger can know."""
    named = getattr(body, "message", None)
    return named if isinstance(named, str) and "\x00" not in named else None


def known(connection: Connection, partition: int, ids: Iterable[str]) -> dict[str, Entry]:
    """The entries of these messages that the ledger has, each with the customer's stream."""
    wanted = sorted(ids)
    if not wanted:
        return {}
    statement = _SELECT.format(columns=", ".join(CHANGING))
    found = rows(connection, statement, partition=partition, ids=wanted)
    return {id_: {"stream": stream, **dict(zip(CHANGING, told, strict=True))} for id_, stream, *told in found}


def tell(entry: Entry, kind: str, *, at: int, happened_at: int, body: Body) -> None:
    """Change the entry as an event of its life says: recorded at one instant, happened at another.

    ``status`` is the life of its sending only; what comes back stands in ``delivery``.
    """
    match body:
        case MessageSending():
            entry |= {
                "status": "sending",
                "channel": body.channel,
                # What it was put off for is no reason any more.
                "reason": "",
                "tries": _number(entry["tries"]) + 1,
                "handed_at": at,
            }
        case MessageAccepted():
            entry |= {"status": "accepted", "sent_at": at, "in_doubt": 0, "reason": ""}
            entry["provider"] = body.provider or entry["provider"]
        case MessageDeferred(rule=rule) if rule == _TRIED_AGAIN:
            # The policy says till when; what the provider said stays the reason.
            entry["status"] = "postponed"
        case MessageDeferred() | MessageSuppressed():
            entry |= {"status": status_of(kind), "channel": body.channel, "reason": body.rule}
        case MessagePostponed():
            entry |= {"status": "postponed", "reason": body.reason}
            entry["in_doubt"] = 1 if body.in_doubt else entry["in_doubt"]
            entry["provider"] = body.provider or entry["provider"]
        case MessageRejected():
            entry |= {"status": "rejected", "reason": body.reason, "in_doubt": 0}
            entry["provider"] = body.provider or entry["provider"]
            if body.refused == "address":
                _came_back(entry, "bounced")
        case MessageUnknown():
            entry |= {"status": "unknown", "reason": body.reason, "in_doubt": 1}
            entry["provider"] = body.provider or entry["provider"]
        case MessageSettled():
            entry |= {"status": body.outcome, "reason": f"settled by {body.by}", "in_doubt": 0}
        case MessageDelivered():
            _came_back(entry, "delivered")
            _first(entry, "delivered_at", happened_at)
        case MessageUndelivered():
            _came_back(entry, "undelivered")
        case MessageOpened():
            _first(entry, "opened_at", happened_at)
        case MessageClicked():
            _first(entry, "clicked_at", happened_at)
        case ContactBounced():
            _came_back(entry, "bounced")
        case ContactComplained():
            _came_back(entry, "complained")
        case _:
            pass


def _came_back(entry: Entry, word: str) -> None:
    entry["delivery"] = max(str(entry["delivery"]), word, key=_GRAVITY.__getitem__)


def _first(entry: Entry, column: str, at: int) -> None:
    former = entry[column]
    entry[column] = at if former is None else min(_number(former), at)


def _number(value: object) -> int:
    return int(str(value))
