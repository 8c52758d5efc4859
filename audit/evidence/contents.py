"""What of a customer's history a pack discloses, and how its events are written down."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from audit.why import causes
from domain.chain import digest_of
from domain.errors import InputRefused, StoreCorrupt
from domain.events import Event, MessageSending, MessageSuppressed, Withheld
from domain.ports import StoredEvent

_SHORTEST_PERIOD_HAS = 1


class Period(Struct, frozen=True):
    """From ``since`` to before ``until``, by when things happened (aware UTC); None leaves the side open."""

    since: datetime | None = None
    until: datetime | None = None

    def has(self, at: datetime) -> bool:
        """Whether the instant lies in it."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)

    @property
    def is_whole(self) -> bool:
        """Whether nothing lies outside."""
        return self.since is None and self.until is None


class Disclosed(Struct, frozen=True):
    """Versions of events: ``inside`` the period, and ``all`` that are told with their bodies."""

    inside: frozenset[int]
    all: frozenset[int]


def disclosed(history: Sequence[Event], period: Period, *, customer: str) -> Disclosed:
    """The events of the period, and what its messages rest on: their other events, causes and consent.

    Without these, neither why a message left nor that it was allowed to could be checked. Everything else
    outside the period is told by its digest only, and so is what retention removed. Raises InputRefused
    where the period has no event.
    """
    inside = {event.version for event in history if period.has(event.occurred_at)}
    if len(inside) < _SHORTEST_PERIOD_HAS:
        since, until = (at.isoformat() if at else "-" for at in (period.since, period.until))
        raise InputRefused("evidence.empty_period", customer=customer, since=since, until=until)
    told = set(inside)
    if not period.is_whole:
        lives: dict[str, list[Event]] = {}
        for event in history:
            if message := message_of(event):
                lives.setdefault(message, []).append(event)
        for life in lives.values():
            if any(event.version in inside for event in life):
                told |= _rests_on(history, life)
    withheld = {event.version for event in history if isinstance(event.body, Withheld)}
    return Disclosed(frozenset(inside), frozenset(told - withheld))


def message_of(event: Event) -> str | None:
    """The message that an event is about; None for any other event."""
    message = getattr(event.body, "message", None)
    return message if event.kind.startswith("message.") and isinstance(message, str) else None


def _rests_on(history: Sequence[Event], life: Sequence[Event]) -> set[int]:
    """The versions of a message's events, of their causes, and of the word that it was let through by."""
    told: set[int] = set()
    for event in life:
        told |= {cause.version for cause in causes(history, event)}
        match event.body:
            case MessageSending(consent=int(version)):
                told.add(version)
            case MessageSuppressed(rule="consent_withdrawn", values=values):
                told.add(int(values["event"] or 0))
    return told & {event.version for event in history}


def event_line(stored: StoredEvent, rulebooks: Mapping[int, str], *, with_body: bool) -> dict[str, object]:
    """An event as ``history.jsonl`` has it: the stored body as it is, or its digest in the body's place.

    ``rulebooks`` are digests by number. Raises StoreCorrupt for a body that is no text.
    """
    line: dict[str, object] = {
        "version": stored.version,
        "kind": stored.kind,
        "occurred_at": stored.occurred_at,
        "recorded_at": stored.recorded_at,
        "cause": stored.cause,
        "rulebook": rulebooks.get(stored.rulebook, ""),
        "hash": stored.hash.hex(),
    }
    if with_body:
        line["body"] = _text(stored.body, stored.kind)
    else:
        line["body_sha256"] = digest_of(stored.body).hex()
    return line


def clear_line(stored: StoredEvent) -> dict[str, object] | None:
    """An opened body as ``clear.jsonl`` has it; None where nothing was sealed or the key is gone."""
    if stored.clear is None or stored.clear == stored.body:
        return None
    return {"version": stored.version, "body": _text(stored.clear, stored.kind)}


def _text(body: bytes, kind: str) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise StoreCorrupt("store.unreadable_body", kind=kind, reason=str(error)) from error
