"""Where the keys of a store are, and the master key above them."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import URL

from stores.master_key import KeyService, local_master, named_service


class KeyPlace:
    """Where the keys of a store are, and the master key above them; nothing is opened yet."""

    def __init__(self, url: str, master_file: Path, environment: Mapping[str, str]) -> None:
        self.url = url
        self.master_file = master_file
        self._environment = environment

    @classmethod
    def of(cls, store: URL, environment: Mapping[str, str]) -> "KeyPlace":
        """As the environment says (TIDINGS_KEYS, TIDINGS_MASTER_KEY, TIDINGS_MASTER_KEY_FILE), else beside.

        The keys of ``bank.db`` lie in ``bank.keys.db``, the master key in
        ``bank.master-key``; those of a PostgreSQL database in it, the master key in ``tidings.master-key``.
        """
        if store.drivername != "sqlite":
            url = store.render_as_string(hide_password=False)
            return cls(environment.get("TIDINGS_KEYS") or url, Path("tidings.master-key"), environment)
        path = Path(str(store.database))
        beside = f"sqlite:///{path.with_name(path.stem + '.keys.db')}"
        master = path.with_name(path.stem + ".master-key")
        return cls(environment.get("TIDINGS_KEYS") or beside, master, environment)

    def service(self, *, make: bool = False) -> KeyService:
        """The bank's own key service where TIDINGS_KEY_SERVICE names one, else the master key.

        With ``make`` a default file that is missing is made. Raises StoreUnusable.
        """
        if named := self._environment.get("TIDINGS_KEY_SERVICE"):
            return named_service(named)
        return local_master(self._environment, self.master_file, make=make)
