"""The report as PDF: the same blocks on pages of A4, fonts inside, so that it looks alike everywhere."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from fpdf import FPDF

from audit.evidence.timeline import WIDTH, Picture, Shape
from tidings.evidence.blocks import Card, Drawing, Figures, Heading, Paragraph, Report, Table
from tidings.evidence.lettering import Colour, Letters
from tidings.evidence.typesetting import lines_of

_MARGIN, _BOTTOM, _PAGE_WIDTH, _PAGE_HEIGHT = 15.0, 16.0, 210.0, 297.0
_ROOM = _PAGE_WIDTH - 2 * _MARGIN
_POINT = 0.3528
_INK, _SOFT, _LINE = (28, 36, 48), (86, 96, 114), (213, 218, 226)
_COLOURS = {
    "ink": _INK,
    "soft": _SOFT,
    "grid": (227, 231, 237),
    "fact": (159, 179, 200),
    "passage": (201, 220, 242),
    "sent": (11, 87, 164),
    "good": (20, 99, 58),
    "bad": (163, 35, 31),
    "waiting": (209, 139, 0),
    "plain": _SOFT,
}
_GROUND = (245, 247, 250)
_ACCENT = _COLOURS["sent"]


def pdf_of(report: Report, *, at: datetime, page_of: Callable[[int, int], str]) -> bytes:
    """The document, the same bytes for the same report. ``at`` (aware UTC) is its date; ``page_of`` says
    "page 2 of 7"."""
    paper = _Paper(report, at)
    paper.title()
    for block, following in zip(report.blocks, [*report.blocks[1:], None], strict=True):
        match block:
            case Heading():
                paper.heading(block.text)
            case Paragraph():
                below = 18.0 if isinstance(following, Table) else 0.0
                paper.paragraph(block.text, colour=_SOFT if block.soft else _INK, below=below)
            case Figures():
                paper.figures(block)
            case Table():
                paper.table(block)
            case Drawing():
                paper.drawing(block)
            case Card():
                paper.card(block)
    return paper.finished(page_of)


class _Paper:
    """Pages that fill from the top."""

    def __init__(self, report: Report, at: datetime) -> None:
        self._report = report
        self._pdf = pdf = FPDF(format="A4")
        pdf.set_auto_page_break(False)
        self._letters = Letters(pdf, language=report.language)
        pdf.set_creation_date(at)
        pdf.set_title(report.title)
        pdf.set_lang(report.language)
        pdf.set_producer("Tidings")
        self._y = 0.0
        self._new_page()

    def title(self) -> None:
        """The report's title and what it is about."""
        self._lines([self._report.title], size=20, colour=_INK, heavy=True)
        self._lines(self._fit(self._report.subtitle, _ROOM, 10), size=10, colour=_SOFT)
        self._y += 3

    def heading(self, text: str) -> None:
        """A part's title, with an entry in the document's outline."""
        self._need(24)
        self._y += 5
        self._pdf.set_y(self._y)
        self._pdf.start_section(text)
        self._lines([text], size=13, colour=_ACCENT, heavy=True)
        self._pdf.set_draw_color(*_ACCENT)
        self._pdf.set_line_width(0.4)
        self._pdf.line(_MARGIN, self._y, _PAGE_WIDTH - _MARGIN, self._y)
        self._y += 3

    def paragraph(self, text: str, *, colour: Colour = _INK, below: float = 0) -> None:
        """Running text, and so much room below it on the same page."""
        lines = self._fit(text, _ROOM, 9.5)
        self._need(len(lines) * 9.5 * _POINT * 1.48 + below)
        self._lines(lines, size=9.5, colour=colour)
        self._y += 2

    def figures(self, block: Figures) -> None:
        """Boxes side by side."""
        self._need(22)
        gap = 3.0
        width = (_ROOM - gap * (len(block.values) - 1)) / len(block.values)
        for number, (value, what) in enumerate(block.values):
            x = _MARGIN + number * (width + gap)
            self._pdf.set_fill_color(*_GROUND)
            self._pdf.rect(x, self._y, width, 17, style="F", round_corners=True, corner_radius=1.5)
            self._letters.draw(x + 3, self._y + 7.5, value, size=15, colour=_INK)
            for line, text in enumerate(self._fit(what, width - 4, 7.5)[:2]):
                self._letters.draw(x + 3, self._y + 11.8 + line * 3.2, text, size=7.5, colour=_SOFT)
        self._y += 21

    def table(self, block: Table) -> None:
        """Rows that are not torn apart where they fit a page; headings again on each."""
        widths = [_ROOM * share / 100 for share in block.shares]
        self._need(16)
        self._row(block.columns, widths, colour=_SOFT, line=_SOFT)
        for row in block.rows:
            cells = [self._fit(cell, w - 2, 8) for cell, w in zip(row, widths, strict=True)]
            high = max(map(len, cells)) * 3.9 + 1.6
            if self._y + high > _PAGE_HEIGHT - _BOTTOM:
                self._new_page()
                self._row(block.columns, widths, colour=_SOFT, line=_SOFT)
            self._row(row, widths, colour=_INK, line=_LINE)
        self._y += 3

    def drawing(self, block: Drawing) -> None:
        """The picture as wide as the page, and what it shows."""
        scale = _ROOM / WIDTH
        self._need(block.picture.height * scale + 8)
        self._paint(block.picture, scale)
        self._y += block.picture.height * scale + 1
        self.paragraph(block.text, colour=_SOFT)

    def card(self, card: Card) -> None:
        """A message, marked at its left edge as long as it is."""
        tone = _COLOURS[card.tone]
        indent = _MARGIN + 4
        lines = list(self._of_card(card, _ROOM - 4))
        left = _PAGE_HEIGHT - _BOTTOM - self._y
        over = sum(size * _POINT * 1.42 + gap for _, size, _, gap in lines) - left
        # Neither a beginning nor an end of a few lines stands alone on a page.
        if left < 26 or 0 < over < 16 or (over > 0 and left < 70):
            self._new_page()
        for text, size, colour, gap in lines:
            if self._y + size * _POINT * 1.42 > _PAGE_HEIGHT - _BOTTOM:
                self._new_page()
            top = self._y
            if text is None:
                self._title_of(card, indent, tone)
            else:
                self._letters.draw(indent, self._y + size * _POINT * 1.1, text, size=size, colour=colour)
                self._y += size * _POINT * 1.42
            self._y += gap
            self._pdf.set_fill_color(*tone)
            self._pdf.rect(_MARGIN, top, 1.2, self._y - top, style="F")
        self._y += 4

    def finished(self, page_of: Callable[[int, int], str]) -> bytes:
        """The document's bytes, each page numbered."""
        pages = self._pdf.pages_count
        for number in range(1, pages + 1):
            self._pdf.page = number
            self._letters.forget()
            foot = f"{self._report.title}   {page_of(number, pages)}"
            self._letters.draw(_MARGIN, _PAGE_HEIGHT - 8, foot, size=7.5, colour=_SOFT)
        return bytes(self._pdf.output())

    def _of_card(self, card: Card, room: float) -> Iterator[tuple[str | None, float, Colour, float]]:
        """The card's lines: text (None for its title), size in points, colour, gap below in millimetres."""
        yield None, 10, _INK, 1.0
        for sentence in card.sentences:
            for number, line in enumerate(self._fit(sentence, room - 3, 9)):
                yield ("    " if number else "•  ") + line, 9, _INK, 0
        if card.text:
            yield "", 3, _INK, 0
            for line in self._fit(card.heading, room - 6, 9) if card.heading else []:
                yield "   " + line, 9, _ACCENT, 0
            for line in self._fit(card.text.strip(), room - 6, 8.5):
                yield "   " + line, 8.5, _SOFT, 0
            yield "", 2, _INK, 0
        for name, value in card.notes:
            for line in self._fit(f"{name}: {value}", room, 7):
                yield line, 7, _SOFT, 0

    def _title_of(self, card: Card, x: float, tone: Colour) -> None:
        status = self._letters.width(card.status, 9)
        titles = self._fit(card.title, _ROOM - 8 - status, 10)
        self._letters.draw(_PAGE_WIDTH - _MARGIN - status, self._y + 3.9, card.status, size=9, colour=tone)
        for title in titles:
            self._letters.draw(x, self._y + 3.9, title, size=10, colour=_INK, heavy=True)
            self._y += 5

    def _row(
        self,
        cells: Sequence[str],
        widths: Sequence[float],
        *,
        colour: Colour,
        line: Colour,
    ) -> None:
        broken = [self._fit(cell, width - 2, 8) for cell, width in zip(cells, widths, strict=True)]
        for number in range(max(map(len, broken))):
            if self._y + 5 > _PAGE_HEIGHT - _BOTTOM:
                self._new_page()
            x = _MARGIN
            for lines, width in zip(broken, widths, strict=True):
                if number < len(lines):
                    self._letters.draw(x, self._y + 3.4, lines[number], size=8, colour=colour)
                x += width
            self._y += 3.9
        self._pdf.set_draw_color(*line)
        self._pdf.set_line_width(0.15)
        self._pdf.line(_MARGIN, self._y + 0.6, _PAGE_WIDTH - _MARGIN, self._y + 0.6)
        self._y += 1.6

    def _paint(self, picture: Picture, scale: float) -> None:
        for shape in picture.shapes:
            _paint_shape(self, self._pdf, shape, scale, self._y)

    def label(self, shape: Shape, x: float, y: float) -> None:
        """A text of a picture, centred on its height."""
        size = 7.0
        back = {"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor] * self._letters.width(shape.text, size)
        self._letters.draw(x - back, y + 0.9, shape.text, size=size, colour=_COLOURS[shape.style])

    def _lines(self, lines: Sequence[str], *, size: float, colour: Colour, heavy: bool = False) -> None:
        for line in lines:
            self._need(size * _POINT * 1.5)
            self._letters.draw(
                _MARGIN, self._y + size * _POINT * 1.1, line, size=size, colour=colour, heavy=heavy
            )
            self._y += size * _POINT * 1.48

    def _fit(self, text: str, width: float, size: float) -> list[str]:
        return lines_of(text, width, lambda piece: self._letters.width(piece, size))

    def _need(self, height: float) -> None:
        if self._y + height > _PAGE_HEIGHT - _BOTTOM:
            self._new_page()

    def _new_page(self) -> None:
        self._pdf.add_page()
        self._y = 14.0


def _paint_shape(paper: _Paper, pdf: FPDF, shape: Shape, scale: float, top: float) -> None:
    x, y = _MARGIN + shape.x * scale, top + shape.y * scale
    to_x, to_y = _MARGIN + shape.to_x * scale, top + shape.to_y * scale
    colour = _COLOURS[shape.style]
    pdf.set_fill_color(*colour)
    pdf.set_draw_color(*colour)
    match shape.sort:
        case "rect":
            pdf.rect(x, y, to_x - x, to_y - y, style="F")
        case "line":
            pdf.set_line_width(0.15)
            pdf.line(x, y, to_x, to_y)
        case "dot":
            pdf.circle(x, y, 5 * scale, style="F")
        case "ring":
            pdf.set_fill_color(255)
            pdf.set_line_width(2.5 * scale)
            pdf.circle(x, y, 4.5 * scale, style="DF")
        case "up" | "down":
            tip = -6 if shape.sort == "up" else 6
            corners = [(x - 6 * scale, y - tip * scale * 0.85), (x + 6 * scale, y - tip * scale * 0.85)]
            pdf.polygon([*corners, (x, y + tip * scale)], style="F")
        case "text":
            paper.label(shape, x, y)
