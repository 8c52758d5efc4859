"""What a published log's files are called and how its entries are bundled (C2SP tlog-tiles)."""

import re
from collections.abc import Iterable

from msgspec import Struct

from audit.tree import TILE_WIDTH

CHECKPOINT = "checkpoint"
ENTRIES = "entries"
_HIGHEST_LEVEL = 63
_DIGITS = 3
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class TileName(Struct, frozen=True):
    """A tile of hashes at ``level``, or (None) a bundle of entries, and how many it holds."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Its path below the log's prefix."""
        digits = str(self.number)
        digits = digits.zfill(-(-len(digits) // _DIGITS) * _DIGITS)
        parts = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
        named = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
        level = ENTRIES if self.level is None else str(self.level)
        return f"tile/{level}/{named}" + (f".p/{self.width}" if self.width < TILE_WIDTH else "")


def read_path(path: str) -> TileName | None:
    """What a path below the log's prefix names; None for any other, and for one written in another form."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    width = int(found["width"] or TILE_WIDTH)
    level = None if found["level"] == ENTRIES else int(found["level"])
    number = int(found["number"].replace("x", "").replace("/", ""))
    name = TileName(level, number, width)
    return name if name.path == path and (level or 0) <= _HIGHEST_LEVEL else None


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries one behind the other, each after its length as a big-endian number of 16 bits."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
