"""What a report is made of, whatever it is painted as."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from audit.evidence.timeline import Picture

Tone = Literal["good", "bad", "waiting", "plain"]


class Heading(Struct, frozen=True):
    """The title of a part."""

    text: str


class Paragraph(Struct, frozen=True):
    """Running text; ``soft`` is said beside the matter."""

    text: str
    soft: bool = False


class Figures(Struct, frozen=True):
    """A few numbers that say most: each a value and what it is."""

    values: Sequence[tuple[str, str]]


class Table(Struct, frozen=True):
    """Rows below headings; ``shares`` are the widths of the columns, which add up to 100."""

    columns: Sequence[str]
    shares: Sequence[int]
    rows: Sequence[Sequence[str]]


class Drawing(Struct, frozen=True):
    """A picture, and what it shows in words."""

    picture: Picture
    text: str


class Card(Struct, frozen=True):
    """One message: what it is, what became of it, why in sentences, and its words.

    ``notes`` are names and values; ``file`` is where its HTML lies in the pack, "" where it has none.
    """

    title: str
    status: str
    tone: Tone
    sentences: Sequence[str]
    heading: str = ""
    text: str = ""
    notes: Sequence[tuple[str, str]] = ()
    file: str = ""


Block = Heading | Paragraph | Figures | Table | Drawing | Card


class Report(Struct, frozen=True):
    """A report in one language."""

    language: str
    title: str
    subtitle: str
    blocks: list[Block]
