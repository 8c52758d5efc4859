"""Proofs that can be checked offline: an event is in a signed tree, and one signed tree begins another.

The text of an inclusion proof is that of C2SP tlog-proof.
"""

from base64 import b64encode
from collections.abc import Sequence

from msgspec import Struct

from audit.notes import Checkpoint
from audit.tree import Tree, is_consistent, leaf_hash, root_of_inclusion
from domain.errors import StoreCorrupt

_HEADING = "c2sp.org/tlog-proof@v1"


class Inclusion(Struct, frozen=True):
    """That ``entry`` (an event's chain hash) is the leaf at ``index`` of the tree of ``checkpoint``."""

    entry: bytes
    index: int
    path: Sequence[bytes]
    checkpoint: Checkpoint

    @property
    def text(self) -> str:
        """The proof as C2SP tlog-proof writes it."""
        steps = "".join(f"{base64(step)}\n" for step in self.path)
        return f"{_HEADING}\nindex {self.index}\n{steps}\n{self.checkpoint.note}"

    def told(self) -> dict[str, object]:
        """The proof as JSON says it; hashes in base64."""
        return {
            "entry": base64(self.entry),
            "index": self.index,
            "size": self.checkpoint.size,
            "root": base64(self.checkpoint.root),
            "path": [base64(step) for step in self.path],
            "checkpoint": self.checkpoint.note,
            "proof": self.text,
        }


class Consistency(Struct, frozen=True):
    """That the tree of ``old_size`` leaves is the beginning of that of ``new_size``."""

    old_size: int
    old_root: bytes
    new_size: int
    new_root: bytes
    path: Sequence[bytes]

    def told(self) -> dict[str, object]:
        """The proof as JSON says it; hashes in base64."""
        return {
            "old": {"size": self.old_size, "root": base64(self.old_root)},
            "new": {"size": self.new_size, "root": base64(self.new_root)},
            "path": [base64(step) for step in self.path],
        }


def prove_inclusion(tree: Tree, entry: bytes, *, index: int, checkpoint: Checkpoint) -> Inclusion:
    """The proof, checked before it is given. Raises StoreCorrupt where it leads to another root."""
    path = tree.inclusion(index, checkpoint.size)
    root = root_of_inclusion(leaf_hash(entry), index=index, size=checkpoint.size, path=path)
    if root != checkpoint.root:
        raise StoreCorrupt("tree.proof_fails", size=checkpoint.size)
    return Inclusion(entry, index, path, checkpoint)


def prove_consistency(tree: Tree, *, old: int, new: int) -> Consistency:
    """The proof between two sizes, checked before it is given. Raises StoreCorrupt for damaged tiles."""
    old_root, new_root = tree.root(old), tree.root(new)
    path = tree.consistency(old, new)
    if not is_consistent(old=old, old_root=old_root, new=new, new_root=new_root, path=path):
        raise StoreCorrupt("tree.proof_fails", size=new)
    return Consistency(old, old_root, new, new_root, path)


def base64(data: bytes) -> str:
    """Standard base64."""
    return b64encode(data).decode()
