"""Identities that everyone derives alike: no counter, no chance, so a replay makes the same ones."""

from hashlib import sha1, sha256
from uuid import UUID
from zlib import crc32

_NAMESPACE = UUID("6d1f0c1e-7f5b-5c8e-9a53-0d8f5e5b7a11").bytes
_VARIANT = "89ab"


def derived_id(*parts: str) -> str:
    """The UUID (version 5) that these parts always give, in their order.

    Source: RFC 9562 section 5.5. Spelt out, since the standard library's objects cost most of its time.
    """
    said = sha1(_NAMESPACE + "\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANT[int(said[16], 16) & 3]
    return f"{said[:8]}-{said[8:12]}-5{said[13:16]}-{variant}{said[17:20]}-{said[20:32]}"


def share_of(*parts: str) -> float:
    """A number from 0 to less than 1 that these parts always give, spread evenly: chance that replays."""
    return int.from_bytes(sha256("\x1f".join(parts).encode()).digest()[:8]) / 2**64


def partition_of(subject: str, *, partitions: int) -> int:
    """The partition, 1 to ``partitions``, that owns a customer; 0 is kept for authored objects."""
    return crc32(subject.encode()) % partitions + 1
