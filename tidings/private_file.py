"""Writes a file that only its owner may read: whole or not at all, and never over another."""

import os
from pathlib import Path

from domain.errors import InputRefused


def write_private(path: Path, content: bytes) -> None:
    """A new file of mode 0600. Raises InputRefused where there is one already, or it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # Unlike a rename, this never replaces what is there.
            os.link(part, path)
        finally:
            part.unlink(missing_ok=True)
    except FileExistsError:
        raise InputRefused("export.file_exists", file=path) from None
    except OSError as error:
        raise InputRefused("export.unwritable", file=path, reason=error.strerror or str(error)) from error
