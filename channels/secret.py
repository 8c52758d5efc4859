"""Secrets that settings name and never hold: they lie in the environment or in a file of their own."""

import os
from pathlib import Path

from msgspec import Struct

from domain.errors import InputRefused


class Secret(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a secret lies: ``env`` names a variable of the environment, ``file`` a path; one of the two."""

    env: str | None = None
    file: str | None = None

    def reveal(self) -> str:
        """The secret, without the line break at a file's end.

        Raises InputRefused where it is not there, empty, or named by both or neither.
        """
        match self.env, self.file:
            case str(name), None:
                found = os.environ.get(name, "")
                place = f"${name}"
            case None, str(path):
                place = path
                try:
                    found = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
                except (OSError, UnicodeDecodeError) as error:
                    raise InputRefused("secret.unreadable", place=place, reason=str(error)) from error
            case _:
                raise InputRefused("secret.ambiguous")
        if not found:
            raise InputRefused("secret.missing", place=place)
        return found
