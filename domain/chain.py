"""The hash chain along a customer's history: what is altered, removed or moved breaks a link."""

from hashlib import sha256

_GENESIS = b"tidings/history/2\x00"


def genesis(subject: str) -> bytes:
    """The value that a history's first link is chained to."""
    return sha256(_GENESIS + subject.encode()).digest()


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

    So a body that must go one day can be replaced by its digest, and the chain still holds.

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
        sha256(body).digest(),
    )
    return sha256(said).digest()
