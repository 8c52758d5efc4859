"""Opening, creating and migrating a store; what a database complains of, in the project's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from domain.errors import StoreUnusable
from stores.schema import partitions

SCHEMA_VERSION = "0001"
_BUSY_SECONDS = 10
_READING = "tidings_reading"

# What SQLite's own codes mean for a user; the longest prefix counts.
_SQLITE_CODES = {
    "SQLITE_NOTADB": "store.not_a_store",
    "SQLITE_CORRUPT": "store.damaged",
    "SQLITE_BUSY": "store.locked",
    "SQLITE_LOCKED": "store.locked",
    "SQLITE_READONLY": "store.read_only",
    "SQLITE_FULL": "store.disk_full",
    "SQLITE_IOERR": "store.disk_error",
    "SQLITE_CANTOPEN": "store.cannot_open",
    "SQLITE_AUTH": "store.cannot_open",
}


def connect(url: str) -> Engine:
    """An engine for the store at ``url``; opens nothing yet. Raises StoreUnusable for a URL it cannot use."""
    parsed = _parsed(url)
    engine = create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def open_store(url: str) -> Engine:
    """An engine for an existing store. Raises StoreUnusable if it is missing, foreign or too old or new."""
    path = sqlite_path(url)
    if not _exists(path):
        raise StoreUnusable("store.missing", store=str(path))
    engine = connect(url)
    with reading(engine) as connection:
        found = schema_version(connection)
    if found is None:
        raise StoreUnusable("store.not_a_store", store=str(path))
    if found != SCHEMA_VERSION:
        raise StoreUnusable("store.wrong_version", store=str(path), found=found, expected=SCHEMA_VERSION)
    return engine


def create_store(url: str, *, customer_partitions: int) -> tuple[Engine, bool]:
    """An engine for the store, made and brought to this version if need be; and whether it was made now."""
    path = sqlite_path(url)
    if not _exists(path.parent):
        raise StoreUnusable("store.no_folder", store=str(path), folder=str(path.parent))
    engine = connect(url)
    with writing(engine) as connection:
        # Whether there is something is decided under the write lock: an init that was killed, or one
        # that runs beside this, leaves a file without tables or a whole store.
        made = not inspect(connection).get_table_names()
        if made:
            _migrate(connection)
            numbers = [{"partition": number} for number in range(customer_partitions + 1)]
            connection.execute(partitions.insert(), numbers)
    return (engine, True) if made else (open_store(url), False)


def sqlite_path(url: str) -> Path:
    """The file of an SQLite store. Raises StoreUnusable for another URL."""
    database = _parsed(url).database
    if not database or database == ":memory:":
        raise StoreUnusable("store.bad_url", url=url)
    return Path(database)


def schema_version(connection: Connection) -> str | None:
    """The version that the store's tables have; None where it is no store of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if version is None else str(version)


def customer_partitions(connection: Connection) -> list[int]:
    """The partitions that hold customers, in order."""
    found = connection.execute(select(partitions.c.partition).order_by(partitions.c.partition)).scalars()
    return [number for number in found if number > 0]


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the store and holds nobody up."""
    with _translated(engine), engine.connect().execution_options(**{_READING: True}) as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that commits when the block ends and leaves nothing when it fails."""
    with _translated(engine), engine.begin() as connection:
        yield connection


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _told(error, engine.url) from error
    except UnicodeDecodeError as error:
        # A page of the file that was written over can still look like a row.
        raise StoreUnusable("store.damaged", store=str(engine.url.database), reason=error.reason) from error


def _told(error: DBAPIError, url: URL) -> StoreUnusable:
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    code = next((ours for theirs, ours in _SQLITE_CODES.items() if name.startswith(theirs)), "store.failed")
    return StoreUnusable(code, store=str(url.database), reason=str(error.orig))


def _parsed(url: str) -> URL:
    """The URL of an SQLite file without anything else: options would change what the store promises."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreUnusable("store.bad_url", url=url) from None
    if parsed.drivername != "sqlite" or parsed.query or parsed.host:
        raise StoreUnusable("store.bad_url", url=parsed.render_as_string(hide_password=True))
    return parsed


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise StoreUnusable("store.cannot_open", store=str(path), reason=str(error)) from error


def _migrate(connection: Connection) -> None:
    # Alembic is needed once in a store's life; importing it costs more than most commands.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions by itself: SQLAlchemy's "begin" does.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -65536",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once, so that it can never fail half-way through for want of it.
    reader = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")
