"""The list of a pack's files with their digests, and the one way in which a pack writes JSON."""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

FORMAT = "tidings evidence pack 1"
NAME = "manifest.json"
_encoder = msgspec.json.Encoder(order="sorted")


def written(value: object) -> bytes:
    """JSON with sorted keys, without spaces, in UTF-8, and a newline."""
    return _encoder.encode(value) + b"\n"


class Manifest:
    """Takes down each file that goes into a pack."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, int]] = {}

    def add(self, name: str, data: bytes) -> None:
        """Note a file. Raises ValueError for a name that is there already."""
        if name in self._files:
            raise ValueError(f"two files {name}")
        self._files[name] = (sha256(data).hexdigest(), len(data))

    @property
    def names(self) -> Iterable[str]:
        """What was noted."""
        return self._files

    @property
    def text(self) -> bytes:
        """The manifest itself."""
        files = [{"name": n, "sha256": d, "size": s} for n, (d, s) in sorted(self._files.items())]
        return written({"files": files, "format": FORMAT})
