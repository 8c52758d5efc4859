"""The files of a pack, in a zip or in a folder, held against the digests in its manifest."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

from audit.evidence.verifier.findings import Wrong

MANIFEST = "manifest.json"
FORMAT = "tidings evidence pack 1"
# What may lie in a pack; which of the files in folders do, their digests say.
_KNOWN = re.compile(
    "README.txt|verify.py|pack.json|history.jsonl|clear.jsonl|key.txt|messages.json|consents.json"
    "|report[.](en|zh-CN)[.](html|pdf)|messages/[0-9]{6,}[.](json|html)|(rulebooks|templates)/[0-9a-f]{64}[.]json"
    "|proofs/(checkpoint|keys|earlier-[0-9]{2,})[.]txt|proofs/(inclusion|consistency)[.]json"
)


class Files:
    """What lies in a pack, by name; each file is read once and held against the manifest."""

    def __init__(self, place: Path) -> None:
        """Raises Wrong where there is no pack, its manifest is altered, or files are missing or too many."""
        self._place = place
        self._zip = None if place.is_dir() else _opened(place)
        found = self._names()
        self._listed = self._manifest()
        listed = {MANIFEST, *self._listed}
        for name in sorted(listed - set(found)):
            raise Wrong("file_missing", name=name)
        strange = [name for name in self._listed if not _KNOWN.fullmatch(name)]
        for name in sorted({*strange, *(set(found) - listed)}):
            raise Wrong("file_added", name=name)
        if len(found) != len(set(found)):
            raise Wrong("file_twice")

    def names(self, folder: str) -> list[str]:
        """The files below a folder, which ends in a stroke; "" for all."""
        return [name for name in self._listed if name.startswith(folder)]

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises Wrong where they are not those that the manifest names."""
        if name not in self._listed:
            raise Wrong("file_missing", name=name)
        digest, size = self._listed[name]
        found = self._bytes(name, most=size)
        if len(found) != size or sha256(found).hexdigest() != digest:
            raise Wrong("file_altered", name=name)
        return found

    def json(self, name: str) -> Any:
        """A file's JSON. Raises Wrong where there is none."""
        return _parsed(self.read(name), name)

    def lines(self, name: str) -> list[Any]:
        """A file's JSON documents, one a line. Raises Wrong where there are none."""
        return [_parsed(line, name) for line in self.read(name).split(b"\n") if line]

    def _names(self) -> list[str]:
        if self._zip is not None:
            return self._zip.namelist()
        kept = [path for path in self._place.rglob("*") if path.is_file()]
        return [path.relative_to(self._place).as_posix() for path in kept]

    def _manifest(self) -> dict[str, tuple[str, int]]:
        if MANIFEST not in self._names():
            raise Wrong("no_pack", place=self._place)
        said = self._bytes(MANIFEST, most=64 * 1024 * 1024)
        parsed = _parsed(said, MANIFEST)
        try:
            listed = {str(f["name"]): (str(f["sha256"]), int(f["size"])) for f in parsed["files"]}
            plain = [{"name": n, "sha256": d, "size": s} for n, (d, s) in sorted(listed.items())]
        except (KeyError, TypeError, ValueError):
            raise Wrong("manifest_altered") from None
        # One way to write it, so that no byte of it can change unseen.
        if said != written({"files": plain, "format": FORMAT}):
            raise Wrong("manifest_altered")
        return listed

    def _bytes(self, name: str, *, most: int) -> bytes:
        try:
            if self._zip is None:
                return (self._place / name).read_bytes()
            with self._zip.open(name) as file:
                # One byte more than there may be, whatever the zip says of its size.
                return file.read(most + 1)
        except (
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise Wrong("file_unreadable", name=name, reason=error) from None


def written(value: object) -> bytes:
    """The one way to write JSON in a pack: keys sorted, no spaces, UTF-8, a newline at the end."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def _opened(place: Path) -> zipfile.ZipFile:
    if not place.is_file():
        raise Wrong("no_file", place=place)
    try:
        return zipfile.ZipFile(place)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise Wrong("zip_broken", place=place, reason=error) from None


def _parsed(said: bytes, name: str) -> Any:
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        raise Wrong("file_no_json", name=name) from None
