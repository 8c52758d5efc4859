"""Where data do not fit their type, with keys of mappings, of which msgspec says only ``[...]``."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

_STEPS = re.compile(r"\.(?P<field>[^.\[\]]+)|\[(?P<index>\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.+)`")


class Unfit(Struct, frozen=True):
    """What is wrong, in the type's words, and the path to it: fields, keys, and numbers from 0 in lists."""

    reason: str
    path: tuple[str | int, ...]

    @property
    def at(self) -> str:
        """The path as it is written, such as ``$.steps[1].days``."""
        return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)

    @property
    def place(self) -> tuple[str | int, ...]:
        """The path to what is to be mended, which for a field that is unknown is the field."""
        unknown = _UNKNOWN.fullmatch(self.reason)
        return (*self.path, unknown["field"]) if unknown else self.path


def unfit(error: msgspec.ValidationError, data: Any, convert: Callable[[Any], object]) -> Unfit:
    """What ``convert`` complained of when it was given these data."""
    reason, _, told = str(error).partition(" - at `")
    told = told.rpartition("` in `")[2].rstrip("`")

    def refused(part: Any) -> bool:
        try:
            convert(part)
        except msgspec.ValidationError as again:
            return str(again) == str(error)
        return False

    return Unfit(reason, tuple(_path(told, data, refused)))


def _path(told: str, data: Any, refused: Callable[[Any], bool]) -> list[str | int]:
    path: list[str | int] = []
    for step in _STEPS.finditer(told):
        node = _at(data, path)
        if step["field"] is not None:
            path.append(step["field"])
        elif step["index"] is not None:
            path.append(int(step["index"]))
        elif isinstance(node, dict):
            # The key is one without whose fellows the complaint is the same.
            alone = (key for key, value in node.items() if refused(_with(data, path, {key: value})))
            if (key := next(alone, None)) is None:
                break
            path.append(key)
        else:
            break
    return path


def _at(node: Any, path: list[str | int]) -> Any:
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def _with(node: Any, path: list[str | int], new: Any) -> Any:
    """The data with something else at the path's end; nothing that is given is changed."""
    if not path:
        return new
    first, *rest = path
    copied = node.copy()
    copied[first] = _with(node[first], rest, new)
    return copied
