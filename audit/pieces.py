"""What is to be verified, all or a sample, in pieces that fit in memory and that processes share."""

from collections.abc import Sequence
from hashlib import sha256
from heapq import nsmallest

from msgspec import Struct

from audit.findings import AUTHORED
from domain.errors import NotFound
from domain.ports import WHOLE, History, Portion, Size

# Customers whose states are in memory at once: about 40 KB each after a busy year. Each further portion of a
# partition reads past the others' entries, ten million in a second.
_CUSTOMERS_AT_ONCE = 5_000
# Facts are known by their identity until their portion is done.
_EVENTS_AT_ONCE = 4_000_000
_PORTIONS_AT_MOST = 1_000
_SAMPLED_AT_ONCE = 500
_PIECES_A_WORKER = 2
_BYTES = 8


class Piece(Struct, frozen=True):
    """A portion of a partition, and about how many events it has."""

    partition: int
    portion: Portion = WHOLE
    events: int = 0


class Sample(Struct, frozen=True):
    """A part of all customers: a ``share`` of them (0 to 1), or ``number`` of them where it is above 0.

    Each customer has a place by the digest of ``seed`` and their id, which nobody who writes to the store
    can foresee without knowing the seed; those with the lowest places are chosen.
    """

    share: float
    number: int = 0
    seed: str = "1"

    def place(self, subject: str) -> int:
        """Where the customer stands, from 0 to 2**64 - 1."""
        return int.from_bytes(sha256(f"{self.seed}\x00{subject}".encode()).digest()[:_BYTES], "big")


def whole(history: History, *, workers: int = 1, partition: int | None = None) -> list[Piece]:
    """All of the store, or one of its partitions: pieces small enough that ``workers`` are done together.

    Raises NotFound for a partition that holds no customers.
    """
    known = history.customer_partitions()
    if partition is not None and partition not in known:
        raise NotFound("audit.no_partition", partition=partition, last=max(known, default=0))
    numbers = [AUTHORED, *known] if partition is None else [partition]
    counted = history.sizes()
    sizes = {number: counted.get(number, Size(0, 0)) for number in numbers}
    fair = max(1, sum(size.events for size in sizes.values()) // (workers * _PIECES_A_WORKER))
    pieces: list[Piece] = []
    for number, size in sizes.items():
        of = _portions(number, size, fair if workers > 1 else size.events)
        pieces += [Piece(number, Portion(rest=rest, of=of), size.events // of) for rest in range(of)]
    return pieces


def _portions(number: int, size: Size, fair: int) -> int:
    if number == AUTHORED:
        return 1
    wanted = max(
        -(-size.customers // _CUSTOMERS_AT_ONCE),
        -(-size.events // _EVENTS_AT_ONCE),
        round(size.events / fair) if fair else 1,
    )
    return min(max(1, wanted), max(1, size.customers), _PORTIONS_AT_MOST)


def of_customer(history: History, subject: str) -> list[Piece]:
    """One customer's history. Raises NotFound for who was never registered."""
    found = history.find(subject)
    if found is None:
        raise NotFound("customer.unknown", customer=subject)
    partition, stream = found
    return [Piece(partition, Portion(streams=frozenset({stream})))]


def sampled(history: History, sample: Sample, *, partition: int | None = None) -> list[Piece]:
    """The histories of a sample of all customers, or of one partition's. Raises NotFound as ``whole``."""
    known = history.customer_partitions()
    if partition is not None and partition not in known:
        raise NotFound("audit.no_partition", partition=partition, last=max(known, default=0))
    chosen: list[tuple[int, int, int]] = []
    limit = 2 ** (8 * _BYTES) * sample.share
    for number in known if partition is None else [partition]:
        places = ((sample.place(name), number, at) for at, name in history.subjects(number).items())
        if sample.number:
            chosen = nsmallest(sample.number, [*chosen, *places])
        else:
            chosen += [found for found in places if found[0] < limit]
    pieces: list[Piece] = []
    for number in known:
        streams = sorted(stream for _, of, stream in chosen if of == number)
        for start in range(0, len(streams), _SAMPLED_AT_ONCE):
            some = frozenset(streams[start : start + _SAMPLED_AT_ONCE])
            pieces.append(Piece(number, Portion(streams=some), len(some)))
    return pieces


def shared(pieces: Sequence[Piece], *, workers: int) -> list[list[Piece]]:
    """The pieces for each worker: the largest first, each to who has the least to do."""
    shares: list[list[Piece]] = [[] for _ in range(workers)]
    load = [0] * workers
    for piece in sorted(pieces, key=lambda piece: -piece.events):
        least = load.index(min(load))
        shares[least].append(piece)
        load[least] += piece.events + 1
    return shares
