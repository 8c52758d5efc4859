"""What the verifier says: a line for each check, in the reader's language."""

from __future__ import annotations

import sys

# Filled in when the verifier is joined: sentences by language and code.
SAID: dict[str, dict[str, str]] = {}


class Wrong(Exception):
    """A check failed; ``code`` and ``values`` make its line."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code, values)
        self.code = code
        self.values = values


class Findings:
    """Writes a line for each finding, and knows whether any check failed."""

    def __init__(self, language: str) -> None:
        self._texts = SAID.get(language, {})
        self.failed = 0

    def right(self, code: str, **values: object) -> None:
        """This was checked and holds."""
        self._line("ok", code, values)

    def wrong(self, found: Wrong) -> None:
        """This was checked and does not hold."""
        self.failed += 1
        self._line("WRONG", found.code, found.values)

    def open(self, code: str, **values: object) -> None:
        """This was not checked, or cannot be."""
        self._line("--", code, values)

    def plain(self, code: str, **values: object) -> None:
        """A line that is no finding."""
        self._line("", code, values)

    def _line(self, sign: str, code: str, values: dict[str, object]) -> None:
        told = ", ".join(name + "=" + str(value) for name, value in values.items())
        text = self._texts.get(code)
        said = text.format(**values) if text else code + (": " + told if told else "")
        # What a pack says of itself must not steer the reader's terminal.
        shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in said)
        sys.stdout.write((sign.ljust(6) + shown).rstrip() + "\n")
