"""What an installation can set, read once from the command line and the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from domain.errors import InputRefused
from tidings.wording import LANGUAGES

DEFAULT_STORE = "sqlite:///tidings.db"
DEFAULT_OUTBOX = "outbox"
DEFAULT_CUSTOMERS_IN_MEMORY = 50_000
DEFAULT_WAITING_LIMIT = 20_000_000
DEFAULT_REFUSED_DAYS = 30


@dataclass(frozen=True)
class Settings:
    """``store`` is a database URL, ``outbox`` the sandbox's folder, ``language`` that of all output.

    ``customers_in_memory`` is the most that one worker keeps; each takes some 3 KiB. No further
    facts are taken in once ``waiting_limit`` wait to be decided on. ``channels`` is the settings file of
    providers, for the commands that really send. What was refused is kept for ``refused_days``. ``signer``
    holds the keys that sign checkpoints, "" where they lie in ``signer_file`` (None for the default place);
    ``origin`` is what a new log is called.
    """

    store: str = DEFAULT_STORE
    outbox: Path = Path(DEFAULT_OUTBOX)
    language: str = LANGUAGES[0]
    customers_in_memory: int = DEFAULT_CUSTOMERS_IN_MEMORY
    waiting_limit: int = DEFAULT_WAITING_LIMIT
    refused_days: int = DEFAULT_REFUSED_DAYS
    channels: Path | None = None
    signer: str = field(default="", repr=False)
    signer_file: Path | None = None
    origin: str = ""

    @property
    def shown_store(self) -> str:
        """The store's address without a password."""
        return self.store if "@" not in self.store else "…@" + self.store.rpartition("@")[2]

    @classmethod
    def read(
        cls, environment: Mapping[str, str], *, store: str | None, outbox: str | None, language: str | None
    ) -> "Settings":
        """Given values first, then TIDINGS_STORE, TIDINGS_OUTBOX and TIDINGS_LANG, then the defaults.

        TIDINGS_CUSTOMERS_IN_MEMORY, TIDINGS_WAITING_LIMIT, TIDINGS_REFUSED_DAYS, TIDINGS_CHANNELS,
        TIDINGS_SIGNER, TIDINGS_SIGNER_FILE and TIDINGS_ORIGIN are read from the environment alone. Raises
        InputRefused where one of the first three is no whole number from 1 on.
        """
        return cls(
            store=store or environment.get("TIDINGS_STORE") or DEFAULT_STORE,
            outbox=Path(outbox or environment.get("TIDINGS_OUTBOX") or DEFAULT_OUTBOX),
            language=language or environment.get("TIDINGS_LANG") or LANGUAGES[0],
            customers_in_memory=_count(
                environment, "TIDINGS_CUSTOMERS_IN_MEMORY", default=DEFAULT_CUSTOMERS_IN_MEMORY
            ),
            waiting_limit=_count(environment, "TIDINGS_WAITING_LIMIT", default=DEFAULT_WAITING_LIMIT),
            refused_days=_count(environment, "TIDINGS_REFUSED_DAYS", default=DEFAULT_REFUSED_DAYS),
            channels=_path(environment, "TIDINGS_CHANNELS"),
            signer=environment.get("TIDINGS_SIGNER", ""),
            signer_file=_path(environment, "TIDINGS_SIGNER_FILE"),
            origin=environment.get("TIDINGS_ORIGIN", ""),
        )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(given) if (given := environment.get(name)) else None


def _count(environment: Mapping[str, str], name: str, *, default: int) -> int:
    given = environment.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or int(given) == 0:
        raise InputRefused("settings.no_count", name=name, found=given)
    return int(given)
