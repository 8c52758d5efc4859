"""The Merkle tree of RFC 6962 section 2.1 over SHA-256, kept as tiles of 256 hashes (C2SP tlog-tiles).

Pure: whoever keeps the tiles gives a function that reads one. A tile is the bytes of its hashes, 32 each; a
level's last tile holds what there is so far. Only complete subtrees are ever hashed upwards, so what a tile
begins with never changes, and every earlier size of the tree can be computed from it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from domain.errors import StoreCorrupt

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
_TILE_BYTES = TILE_WIDTH * HASH_BYTES

# The hashes of a tile by level and number; as many as there are.
ReadTile = Callable[[int, int], bytes]
TileKey = tuple[int, int]

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry of the log."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def leaf_hashes(entries: Iterable[bytes]) -> bytes:
    """The hashes of entries, one behind the other."""
    return b"".join([sha256(b"\x00" + entry).digest() for entry in entries])


def complete_root(hashes: bytes) -> bytes:
    """The root over a power of two of hashes, one behind the other."""
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 64]).digest() for at in pairs])
    return hashes


def appended(size: int, leaves: bytes, *, read: ReadTile) -> dict[TileKey, bytes]:
    """The tiles that change when the leaf hashes in ``leaves`` are added to a tree of ``size``."""
    changed: dict[TileKey, bytes] = {}
    level, width, added = 0, size, leaves
    while added:
        number, there = divmod(width, TILE_WIDTH)
        before = _exactly(read(level, number), there, level, number) if there else b""
        hashes = before + added
        for first in range(0, len(hashes), _TILE_BYTES):
            changed[level, number + first // _TILE_BYTES] = hashes[first : first + _TILE_BYTES]
        whole = range(0, len(hashes) - _TILE_BYTES + 1, _TILE_BYTES)
        added = b"".join([complete_root(hashes[at : at + _TILE_BYTES]) for at in whole])
        level, width = level + 1, width // TILE_WIDTH
    return changed


def tile_widths(size: int) -> Iterator[tuple[int, int, int]]:
    """Level, number and width of the tiles at the right edge of a tree of ``size`` that are not full."""
    level = 0
    while size:
        number, width = divmod(size, TILE_WIDTH)
        if width:
            yield level, number, width
        level, size = level + 1, number


class Tree:
    """Roots and proofs of a tree of any size up to that of its tiles, each tile read once."""

    def __init__(self, read: ReadTile) -> None:
        self._read = read
        self._tiles: dict[TileKey, bytes] = {}

    def leaf(self, index: int) -> bytes:
        """The leaf hash at ``index``, from 0. Raises StoreCorrupt where its tile lacks it."""
        return self._hash(0, index)

    def root(self, size: int) -> bytes:
        """The root of the first ``size`` leaves. Raises StoreCorrupt for a tile that lacks a hash."""
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The audit path of the leaf at ``index`` in the tree of ``size``, from the leaf up.

        Source: RFC 6962 section 2.1.1. Raises ValueError unless ``index`` < ``size``.
        """
        if not 0 <= index < size:
            raise ValueError(f"leaf {index} of a tree of {size}")
        path: list[bytes] = []
        first, end = 0, size
        while end - first > 1:
            middle = first + _split(end - first)
            if index < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(first, middle))
                first = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the tree of ``old`` leaves is the beginning of that of ``new``.

        Source: RFC 6962 section 2.1.2; empty for an empty old tree. Raises ValueError unless
        ``old`` <= ``new``.
        """
        if not 0 <= old <= new:
            raise ValueError(f"from {old} to {new} leaves")
        if old in (0, new):
            return []
        path: list[bytes] = []
        first, end, known = 0, new, True
        while end != old:
            middle = first + _split(end - first)
            if old <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(first, middle))
                first, known = middle, False
        if not known:
            path.append(self._range(first, end))
        return path[::-1]

    def _range(self, first: int, end: int) -> bytes:
        """The hash over leaves ``first`` to before ``end``, where ``first`` is a multiple of their split."""
        width = end - first
        if width & (width - 1) == 0:
            return self._subtree(width.bit_length() - 1, first)
        middle = first + _split(width)
        return node_hash(self._range(first, middle), self._range(middle, end))

    def _subtree(self, height: int, first: int) -> bytes:
        level, above = divmod(height, TILE_HEIGHT)
        index = first >> (level * TILE_HEIGHT)
        if above == 0:
            return self._hash(level, index)
        number, at = divmod(index, TILE_WIDTH)
        wide = 1 << above
        hashes = self._tile(level, number, at + wide)
        return complete_root(hashes[at * HASH_BYTES : (at + wide) * HASH_BYTES])

    def _hash(self, level: int, index: int) -> bytes:
        number, at = divmod(index, TILE_WIDTH)
        return self._tile(level, number, at + 1)[at * HASH_BYTES : (at + 1) * HASH_BYTES]

    def _tile(self, level: int, number: int, width: int) -> bytes:
        hashes = self._tiles.get((level, number))
        if hashes is None:
            hashes = self._tiles[level, number] = self._read(level, number)
        if len(hashes) < width * HASH_BYTES:
            found = len(hashes) // HASH_BYTES
            raise StoreCorrupt("tree.tile_short", level=level, number=number, found=found, expected=width)
        return hashes


def root_of_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a leaf hash and its audit path lead to; None where the path has not the right length.

    Source: RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    node, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = node_hash(step, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, step)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(*, old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``path`` proves that a tree of ``old`` leaves is the beginning of one of ``new``.

    Source: RFC 9162 section 2.1.4.2.
    """
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if not 0 < old < new:
        return False
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, step)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(width: int) -> int:
    """The largest power of two below ``width``, which is at least 2."""
    return 1 << ((width - 1).bit_length() - 1)


def _exactly(hashes: bytes, width: int, level: int, number: int) -> bytes:
    if len(hashes) != width * HASH_BYTES:
        found = len(hashes) // HASH_BYTES
        raise StoreCorrupt("tree.tile_short", level=level, number=number, found=found, expected=width)
    return hashes
