"""Proofs that a customer's events stand in the log: paths in its tree, the signed head, earlier heads."""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Engine

from audit.notes import read_checkpoint
from audit.tree import Tree
from domain.errors import InputRefused
from domain.ports import StoredEvent
from stores.tree import StoredCheckpoint, StoredTree

# The last event's hash speaks for all before it, so more paths would prove nothing more.
_MOST_PATHS = 1_000
_MOST_EARLIER = 12


class Path(Struct, frozen=True):
    """The way from an event's leaf up to the root."""

    version: int
    index: int
    path: list[bytes]


class Earlier(Struct, frozen=True):
    """An earlier head, and the proof that the tree has grown from it."""

    note: str
    size: int
    path: list[bytes]


class Proofs(Struct, frozen=True):
    """``checkpoint`` is the signed head ("" before the first), ``keys`` are public keys that have signed it.

    ``sealed`` is the version of the customer's last event below it.
    """

    checkpoint: str = ""
    origin: str = ""
    size: int = 0
    root: bytes = b""
    keys: tuple[str, ...] = ()
    paths: list[Path] = []
    earlier: list[Earlier] = []
    sealed: int = 0


def prove(
    engine: Engine,
    partition: int,
    events: Sequence[StoredEvent],
    *,
    told: frozenset[int],
    keys: Sequence[str],
    kept: Sequence[str] = (),
) -> Proofs:
    """The proofs of a history's events up to the last checkpoint; none where nothing was signed yet.

    ``told`` are the versions that get a path of their own; the last sealed event always does. ``kept`` are
    checkpoints from elsewhere: that the tree has grown from them is proved too. Raises InputRefused for one
    that is none or larger than the tree; StoreCorrupt for a tree that lacks something.
    """
    stored = StoredTree(engine)
    last = stored.last_checkpoint()
    if last is None:
        return Proofs()
    head = read_checkpoint(last.note)
    tree = Tree(stored.tile)
    leaves: dict[int, int] = {}
    for event in events:
        leaf = stored.leaf_of(partition, event.seq)
        if leaf is None or leaf >= head.size:
            break
        leaves[event.version] = leaf
    sealed = max(leaves, default=0)
    chosen = [v for v in leaves if v in told and v != sealed][1 - _MOST_PATHS :] + [sealed] * bool(leaves)
    paths = [Path(v, leaves[v], tree.inclusion(leaves[v], head.size)) for v in chosen]
    notes = {note: None for note in kept}
    known = [c for c in stored.checkpoints() if c.size < head.size]
    notes.update((c.note, None) for c in _spread(known))
    earlier: list[Earlier] = []
    for note in notes:
        before = read_checkpoint(note)
        if before.size > head.size:
            raise InputRefused("evidence.kept_beyond", size=before.size, found=head.size)
        earlier.append(Earlier(note, before.size, tree.consistency(before.size, head.size)))
    earlier.sort(key=lambda found: found.size)
    return Proofs(last.note, head.origin, head.size, head.root, tuple(keys), paths, earlier, sealed)


def _spread(found: Sequence[StoredCheckpoint]) -> list[StoredCheckpoint]:
    """At most a few of them, evenly, the first and the last among them."""
    if len(found) <= _MOST_EARLIER:
        return list(found)
    step = (len(found) - 1) / (_MOST_EARLIER - 1)
    return [found[round(number * step)] for number in range(_MOST_EARLIER)]
