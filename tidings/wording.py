"""User-facing sentences: every text has a code and stands in a catalogue for each language."""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

LANGUAGES = ("en", "zh-CN")


class Wording:
    """The sentences of one language. A code that has none is told as it is, never as an error."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else LANGUAGES[0]
        self._texts = catalogue(self.language)

    def tell(self, code: str, values: Mapping[str, object] | None = None) -> str:
        """The sentence of a code with its values filled in."""
        text = self._texts.get(code)
        if text is None:
            told = ", ".join(f"{name}={value}" for name, value in (values or {}).items())
            return f"{code}: {told}" if told else code
        return text.format_map(_Shown(values or {}))

    def has(self, code: str) -> bool:
        """Whether the catalogue has a sentence for this code."""
        return code in self._texts


class _Shown(dict[str, object]):
    """Values for a sentence; one that is missing is shown as a gap."""

    def __missing__(self, key: str) -> str:
        return "?"


@lru_cache(maxsize=8)
def catalogue(language: str) -> dict[str, str]:
    """All sentences of a language by code."""
    texts: dict[str, str] = {}
    for place in sorted(files("tidings").joinpath("texts", language).iterdir(), key=lambda p: p.name):
        if place.name.endswith(".toml"):
            texts |= tomllib.loads(place.read_text(encoding="utf-8"))
    return texts
