"""The shared way in: whatever a file's format, its items go to the inbox in chunks."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from domain.clock import to_micros
from domain.errors import InputRefused
from stores.inbox import Inbox, Item, Refusal

CHUNK = 5_000
REFUSALS_SHOWN = 20


class Imported(Struct):
    """What became of all items; ``refusals`` holds only the first ones, for printing."""

    read: int = 0
    accepted: int = 0
    repeated: int = 0
    refused: int = 0
    refusals: list[Refusal] = []


def take_in(
    items: Iterable[Item], inbox: Inbox, *, origin: str, at: datetime, progress: Callable[[int], None]
) -> Imported:
    """Give all items to the inbox; ``at`` (aware) is when refusals are noted, ``origin`` names the file.

    Each chunk is one transaction: what stops the import leaves whole chunks behind, and importing again
    counts their facts as repeated. ``progress`` is told after each chunk how many items were read so far.
    Raises what reading ``items`` and the store raise.
    """
    imported = Imported()
    waiting = iter(items)
    while chunk := list(islice(waiting, CHUNK)):
        taken = inbox.take(chunk, origin=origin, at=to_micros(at))
        imported.read += len(chunk)
        imported.accepted += taken.accepted
        imported.repeated += taken.repeated
        imported.refused += len(taken.refused)
        imported.refusals = [*imported.refusals, *taken.refused][:REFUSALS_SHOWN]
        progress(imported.read)
    return imported


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file for reading. Raises InputRefused where it is missing, a folder, or unreadable now or later."""
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise InputRefused("import.missing_file", path=str(path)) from error
    except IsADirectoryError as error:
        raise InputRefused("import.not_a_file", path=str(path)) from error
    except OSError as error:
        raise InputRefused(
            "import.unreadable", path=str(path), reason=error.strerror or str(error)
        ) from error
