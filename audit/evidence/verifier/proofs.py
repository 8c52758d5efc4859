"""Whether the history stands in the log that a signed checkpoint speaks for."""

from __future__ import annotations

from pathlib import Path

from audit.evidence.verifier.files import Files
from audit.evidence.verifier.findings import Findings, Wrong
from audit.evidence.verifier.history import History
from audit.evidence.verifier.merkle import (
    checkpoint_of,
    grows_from,
    leaf_of,
    root_of_path,
    signers_of,
)

CHECKPOINT = "proofs/checkpoint.txt"


def check_proofs(
    history: History, files: Files, say: Findings, *, key: str | None, kept: Path | None
) -> None:
    """Signature, inclusion of events, growth since earlier checkpoints. ``key`` and ``kept``, a file with a
    checkpoint, come from elsewhere. Raises Wrong."""
    if CHECKPOINT not in files.names("proofs/"):
        if key or kept:
            raise Wrong("no_checkpoint")
        say.open("unsealed_all", events=len(history.events))
        return
    note = files.read(CHECKPOINT).decode()
    origin, size, root = checkpoint_of(note)
    own = files.read("proofs/keys.txt").decode().split()
    signers = signers_of(note, [key] if key else own)
    if not signers and (key or own):
        raise Wrong("note_unsigned", key=key or ", ".join(own))
    for signer in signers:
        say.right("signed", origin=origin, size=size, key=signer)
    if key is None:
        say.open("key_unproved" if own else "no_key")
    proved = _check_inclusion(history, files, size=size, root=root)
    if proved[0]:
        say.right("included", events=proved[0], last=proved[1], size=size)
    if proved[1] < len(history.events):
        say.open("unsealed", first=proved[1] + 1, last=len(history.events))
    _check_growth(files, say, size=size, root=root, kept=kept)


def _check_inclusion(history: History, files: Files, *, size: int, root: bytes) -> tuple[int, int]:
    """How many events have a proof of their own, and the last of them, whose hash speaks for all before."""
    leaves = files.json("proofs/inclusion.json")
    before = -1
    for leaf in leaves:
        version, index = leaf["version"], leaf["index"]
        if not 0 < version <= len(history.events):
            raise Wrong("not_included", version=version, index=index)
        path = [bytes.fromhex(step) for step in leaf["path"]]
        hash_ = leaf_of(bytes.fromhex(history.events[version - 1]["hash"]))
        if index <= before or root_of_path(hash_, index=index, size=size, path=path) != root:
            raise Wrong("not_included", version=version, index=index)
        before = index
    return len(leaves), leaves[-1]["version"] if leaves else 0


def _check_growth(files: Files, say: Findings, *, size: int, root: bytes, kept: Path | None) -> None:
    """Each earlier checkpoint's tree is the beginning of this one; the one kept elsewhere is among them."""
    known = {(size, root)}
    for earlier in files.json("proofs/consistency.json"):
        old = checkpoint_of(files.read(earlier["note"]).decode())[1:]
        path = [bytes.fromhex(step) for step in earlier["path"]]
        if not grows_from(old, (size, root), path):
            raise Wrong("forked", note=earlier["note"], old=old[0], new=size)
        known.add(old)
        say.right("grown", old=old[0], new=size)
    if kept is None:
        say.open("no_kept")
        return
    try:
        elsewhere = checkpoint_of(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Wrong("file_unreadable", name=kept, reason=error) from None
    if elsewhere[1:] in known:
        say.right("kept", size=elsewhere[1])
    elif elsewhere[1] in {size for size, _ in known}:
        raise Wrong("kept_differs", size=elsewhere[1])
    else:
        raise Wrong("kept_unknown", size=elsewhere[1])
