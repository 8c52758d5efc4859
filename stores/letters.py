"""What was refused, sealed by keys that change from month to month: looked at, mended, and gone when old."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, Row, func, select

from domain.clock import from_micros, to_micros
from domain.errors import NotFound
from stores.database import reading, writing
from stores.dialect import delete, insert, lock
from stores.schema import dead_letters
from stores.vault import Vault, vault_of

# Held while facts are taken in, and while letters and their keys go.
TAKING_LOCK = 7_461_202
_AT_ONCE = 1_000


class Letter(Struct, frozen=True):
    """A refusal: when it was noted (aware UTC), what was refused from where, and why.

    ``reason`` holds the values of the sentence of ``code``. Both that and ``raw`` are None where their key is
    gone.
    """

    number: int
    refused_at: datetime
    origin: str
    place: str
    code: str
    reason: str | None
    raw: bytes | None


class Letters:
    """The dead letters of one store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._vault = vault_of(engine)

    def count(self) -> int:
        """How many there are."""
        with reading(self._engine) as connection:
            return int(connection.execute(select(func.count()).select_from(dead_letters)).scalar_one())

    def all(self) -> Iterator[Letter]:
        """Every letter, the newest first."""
        before: int | None = None
        known = set(self._vault.ring().letters_keys())
        while True:
            query = select(dead_letters).where(dead_letters.c.partition == 0)
            if before is not None:
                query = query.where(dead_letters.c.number < before)
            with reading(self._engine) as connection:
                query = query.order_by(dead_letters.c.number.desc()).limit(_AT_ONCE)
                found = connection.execute(query).all()
            yield from (self._opened(row, known) for row in found)
            if len(found) < _AT_ONCE:
                return
            before = found[-1][1]

    def find(self, numbers: Sequence[int]) -> list[Letter]:
        """These letters, in this order. Raises NotFound for the first that is not there."""
        letters: list[Letter] = []
        known = set(self._vault.ring().letters_keys())
        with reading(self._engine) as connection:
            for number in numbers:
                its = dead_letters.c.partition == 0, dead_letters.c.number == number
                row = connection.execute(select(dead_letters).where(*its)).one_or_none()
                if row is None:
                    raise NotFound("refused.unknown", number=number)
                letters.append(self._opened(row, known))
        return letters

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove these letters."""
        with writing(self._engine) as connection:
            lock(connection, TAKING_LOCK)
            delete(connection, dead_letters, [(0, number) for number in numbers])

    def clean(self, before: datetime) -> int:
        """Remove what was refused before (aware UTC), and destroy each key of which nothing is left.

        Gives how many letters. From then on no copy of them, in whatever backup, can be read.
        """
        ring = self._vault.ring()
        with writing(self._engine) as connection:
            lock(connection, TAKING_LOCK)
            old = dead_letters.c.partition == 0, dead_letters.c.refused_at < to_micros(before)
            gone = set(connection.execute(select(dead_letters.c.sealed_by).where(*old)).scalars())
            removed = connection.execute(dead_letters.delete().where(*old)).rowcount
            used = set(connection.execute(select(dead_letters.c.sealed_by).distinct()).scalars())
            *earlier, newest = ring.letters_keys()
            if newest in gone - used:
                ring.add_letters_key()
                earlier.append(newest)
            over = [number for number in earlier if number not in used]
            if over:
                ring.destroy_letters_keys(over)
        self._vault.forget_letters(over)
        return removed

    def _opened(self, row: Row[*tuple[Any, ...]], known: set[int]) -> Letter:
        _, number, at, origin, place, code, reason, raw, sealed_by = row
        key = self._vault.letters(sealed_by)[1] if sealed_by in known else None
        told = None if key is None else key.open_text(reason, place=_place(number, "reason"))
        what = None if key is None else key.open(bytes(raw), place=_place(number, "raw").encode())
        return Letter(number, from_micros(at), origin, place, code, told, what)


def bury(
    connection: Connection,
    vault: Vault,
    refused: Sequence[tuple[str, str, str, bytes]],
    *,
    origin: str,
    at: int,
) -> None:
    """Note what was refused (place, code, reason and raw bytes) at ``at`` (microseconds since 1970).

    The first of a month makes a new key, so that old ones can go. The caller holds ``TAKING_LOCK``.
    """
    if not refused:
        return
    query = select(dead_letters.c.number, dead_letters.c.refused_at).where(dead_letters.c.partition == 0)
    last = connection.execute(query.order_by(dead_letters.c.number.desc()).limit(1)).one_or_none()
    first = 1 if last is None else int(str(last[0])) + 1
    if last is not None and _month(at) > _month(int(str(last[1]))):
        vault.ring().add_letters_key()
    sealed_by, key = vault.letters()
    rows = [
        (
            0,
            number,
            at,
            origin,
            place,
            code,
            key.seal_text(reason, place=_place(number, "reason")),
            key.seal(raw, place=_place(number, "raw").encode()),
            sealed_by,
        )
        for number, (place, code, reason, raw) in enumerate(refused, start=first)
    ]
    insert(connection, dead_letters, rows)


def _month(micros: int) -> tuple[int, int]:
    at = from_micros(micros)
    return at.year, at.month


def _place(number: int, part: str) -> str:
    return f"refused/{number}/{part}"
