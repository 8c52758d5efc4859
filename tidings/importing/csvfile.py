"""CSV files: with the catalogue's own names as headings, or a bank's own with a mapping."""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path

import msgspec
from msgspec import Struct

from domain.catalogue import Envelope
from domain.errors import InputRefused
from stores.inbox import Item, Refusal, Told
from tidings.importing.facts import Aware, Header, Shape, enveloped, shape_of
from tidings.importing.faults import unfit_header, with_near
from tidings.importing.mapping import CsvMapping, Moment, parsed
from tidings.importing.reading import opened

_ATTRIBUTES = ("type", "source", "id", "subject", "time")
_COMMA_NUMBER = re.compile(r"[+-]?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?")


class _Timed(Header, kw_only=True):
    time: Aware


class _Layout(Struct, frozen=True, kw_only=True):
    """Where the parts of a fact stand in a row; ``mapped`` columns count for facts that have the field."""

    headings: tuple[str, ...]
    attributes: dict[str, int]
    fields: dict[str, int]
    mapped: bool = False
    moment: Moment | None = None
    given: dict[str, str] = {}
    constants: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    date_format: str | None = None
    decimal_comma: bool = False


class _Lines:
    """Lines of the file, kept until the row that they make is read, so that a broken row costs one line."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._ahead: deque[str] = deque()
        self._read = 0
        self.row: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self._read += 1
        self.row.append(line)
        return line

    @property
    def number(self) -> int:
        """The line, from 1, on which the row begins."""
        return self._read - len(self.row) + 1

    def begin(self) -> None:
        """The next line is the first of a row."""
        self.row = []

    def keep_first(self) -> None:
        """Give back all lines of the row but the first, to be read again."""
        back = self.row[1:]
        self._ahead.extendleft(reversed(back))
        self._read -= len(back)
        del self.row[1:]


def read_csv(path: Path, mapping: CsvMapping | None, *, now: datetime) -> Iterator[Item]:
    """Each row of the file as a fact or a refusal; rows are read as they are asked for.

    ``now`` (aware) is what the far future is measured from. Raises InputRefused for a file that is
    missing, unreadable, empty or in another encoding, and for headings that are missing or unclear.
    """
    encoding = mapping.encoding if mapping else "utf-8"
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    with opened(path) as file:
        text = TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
        try:
            yield from _items(path, _Lines(text), mapping, now)
        except UnicodeError as error:
            fault = InputRefused("import.wrong_encoding", path=str(path), encoding=encoding)
            raise fault from error


def _items(path: Path, lines: _Lines, mapping: CsvMapping | None, now: datetime) -> Iterator[Item]:
    rows = csv.reader(lines, delimiter=mapping.delimiter if mapping else ",", strict=True)
    headings = _headings(path, rows)
    layout = _mapped(path, headings, mapping) if mapping else _plain(path, headings)
    found = False
    lines.begin()
    while (row := _next_row(rows, lines, len(headings))) is not None:
        if isinstance(row, InputRefused) or any(row):
            yield _item(layout, row, lines, now)
            found = True
        lines.begin()
    if not found:
        raise InputRefused("import.empty_file", path=str(path))


def _next_row(rows: Iterator[list[str]], lines: _Lines, width: int) -> list[str] | InputRefused | None:
    """The next row, or what is wrong with it; None at the end."""
    try:
        row = next(rows, None)
    except csv.Error as error:
        lines.keep_first()
        return InputRefused("import.broken_csv", reason=str(error))
    if row and len(row) != width:
        lines.keep_first()
        return InputRefused("import.row_width", expected=width, found=len(row))
    return row


def _item(layout: _Layout, row: list[str] | InputRefused, lines: _Lines, now: datetime) -> Item:
    text = "".join(lines.row)
    raw, place = text.encode("utf-8", "surrogateescape"), f"line {lines.number}"
    try:
        if isinstance(row, InputRefused):
            raise row
        _check_decoded(text)
        return Told(_envelope(layout, row, now), place, raw)
    except InputRefused as error:
        return Refusal(place, error.code, _with_heading(error.values, layout), raw)


def _envelope(layout: _Layout, row: Sequence[str], now: datetime) -> Envelope:
    header = _header(layout, row)
    shape = shape_of(header.type)
    fact = shape.from_texts(header, _data(layout, row, shape))
    return enveloped(shape, header, at=header.time, fact=fact, now=now)


def _header(layout: _Layout, row: Sequence[str]) -> _Timed:
    cells: dict[str, object] = dict(layout.given)
    for name, index in layout.attributes.items():
        if text := row[index].strip():
            cells[name] = _translated(layout, name, text)
    if layout.moment is not None and "time" in cells:
        cells["time"] = layout.moment.read(str(cells["time"]))
    try:
        return msgspec.convert(cells, _Timed)
    except msgspec.ValidationError as error:
        raise unfit_header(error, cells, _Timed) from error


def _data(layout: _Layout, row: Sequence[str], shape: Shape) -> dict[str, str]:
    data = {name: word for name, word in layout.constants.items() if shape.has(name)}
    for name, index in layout.fields.items():
        text = row[index].strip()
        if not text or (layout.mapped and not shape.has(name)):
            continue
        if name in shape.numbers and layout.decimal_comma:
            text = _with_point(name, text)
        elif name in shape.dates and layout.date_format is not None:
            text = parsed(text, layout.date_format, path=f"$.{name}").date().isoformat()
        data[name] = _translated(layout, name, text)
    return data


def _translated(layout: _Layout, name: str, text: str) -> str:
    table = layout.values.get(name)
    if table is None:
        return text
    ours = table.get(text)
    if ours is None:
        raise InputRefused("import.unmapped_value", path=f"$.{name}", found=text, expected=", ".join(table))
    return ours


def _with_point(name: str, text: str) -> str:
    """1.234,50 as 1234.50; what might be meant otherwise is refused."""
    if not _COMMA_NUMBER.fullmatch(text):
        raise InputRefused("import.bad_comma_number", path=f"$.{name}", found=text)
    return text.replace(".", "").replace(",", ".")


def _headings(path: Path, rows: Iterator[list[str]]) -> tuple[str, ...]:
    try:
        headings = tuple(heading.strip() for heading in next(filter(any, rows), []))
    except csv.Error as error:
        raise InputRefused("import.unreadable", path=str(path), reason=str(error)) from error
    if not any(headings):
        raise InputRefused("import.empty_file", path=str(path))
    "".join(headings).encode()  # UnicodeEncodeError for undecodable bytes
    return headings


def _plain(path: Path, headings: tuple[str, ...]) -> _Layout:
    if "" in headings:
        raise InputRefused("import.blank_heading", path=str(path), column=headings.index("") + 1)
    attributes = {name: _place_of(path, headings, name) for name in _ATTRIBUTES}
    fields = {name: _place_of(path, headings, name) for name in headings if name not in attributes}
    return _Layout(headings=headings, attributes=attributes, fields=fields)


def _mapped(path: Path, headings: tuple[str, ...], mapping: CsvMapping) -> _Layout:
    moment = None if isinstance(mapping.time, str) else mapping.time
    given, columns = {"source": mapping.source}, {"id": mapping.id, "subject": mapping.subject}
    columns["time"] = mapping.time if isinstance(mapping.time, str) else mapping.time.column
    if isinstance(mapping.type, str):
        given["type"] = mapping.type
    else:
        columns["type"] = mapping.type.column
    return _Layout(
        headings=headings,
        attributes={name: _place_of(path, headings, heading) for name, heading in columns.items()},
        fields={name: _place_of(path, headings, heading) for name, heading in mapping.columns.items()},
        mapped=True,
        moment=moment,
        given=given,
        constants={name: str(word) for name, word in mapping.constants.items()},
        values={
            name: {theirs: str(ours) for theirs, ours in table.items()}
            for name, table in mapping.values.items()
        },
        date_format=mapping.date_format,
        decimal_comma=mapping.decimal_comma,
    )


def _place_of(path: Path, headings: tuple[str, ...], heading: str) -> int:
    """The column, from 0. Other headings may occur twice, one that is read may not."""
    match headings.count(heading):
        case 1:
            return headings.index(heading)
        case 0:
            values = {"path": str(path), "heading": heading, "found": ", ".join(headings)}
            raise with_near("import.missing_heading", heading, headings, **values)
        case _:
            raise InputRefused("import.duplicate_heading", path=str(path), heading=heading)


def _with_heading(values: dict[str, object], layout: _Layout) -> dict[str, object]:
    """The path together with the bank's own heading, where it is another word."""
    name = str(values.get("path", "")).removeprefix("$.")
    index = layout.fields.get(name, layout.attributes.get(name))
    if index is None or layout.headings[index] == name:
        return values
    return {**values, "path": f"{values['path']} ({layout.headings[index]})"}


def _check_decoded(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputRefused("import.undecodable_row", column=error.start + 1) from error
