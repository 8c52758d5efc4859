"""The tree is that of RFC 6962: published roots and proofs, and laws that hold for any size."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.tree import (
    EMPTY_ROOT,
    TileKey,
    Tree,
    appended,
    is_consistent,
    leaf_hash,
    leaf_hashes,
    root_of_inclusion,
    tile_widths,
)
from domain.errors import StoreCorrupt
from support import tlog_verifier

# The reference tests of Certificate Transparency: inputs, and the root of the first 0, 1, 2, ... of them.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
AUDIT_PATHS = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
}
CONSISTENCY = {
    (1, 1): (),
    (1, 8): AUDIT_PATHS[0, 8],
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
SIZES = st.integers(1, 70_000)


class Kept:
    """Tiles in memory."""

    def __init__(self) -> None:
        self.tiles: dict[TileKey, bytes] = {}
        self.size = 0

    def read(self, level: int, number: int) -> bytes:
        return self.tiles.get((level, number), b"")

    def add(self, entries: list[bytes]) -> "Kept":
        self.tiles |= appended(self.size, leaf_hashes(entries), read=self.read)
        self.size += len(entries)
        return self


def entries(size: int) -> list[bytes]:
    return [sha256(b"%d" % number).digest() for number in range(size)]


BIG = Kept().add(entries(70_000))


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference_tests(size: int) -> None:
    assert Tree(Kept().add(INPUTS[:size]).read).root(size).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), AUDIT_PATHS)
def test_audit_paths_are_those_of_the_reference_tests(index: int, size: int) -> None:
    path = Tree(Kept().add(INPUTS).read).inclusion(index, size)
    assert [step.hex() for step in path] == list(AUDIT_PATHS[index, size])


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference_tests(old: int, new: int) -> None:
    path = Tree(Kept().add(INPUTS).read).consistency(old, new)
    assert [step.hex() for step in path] == list(CONSISTENCY[old, new])


def test_tiles_are_as_wide_as_the_specification_counts_them() -> None:
    widths = {key: len(tile) // 32 for key, tile in BIG.tiles.items()}
    assert sum(width == 256 for (level, _), width in widths.items() if level == 0) == 273
    partial = {key: width for key, width in widths.items() if width < 256}
    assert partial == {(0, 273): 112, (1, 1): 17, (2, 0): 1}
    assert {(level, number): width for level, number, width in tile_widths(70_000)} == partial
    assert [(0, 1, 0)] != list(tile_widths(256)) == [(1, 0, 1)]


@given(parts=st.lists(st.integers(0, 600), max_size=6))
def test_any_stretches_make_the_same_tiles(parts: list[int]) -> None:
    grown, told = Kept(), entries(sum(parts))
    for part in parts:
        grown.add(told[grown.size : grown.size + part])
    assert grown.tiles == Kept().add(told).tiles


@given(size=st.integers(0, 700))
def test_roots_agree_with_an_independent_verifier(size: int) -> None:
    assert Tree(BIG.read).root(size) == tlog_verifier.root([leaf_hash(e) for e in entries(size)])


@given(data=st.data(), size=SIZES)
def test_every_inclusion_proof_verifies_and_no_altered_one_does(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(BIG.read)
    leaf, path, root = tree.leaf(index), tree.inclusion(index, size), tree.root(size)
    assert leaf == leaf_hash(sha256(b"%d" % index).digest())
    assert root_of_inclusion(leaf, index=index, size=size, path=path) == root
    assert tlog_verifier.included(leaf, index, size, path, root)
    if path:
        at = data.draw(st.integers(0, len(path) * 32 - 1))
        harmed = _flipped(b"".join(path), at)
        steps = [harmed[n : n + 32] for n in range(0, len(harmed), 32)]
        assert root_of_inclusion(leaf, index=index, size=size, path=steps) != root
        assert root_of_inclusion(leaf, index=index, size=size, path=path[:-1]) != root
    assert root_of_inclusion(_flipped(leaf, 0), index=index, size=size, path=path) != root
    assert root_of_inclusion(leaf, index=index, size=size, path=[*path, root]) is None
    if index:
        assert root_of_inclusion(leaf, index=index - 1, size=size, path=path) != root


@given(data=st.data(), new=SIZES)
def test_every_consistency_proof_verifies_and_no_altered_one_does(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new))
    tree = Tree(BIG.read)
    path, old_root, new_root = tree.consistency(old, new), tree.root(old), tree.root(new)
    assert is_consistent(old=old, old_root=old_root, new=new, new_root=new_root, path=path)
    assert tlog_verifier.consistent(old, old_root, new, new_root, path)
    forged = _flipped(old_root, 31)
    assert not is_consistent(old=old, old_root=forged, new=new, new_root=new_root, path=path)
    if path:
        harmed = _flipped(b"".join(path), data.draw(st.integers(0, len(path) * 32 - 1)))
        steps = [harmed[n : n + 32] for n in range(0, len(harmed), 32)]
        assert not is_consistent(old=old, old_root=old_root, new=new, new_root=new_root, path=steps)
        assert not is_consistent(old=old, old_root=old_root, new=new, new_root=new_root, path=path[:-1])


def test_an_empty_tree_is_the_beginning_of_any() -> None:
    root = Tree(BIG.read).root(5)
    assert Tree(BIG.read).root(0) == EMPTY_ROOT
    assert is_consistent(old=0, old_root=EMPTY_ROOT, new=5, new_root=root, path=[])
    assert not is_consistent(old=5, old_root=root, new=0, new_root=EMPTY_ROOT, path=[])


def test_a_missing_or_short_tile_is_named() -> None:
    kept = Kept().add(entries(600))
    kept.tiles[0, 1] = kept.tiles[0, 1][:-32]
    with pytest.raises(StoreCorrupt, match=r"level=0, number=1, found=255, expected=256"):
        Tree(kept.read).inclusion(510, 600)
    del kept.tiles[0, 2]
    with pytest.raises(StoreCorrupt, match=r"number=2, found=0, expected=88"):
        appended(600, leaf_hash(b""), read=kept.read)


@pytest.mark.parametrize(("index", "size"), [(5, 5), (-1, 5), (0, 0)])
def test_there_is_no_proof_for_a_leaf_outside(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="leaf"):
        Tree(BIG.read).inclusion(index, size)
    assert root_of_inclusion(EMPTY_ROOT, index=index, size=size, path=[]) is None


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
