"""A fault of a document, told by a code and a place."""

from msgspec import Struct

Path = tuple[str | int, ...]


class Problem(Struct, frozen=True):
    """One fault: a code of the text catalogue, its values, and the path to it in the document."""

    code: str
    path: Path
    values: dict[str, str] = {}
