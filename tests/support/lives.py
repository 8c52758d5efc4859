"""Lives in memory beside those of a real store: the same lines, with the same hashes."""

from collections.abc import Iterable

from domain.chain import genesis, link
from domain.clock import to_micros
from domain.codec import encode_body
from domain.events import Event
from support.bank import Line
from tidings.trying.simulation import Traced


def chained(traced: Traced, *, rulebook: str) -> list[Line]:
    """A life from its first event, as ``Bank.histories`` tells it; ``rulebook`` is the digest in force."""
    hash_, lines = genesis(traced.customer), list[Line]()
    for version, event in enumerate(traced.events, 1):
        line = line_of(event)
        kind, occurred_at, recorded_at, cause, body = line
        hash_ = link(
            hash_,
            version=version,
            kind=kind,
            occurred_at=occurred_at,
            recorded_at=recorded_at,
            cause=cause,
            rulebook=rulebook,
            body=body,
        )
        lines.append((*line, hash_))
    return lines


def line_of(event: Event) -> tuple[str, int, int, int, bytes]:
    """An event as it is stored, without its hash."""
    at, recorded_at = to_micros(event.occurred_at), to_micros(event.recorded_at)
    return event.kind, at, recorded_at, event.cause, encode_body(event.body)


def lines(events: Iterable[Event]) -> list[tuple[str, int, int, int, bytes]]:
    """Events as they are stored, without their hashes."""
    return [line_of(event) for event in events]
