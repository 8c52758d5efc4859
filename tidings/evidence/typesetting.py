"""Lines that fit: breaks text of both languages as their readers expect it."""

import re
from collections.abc import Callable, Iterator

# Before these no line begins, after those none ends.
_NOT_FIRST = frozenset("，。、；：？！）》」』】〉’”…—·,.;:?!)]}%")
_NOT_LAST = frozenset("（《「『【〈‘“([{")
_WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_PIECES = re.compile(f"[{_WIDE}]|[ ]+|[^ {_WIDE}]+")
_LONG = re.compile(r"(?<=[-/_.=,:;&?])")


def lines_of(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """The text in lines no wider than ``width``, by what ``measure`` says of a piece. Never empty."""
    found: list[str] = []
    for paragraph in text.split("\n"):
        found += _broken(paragraph, width, measure)
    return found or [""]


def _broken(paragraph: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    line, used = "", 0.0
    for piece in _pieces(paragraph, width, measure):
        wide = measure(piece)
        if used + wide > width and line.strip():
            yield line.rstrip()
            line, used = "", 0.0
            piece = piece.lstrip(" ")
            wide = measure(piece)
        line, used = line + piece, used + wide
    yield line.rstrip()


def _pieces(paragraph: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    """What must not be torn apart: words, single characters with their punctuation, parts of long names."""
    held = ""
    for found in _PIECES.findall(paragraph):
        if held and (found[0] in _NOT_FIRST or held[-1] in _NOT_LAST):
            held += found
            continue
        if held:
            yield from _torn(held, width, measure)
        held = found
    if held:
        yield from _torn(held, width, measure)


def _torn(piece: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    """The piece, in parts where it is wider than a line."""
    if measure(piece) <= width:
        yield piece
        return
    for part in _LONG.split(piece):
        while measure(part) > width and len(part) > 1:
            fitting = next(n for n in range(len(part) - 1, 0, -1) if n == 1 or measure(part[:n]) <= width)
            yield part[:fitting]
            part = part[fitting:]
        yield part
