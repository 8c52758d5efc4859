"""Rows to Parquet files and back; the one place that knows the library, which is loaded when it is needed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import astuple

from domain.errors import StoreCorrupt, StoreUnusable
from domain.ports import StoredEvent

MICROS_A_DAY = 86_400_000_000
_COMPRESSION = {"compression": "zstd", "compression_level": 3}
_DELTA = "DELTA_BINARY_PACKED"
_REPEATING = ["day", "kind", "rulebook"]
_EVENTS: dict[str, str] = {
    "day": "day",
    "seq": "number",
    "stream": "number",
    "version": "number",
    "prev": "number",
    "kind": "text",
    "occurred_at": "instant",
    "recorded_at": "instant",
    "cause": "number",
    "rulebook": "number",
    "hash": "bytes",
    "body": "bytes",
}
_COLUMNS = list(_EVENTS)[1:]
HISTORIES: dict[str, str] = {
    "stream": "number",
    "subject": "text",
    "version": "number",
    "seq": "number",
    "hash": "bytes",
    "due_at": "instant",
    "continued": "flag",
}
RULEBOOKS: dict[str, str] = {"number": "number", "digest": "text", "body": "bytes"}
DOCUMENTS: dict[str, str] = {
    "kind": "text",
    "name": "text",
    "version": "number",
    "digest": "text",
    "body": "bytes",
}


@cache
def library() -> Any:
    """The Parquet library. Raises StoreUnusable where it is not installed."""
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError:
        raise StoreUnusable("archive.no_library") from None
    return pyarrow


class EventsWriter:
    """A file of events that grows by row groups, so that no more than one of them is in memory."""

    def __init__(self, path: Path, *, partition: int) -> None:
        self.path = path
        self.rows = 0
        self.first: StoredEvent | None = None
        self.last: StoredEvent | None = None
        self._partition = partition
        self._schema = _schema(_EVENTS)
        self._writer = library().parquet.ParquetWriter(
            path,
            self._schema,
            **_COMPRESSION,
            # Hashes and bodies do not repeat, and their extremes tell a reader nothing.
            use_dictionary=_REPEATING,
            column_encoding={name: _DELTA for name, kind in _EVENTS.items() if _grows(name, kind)},
            write_statistics=["day", "seq", "stream", "kind", "occurred_at", "recorded_at"],
        )

    def write(self, events: Sequence[StoredEvent]) -> None:
        """Add a row group. Raises StoreCorrupt for rows that no event can be."""
        columns = list(zip(*map(_row, events), strict=True))
        try:
            days = [at // MICROS_A_DAY for at in columns[_COLUMNS.index("recorded_at")]]
            table = _table(self._schema, [days, *columns])
        except _refusals() as error:
            place = {"partition": self._partition, "first": events[0].seq, "last": events[-1].seq}
            raise StoreCorrupt("archive.unwritable_rows", **place, reason=_line(error)) from error
        self._writer.write_table(table, row_group_size=len(events))
        self.rows += len(events)
        self.first = self.first or events[0]
        self.last = events[-1]

    def close(self) -> None:
        """End the file."""
        self._writer.close()


def write_rows(path: Path, columns: dict[str, str], rows: Sequence[Sequence[object]]) -> None:
    """A file of these rows, the names and kinds of whose columns are given."""
    schema = _schema(columns)
    values = list(zip(*rows, strict=True)) if rows else [() for _ in columns]
    library().parquet.write_table(_table(schema, values), path, **_COMPRESSION)


def read_rows(path: Path, columns: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a file, instants as microseconds. Raises StoreCorrupt where it cannot be read."""
    with _reading(path) as file:
        for number in range(file.num_row_groups):
            yield from _rows(file.read_row_group(number, columns=list(columns)), columns)


def read_events(path: Path) -> Iterator[StoredEvent]:
    """The events of a file in their order. Raises StoreCorrupt where it cannot be read."""
    with _reading(path) as file:
        for number in range(file.num_row_groups):
            yield from _events(file.read_row_group(number, columns=_COLUMNS))


def read_history(path: Path, stream: int) -> Iterator[StoredEvent]:
    """Those of the file's events that belong to one stream; rows are looked at where there is one."""
    yield from _matching(path, ["stream"], lambda pc, table: pc.equal(table["stream"], stream))


def read_mentions(path: Path, kind: str, text: bytes) -> Iterator[StoredEvent]:
    """Those of the file's events that are of this kind and have ``text`` in their body."""

    def mentions(pc: Any, table: Any) -> Any:
        return pc.and_(pc.equal(table["kind"], kind), pc.match_substring(table["body"], text))

    yield from _matching(path, ["kind", "body"], mentions)


def _matching(path: Path, looked_at: list[str], fits: Callable[[Any, Any], Any]) -> Iterator[StoredEvent]:
    compute = library().compute
    with _reading(path) as file:
        for number in range(file.num_row_groups):
            mask = fits(compute, file.read_row_group(number, columns=looked_at))
            if compute.any(mask).as_py():
                yield from _events(file.read_row_group(number, columns=_COLUMNS).filter(mask))


def _events(table: Any) -> Iterator[StoredEvent]:
    return (StoredEvent(*row) for row in _rows(table, {name: _EVENTS[name] for name in _COLUMNS}))


def _rows(table: Any, columns: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    number = library().int64()
    read = (table[name].cast(number) if kind == "instant" else table[name] for name, kind in columns.items())
    return zip(*(column.to_pylist() for column in read), strict=True)


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """The file, opened; whatever is wrong with it is told with its name."""
    try:
        with library().parquet.ParquetFile(path) as file:
            yield file
    except _refusals() as error:
        raise StoreCorrupt("archive.file_unreadable", file=str(path), reason=_line(error)) from error


def _row(event: StoredEvent) -> tuple[object, ...]:
    """What is kept of an event: all but what was opened of it."""
    return astuple(event)[: len(_COLUMNS)]


def _refusals() -> tuple[type[BaseException], ...]:
    """What the library raises where something does not fit, and Python where a text is not UTF-8."""
    return (library().ArrowException, ValueError, TypeError, KeyError, OverflowError, MemoryError, OSError)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _table(schema: Any, values: Sequence[Sequence[object]]) -> Any:
    arrow = library()
    plain = {arrow.date32(): arrow.int32()} | {
        field.type: arrow.int64() for field in schema if arrow.types.is_timestamp(field.type)
    }
    arrays = [
        arrow.array(column, plain.get(field.type, field.type)).cast(field.type)
        for column, field in zip(values, schema, strict=True)
    ]
    return arrow.table(arrays, schema=schema)


def _grows(name: str, kind: str) -> bool:
    """Whether a column's values lie near those before them, so that differences are short."""
    return kind in ("number", "instant") and name not in _REPEATING


def _schema(columns: dict[str, str]) -> Any:
    arrow = library()
    kinds = {
        "day": arrow.date32(),
        "number": arrow.int64(),
        "text": arrow.string(),
        "instant": arrow.timestamp("us", tz="UTC"),
        "bytes": arrow.binary(),
        "flag": arrow.bool_(),
    }
    return arrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
