"""The mapping document: how a bank's own CSV headings, words, dates and numbers become facts."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo

from domain.catalogue import FACTS, Text, fact_type
from domain.clock import at_local
from domain.errors import InputRefused
from tidings.documents import decode, read_document
from tidings.importing.facts import YEARS, shape_of, zones
from tidings.importing.faults import with_near

_HOUR_DIRECTIVE = re.compile(r"%[HIXcT]")
_A_DAY = datetime(2001, 12, 31, 23, 58, 59, tzinfo=UTC)
_Place: TypeAlias = tuple[str, ...]
_Fault: TypeAlias = tuple[_Place, InputRefused]

Word: TypeAlias = str | int


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell of the row, by its heading."""

    column: Text


class Moment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the fact happened, as the bank writes it.

    ``format`` is one of strptime (None: ISO 8601), ``zone`` the IANA zone of local times, and ``hour`` the
    local hour (0 to 23) of dates without a time.
    """

    column: Text
    format: Text | None = None
    zone: Text | None = None
    hour: Annotated[int, Meta(ge=0, le=23)] = 12

    def read(self, text: str) -> datetime:
        """The instant in UTC. Raises InputRefused for no such time, and for one without zone or offset."""
        wall, has_hour = self._parsed(text)
        if wall.year not in YEARS:
            values = {"found": text, "first": YEARS[0], "last": YEARS[-1]}
            raise InputRefused("import.year_out_of_range", path="$.time", **values)
        if wall.tzinfo is not None:
            return wall.astimezone(UTC)
        if self.zone is None:
            raise InputRefused("import.naive_time", path="$.time", found=text)
        return at_local(wall.date(), wall.time() if has_hour else time(self.hour), self.zone)

    def _parsed(self, text: str) -> tuple[datetime, bool]:
        if self.format is not None:
            return parsed(text, self.format, path="$.time"), bool(_HOUR_DIRECTIVE.search(self.format))
        try:
            return datetime.fromisoformat(text), len(text) > len("2024-12-31")
        except ValueError as error:
            raise InputRefused("import.bad_time", path="$.time", found=text) from error


class CsvMapping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row becomes one fact. ``columns`` has the heading of each field, ``constants`` a fixed value.

    Both count for the facts that have the field. ``values`` translates the bank's words, by field (or
    ``type``); a word that is not in such a table is refused.
    """

    source: Text
    type: Text | Column
    id: Text
    subject: Text
    time: Text | Moment
    columns: dict[str, Text] = {}
    constants: dict[str, Word] = {}
    values: dict[str, dict[str, Word]] = {}
    date_format: Text | None = None
    decimal_comma: bool = False
    delimiter: Annotated[str, Meta(pattern=r'^[^"\r\n]$')] = ","
    encoding: Text = "utf-8"


def read_mapping(path: Path) -> CsvMapping:
    """The mapping in a YAML file. Raises InputRefused with line and column for what cannot be meant."""
    document = read_document(path)
    mapping = decode(document, CsvMapping)
    for place, fault in _faults(mapping):
        line, column = document.line_of(place)
        values = {**fault.values, "path": document.name, "line": line, "column": column}
        raise InputRefused(fault.code, **values)
    return mapping


def parsed(text: str, form: str, *, path: str) -> datetime:
    """What strptime makes of the text. Raises InputRefused for a text of another form."""
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - the caller knows the zone
    except ValueError as error:
        raise InputRefused("import.unlike_format", path=path, found=text, format=form) from error


def _faults(mapping: CsvMapping) -> Iterator[_Fault]:
    if not _is_text_encoding(mapping.encoding):
        yield ("encoding",), InputRefused("import.mapping_encoding", found=mapping.encoding)
    yield from _time_faults(mapping)
    for field in mapping.values:
        if field not in mapping.columns and (field != "type" or isinstance(mapping.type, str)):
            yield ("values", field), InputRefused("import.mapping_no_column", field=field)
    for field in mapping.constants:
        if field in mapping.columns:
            yield ("constants", field), InputRefused("import.mapping_twice", field=field)
    for place, kind in _types(mapping):
        if fact_type(kind) is None:
            fault = with_near("import.mapping_type", kind, FACTS, found=kind, expected=", ".join(FACTS))
            yield place, fault
            return
    yield from _field_faults(mapping)


def _types(mapping: CsvMapping) -> list[tuple[_Place, str]]:
    """The types that rows can have, with their places; none where rows name the catalogue's own."""
    if isinstance(mapping.type, str):
        return [(("type",), mapping.type)]
    translated = mapping.values.get("type", {})
    return [(("values", "type", theirs), str(ours)) for theirs, ours in translated.items()]


def _time_faults(mapping: CsvMapping) -> Iterator[_Fault]:
    if mapping.date_format is not None and not _is_format(mapping.date_format):
        yield ("date_format",), InputRefused("import.mapping_format", found=mapping.date_format)
    if isinstance(mapping.time, str):
        return
    if mapping.time.format is not None and not _is_format(mapping.time.format):
        yield ("time", "format"), InputRefused("import.mapping_format", found=mapping.time.format)
    if mapping.time.zone is not None and mapping.time.zone not in zones():
        zone = mapping.time.zone
        yield ("time", "zone"), with_near("import.mapping_zone", zone, zones(), found=zone)


def _field_faults(mapping: CsvMapping) -> Iterator[_Fault]:
    shapes = [shape_of(kind) for kind in [kind for _, kind in _types(mapping)] or FACTS]
    if any(shape.fields is None for shape in shapes):
        return
    known: dict[str, list[FieldInfo]] = {}
    for shape in shapes:
        for field in msgspec.structs.fields(shape.fields) if shape.fields else ():
            known.setdefault(field.name, []).append(field)
    yield from _unknown_fields(mapping, known)
    for name, fields in known.items():
        needed = len(fields) == len(shapes) and all(field.required for field in fields)
        if needed and name not in mapping.columns and name not in mapping.constants:
            yield ("columns",), InputRefused("import.mapping_missing_field", field=name)
    for place, name, word in _words(mapping):
        if name in known and not any(_fits(word, field.type) for field in known[name]):
            yield place, InputRefused("import.mapping_word", field=name, found=word)


def _unknown_fields(mapping: CsvMapping, known: Mapping[str, object]) -> Iterator[_Fault]:
    expected = ", ".join(known) or "-"
    for section, names in (("columns", mapping.columns), ("constants", mapping.constants)):
        for name in names:
            if name not in known:
                fault = with_near("import.mapping_field", name, known, field=name, expected=expected)
                yield (section, name), fault


def _words(mapping: CsvMapping) -> Iterator[tuple[_Place, str, Word]]:
    for field, word in mapping.constants.items():
        yield ("constants", field), field, word
    for field, table in mapping.values.items():
        for theirs, ours in table.items():
            yield ("values", field, theirs), field, ours


def _fits(word: Word, kind: object) -> bool:
    try:
        msgspec.convert(str(word), kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def _is_text_encoding(name: str) -> bool:
    try:
        "".encode(name)
    except LookupError:
        return False
    return True


def _is_format(form: str) -> bool:
    """Whether strptime can read what strftime writes in this form."""
    try:
        datetime.strptime(_A_DAY.strftime(form), form)  # noqa: DTZ007 - only tried
    except (ValueError, re.error):  # the latter for a directive that stands twice
        return False
    return True
