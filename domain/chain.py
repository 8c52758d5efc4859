"""The hash chain along a customer's history: what is altered, removed or moved breaks a link."""

from hashlib import sha256

_GENESIS = b"tidings/history/2\x00"
_STUB = b"\x00"
_STUB_BYTES = 33


def genesis(subject: str) -> bytes:
    """The value that a history's first link is chained to."""
    return sha256(_GENESIS + subject.encode()).digest()


def digest_of(body: bytes) -> bytes:
    """The SHA-256 of a body, also where only its stub is left."""
    return body[1:] if is_stub(body) else sha256(body).digest()


def stub(body: bytes) -> bytes:
    """What may stand in the place of a body that had to go: no body begins with a zero byte."""
    return _STUB + digest_of(body)


def is_stub(body: bytes) -> bool:
    """Whether a stub is all that is left of the body."""
    return body[:1] == _STUB and len(body) == _STUB_BYTES


def link(
    previous: bytes,
    *,
    version: int,
    kind: str,
    occurred_at: int,
    recorded_at: int,
    cause: int,
    rulebook: str,
    body: bytes,
) -> bytes:
    """SHA-256 over the previous link and everything that the event says, its body by its own SHA-256.

    So a body that must go one day can be replaced by its ``stub``, and the chain still holds.

    Instants are microseconds since 1970, ``rulebook`` is the digest, in hex, of the one in force ("" for
    authored objects, which stand under none). Where an event is stored (partition, seq) is left out: a
    history that moves stays the same.
    """
    said = b"%b%d|%b|%d|%d|%d|%b|%b" % (
        previous,
        version,
        kind.encode(),
        occurred_at,
        recorded_at,
        cause,
        rulebook.encode(),
        digest_of(body),
    )
    return sha256(said).digest()
