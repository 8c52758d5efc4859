"""CloudEvents 1.0 in JSON: one event a line, or one file that is one array of events (a batch).

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from domain.catalogue import Envelope, Text
from domain.errors import InputRefused
from stores.inbox import Item, Refusal, Told
from tidings.importing.facts import Aware, Header, enveloped, shape_of
from tidings.importing.faults import broken_json, plain, unfit_header
from tidings.importing.reading import opened

_BOM = b"\xef\xbb\xbf"
_NO_DATA = Raw(b"{}")


class CloudEvent(Header, gc=False, kw_only=True):
    """The attributes that count here; others are the sender's own extensions and are ignored."""

    specversion: Literal["1.0"]
    time: Aware
    data: Raw = _NO_DATA
    datacontenttype: Text | None = None
    data_base64: Raw | UnsetType = UNSET


_events = msgspec.json.Decoder(CloudEvent)


def read_cloudevents(path: Path, *, now: datetime) -> Iterator[Item]:
    """Each event of the file as a fact or a refusal; lines are read as they are asked for.

    ``now`` (aware) is what the far future is measured from. Raises InputRefused for a file that is
    missing, unreadable or empty, and for a batch that is no JSON: a batch is read as a whole.
    """
    with opened(path) as file:
        yield from _read(file, str(path), now)


def read_events(content: bytes, *, now: datetime) -> Iterator[Item]:
    """The same of what was sent: besides, it may be one event written on several lines."""
    if b"\n" in content.strip() and isinstance(plain(content), dict):
        yield _item(content, "line 1", now)
    else:
        yield from _read(BytesIO(content), "body", now)


def parse_event(line: bytes, *, now: datetime) -> Envelope:
    """The fact that one structured event tells. Raises InputRefused with what is wrong."""
    try:
        event = _events.decode(line)
        _check_content(event)
        shape = shape_of(event.type)
        fact = shape.from_json(event, bytes(event.data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise broken_json(line) or unfit_header(error, plain(line), CloudEvent) from error
    return enveloped(shape, event, at=event.time, fact=fact, now=now)


def _read(file: BinaryIO, path: str, now: datetime) -> Iterator[Item]:
    lines = ((number, line) for number, line in enumerate(_without_bom(file), 1) if not line.isspace())
    first = next(lines, None)
    if first is None:
        raise InputRefused("import.empty_file", path=path)
    if first[1].lstrip().startswith(b"["):
        yield from _batch(path, b"\n" * (first[0] - 1) + first[1] + file.read(), now)
    else:
        for number, line in chain([first], lines):
            yield _item(line, f"line {number}", now)


def _item(line: bytes, place: str, now: datetime) -> Item:
    try:
        return Told(parse_event(line, now=now), place, line)
    except InputRefused as error:
        return Refusal(place, error.code, error.values, line)


def _batch(path: str, content: bytes, now: datetime) -> Iterator[Item]:
    try:
        events = msgspec.json.decode(content, type=list[Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _broken_batch(path, content, error) from error
    if not events:
        raise InputRefused("import.empty_file", path=path)
    for number, event in enumerate(events, 1):
        yield _item(bytes(event), f"event {number}", now)


def _broken_batch(path: str, content: bytes, error: Exception) -> InputRefused:
    fault = broken_json(content)
    column = fault.values.get("column") if fault else None
    if fault is None or not isinstance(column, int):
        return InputRefused("import.unreadable", path=path, reason=str(error))
    before = content.decode(errors="replace")[: column - 1]
    line, column = before.count("\n") + 1, column - before.rfind("\n") - 1
    reason = fault.values.get("reason", "not UTF-8")
    return InputRefused("import.broken_batch", path=path, line=line, column=column, reason=reason)


def _check_content(event: CloudEvent) -> None:
    if event.data_base64 is not UNSET:
        raise InputRefused("import.binary_data")
    content = event.datacontenttype
    if content is not None and content.partition(";")[0].strip().lower() != "application/json":
        raise InputRefused("import.wrong_content_type", found=content)


def _without_bom(file: BinaryIO) -> Iterator[bytes]:
    first = file.readline().removeprefix(_BOM)
    return chain([first], file) if first else iter(())
