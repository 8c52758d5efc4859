"""What an installation can set, read once from the command line and the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tidings.wording import LANGUAGES

DEFAULT_STORE = "sqlite:///tidings.db"
DEFAULT_OUTBOX = "outbox"


@dataclass(frozen=True)
class Settings:
    """``store`` is a database URL, ``outbox`` the sandbox's folder, ``language`` that of all output."""

    store: str = DEFAULT_STORE
    outbox: Path = Path(DEFAULT_OUTBOX)
    language: str = LANGUAGES[0]

    @classmethod
    def read(
        cls, environment: Mapping[str, str], *, store: str | None, outbox: str | None, language: str | None
    ) -> "Settings":
        """Given values first, then TIDINGS_STORE, TIDINGS_OUTBOX and TIDINGS_LANG, then the defaults."""
        return cls(
            store=store or environment.get("TIDINGS_STORE") or DEFAULT_STORE,
            outbox=Path(outbox or environment.get("TIDINGS_OUTBOX") or DEFAULT_OUTBOX),
            language=language or environment.get("TIDINGS_LANG") or LANGUAGES[0],
        )
