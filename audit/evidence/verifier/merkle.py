"""Proofs in a Merkle tree (RFC 6962 section 2.1) and the signed notes that name its root (C2SP)."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256

from audit.evidence.verifier.ed25519 import is_signed
from audit.evidence.verifier.findings import Wrong


def leaf_of(entry: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_of(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def root_of_path(leaf: bytes, *, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that follows from a leaf's hash and its path, the lowest step first. Raises Wrong."""
    steps = list(path)

    def over(first: int, end: int) -> bytes:
        if end - first == 1:
            return leaf
        if not steps:
            raise Wrong("path_short")
        other, middle = steps.pop(), first + _split(end - first)
        if index < middle:
            return node_of(over(first, middle), other)
        return node_of(other, over(middle, end))

    if not 0 <= index < size:
        raise Wrong("leaf_beyond", index=index, size=size)
    root = over(0, size)
    if steps:
        raise Wrong("path_long")
    return root


def grows_from(old: tuple[int, bytes], new: tuple[int, bytes], path: list[bytes]) -> bool:
    """Whether the tree of ``old`` (size and root) is the beginning of that of ``new``, by this path."""
    if old[0] == 0 or old[0] == new[0]:
        return not path and (old[0] == 0 or old[1] == new[1])
    if old[0] > new[0]:
        return False
    steps = list(path)

    def roots(known: int, width: int, *, edge: bool) -> tuple[bytes, bytes]:
        """Old and new root over ``width`` leaves of which the old tree has ``known``."""
        if known == width:
            same = old[1] if edge else steps.pop()
            return same, same
        other, half = steps.pop(), _split(width)
        if known <= half:
            before, after = roots(known, half, edge=edge)
            return before, node_of(after, other)
        before, after = roots(known - half, width - half, edge=False)
        return node_of(other, before), node_of(other, after)

    try:
        found = roots(old[0], new[0], edge=True)
    except IndexError:
        return False
    return not steps and found == (old[1], new[1])


def _split(width: int) -> int:
    """The largest power of two below ``width``."""
    return 1 << ((width - 1).bit_length() - 1)


def checkpoint_of(note: str) -> tuple[str, int, bytes]:
    """Origin, size and root that a checkpoint names. Raises Wrong."""
    lines = note.partition("\n\n")[0].split("\n")
    if len(lines) < 3 or not lines[1].isdigit():
        raise Wrong("note_malformed")
    return lines[0], int(lines[1]), _decoded(lines[2], 32)


def signers_of(note: str, keys: list[str]) -> list[str]:
    """Those of ``keys`` (name+id+base64) whose signature the note bears. Raises Wrong for a false one."""
    text, _, signatures = note.rpartition("\n\n")
    signed: list[str] = []
    for key in keys:
        name, public, key_id = _key(key)
        for line in signatures.splitlines():
            if not line.startswith("— " + name + " "):
                continue
            signature = _decoded(line[len(name) + 3 :], 68)
            if signature[:4] != key_id:
                continue
            if not is_signed(text.encode() + b"\n", public=public, signature=signature[4:]):
                raise Wrong("note_forged", key=key)
            signed.append(key)
    return signed


def _key(text: str) -> tuple[str, bytes, bytes]:
    """Name, public key and id of a key as others are given it."""
    name, _, rest = text.strip().partition("+")
    given_id, _, encoded = rest.partition("+")
    public = _decoded(encoded, 33)
    key_id = sha256(name.encode() + b"\n" + public).digest()[:4]
    if public[:1] != b"\x01" or key_id.hex() != given_id:
        raise Wrong("key_malformed", key=text)
    return name, public[1:], key_id


def _decoded(text: str, length: int) -> bytes:
    try:
        found = b64decode(text, validate=True)
    except ValueError:
        raise Wrong("note_malformed") from None
    if len(found) != length:
        raise Wrong("note_malformed")
    return found
