"""Checks events against the log's tree, and the tree against checkpoints, those kept elsewhere first of all.

Whoever has the database can make its events, hashes, tiles and checkpoints anew, and all of them fit again;
not the checkpoint that a witness keeps. Which event it was is told by tiles, the store's own while they still
make the root that was signed, else those of a published folder; without either, the checkpoints kept say
between which two of them it lies.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct, field

from audit.findings import AUTHORED, Finding
from audit.notes import Checkpoint
from audit.tree import HASH_BYTES, TILE_WIDTH, Tree, complete_root, leaf_hash
from domain.errors import StoreCorrupt
from domain.ports import History, StoredEvent
from domain.stretches import Stretch, stretch_problem

_TILES_AT_ONCE = 64
_MOST_FINDINGS = 1_000
Progress = Callable[[int], None]


class Leaves(Protocol):
    """A tree as somebody keeps it."""

    def size(self) -> int:
        """How many leaves there are."""

    def tiles(self, level: int, *, first: int, end: int) -> Mapping[int, bytes]:
        """The hashes of a level's tiles from ``first`` to before ``end``, by number."""

    def stretches(self) -> Sequence[Stretch]:
        """Which events the leaves are."""


class SealedCheck(Struct):
    """What was compared and what was found."""

    leaves: int = 0
    checkpoints: int = 0
    removed: int = 0
    unsealed: int = 0
    findings: list[Finding] = field(default_factory=list)

    def find(self, code: str, *, partition: int = AUTHORED, seq: int = 0, **values: object) -> None:
        """Note what is about no single event of a customer."""
        self.findings.append(Finding(code, partition, seq, "", 0, values))


def check_sealed(
    history: History,
    leaves: Leaves,
    own: Sequence[Checkpoint],
    kept: Sequence[Checkpoint],
    *,
    progress: Progress,
) -> SealedCheck:
    """The store's events, tiles and checkpoints against each other, and against checkpoints kept elsewhere.

    The signatures of ``kept`` have been looked at; what the store's ``own`` say counts as far as it fits.
    """
    check = SealedCheck()
    check_events(history, leaves, check, progress=progress)
    check_tiles(leaves, check)
    check_roots(leaves, own, check, code="tree.checkpoint_differs")
    check_roots(leaves, kept, check, code="tree.forked")
    return check


def check_events(history: History, leaves: Leaves, check: SealedCheck, *, progress: Progress) -> None:
    """Each leaf is the hash of the event that the stretches say; of each customer the first that is not."""
    stretches = leaves.stretches()
    problem = stretch_problem(stretches)
    if problem is not None:
        stretch, leaf, seq = problem
        values = {"expected": f"{leaf}/{seq}", "found": f"{stretch.first_leaf}/{stretch.first_seq}"}
        check.find("tree.stretch_broken", partition=stretch.partition, seq=stretch.first_seq, **values)
        return
    if stretches and stretches[-1].end_leaf != leaves.size():
        check.find("tree.stretches_end", found=stretches[-1].end_leaf, expected=leaves.size())
    known = {AUTHORED, *history.customer_partitions()}
    by_partition: dict[int, list[Stretch]] = {}
    for stretch in stretches:
        by_partition.setdefault(stretch.partition, []).append(stretch)
    for number, parts in by_partition.items():
        if number in known:
            _Partition(history, number, parts, _Tiles(leaves), check).go_through(progress)
        else:
            _missing(check, number, 1, parts[-1].last_seq)


class _Partition:
    """One partition's events in their order, against the leaves that they became."""

    def __init__(
        self, history: History, number: int, stretches: list[Stretch], tiles: "_Tiles", check: SealedCheck
    ) -> None:
        self._events = partial(history.events, number)
        self._number = number
        self._stretches = stretches
        self._tiles = tiles
        self._check = check
        self._subjects = history.subjects(number)
        self._removed = history.ends(number).removed_seq
        self._differing: set[int] = set()

    def go_through(self, progress: Progress) -> None:
        last, seen, ends, shift, number, tile = self._stretches[-1].last_seq, 0, 0, 0, -1, b""
        parts = iter(self._stretches)
        for event in self._events(upto=last):
            if event.seq <= seen:
                continue
            if event.seq != seen + 1:
                self._note_missing(seen + 1, event.seq - 1)
            seen = event.seq
            while seen > ends:
                stretch = next(parts)
                ends, shift = stretch.last_seq, stretch.first_leaf - stretch.first_seq
            leaf = seen + shift
            if leaf // TILE_WIDTH != number:
                number = leaf // TILE_WIDTH
                tile = self._tiles.tile(0, number)
                progress(self._check.leaves)
            self._check.leaves += 1
            at = leaf % TILE_WIDTH * HASH_BYTES
            expected = tile[at : at + HASH_BYTES]
            # Whoever rewrites an event may put anything in its place.
            found = leaf_hash(event.hash) if isinstance(event.hash, bytes) else b""
            # That a tile lacks a hash is told by ``check_tiles``.
            if found != expected and expected:
                self._note_differing(event, leaf)
        if seen < last:
            self._note_missing(seen + 1, last)

    def _note_differing(self, event: StoredEvent, leaf: int) -> None:
        """The first of each customer: all that follows differs too, for a hash speaks for those before it."""
        if event.stream in self._differing or len(self._check.findings) >= _MOST_FINDINGS:
            return
        self._differing.add(event.stream)
        subject = self._subjects.get(event.stream, f"#{event.stream}")
        values: dict[str, object] = {"leaf": leaf, "kind": event.kind}
        place = (self._number, event.seq, subject, event.version)
        self._check.findings.append(Finding("tree.event_differs", *place, values))

    def _note_missing(self, first: int, last: int) -> None:
        removed = max(0, min(last, self._removed) - first + 1)
        self._check.removed += removed
        if first + removed <= last:
            _missing(self._check, self._number, first + removed, last)


def _missing(check: SealedCheck, partition: int, first: int, last: int) -> None:
    check.find("tree.event_missing", partition=partition, seq=first, first=first, last=last)


class _Tiles:
    """Tiles of one level after the other, several read at once."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves
        self._block: tuple[int, int] = (-1, -1)
        self._there: Mapping[int, bytes] = {}

    def tile(self, level: int, number: int) -> bytes:
        """The tile's hashes as far as they go."""
        block = (level, number // _TILES_AT_ONCE)
        if block != self._block:
            first = block[1] * _TILES_AT_ONCE
            self._there = self._leaves.tiles(level, first=first, end=first + _TILES_AT_ONCE)
            self._block = block
        return self._there.get(number, b"")


def check_tiles(leaves: Leaves, check: SealedCheck) -> None:
    """Every tile is there, as wide as the tree's size says, and made of those below it."""
    width, level = leaves.size(), 0
    below = _Tiles(leaves)
    while width:
        tiles = _Tiles(leaves)
        for number in range(-(-width // TILE_WIDTH)):
            wide = min(TILE_WIDTH, width - number * TILE_WIDTH)
            hashes = tiles.tile(level, number)
            if len(hashes) != wide * HASH_BYTES:
                found = len(hashes) // HASH_BYTES
                check.find("tree.tile_missing", level=level, number=number, found=found, expected=wide)
            elif level and (at := _first_unlike(hashes, below, level, number)) is not None:
                span = TILE_WIDTH**level
                first = (number * TILE_WIDTH + at) * span
                check.find(
                    "tree.tile_differs", level=level, number=number, first=first, last=first + span - 1
                )
        below, width, level = _Tiles(leaves), width // TILE_WIDTH, level + 1


def _first_unlike(hashes: bytes, below: _Tiles, level: int, number: int) -> int | None:
    """The place of the first hash in a tile that the full tile below it does not make."""
    for at in range(len(hashes) // HASH_BYTES):
        under = below.tile(level - 1, number * TILE_WIDTH + at)
        if complete_root(under) != hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]:
            return at
    return None


def check_roots(leaves: Leaves, checkpoints: Sequence[Checkpoint], check: SealedCheck, *, code: str) -> None:
    """Every checkpoint's root is that of the tree when it had this size; the first that is not is told.

    It is told with the last one that still is, for what was changed lies between the two.
    """
    tiles, size = _Tiles(leaves), leaves.size()
    cached: dict[tuple[int, int], bytes] = {}
    good = 0

    def read(level: int, number: int) -> bytes:
        # The right edges of trees of nearly the same size are nearly the same tiles.
        if len(cached) > _TILES_AT_ONCE:
            cached.clear()
        if (level, number) not in cached:
            cached[level, number] = tiles.tile(level, number)
        return cached[level, number]

    for checkpoint in sorted(checkpoints, key=lambda found: found.size):
        check.checkpoints += 1
        if checkpoint.size > size:
            check.find("tree.shortened", found=size, expected=checkpoint.size, after=good)
            return
        try:
            fits = Tree(read).root(checkpoint.size) == checkpoint.root
        except StoreCorrupt as error:
            check.findings.append(Finding(error.code, AUTHORED, 0, "", 0, error.values))
            return
        if not fits:
            places = ", ".join(_places(leaves.stretches(), good, checkpoint.size))
            check.find(code, after=good, size=checkpoint.size, places=places)
            return
        good = checkpoint.size


def _places(stretches: Sequence[Stretch], first: int, end: int) -> Iterator[str]:
    """Partitions with the entries that leaves ``first`` to before ``end`` are."""
    found: dict[int, tuple[int, int]] = {}
    begin = max(0, bisect_right(stretches, first, key=lambda stretch: stretch.first_leaf) - 1)
    for stretch in stretches[begin:]:
        if stretch.first_leaf >= end:
            break
        low = stretch.seq_of(max(first, stretch.first_leaf))
        high = stretch.seq_of(min(end, stretch.end_leaf) - 1)
        if low <= high:
            before = found.get(stretch.partition, (low, high))
            found[stretch.partition] = (before[0], high)
    for partition_number, (low, high) in sorted(found.items()):
        yield f"{partition_number}:{low}-{high}"
