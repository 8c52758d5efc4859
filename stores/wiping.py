"""Leaves no copy of what was replaced or removed in a database's own files."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Connection, Engine

from stores.dialect import is_postgresql


@contextmanager
def zeroing(connection: Connection) -> Iterator[None]:
    """Let SQLite write over what it frees meanwhile; PostgreSQL only gives the room back, by its vacuum."""
    if is_postgresql(connection):
        yield
        return
    connection.exec_driver_sql("PRAGMA secure_delete = ON")
    yield
    connection.exec_driver_sql("PRAGMA secure_delete = OFF")


def wipe(engine: Engine, *tables: str, whole: bool = False) -> None:
    """Take what was replaced out of SQLite's log too, or vacuum these tables of PostgreSQL.

    With ``whole`` PostgreSQL writes the tables anew, so that nothing of what was is left in their files;
    nobody can use them meanwhile. Of SQLite's log what somebody still reads stays until the next time.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables:
                connection.exec_driver_sql(f"VACUUM {'FULL ' if whole else ''}{table}")
        return
    # Past SQLAlchemy, whose connections begin a transaction, in which the log cannot be emptied.
    with closing(engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.fetchall()
