"""The Berka bank's tables as they lie in their files: shape and values of every cell are checked here.

Fields are separated by ``;``, texts stand in double quotes, days are YYMMDD in 19YY and amounts in CZK.
Source: PKDD'99 Discovery Challenge, Guide to the Financial Data Set (Berka, Sochorova).
"""

import csv
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from domain.errors import InputRefused

HEADINGS = {
    "account": ("account_id", "district_id", "frequency", "date"),
    "card": ("card_id", "disp_id", "type", "issued"),
    "client": ("client_id", "birth_number", "district_id"),
    "disp": ("disp_id", "client_id", "account_id", "type"),
    "district": tuple(f"A{number}" for number in range(1, 17)),
    "loan": ("loan_id", "account_id", "date", "amount", "duration", "payments", "status"),
    "order": ("order_id", "account_id", "bank_to", "account_to", "amount", "k_symbol"),
    "trans": (
        *("trans_id", "account_id", "date", "type", "operation"),
        *("amount", "balance", "k_symbol", "bank", "account"),
    ),
}
_KEY = re.compile(r"[0-9]{1,18}")
_MONEY = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,2})?")
_STATISTIC = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?|\?")
_LONGEST_TERM = 1_200
_TEXT_LENGTH = 200
_MIDNIGHT = " 00:00:00"
_WOMEN = 50


class Row(Struct, frozen=True, gc=False):
    """Where a record stands (``trans.asc line 812``) and the bytes it was read from."""

    place: str
    raw: bytes


class Cells(Struct, gc=False):
    """One line of a table, cell by cell. Every reading raises InputRefused with place, column and value."""

    row: Row
    columns: tuple[str, ...]
    found: list[str]

    def refused(self, code: str, column: int, **values: object) -> InputRefused:
        """The refusal of one cell."""
        told = {"column": self.columns[column], "found": self.found[column]}
        return InputRefused(code, place=self.row.place, **told, **values)

    def key(self, column: int) -> str:
        """A number that names a record, without leading zeros."""
        if not _KEY.fullmatch(self.found[column]):
            raise self.refused("import.berka_number", column)
        return str(int(self.found[column]))

    def text(self, column: int) -> str:
        """A text that must be there."""
        text = self.found[column].strip()
        if not text or len(text) > _TEXT_LENGTH:
            raise self.refused("import.berka_text", column, longest=_TEXT_LENGTH)
        return text

    def optional(self, column: int) -> str | None:
        """A text, or None where the cell is blank."""
        return self.text(column) if self.found[column].strip() else None

    def word(self, column: int, known: tuple[str, ...]) -> str:
        """One of the known words."""
        if self.found[column] not in known:
            raise self.refused("import.berka_word", column, expected=", ".join(known))
        return self.found[column]

    def money(self, column: int) -> Decimal:
        """An amount in CZK."""
        if not _MONEY.fullmatch(self.found[column]):
            raise self.refused("import.berka_number", column)
        return Decimal(self.found[column])

    def positive(self, column: int) -> Decimal:
        """An amount in CZK, zero or more: the sign is told by another column, or there is none."""
        amount = self.money(column)
        if amount < 0:
            raise self.refused("import.berka_negative", column)
        return amount

    def statistic(self, column: int) -> str:
        """A number about a district, or ``?``."""
        if not _STATISTIC.fullmatch(self.found[column]):
            raise self.refused("import.berka_number", column)
        return self.found[column]

    def months(self, column: int) -> int:
        """A term in months, one or more."""
        months = int(self.found[column]) if _KEY.fullmatch(self.found[column]) else 0
        if not 1 <= months <= _LONGEST_TERM:
            raise self.refused("import.berka_duration", column, longest=_LONGEST_TERM)
        return months

    def day(self, column: int) -> date:
        """A day; a time that follows must be midnight."""
        day = _day(self.found[column].removesuffix(_MIDNIGHT))
        if day is None:
            raise self.refused("import.berka_date", column)
        return day

    def birth_day(self, column: int) -> date:
        """The day of birth in a birth number, whose month is 50 higher for women."""
        number = self.found[column]
        month = int(number[2:4]) if _KEY.fullmatch(number[2:4]) else 0
        man = f"{number[:2]}{month - _WOMEN:02}{number[4:]}" if month > _WOMEN else number
        day = _day(man)
        if day is None:
            raise self.refused("import.berka_birth_number", column)
        return day


def read_table(folder: Path, name: str) -> Iterator[Cells]:
    """The lines of a table after its headings. Raises InputRefused where they are not as they should be."""
    columns, file_name = HEADINGS[name], f"{name}.asc"
    lines = _content(folder, file_name).split(b"\n")
    rows = csv.reader((line.decode() for line in lines), delimiter=";", strict=True)
    number = 1
    try:
        for found in rows:
            place = f"{file_name} line {number}"
            if number == 1:
                _check_headings(found, columns, place)
            elif found:
                _check_width(found, columns, place)
                yield Cells(Row(place, lines[number - 1]), columns, found)
            number = rows.line_num + 1
    except csv.Error as error:
        values = {"place": f"{file_name} line {number}", "reason": str(error)}
        raise InputRefused("import.berka_quotes", **values) from error


def _check_headings(found: list[str], columns: tuple[str, ...], place: str) -> None:
    if tuple(found) != columns:
        values = {"expected": ";".join(columns), "found": ";".join(found)}
        raise InputRefused("import.berka_headings", place=place, **values)


def _check_width(found: list[str], columns: tuple[str, ...], place: str) -> None:
    if len(found) != len(columns):
        values = {"expected": len(columns), "found": len(found)}
        raise InputRefused("import.berka_fields", place=place, **values)


def _content(folder: Path, file_name: str) -> bytes:
    path = folder / file_name
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        expected = ", ".join(f"{name}.asc" for name in HEADINGS)
        values = {"folder": str(folder), "table": file_name, "expected": expected}
        raise InputRefused("import.berka_missing_table", **values) from error
    except OSError as error:
        raise InputRefused("import.unreadable", path=str(path), reason=str(error.strerror)) from error
    if not content.strip():
        raise InputRefused("import.empty_file", path=str(path))
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputRefused("import.berka_undecodable", place=f"{file_name} line {line}") from error
    return content


@lru_cache(maxsize=65536)
def _day(text: str) -> date | None:
    """YYMMDD in 19YY; None for what is no such day."""
    if len(text) != len("YYMMDD") or not _KEY.fullmatch(text):
        return None
    try:
        return date(1900 + int(text[:2]), int(text[2:4]), int(text[4:]))
    except ValueError:
        return None
