"""Writes a pack: a zip whose bytes follow from its contents alone, and that is there whole or not at all."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkstemp

from msgspec import Struct

from audit.evidence.manifest import NAME, Manifest
from domain.errors import InputRefused

_LEVEL = 6
_BEGINNING = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o100644 << 16
_UNIX = 3


class Packed(Struct, frozen=True):
    """What was written: the file, its SHA-256 (hex) and how much is in it."""

    customer: str
    file: str
    sha256: str
    events: int
    disclosed: int
    messages: int
    words: int
    words_missing: int
    sealed: int
    checkpoint: int


class Zipped:
    """A pack that is being written."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._manifest = Manifest()

    def add(self, name: str, data: bytes) -> None:
        """Put a file in. Raises ValueError for a name that is there already."""
        self._manifest.add(name, data)
        self._write(name, data)

    def finish(self) -> None:
        """Put the manifest in, which must come last."""
        self._write(NAME, self._manifest.text)

    def _write(self, name: str, data: bytes) -> None:
        entry = zipfile.ZipInfo(name, _BEGINNING)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = _READABLE
        entry.create_system = _UNIX
        self._file.writestr(entry, data, compresslevel=_LEVEL)


@contextmanager
def writing_pack(path: Path, *, force: bool) -> Iterator[Zipped]:
    """A pack at ``path``, there when the block ends; if it fails, what was there before stays.

    Raises InputRefused where there is a file and not ``force``, where the folder is missing or cannot be
    written to, and where the disk is full.
    """
    if path.is_dir() or (path.exists() and not force):
        raise InputRefused("evidence.file_exists", path=str(path))
    if not path.parent.is_dir():
        raise InputRefused("evidence.no_folder", path=str(path.parent))
    try:
        descriptor, name = mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise InputRefused("evidence.not_written", path=str(path), reason=error.strerror) from error
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with zipfile.ZipFile(raw, "w") as file:
                zipped = Zipped(file)
                yield zipped
                zipped.finish()
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except OSError as error:
        raise InputRefused("evidence.not_written", path=str(path), reason=error.strerror) from error
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    found = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()
