"""What ``tidings audit`` proves by the log's tree, and how checkpoints kept elsewhere check a store."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import MsgspecError, Struct
from msgspec.json import decode
from sqlalchemy import Engine

from audit.findings import AUTHORED, Finding
from audit.notes import Checkpoint, VerifierKey, open_checkpoint, read_checkpoint, read_verifier_key
from audit.proofs import Consistency, Inclusion, prove_consistency, prove_inclusion
from audit.sealed import Progress, SealedCheck, check_events, check_roots, check_sealed, check_tiles
from audit.tree import Tree
from domain.errors import InputRefused, NotFound
from domain.ports import History
from stores.tree import StoredTree
from tidings.log_folder import LogFolder
from tidings.settings import Settings
from tidings.signers import verifier_keys

_LARGEST_NOTE = 1_000_000


class _Introduced(Struct):
    """What is read of the event by which a key was put on record."""

    vkey: str


class Elsewhere(Struct, frozen=True):
    """Files of checkpoints kept elsewhere, the keys that count (none: our own), a published folder."""

    checkpoints: Sequence[Path] = ()
    vkeys: Sequence[str] = ()
    published: Path | None = None

    @property
    def any(self) -> bool:
        """Whether there is anything."""
        return bool(self.checkpoints or self.published)


def known_keys(settings: Settings, engine: Engine) -> list[VerifierKey]:
    """Every key that signs or has signed this store's tree: those there are, and those on record."""
    known = {key.text: key for key in verifier_keys(settings)}
    for body in StoredTree(engine).introduced():
        # Somebody may have altered the record, which is for the audit to tell.
        with suppress(MsgspecError, InputRefused):
            key = read_verifier_key(decode(body, type=_Introduced).vkey)
            known.setdefault(key.text, key)
    return list(known.values())


def inclusion_of(engine: Engine, *, partition: int, seq: int, entry: bytes) -> Inclusion:
    """The proof that an event with this chain hash is in the tree that was signed last.

    Raises InputRefused for one that is not sealed and signed yet, StoreCorrupt where it is not what was
    sealed.
    """
    with StoredTree(engine).viewing() as view:
        leaf, last = view.leaf_of(partition, seq), view.last_checkpoint()
        if leaf is None or last is None or leaf >= last.size:
            raise InputRefused("prove.not_sealed", partition=partition, seq=seq)
        return prove_inclusion(Tree(view.tile), entry, index=leaf, checkpoint=read_checkpoint(last.note))


def consistency_of(engine: Engine, *, old: str, new: str) -> Consistency:
    """The proof that the tree of ``old`` begins that of ``new``: each a size, or a file with a checkpoint.

    Raises InputRefused for what is neither, for sizes beyond the tree, and for a checkpoint of another tree.
    """
    with StoredTree(engine).viewing() as view:
        tree = Tree(view.tile)
        first, second = (_size_of(tree, view.size, given) for given in (old, new))
        if first > second:
            raise InputRefused("prove.backwards", old=first, new=second)
        return prove_consistency(tree, old=first, new=second)


def check_proofs(
    settings: Settings,
    history: History,
    engine: Engine | None,
    elsewhere: Elsewhere,
    *,
    progress: Progress,
) -> SealedCheck:
    """The log's tree against events and against what is kept elsewhere; without a store, the latter alone.

    Raises InputRefused for a file that is no checkpoint, or that none of the keys has signed.
    """
    known = [read_verifier_key(text) for text in elsewhere.vkeys]
    check = SealedCheck()
    own_keys = known_keys(settings, engine) if engine is not None else verifier_keys(settings)
    trusted = known or own_keys
    if elsewhere.any and not trusted:
        raise InputRefused("prove.no_key")
    kept = [kept_checkpoint(path, trusted) for path in elsewhere.checkpoints]
    folder = LogFolder(elsewhere.published) if elsewhere.published else None
    if folder is not None:
        kept += _check_published(history, folder, trusted, check, progress=progress)
    origins = sorted({checkpoint.origin for checkpoint in kept})
    if len(origins) > 1:
        raise InputRefused("prove.several_logs", origins=", ".join(origins))
    if engine is None:
        return check
    tree = StoredTree(engine)
    own = _own_checkpoints(tree, own_keys, check)
    if own and origins and own[-1].origin != origins[0]:
        raise InputRefused("note.other_origin", found=origins[0], expected=own[-1].origin)
    found = check_sealed(history, tree, own, kept, progress=progress)
    # What the published folder tells by its place comes first.
    told = check.findings
    found.findings = [*told, *(finding for finding in found.findings if finding not in told)]
    found.unsealed = tree.unsealed()
    return found


def kept_checkpoint(path: Path, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint in a file. Raises InputRefused where it is none, or no key has signed it."""
    return open_checkpoint(_note_in(path), origin=None, keys=keys)


def _note_in(path: Path) -> str:
    """The note without what mails and editors do: other ends of lines, and more lines at the end."""
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_NOTE).decode()
    except OSError as error:
        raise InputRefused("prove.unreadable", path=path, reason=error.strerror) from error
    except UnicodeDecodeError as error:
        raise InputRefused("prove.unreadable", path=path, reason=error.reason) from error
    return text.replace("\r\n", "\n").rstrip() + "\n"


def _size_of(tree: Tree, size: int, given: str) -> int:
    """The size that was given, or that the checkpoint in the file says whose root the tree must have."""
    if given.isascii() and given.isdigit():
        wanted, root = int(given), None
    elif Path(given).is_file():
        checkpoint = read_checkpoint(_note_in(Path(given)))
        wanted, root = checkpoint.size, checkpoint.root
    else:
        raise NotFound("prove.no_size", given=given)
    if wanted > size:
        raise InputRefused("prove.beyond", wanted=wanted, size=size)
    if root is not None and tree.root(wanted) != root:
        raise InputRefused("prove.not_ours", path=given, size=wanted)
    return wanted


def _own_checkpoints(tree: StoredTree, keys: Sequence[VerifierKey], check: SealedCheck) -> list[Checkpoint]:
    """The store's own, of which each must be signed by a key that is known; a forged one is a finding."""
    found: list[Checkpoint] = []
    for stored in tree.checkpoints():
        try:
            checkpoint = open_checkpoint(stored.note, origin=None, keys=keys)
        except InputRefused as error:
            values: dict[str, object] = {"size": stored.size, "reason": error.code, **error.values}
            check.findings.append(Finding("tree.checkpoint_forged", AUTHORED, 0, "", 0, values))
            continue
        if checkpoint.size != stored.size:
            check.find("tree.checkpoint_forged", size=stored.size, reason="size")
        found.append(checkpoint)
    if not found and tree.size():
        check.find("tree.checkpoints_gone", size=tree.size())
    return found


def _check_published(
    history: History,
    folder: LogFolder,
    keys: Sequence[VerifierKey],
    check: SealedCheck,
    *,
    progress: Progress,
) -> list[Checkpoint]:
    """The folder in itself, then the events against it; gives its checkpoints."""
    last = folder.last()
    if last is None:
        raise InputRefused("published.missing", folder=folder.folder)
    notes = [open_checkpoint(note.note, origin=None, keys=keys) for note in [*folder.checkpoints(), last]]
    of_folder = SealedCheck()
    check_tiles(folder, of_folder)
    check_roots(folder, notes, of_folder, code="tree.checkpoint_differs")
    if of_folder.findings:
        # A folder that is not what was signed proves nothing: it must be told before anything else.
        first = of_folder.findings[0]
        told = {**first.values, "folder": folder.folder}
        raise InputRefused(f"published.{first.code.removeprefix('tree.')}", **told)
    check_events(history, folder, check, progress=progress)
    return notes
