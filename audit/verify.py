"""Checks a store against its own promises: numbers without gaps, the hash chain, decisions made again.

Each history is folded anew, and each decision is made again from its cause with the rulebook that it cites,
by the version of the engine that this names, and compared byte for byte; the texts of rulebooks and documents
must be those that their digests name.
"""

from collections.abc import Mapping, Sequence

from audit.findings import AUTHORED, Finding, Verified
from audit.following import Prepare
from audit.pieces import Piece, whole
from audit.published import newer, verify_published
from audit.record import Grounds, Progress, Record
from domain.ports import History
from journeys.rulebook import Rules


def verify(
    history: History, rulebooks: Mapping[int, Rules], prepare: Prepare, *, progress: Progress
) -> Verified:
    """Everything in the store; ``progress`` is told the number of events gone through.

    ``prepare`` makes the last decision on a requested message again, with the words that would leave.
    """
    verified = verify_store(history, rulebooks)
    verified.add(verify_pieces(history, rulebooks, prepare, whole(history), progress=progress))
    return verified


def verify_store(history: History, rulebooks: Mapping[int, Rules]) -> Verified:
    """What concerns the store as a whole: what was published, missing partitions, identities of facts."""
    verified = Verified()
    verify_published(history, rulebooks, verified)
    for partition in history.stray_partitions():
        verified.find(Finding("audit.partition_missing", partition, 0, "", 0))
    missing = history.keys_missing()
    if missing:
        code = "audit.keys_missing" if missing > 0 else "audit.keys_unfounded"
        verified.find(Finding(code, AUTHORED, 0, "", 0, {"number": abs(missing)}))
    return verified


def verify_pieces(
    history: History,
    rulebooks: Mapping[int, Rules],
    prepare: Prepare,
    pieces: Sequence[Piece],
    *,
    progress: Progress,
) -> Verified:
    """These pieces of the store, one after the other; ``progress`` is told the events gone through."""
    stored = history.rulebooks()
    digests = {number: one.digest for number, one in stored.items()}
    grounds = Grounds(rulebooks, digests, prepare, newer(stored))
    verified = Verified()
    for piece in pieces:
        Record(history, piece.partition, piece.portion, grounds, verified).go_through(progress)
    return verified
