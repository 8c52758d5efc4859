"""The log's tree: what sealing costs beside first processing, and a proof in a tree of ten million leaves."""

from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from statistics import median
from time import perf_counter

from sqlalchemy import Engine

from audit.notes import SignerKey, sign_checkpoint
from audit.tree import Tree, appended, leaf_hashes
from bench.bank import bank, live, opened, take
from bench.command import Figures, Size, main, rounded
from bench.place import Place, settle
from bench.stopwatch import Stopwatch
from domain.stretches import Stretch
from stores.tree import StoredCheckpoint, StoredTree
from tidings.proving import consistency_of, inclusion_of
from tidings.sealing import Sealer

_CUSTOMERS = {"quick": 400, "full": 3_000}
_LEAVES = {"quick": 1_000_000, "full": 10_000_000}
_PARTITIONS = 8
_A_STEP = 50_000
_PROOFS = 200
_KEY = SignerKey("bench.example/log", bytes(32))
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def measure(size: Size, place: Place) -> Figures:
    """Live through a year and seal it at once; then prove leaves of a made-up tree, each afresh."""
    url = place.store("sealing", partitions=_PARTITIONS)
    facts, taking, _ = take(url, bank(_CUSTOMERS[size]))
    lived = live(url)
    settle(url)
    tidings, watch = opened(url), Stopwatch()
    with watch:
        sealed = Sealer(tidings.engine, [_KEY], clock=lambda: _AT).seal()
    tidings.engine.dispose()
    ingest, ingest_cpu = lived.spent.seconds + taking.seconds, lived.spent.cpu_seconds + taking.cpu_seconds
    figures: Figures = {
        "facts": facts,
        "events": sealed.added,
        "sealing_seconds": rounded(watch.spent.seconds),
        "events_per_s": rounded(sealed.added / watch.spent.seconds),
        "share_of_ingest": rounded(watch.spent.seconds / ingest),
        "share_of_ingest_cpu": rounded(watch.spent.cpu_seconds / ingest_cpu),
    }
    grown = opened(place.store("tree", partitions=1)).engine
    leaves = _LEAVES[size]
    _made_up(grown, leaves)
    figures |= {"leaves": leaves, **_proofs(grown, leaves)}
    grown.dispose()
    return figures


def _entry(leaf: int) -> bytes:
    return sha256(b"%d" % leaf).digest()


def _made_up(engine: Engine, leaves: int) -> None:
    """A tree of so many leaves of partition 1, that no events stand behind, signed."""
    tree = StoredTree(engine)
    for first in range(0, leaves, _A_STEP):
        end = min(first + _A_STEP, leaves)
        added = leaf_hashes(map(_entry, range(first, end)))
        with tree.sealing() as step:
            step.add([Stretch(first, 1, first + 1, end)], appended(first, added, read=step.tile))
    with tree.sealing() as step:
        root = Tree(step.tile).root(leaves)
        note = sign_checkpoint(_KEY.verifier.name, size=leaves, root=root, keys=[_KEY]).note
        step.add_checkpoint(StoredCheckpoint(leaves, 0, note))


def _proofs(engine: Engine, leaves: int) -> Figures:
    chance = Random(1)  # noqa: S311 - a sample
    included, consistent = list[float](), list[float]()
    for _number in range(_PROOFS):
        leaf = chance.randrange(leaves)
        began = perf_counter()
        inclusion_of(engine, partition=1, seq=leaf + 1, entry=_entry(leaf))
        included.append(perf_counter() - began)
        old, new = sorted(chance.sample(range(1, leaves + 1), 2))
        began = perf_counter()
        consistency_of(engine, old=str(old), new=str(new))
        consistent.append(perf_counter() - began)
    return {
        "inclusion_ms": rounded(median(included) * 1_000),
        "inclusion_max_ms": rounded(max(included) * 1_000),
        "consistency_ms": rounded(median(consistent) * 1_000),
        "consistency_max_ms": rounded(max(consistent) * 1_000),
    }


if __name__ == "__main__":
    main(measure)
