"""A verifier of logs, written from RFC 6962 and the texts of C2SP; it shares nothing with ``audit``.

It recomputes everything from entries, by recursion and in memory, which is slow and plain on purpose.
"""

import base64
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Fetch = Callable[[str], bytes]


class Distrusted(Exception):
    """What was read does not prove what it claims."""


def leaf(entry: bytes) -> bytes:
    """RFC 6962 section 2.1: MTH({d(0)}) = SHA-256(0x00 || d(0))."""
    return hashlib.sha256(b"\x00" + entry).digest()


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word by word: k is the largest power of two smaller than n."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def included(leaf_hash: bytes, index: int, size: int, path: list[bytes], expected: bytes) -> bool:
    """RFC 6962 section 2.1.1 read backwards: which side each step stands on follows from index and size."""

    def climb(m: int, n: int, steps: list[bytes]) -> bytes:
        if n == 1:
            if steps:
                raise Distrusted("the path is too long")
            return leaf_hash
        if not steps:
            raise Distrusted("the path is too short")
        k = 1
        while k * 2 < n:
            k *= 2
        if m < k:
            return hashlib.sha256(b"\x01" + climb(m, k, steps[:-1]) + steps[-1]).digest()
        return hashlib.sha256(b"\x01" + steps[-1] + climb(m - k, n - k, steps[:-1])).digest()

    try:
        return climb(index, size, path) == expected
    except Distrusted:
        return False


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: list[bytes]) -> bool:
    """RFC 6962 section 2.1.2 read backwards: SUBPROOF gives the roots of both trees."""

    def climb(m: int, n: int, steps: list[bytes], whole: bool) -> tuple[bytes, bytes]:
        if m == n:
            if whole:
                if steps:
                    raise Distrusted("the proof is too long")
                return old_root, old_root
            if len(steps) != 1:
                raise Distrusted("the proof has not the right length")
            return steps[0], steps[0]
        if not steps:
            raise Distrusted("the proof is too short")
        k = 1
        while k * 2 < n:
            k *= 2
        if m <= k:
            before, after = climb(m, k, steps[:-1], whole)
            return before, hashlib.sha256(b"\x01" + after + steps[-1]).digest()
        before, after = climb(m - k, n - k, steps[:-1], False)
        left = b"\x01" + steps[-1]
        return hashlib.sha256(left + before).digest(), hashlib.sha256(left + after).digest()

    try:
        return climb(old, new, path, True) == (old_root, new_root)
    except Distrusted:
        return False


def opened_note(note: bytes, vkey: str) -> list[str]:
    """The lines of a note's text, if the key has signed it. C2SP signed-note."""
    text, _, signatures = note.rpartition(b"\n\n")
    text += b"\n"
    name, key_id, data = vkey.split("+", 2)
    key = base64.b64decode(data)
    if key[0] != 1 or hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() != key_id:
        raise Distrusted("the verifier key does not fit its own id")
    for line in signatures.decode().splitlines():
        dash, signer, signature = line.split(" ")
        blob = base64.b64decode(signature)
        if dash == "\u2014" and signer == name and blob[:4].hex() == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(blob[4:], text)
            except InvalidSignature:
                raise Distrusted("the signature is false") from None
            return text.decode().splitlines()
    raise Distrusted("the key has not signed")


def checked_proof(proof: str, entry: bytes, vkey: str, origin: str) -> int:
    """The index that a proof text (C2SP tlog-proof) proves for an entry."""
    head, _, checkpoint = proof.partition("\n\n")
    lines = head.split("\n")
    if lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise Distrusted("no proof of this version")
    if lines[0].startswith("extra "):
        lines.pop(0)
    word, number = lines.pop(0).split(" ")
    told = opened_note(checkpoint.encode(), vkey)
    path = [base64.b64decode(line) for line in lines]
    if word != "index" or told[0] != origin:
        raise Distrusted("the proof is of another log")
    if not included(leaf(entry), int(number), int(told[1]), path, base64.b64decode(told[2])):
        raise Distrusted("the entry is not in the tree")
    return int(number)


@dataclass
class Log:
    """A published log, read through ``fetch`` (a folder's files, or an HTTP server's)."""

    fetch: Fetch
    vkey: str
    origin: str
    entries: list[bytes] = field(default_factory=list)
    root: bytes = b""

    @classmethod
    def of_folder(cls, folder: Path, vkey: str, origin: str) -> "Log":
        """A log that lies in a folder."""
        return cls(lambda path: (folder / path).read_bytes(), vkey, origin)

    def check(self, checkpoint: str = "checkpoint") -> int:
        """Read everything the checkpoint covers; gives the size. Raises Distrusted. C2SP tlog-tiles."""
        told = opened_note(self.fetch(checkpoint), self.vkey)
        if told[0] != self.origin or len(told) != 3:
            raise Distrusted("the checkpoint is of another log")
        size, self.root = int(told[1]), base64.b64decode(told[2])
        self.entries = self._entries(size)
        hashes = [leaf(entry) for entry in self.entries]
        if root(hashes) != self.root:
            raise Distrusted("the entries make another root")
        self._check_tiles(hashes)
        return size

    def _entries(self, size: int) -> list[bytes]:
        found: list[bytes] = []
        while len(found) < size:
            wide = min(256, size - len(found))
            bundle = self.fetch(_path("entries", len(found) // 256, wide))
            for _ in range(wide):
                (length,) = struct.unpack(">H", bundle[:2])
                found.append(bundle[2 : 2 + length])
                bundle = bundle[2 + length :]
            if bundle:
                raise Distrusted("the bundle is too long")
        return found

    def _check_tiles(self, hashes: list[bytes]) -> None:
        level = 0
        while hashes:
            for first in range(0, len(hashes), 256):
                wanted = hashes[first : first + 256]
                if self.fetch(_path(str(level), first // 256, len(wanted))) != b"".join(wanted):
                    raise Distrusted(f"tile {first // 256} of level {level} is another")
            whole = len(hashes) // 256
            hashes = [root(hashes[n * 256 : n * 256 + 256]) for n in range(whole)]
            level += 1


def _path(level: str, number: int, wide: int) -> str:
    digits = f"{number:03d}"
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    named = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
    return f"tile/{level}/{named}" + (f".p/{wide}" if wide < 256 else "")
