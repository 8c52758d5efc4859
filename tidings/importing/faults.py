"""What msgspec complains of, as codes and values of the text catalogue.

msgspec tells its faults in English sentences only, so these are read here and nowhere else; a sentence
that nobody foresaw is passed on as it is, under ``import.bad_value``.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, get_args

import msgspec
from msgspec import Struct

from domain.errors import InputRefused

# Sentence (its groups become values), the code, and whether the value that was found says more than its type.
_SENTENCES: tuple[tuple[re.Pattern[str], str, bool], ...] = (
    (re.compile(r"Object missing required field `(?P<field>.*)`"), "import.missing_field", False),
    (re.compile(r"Object contains unknown field `(?P<field>.*)`"), "import.unknown_field", False),
    (re.compile(r"Expected `datetime` with a timezone component"), "import.naive_time", True),
    (re.compile(r"Expected `(?P<expected>.*)`, got `(?P<found>.*)`"), "import.wrong_type", False),
    (re.compile(r"Expected (?P<expected>.*)"), "import.out_of_range", True),
    (re.compile(r"Invalid enum value .*"), "import.unknown_value", True),
    (re.compile(r"Invalid RFC3339 encoded datetime"), "import.bad_time", True),
    (re.compile(r"Invalid RFC3339 encoded date"), "import.bad_date", True),
    (re.compile(r"Invalid decimal string"), "import.bad_number", True),
)
_FOUND_LENGTH = 60
_NEAR = 3


def unfit(error: Exception, data: object, shape: type[Struct] | None) -> InputRefused:
    """The refusal of ``data``, which did not fit ``shape``; None stands for a fact whose fields are free.

    Paths such as ``$.amount`` begin at ``data``.
    """
    sentence, _, tail = str(error).partition(" - at `")
    path = tail.rstrip("`") or "$"
    code, values, shows_value = _read(sentence)
    values["path"] = path
    if shows_value:
        values["found"] = _found_at(data, path)
    if shape is not None and code == "import.unknown_field":
        fields = shape.__struct_fields__
        return with_near(code, str(values["field"]), fields, **values, expected=", ".join(fields) or "-")
    if shape is not None and code == "import.unknown_value":
        values["expected"] = ", ".join(_choices(shape, path))
    return InputRefused(code, **values)


def unfit_header(error: Exception, data: object, shape: type[Struct]) -> InputRefused:
    """The refusal of what every fact says besides its own fields."""
    fault = unfit(error, data, shape)
    if fault.code == "import.missing_field":
        return InputRefused("import.missing_attribute", attribute=fault.values["field"])
    return fault


def with_near(code: str, word: str, known: Iterable[str], **values: object) -> InputRefused:
    """The refusal of an unknown word; where known ones are similar, under ``<code>_near`` with them."""
    near = _near(word, frozenset(known))
    return InputRefused(f"{code}_near", **values, near=near) if near else InputRefused(code, **values)


def plain(line: bytes) -> object:
    """What the JSON says, of whatever shape, so that a path's value can be told; None where it is broken."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def broken_json(line: bytes) -> InputRefused | None:
    """The refusal of bytes that are no JSON, with the column in characters from 1; None where they are."""
    try:
        line.decode()
        msgspec.json.decode(line)
    except UnicodeDecodeError as error:
        column = _column(line, error.start)
        return InputRefused("import.undecodable", encoding="UTF-8", column=column)
    except RecursionError:
        return InputRefused("import.too_deep")
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError as error:
        return _broken_at(line, str(error))
    return None


def _read(sentence: str) -> tuple[str, dict[str, object], bool]:
    for pattern, code, shows_value in _SENTENCES:
        if match := pattern.fullmatch(sentence):
            return code, dict(match.groupdict()), shows_value
    return "import.bad_value", {"reason": sentence}, False


@lru_cache(maxsize=4096)
def _near(word: str, known: frozenset[str]) -> str:
    """Similar words; kept, because one mistake tends to stand in every line of a file."""
    return ", ".join(get_close_matches(word, sorted(known), n=_NEAR))


def _broken_at(line: bytes, sentence: str) -> InputRefused:
    found = re.fullmatch(r"(?:JSON is malformed: )?(?P<reason>.*) \(byte (?P<byte>\d+)\)", sentence)
    if found is None:
        column = _column(line, len(line.rstrip()))
        return InputRefused("import.broken_json", column=column, reason=sentence)
    return InputRefused(
        "import.broken_json", column=_column(line, int(found["byte"])), reason=found["reason"]
    )


def _column(line: bytes, byte: int) -> int:
    return len(line[:byte].decode(errors="replace")) + 1


def _found_at(data: object, path: str) -> str:
    """The value that a path of one field leads to; further parts are not told by msgspec."""
    found: Any = data
    name = path.removeprefix("$.")
    if isinstance(data, Mapping) and name in data:
        found = data[name]
    text = str(found)
    return text if len(text) <= _FOUND_LENGTH else text[:_FOUND_LENGTH] + "…"


def _choices(shape: type[Struct], path: str) -> list[str]:
    """The words that a field of literals can have."""
    for field in msgspec.structs.fields(shape):
        if field.name == path.removeprefix("$."):
            return [str(word) for word in _literals(field.type)]
    return []


def _literals(kind: object) -> Iterable[object]:
    for part in get_args(kind):
        if get_args(part):
            yield from _literals(part)
        elif isinstance(part, str):
            yield part
