"""Where a decision that comes out otherwise differs: field by field, expected beside found."""

from collections.abc import Iterator

import msgspec

from domain.clock import from_micros, to_micros
from domain.codec import encode_body
from domain.events import Event
from domain.ports import StoredEvent

_LONGEST = 2_000


def is_same(expected: Event, stored: StoredEvent) -> bool:
    """Whether the decision is stored as it comes out, byte for byte."""
    return (
        stored.version == expected.version
        and stored.kind == expected.kind
        and stored.cause == expected.cause
        and stored.recorded_at == (recorded_at := to_micros(expected.recorded_at))
        and stored.occurred_at
        == (recorded_at if expected.occurred_at is expected.recorded_at else to_micros(expected.occurred_at))
        and _body(stored) == encode_body(expected.body)
    )


def fields(expected: Event, stored: StoredEvent) -> list[dict[str, object]]:
    """Each field that differs, by its path: ``kind``, ``recorded_at``, ``body.values.due_at`` and so on.

    None stands for what is not there. Instants are ISO 8601 (UTC).
    """
    made = {
        "version": expected.version,
        "kind": expected.kind,
        "occurred_at": expected.occurred_at.isoformat(),
        "recorded_at": expected.recorded_at.isoformat(),
        "cause": expected.cause,
        "body": msgspec.json.decode(encode_body(expected.body)),
    }
    found = {
        "version": stored.version,
        "kind": stored.kind,
        "occurred_at": from_micros(stored.occurred_at).isoformat(),
        "recorded_at": from_micros(stored.recorded_at).isoformat(),
        "cause": stored.cause,
        "body": msgspec.json.decode(_body(stored)),
    }
    told = list(_differing("", made, found))
    if not told:
        # The same values in other bytes: spaces, or another order.
        texts = encode_body(expected.body).decode(), _body(stored).decode(errors="replace")
        told.append(_field("body", *(text[:_LONGEST] for text in texts)))
    return told


def _body(stored: StoredEvent) -> bytes:
    return stored.body if stored.clear is None else stored.clear


def _differing(path: str, expected: object, found: object) -> Iterator[dict[str, object]]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in [*expected, *(name for name in found if name not in expected)]:
            inside = f"{path}.{name}" if path else str(name)
            yield from _differing(inside, expected.get(name), found.get(name))
    elif isinstance(expected, list) and isinstance(found, list):
        for place in range(max(len(expected), len(found))):
            pair = (part[place] if place < len(part) else None for part in (expected, found))
            yield from _differing(f"{path}[{place}]", *pair)
    elif expected != found or type(expected) is not type(found):
        yield _field(path, expected, found)


def _field(path: str, expected: object, found: object) -> dict[str, object]:
    return {"path": path, "expected": expected, "found": found}
