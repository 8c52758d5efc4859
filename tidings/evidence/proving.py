"""Proofs that a customer's events stand in the log: paths in its tree, the signed head, earlier heads."""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Engine

from audit.notes import Checkpoint, VerifierKey, check_note, read_checkpoint, read_note
from audit.proofs import prove_consistency, prove_inclusion
from audit.tree import Tree
from domain.errors import InputRefused
from domain.ports import StoredEvent
from domain.stretches import Stretch
from stores.tree import StoredTree

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
    keys: Sequence[VerifierKey],
    kept: Sequence[Checkpoint] = (),
) -> Proofs:
    """The proofs of a history's events up to the last checkpoint; none where nothing was signed yet.

    ``told`` are the versions that get a path of their own; the last sealed event always does. ``keys`` may
    have signed. ``kept`` are checkpoints from elsewhere: that the tree has grown from them is proved too.
    Raises InputRefused for one of another tree or a larger one, and for a false signature; StoreCorrupt for
    a tree that lacks something or is not what was signed.
    """
    stored = StoredTree(engine)
    last = stored.last_checkpoint()
    if last is None:
        return Proofs()
    head = read_checkpoint(last.note)
    tree = Tree(stored.tile)
    leaves = _leaves(stored, partition, events, size=head.size)
    sealed = max(leaves, default=0)
    entries = {event.version: event.hash for event in events}
    chosen = [v for v in leaves if v in told and v != sealed][1 - _MOST_PATHS :] + [sealed] * bool(leaves)
    paths: list[Path] = []
    for version in chosen:
        proof = prove_inclusion(tree, entries[version], index=leaves[version], checkpoint=head)
        paths.append(Path(version, proof.index, list(proof.path)))
    known = [read_checkpoint(c.note) for c in stored.checkpoints() if c.size < head.size]
    before = {checkpoint.note: checkpoint for checkpoint in [*kept, *_spread(known)]}
    return Proofs(
        checkpoint=last.note,
        origin=head.origin,
        size=head.size,
        root=head.root,
        keys=_signers(last.note, keys),
        paths=paths,
        earlier=sorted((_earlier(tree, c, head) for c in before.values()), key=lambda e: e.size),
        sealed=sealed,
    )


def _leaves(
    stored: StoredTree, partition: int, events: Sequence[StoredEvent], *, size: int
) -> dict[int, int]:
    """The leaf of each event by its version, up to the first that lies beyond a tree of ``size``."""
    leaves: dict[int, int] = {}
    stretch: Stretch | None = None
    for event in events:
        if stretch is None or event.seq > stretch.last_seq:
            first = stored.leaf_of(partition, event.seq)
            stretch = None if first is None else stored.stretch_of_leaf(first)
        if stretch is None:
            break
        leaf = stretch.first_leaf + event.seq - stretch.first_seq
        if leaf >= size:
            break
        leaves[event.version] = leaf
    return leaves


def _earlier(tree: Tree, before: Checkpoint, head: Checkpoint) -> Earlier:
    if before.size > head.size:
        raise InputRefused("evidence.kept_beyond", size=before.size, found=head.size)
    proof = prove_consistency(tree, old=before.size, new=head.size)
    if proof.old_root != before.root:
        raise InputRefused("evidence.kept_differs", size=before.size)
    return Earlier(before.note, before.size, list(proof.path))


def _signers(note: str, keys: Sequence[VerifierKey]) -> tuple[str, ...]:
    """Those of the keys that have signed; none where none is known."""
    signed_by = {(name, key_id) for name, key_id, _ in read_note(note).signatures}
    if not any((key.name, key.id) in signed_by for key in keys):
        return ()
    return tuple(key.text for key in check_note(read_note(note), keys))


def _spread(found: Sequence[Checkpoint]) -> list[Checkpoint]:
    """At most a few of them, evenly, the first and the last among them."""
    if len(found) <= _MOST_EARLIER:
        return list(found)
    step = (len(found) - 1) / (_MOST_EARLIER - 1)
    return [found[round(number * step)] for number in range(_MOST_EARLIER)]
