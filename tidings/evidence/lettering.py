"""Letters on a page: each character from the first font that has it, the fonts inside the document."""

from collections.abc import Collection, Iterator
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TextMode
from fpdf.fonts import TTFFont
from pylopdf_fonts_zh_cn import sans_path

Colour = tuple[int, int, int]
_LATIN, _CHINESE = "latin", "chinese"
# In the place of a character that no font has.
_UNKNOWN = "□"


class Letters:
    """Draws and measures text in Noto Sans: Latin, Greek and Cyrillic letters, and those of Chinese."""

    def __init__(self, pdf: FPDF, *, language: str) -> None:
        """In a Chinese text Latin words are set in the Chinese font, as long as it has their letters."""
        self._pdf = pdf
        latin = Path(str(files("fontpkg_noto_sans"))) / "files" / "NotoSans[wdth,wght].ttf"
        pdf.add_font(_LATIN, fname=str(latin))
        pdf.add_font(_CHINESE, fname=str(sans_path()))
        order = (_CHINESE, _LATIN) if language.startswith("zh") else (_LATIN, _CHINESE)
        self._known = [(name, _letters_of(pdf, name)) for name in order]
        self._letters: dict[str, tuple[str, str, float]] = {}

    def width(self, text: str, size: float) -> float:
        """How wide a text is, in millimetres; ``size`` in points."""
        return sum(self._letter(character)[2] for character in text) * size

    def draw(
        self, x: float, y: float, text: str, *, size: float, colour: Colour, heavy: bool = False
    ) -> None:
        """Draw a line of text from ``x`` on, standing on ``y`` (millimetres)."""
        pdf = self._pdf
        pdf.set_text_color(*colour)
        # The fonts have one weight here: a thin outline makes titles stand out.
        pdf.text_mode = TextMode.FILL_STROKE if heavy else TextMode.FILL
        pdf.set_draw_color(*colour)
        pdf.set_line_width(0.012 * size if heavy else 0.1)
        for font, run in self._runs(text):
            pdf.set_font(font, size=size)
            pdf.text(x, y, run)
            x += self.width(run, size)
        pdf.text_mode = TextMode.FILL

    def forget(self) -> None:
        """Say the font anew: what the library believes of it is true of the page it drew on last only."""
        self._pdf.set_font(self._known[0][0], size=1)

    def _runs(self, text: str) -> Iterator[tuple[str, str]]:
        letters = (self._letter(character) for character in text)
        for font, run in groupby(letters, key=lambda letter: letter[0]):
            yield font, "".join(letter[1] for letter in run)

    def _letter(self, character: str) -> tuple[str, str, float]:
        """The font that draws a character, what it draws, and how wide that is at one point."""
        known = self._letters.get(character)
        if known is None:
            known = self._letters[character] = self._found(character)
        return known

    def _found(self, character: str) -> tuple[str, str, float]:
        if not character.isprintable():
            character = " "
        for font, letters in self._known:
            if ord(character) in letters:
                self._pdf.set_font(font, size=100)
                return font, character, self._pdf.get_string_width(character) / 100
        return self._found(_UNKNOWN)


def _letters_of(pdf: FPDF, font: str) -> Collection[int]:
    """The code points that a font has."""
    found = pdf.fonts[font]
    assert isinstance(found, TTFFont)  # noqa: S101 - both were read from files
    return found.cmap
