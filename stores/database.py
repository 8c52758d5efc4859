"""Opening, creating and migrating a store; what a database complains of, in the project's own errors."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError

from domain.errors import StoreUnusable
from stores import dialect
from stores.key_place import KeyPlace
from stores.schema import partitions

SCHEMA_VERSION = "0005"
_PSYCOPG = "postgresql+psycopg"
_BUSY_SECONDS = 10
_IDLE_SECONDS = 60
_INIT_LOCK = 7_461_201
# Of times; at once would keep statements that never come again, each of a length of its own.
_PREPARED_AFTER = 1
# Everything is found by keys in their order. A new table has no statistics, and without them the server
# would read and sort all that waits for each batch, read it again to remove some of it, or walk through the
# whole log for each step back in it.
_BY_KEY = " ".join(
    f"-c {setting}"
    for setting in (
        "enable_seqscan=off",
        "enable_bitmapscan=off",
        "enable_mergejoin=off",
        "enable_hashjoin=off",
        "random_page_cost=1.1",
        "jit=off",
    )
)
_READING = "tidings_reading"
_RESTING_SINCE = "tidings_resting_since"
_TRIED_AFTER_SECONDS = 5


def connect(url: str, *, read_only: bool = False) -> Engine:
    """An engine for the store at ``url``; opens nothing yet. Raises StoreUnusable for a URL it cannot use.

    With ``read_only`` not a byte of an SQLite file can change through it, not even by a checkpoint. Its
    vault (``stores.vault.vault_of``) finds the keys as the environment says.
    """
    # The vault opens a database of its own.
    from stores.vault import VAULT, Vault

    engine = engine_of(url, read_only=read_only)
    place = KeyPlace.of(parsed_url(url), os.environ)
    vault = Vault(place, read_only=read_only)
    engine.update_execution_options(**{VAULT: vault})
    event.listen(engine, "engine_disposed", vault.close)
    return engine


def engine_of(url: str, *, read_only: bool = False, wiping: bool = False, schema: str = "") -> Engine:
    """An engine for a database of ours, as ``connect`` sets it up, without a vault.

    With ``wiping`` nothing that is removed from an SQLite file can be read in it any more. ``schema`` is that
    of PostgreSQL in which the tables are.
    """
    parsed = parsed_url(url)
    if _is_file(parsed) and read_only:
        engine = create_engine(parsed, creator=partial(_read_only, Path(str(parsed.database))))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if _is_file(parsed):
        engine = create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        if wiping:
            event.listen(engine, "connect", _wipe_what_is_removed)
        return engine
    # A session that hangs half-way must not hold the others up for ever, nor wait for ever for them.
    limits = f"-c lock_timeout={_BUSY_SECONDS}s -c idle_in_transaction_session_timeout={_IDLE_SECONDS}s"
    if schema:
        limits += f" -c search_path={schema}"
    arguments = {"options": f"{limits} {_BY_KEY}", "prepare_threshold": _PREPARED_AFTER}
    engine = create_engine(parsed, connect_args=arguments)
    event.listen(engine, "checkin", _note_rest)
    event.listen(engine, "checkout", _try_after_rest)
    event.listen(engine, "before_cursor_execute", _choose_form)
    return engine


def open_store(url: str, *, read_only: bool = False) -> Engine:
    """An engine for an existing store. Raises StoreUnusable if it is missing, foreign or too old or new."""
    name = store_name(url)
    if _is_file(parsed_url(url)) and not _exists(Path(name)):
        raise StoreUnusable("store.missing", store=name)
    engine = connect(url, read_only=read_only)
    with reading(engine) as connection:
        found = schema_version(connection)
    if found is None:
        code = "store.not_a_store" if _is_file(parsed_url(url)) else "store.missing"
        raise StoreUnusable(code, store=name)
    if found != SCHEMA_VERSION:
        raise StoreUnusable("store.wrong_version", store=name, found=found, expected=SCHEMA_VERSION)
    return engine


def create_store(url: str, *, customer_partitions: int) -> tuple[Engine, bool]:
    """An engine for the store, made and brought to this version if need be; and whether it was made now.

    A PostgreSQL database must be there; only its tables are made.
    """
    path = Path(store_name(url))
    if _is_file(parsed_url(url)) and not _exists(path.parent):
        raise StoreUnusable("store.no_folder", store=str(path), folder=str(path.parent))
    engine = connect(url)
    _make_keys(engine)
    with writing(engine) as connection:
        # Whether there is something is decided under a lock: an init that was killed, or one that runs
        # beside this, leaves nothing or a whole store.
        dialect.lock(connection, _INIT_LOCK)
        made = not inspect(connection).get_table_names()
        if made:
            _migrate(connection)
            numbers = [{"partition": number} for number in range(customer_partitions + 1)]
            connection.execute(partitions.insert(), numbers)
    if made:
        return engine, True
    engine.dispose()
    return open_store(url), False


def _make_keys(engine: Engine) -> None:
    """The keys of a new store come first: it would be of no use without them."""
    from stores.vault import vault_of

    with reading(engine) as connection:
        there = bool(inspect(connection).get_table_names())
    if not there:
        vault_of(engine).set_up()


def store_name(url: str) -> str:
    """What a user knows the store by: its file, or its address without a password."""
    parsed = parsed_url(url)
    if _is_file(parsed):
        return str(parsed.database)
    return parsed.set(drivername="postgresql").render_as_string(hide_password=True)


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
    options: dict[str, Any] = {_READING: True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with _translated(engine), engine.connect().execution_options(**options) as connection:
        yield connection
        dialect.end_reading(connection)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that commits when the block ends and leaves nothing when it fails."""
    with _translated(engine), engine.begin() as connection:
        yield connection


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    name = store_name(engine.url.render_as_string(hide_password=False))
    try:
        yield
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        raise StoreUnusable(dialect.complaint(error), store=name, reason=reason) from error
    except UnicodeDecodeError as error:
        # A page of the file that was written over can still look like a row.
        raise StoreUnusable("store.damaged", store=name, reason=error.reason) from error


def parsed_url(url: str) -> URL:
    """The URL of an SQLite file, or of a PostgreSQL database by its one driver.

    Options of an SQLite URL would change what the store promises, and are refused.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreUnusable("store.bad_url", url=url) from None
    if parsed.drivername in ("postgresql", "postgres", _PSYCOPG):
        return parsed.set(drivername=_PSYCOPG)
    named = parsed.database not in (None, "", ":memory:")
    if parsed.drivername != "sqlite" or parsed.query or parsed.host or not named:
        raise StoreUnusable("store.bad_url", url=parsed.render_as_string(hide_password=True))
    return parsed


def _is_file(url: URL) -> bool:
    return url.drivername == "sqlite"


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


def _read_only(path: Path) -> sqlite3.Connection:
    """A connection that the database itself lets read only; transactions are SQLAlchemy's to open."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(
        uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


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


def _wipe_what_is_removed(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA secure_delete = ON").close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once, so that it can never fail half-way through for want of it.
    reader = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")


def _note_rest(_connection: object, record: Any) -> None:
    record.info[_RESTING_SINCE] = monotonic()


def _try_after_rest(connection: Any, record: Any, _proxy: object) -> None:
    """A connection that was out of use for a while may have been cut; the pool then makes another."""
    since = record.info.get(_RESTING_SINCE)
    if since is None or monotonic() - since < _TRIED_AFTER_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
        connection.commit()
    except connection.Error as error:
        raise InvalidatePoolError from error


def _choose_form(
    _connection: object, cursor: Any, _statement: str, _parameters: object, context: Any, _many: bool
) -> None:
    if context is not None and context.execution_options.get(dialect.BINARY):
        cursor.format = 1
