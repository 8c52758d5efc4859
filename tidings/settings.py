"""What an installation can set, read once from the command line and the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.errors import InputRefused
from tidings.wording import LANGUAGES

DEFAULT_STORE = "sqlite:///tidings.db"
DEFAULT_OUTBOX = "outbox"
DEFAULT_CUSTOMERS_IN_MEMORY = 50_000
DEFAULT_WAITING_LIMIT = 20_000_000


@dataclass(frozen=True)
class Settings:
    """``store`` is a database URL, ``outbox`` the sandbox's folder, ``language`` that of all output.

    ``customers_in_memory`` is the most that one worker keeps; each takes some 3 KiB. No further
    facts are taken in once ``waiting_limit`` wait to be decided on. ``channels`` is the settings file of
    providers, for the commands that really send.
    """

    store: str = DEFAULT_STORE
    outbox: Path = Path(DEFAULT_OUTBOX)
    language: str = LANGUAGES[0]
    customers_in_memory: int = DEFAULT_CUSTOMERS_IN_MEMORY
    waiting_limit: int = DEFAULT_WAITING_LIMIT
    channels: Path | None = None

    @property
    def shown_store(self) -> str:
        """The store's address without a password."""
        return self.store if "@" not in self.store else "…@" + self.store.rpartition("@")[2]

    @classmethod
    def read(
        cls, environment: Mapping[str, str], *, store: str | None, outbox: str | None, language: str | None
    ) -> "Settings":
        """Given values first, then TIDINGS_STORE, TIDINGS_OUTBOX and TIDINGS_LANG, then the defaults.

        TIDINGS_CUSTOMERS_IN_MEMORY, TIDINGS_WAITING_LIMIT and TIDINGS_CHANNELS are read from the environment
        alone. Raises InputRefused where one of the former is no whole number from 1 on.
        """
        return cls(
            store=store or environment.get("TIDINGS_STORE") or DEFAULT_STORE,
            outbox=Path(outbox or environment.get("TIDINGS_OUTBOX") or DEFAULT_OUTBOX),
            language=language or environment.get("TIDINGS_LANG") or LANGUAGES[0],
            customers_in_memory=_count(
                environment, "TIDINGS_CUSTOMERS_IN_MEMORY", default=DEFAULT_CUSTOMERS_IN_MEMORY
            ),
            waiting_limit=_count(environment, "TIDINGS_WAITING_LIMIT", default=DEFAULT_WAITING_LIMIT),
            channels=Path(found) if (found := environment.get("TIDINGS_CHANNELS")) else None,
        )


def _count(environment: Mapping[str, str], name: str, *, default: int) -> int:
    given = environment.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or int(given) == 0:
        raise InputRefused("settings.no_count", name=name, found=given)
    return int(given)
