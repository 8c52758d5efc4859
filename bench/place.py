"""Where a benchmark makes its stores: SQLite files in a folder, or databases on a PostgreSQL server."""

import shutil
from pathlib import Path
from types import TracebackType

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import StoreUnusable
from stores.database import connect
from tidings.bootstrap import initialise
from tidings.sanctions import Person
from tidings.settings import Settings

_PREFIX = "tidings_bench_"


class Unavailable(Exception):
    """This kind of store cannot be measured here; the message says why, and goes into the results."""


class Place:
    """Fresh stores by name. Use as a context: leaving removes what was made on a server.

    ``server`` is the URL of a PostgreSQL database whose user may make others; without one: SQLite files.
    """

    def __init__(self, folder: Path, server: str | None) -> None:
        self._folder = folder
        self._server = None if server is None else make_url(server)
        self._made: set[str] = set()

    @property
    def kind(self) -> str:
        """sqlite or postgresql."""
        return "sqlite" if self._server is None else "postgresql"

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for name in self._made:
            self._administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def url(self, name: str) -> str:
        """Where the store or database of this name lies; nothing need be there."""
        if self._server is None:
            return f"sqlite:///{self._path(name)}"
        return self._server.set(database=_PREFIX + name).render_as_string(hide_password=False)

    def empty(self, name: str) -> str:
        """The URL of a new database without tables; a former one of this name is gone."""
        if self._server is None:
            for path in (*self._folder.glob(f"{name}.db*"), *self._folder.glob(f"{name}.keys.db*")):
                path.unlink()
        else:
            self._create(name, "")
        return self.url(name)

    def store(self, name: str, *, partitions: int) -> str:
        """The URL of a new store with the shipped documents. Raises Unavailable."""
        url = self.empty(name)
        try:
            initialise(Settings(url), partitions=partitions, alone=Person("bench", "programs publish"))
        except (StoreUnusable, SQLAlchemyError, ImportError) as error:
            raise Unavailable(f"the store refuses {self.kind}: {error}") from error
        return url

    def copy(self, name: str, new: str) -> str:
        """The URL of a copy of a store that nobody has open."""
        if self._server is None:
            settle(self.url(name))
            self.empty(new)
            for suffix in (".db", ".keys.db", ".master-key"):
                shutil.copyfile(self._path(name).with_suffix(suffix), self._path(new).with_suffix(suffix))
        else:
            self._create(new, f'TEMPLATE "{_PREFIX}{name}"')
        return self.url(new)

    def drop(self, name: str) -> None:
        """Remove a store that nobody has open."""
        if self._server is None:
            self.empty(name)
        else:
            self._administer(f'DROP DATABASE IF EXISTS "{_PREFIX}{name}" WITH (FORCE)')

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def _create(self, name: str, template: str) -> None:
        database = _PREFIX + name
        self._made.add(database)
        self._administer(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        self._administer(f'CREATE DATABASE "{database}" {template}')

    def _administer(self, statement: str) -> None:
        assert self._server is not None  # noqa: S101 - asked only of a server
        try:
            engine = create_engine(driven(self._server), isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(text(statement))
            engine.dispose()
        except (SQLAlchemyError, ImportError) as error:
            raise Unavailable(f"no database can be made on the server: {error}") from error


def driven(url: URL) -> URL:
    """The URL with the driver named that the project uses for PostgreSQL."""
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def settle(url: str) -> int:
    """Bring everything that was written to where it stays, so the next to write does not pay for it.

    Gives the store's size in bytes.
    """
    engine = connect(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            driver = connection.connection.driver_connection
            assert driver is not None  # noqa: S101 - the connection is open
            driver.rollback()
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            size = Path(str(engine.url.database)).stat().st_size
        else:
            size = int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    engine.dispose()
    return size
