"""The sealer: adds to the log's tree what was recorded since, and signs what the tree then is.

It works in steps of bounded size, each one transaction, so workers wait for it no longer than for each other.
Killed between two steps, it goes on where the tree ends. Which leaves an event gets depends on what was there
at each step; that it gets one, and only one, does not.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Engine

from audit.notes import Checkpoint, SignerKey, read_checkpoint, read_note, sign_checkpoint
from audit.tree import Tree, appended, leaf_hashes
from domain.clock import to_micros
from domain.errors import StoreCorrupt
from domain.stretches import Stretch
from stores.tree import Recorded, Step, StoredCheckpoint, StoredTree

# A fifth of a second, in which nobody else can write to an SQLite store.
EVENTS_A_STEP = 50_000


class Sealed(Struct, frozen=True):
    """What a sealing has done: how many leaves it added, the tree's head, and whether that was signed now."""

    added: int
    checkpoint: Checkpoint
    new: bool


class Sealer:
    """Seals one store. It may be kept: it then knows where each partition's leaves end."""

    def __init__(
        self,
        engine: Engine,
        keys: Sequence[SignerKey],
        *,
        clock: Callable[[], datetime],
        events_a_step: int = EVENTS_A_STEP,
    ) -> None:
        """``keys`` sign, the newest last, whose name is the log's origin; ``clock`` gives now, aware UTC."""
        self._tree = StoredTree(engine)
        self._keys = keys
        self._clock = clock
        self._most = events_a_step
        self._ends: dict[int, int] = {}
        self._size = -1

    def seal(self) -> Sealed:
        """Add all that is recorded by now, then sign.

        Where nothing was added and the same keys have signed, the last checkpoint stands. Raises StoreCorrupt
        where events to be added are missing, or the tree is no longer what was signed last.
        """
        goals: dict[int, Recorded] | None = None
        added = 0
        while True:
            with self._tree.sealing() as step:
                goals = goals or step.recorded()
                taken = self._take(step, goals)
                added += taken
                if taken < self._most:
                    checkpoint, new = self._sign(step)
                    return Sealed(added, checkpoint, new)

    def _take(self, step: Step, goals: dict[int, Recorded]) -> int:
        """Add up to a step's number of events; fewer means that no more are to be added."""
        size = step.size
        if size != self._size:
            self._ends = step.sealed()
        # Known again only once the transaction has ended well, as the next step's size will show.
        ends, stretches, hashes = dict(self._ends), list[Stretch](), list[bytes]()
        for partition, recorded in goals.items():
            after = ends.get(partition, 0)
            upto = min(recorded.last_seq, after + self._most - len(hashes))
            if upto <= after:
                continue
            if recorded.removed_seq > after:
                raise StoreCorrupt("tree.unsealed_removed", partition=partition, seq=recorded.removed_seq)
            stretches.append(Stretch(size + len(hashes), partition, after + 1, upto))
            hashes += step.hashes(partition, after=after, upto=upto)
            ends[partition] = upto
        step.add(stretches, appended(size, leaf_hashes(hashes), read=step.tile))
        self._ends, self._size = ends, step.size
        return len(hashes)

    def _sign(self, step: Step) -> tuple[Checkpoint, bool]:
        tree, last = Tree(step.tile), step.last_checkpoint()
        if last is not None:
            known = read_checkpoint(last.note)
            if known.size > step.size or tree.root(known.size) != known.root:
                raise StoreCorrupt("tree.signed_otherwise", size=last.size)
            signed = {(name, key_id) for name, key_id, _ in read_note(last.note).signatures}
            if known.size == step.size and signed == {(k.verifier.name, k.verifier.id) for k in self._keys}:
                return known, False
        origin = self._keys[-1].verifier.name
        made = sign_checkpoint(origin, size=step.size, root=tree.root(step.size), keys=self._keys)
        step.add_checkpoint(StoredCheckpoint(made.size, to_micros(self._clock()), made.note))
        return made, True
