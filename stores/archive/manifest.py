"""The list of what counts in an archive: each file with its rows and digest, each partition with its ends.

A file that the manifest does not name is no part of the archive, so replacing the manifest is the one step by
which anything is added. It is written whole, under its own digest.
"""

import os
from collections.abc import Iterator, Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from domain.errors import StoreCorrupt, StoreUnusable

FORMAT = 1
NAME = "manifest.json"
UNFINISHED = ".part"
FOLDERS = ("events", "histories", "rulebooks", "documents")
# A path of the manifest is opened and, when it is replaced, removed: it must not lead out of the folder.
_Path = Annotated[
    str,
    Meta(pattern=r"^(?:(?:events|histories)/partition=[0-9]+|rulebooks|documents)/[0-9A-Za-z_-]+\.parquet$"),
]


class ArchivedFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the archive: its place in the folder, and what it must be (``sha256`` in hex)."""

    path: _Path
    rows: int
    bytes: int
    sha256: str


class EventsFile(ArchivedFile, frozen=True, forbid_unknown_fields=True):
    """A gapless stretch of one partition's events.

    The days are those of the first and the last ``recorded_at`` (UTC, ISO 8601); ``last_hash`` is that of the
    last event, in hex.
    """

    first_seq: int
    last_seq: int
    first_day: str
    last_day: str
    last_hash: str


class ArchivedPartition(Struct, frozen=True, forbid_unknown_fields=True):
    """A partition up to ``last_seq``, where its histories end as their file says.

    Where a run was killed, files reach beyond ``last_seq``; that counts for nothing until a run has finished
    the partition. ``outbox`` names the messages that waited for an answer.
    """

    last_seq: int = 0
    events: tuple[EventsFile, ...] = ()
    histories: ArchivedFile | None = None
    outbox: tuple[str, ...] = ()

    @property
    def written_seq(self) -> int:
        """The last event that some file holds."""
        return self.events[-1].last_seq if self.events else 0


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole archive, partitions in order. It is not ``finished`` while a run adds to it."""

    format: int = FORMAT
    finished: bool = False
    partitions: dict[int, ArchivedPartition] = field(default_factory=dict)
    rulebooks: ArchivedFile | None = None
    documents: ArchivedFile | None = None

    @property
    def digest(self) -> str:
        """The name of this state of the archive, in hex: kept elsewhere, it proves all of it."""
        return sha256(_encoded(self)).hexdigest()

    @property
    def size(self) -> int:
        """How many events count."""
        return sum(partition.last_seq for partition in self.partitions.values())

    def files(self) -> Iterator[ArchivedFile]:
        """Every file that counts."""
        for partition in self.partitions.values():
            yield from partition.events
            if partition.histories is not None:
                yield partition.histories
        yield from (file for file in (self.rulebooks, self.documents) if file is not None)

    def with_partition(self, number: int, partition: ArchivedPartition) -> "Manifest":
        """The manifest with this partition as it is now, on the way to being finished."""
        partitions = {**self.partitions, number: partition}
        return msgspec.structs.replace(self, finished=False, partitions=dict(sorted(partitions.items())))


class Fault(Struct, frozen=True):
    """What is wrong with a file of the archive; ``code`` and ``values`` make its sentence."""

    code: str
    values: Mapping[str, object]


class _Written(Struct, forbid_unknown_fields=True):
    sha256: str
    manifest: msgspec.Raw


class _Format(Struct):
    format: int


def load(folder: Path) -> Manifest:
    """The manifest of the archive in ``folder``.

    Raises StoreUnusable where there is no archive or one of another format, StoreCorrupt where the manifest
    is not what was written.
    """
    path = folder / NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise StoreUnusable("archive.missing", folder=folder) from None
    except OSError as error:
        raise StoreUnusable("archive.unreadable", file=str(path), reason=error.strerror) from error
    try:
        written = msgspec.json.decode(content, type=_Written)
        found = msgspec.json.decode(written.manifest, type=_Format).format
        if found != FORMAT:
            raise StoreUnusable("archive.wrong_format", folder=folder, found=found, expected=FORMAT)
        manifest = msgspec.json.decode(written.manifest, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreCorrupt("archive.file_unreadable", file=str(path), reason=str(error)) from error
    if manifest.digest != written.sha256:
        raise StoreCorrupt(
            "archive.file_altered", file=str(path), found=manifest.digest, expected=written.sha256
        )
    _check_stretches(path, manifest)
    return manifest


def save(folder: Path, manifest: Manifest) -> None:
    """Make this what counts, as one step that a crash does or does not take."""
    written = _Written(manifest.digest, msgspec.Raw(_encoded(manifest)))
    unfinished = folder / (NAME + UNFINISHED)
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=1))
    put_in_place(unfinished, folder / NAME)


def put_in_place(unfinished: Path, path: Path) -> None:
    """Give a file its name once all of it is on the disk: under this name there is never half of it."""
    _to_disk(unfinished)
    unfinished.replace(path)
    _to_disk(path.parent)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as content:
        return file_digest(content, "sha256").hexdigest()


def fault_of(folder: Path, file: ArchivedFile) -> Fault | None:
    """What keeps the file from being the one that was written, as far as its bytes go; None if nothing."""
    path = folder / file.path
    place = {"file": str(path)}
    try:
        size = path.stat().st_size
        if size != file.bytes:
            return Fault("archive.file_resized", {**place, "found": size, "expected": file.bytes})
        found = digest_of(path)
    except FileNotFoundError:
        return Fault("archive.file_missing", place)
    except OSError as error:
        return Fault("archive.file_unreadable", {**place, "reason": error.strerror})
    if found != file.sha256:
        return Fault("archive.file_altered", {**place, "found": found, "expected": file.sha256})
    return None


def sweep(folder: Path, manifest: Manifest) -> None:
    """Remove what killed runs and replaced files have left: files of ours that do not count."""
    counted = {folder / file.path for file in manifest.files()}
    for name in FOLDERS:
        for path in sorted((folder / name).rglob("*")):
            if path.suffix in (".parquet", UNFINISHED) and path not in counted:
                path.unlink()


def _check_stretches(path: Path, manifest: Manifest) -> None:
    """Every event stands in one file: stretches follow each other from 1 without gap or overlap."""
    for number, partition in manifest.partitions.items():
        seq = 0
        for file in partition.events:
            if file.first_seq != seq + 1 or file.last_seq - seq != file.rows:
                reason = f"partition {number}, {file.path}: expected entries from {seq + 1}"
                raise StoreCorrupt("archive.file_unreadable", file=str(path), reason=reason)
            seq = file.last_seq
        if partition.last_seq > seq:
            reason = f"partition {number} ends with {seq}, expected {partition.last_seq}"
            raise StoreCorrupt("archive.file_unreadable", file=str(path), reason=reason)


def _encoded(manifest: Manifest) -> bytes:
    return msgspec.json.encode(manifest)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
