"""Where data do not fit: the whole path, with keys of mappings by their names."""

from typing import Any

import msgspec
import pytest
from msgspec import Struct

from tidings.unfit import unfit


class Leaf(Struct, forbid_unknown_fields=True):
    number: int = 0


class Tree(Struct, forbid_unknown_fields=True):
    leaves: dict[str, Leaf] = {}
    rows: list[dict[str, dict[str, Leaf]]] = []


def convert(data: Any) -> Tree:
    return msgspec.convert(data, Tree)


@pytest.mark.parametrize(
    ("data", "at", "place"),
    [
        ({"leaves": {"a": {}, "b": {"number": "x"}}}, "$.leaves.b.number", ("leaves", "b", "number")),
        ({"leaves": {"a": {}, "b": 1}}, "$.leaves.b", ("leaves", "b")),
        ({"leaves": {"a": {}, "b.c": {"size": 1}}}, "$.leaves.b.c", ("leaves", "b.c", "size")),
        (
            {"rows": [{}, {"x": {}, "y": {"p": {}, "q": {"number": 1.5}}}]},
            "$.rows[1].y.q.number",
            ("rows", 1, "y", "q", "number"),
        ),
        ({"sleeves": 1}, "$", ("sleeves",)),
        ([], "$", ()),
    ],
)
def test_the_path_names_every_key(data: Any, at: str, place: tuple[str | int, ...]) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        convert(data)
    found = unfit(raised.value, data, convert)
    assert (found.at, found.place) == (at, place)
    assert "at `" not in found.reason


def test_a_key_that_does_not_fit_is_told_at_its_mapping() -> None:
    class Numbered(Struct):
        by: dict[int, int]

    def numbered(data: Any) -> Numbered:
        return msgspec.convert(data, Numbered, str_keys=True)

    data = {"by": {"1": 1, "x": 2}}
    with pytest.raises(msgspec.ValidationError) as raised:
        numbered(data)
    assert unfit(raised.value, data, numbered).at == "$.by"
