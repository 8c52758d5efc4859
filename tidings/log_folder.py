"""A folder that holds a published log as C2SP tlog-tiles lays it out: it can be served as it is, or kept.

What is published is never written over. ``checkpoints/<size>`` keeps every checkpoint, and ``stretches``,
which is our own, says which events the leaves are, so that an audit can name them.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp

from audit.notes import Checkpoint, read_checkpoint
from audit.tile_paths import CHECKPOINT, TileName
from audit.tree import HASH_BYTES, TILE_WIDTH
from domain.errors import InputRefused
from domain.stretches import Stretch

_KEPT = "checkpoints"
_STRETCHES = "stretches"
_READ_ONLY = 0o444


class LogFolder:
    """The log in a folder. Reading raises InputRefused for a file that is missing or cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def last(self) -> Checkpoint | None:
        """The newest checkpoint, its signatures not looked at; None in a folder without one."""
        if not self.folder.is_dir():
            return None
        note = self._read(CHECKPOINT, missing=b"")
        return self._checkpoint(CHECKPOINT, note) if note else None

    def checkpoints(self) -> list[Checkpoint]:
        """Every checkpoint that was published, the smallest first; signatures were not looked at."""
        try:
            names = [name for name in os.listdir(self.folder / _KEPT) if name.isdigit()]
        except OSError as error:
            raise self._unreadable(_KEPT, error) from error
        paths = [f"{_KEPT}/{name}" for name in sorted(names, key=int)]
        return [self._checkpoint(path, self._read(path)) for path in paths]

    def size(self) -> int:
        """How many leaves the newest checkpoint says there are."""
        last = self.last()
        return last.size if last else 0

    def tiles(self, level: int, *, first: int, end: int) -> Mapping[int, bytes]:
        """The hashes of a level's tiles from ``first`` to before ``end``, as far as there are files."""
        width = self.size() // TILE_WIDTH**level
        found: dict[int, bytes] = {}
        for number in range(first, min(end, -(-width // TILE_WIDTH))):
            wide = min(TILE_WIDTH, width - number * TILE_WIDTH)
            hashes = self._read(TileName(level, number, wide).path, missing=b"")
            if not hashes and wide < TILE_WIDTH:
                hashes = self._read(TileName(level, number).path, missing=b"")
            found[number] = hashes[: wide * HASH_BYTES]
        return found

    def stretches(self) -> list[Stretch]:
        """Which events the leaves are. Raises InputRefused where the file is missing or damaged."""
        try:
            lines = self._read(_STRETCHES).decode("ascii").splitlines()
            return [Stretch(*map(int, line.split(" "))) for line in lines]
        except (UnicodeDecodeError, ValueError, TypeError) as error:
            path = self.folder / _STRETCHES
            raise InputRefused("published.damaged", path=path) from error

    def add(self, path: str, content: bytes) -> None:
        """Publish a file for ever. Raises InputRefused where it is there with other content."""
        place = self.folder / path
        if place.exists():
            if self._read(path) != content:
                raise InputRefused("published.clobber", path=place)
            return
        with self._writing(place) as draft:
            draft.write_bytes(content)
            draft.chmod(_READ_ONLY)

    def replace(self, path: str, content: bytes) -> None:
        """Write what changes: the newest checkpoint, and the stretches."""
        with self._writing(self.folder / path) as draft:
            draft.write_bytes(content)
            draft.chmod(0o644)

    def replace_stretches(self, stretches: Iterable[Stretch]) -> None:
        """Say which events the leaves are."""
        lines = (f"{s.first_leaf} {s.partition} {s.first_seq} {s.last_seq}\n" for s in stretches)
        self.replace(_STRETCHES, "".join(lines).encode())

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint beside the newest. One of the same tree may be there, signed by other keys."""
        path = f"{_KEPT}/{checkpoint.size}"
        if (self.folder / path).exists():
            known = self._checkpoint(path, self._read(path))
            if (known.origin, known.root) != (checkpoint.origin, checkpoint.root):
                raise InputRefused("published.clobber", path=self.folder / path)
            return
        self.add(path, checkpoint.note.encode())

    def forget_partial(self, name: TileName) -> None:
        """Remove the partial forms of a tile that is full now, as the specification allows."""
        folder = self.folder / f"{name.path}.p"
        if folder.is_dir():
            with self._told(folder):
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()

    def _read(self, path: str, *, missing: bytes | None = None) -> bytes:
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError as error:
            if missing is not None:
                return missing
            raise self._unreadable(path, error) from error
        except OSError as error:
            raise self._unreadable(path, error) from error

    def _checkpoint(self, path: str, note: bytes) -> Checkpoint:
        try:
            return read_checkpoint(note.decode())
        except (UnicodeDecodeError, InputRefused) as error:
            raise InputRefused("published.damaged", path=self.folder / path) from error

    def _unreadable(self, path: str, error: OSError) -> InputRefused:
        return InputRefused("published.unreadable", path=self.folder / path, reason=error.strerror)

    @contextmanager
    def _writing(self, place: Path) -> Iterator[Path]:
        """A draft that takes the place at once when the block ends well."""
        with self._told(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            handle, name = mkstemp(dir=place.parent, prefix=".draft-")
            os.close(handle)
            draft = Path(name)
            try:
                yield draft
                draft.replace(place)
            finally:
                with suppress(FileNotFoundError):
                    draft.unlink()

    @contextmanager
    def _told(self, place: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputRefused("published.unwritable", path=place, reason=error.strerror) from error


def spans(stretches: Sequence[Stretch], first: int, end: int) -> Iterator[Stretch]:
    """The parts of stretches that leaves ``first`` to before ``end`` lie in."""
    for stretch in stretches:
        low, high = max(first, stretch.first_leaf), min(end, stretch.end_leaf)
        if low < high:
            yield Stretch(low, stretch.partition, stretch.seq_of(low), stretch.seq_of(high - 1))
