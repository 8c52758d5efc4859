"""The machine and the versions that figures were measured with."""

import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from msgspec import Struct

_LIBRARIES = (
    "sqlalchemy",
    "msgspec",
    "jinja2",
    "eventsourcing",
    "apscheduler",
    "psycopg",
    "matplotlib",
    "aiosmtplib",
    "twilio",
)
_COMMITS = 200
_KIB_PER_GIB = 1024 * 1024


class Machine(Struct, frozen=True):
    """What figures depend on. ``commit_us`` is the median of bare SQLite commits of one row, made durable.

    ``postgresql`` holds the settings of the server that was measured; empty where none was.
    """

    processor: str
    cores: int
    memory_gb: float
    system: str
    load_before: float
    commit_us: float
    python: str
    sqlite: str
    libraries: dict[str, str]
    commit: str
    changed: bool
    postgresql: dict[str, str] = {}


def this_machine(folder: Path | None) -> Machine:
    """The machine as it is now; ``folder`` is where its disk is tried, a temporary one without it."""
    return Machine(
        processor=_said("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gb=round(int((_said("/proc/meminfo", "MemTotal") or "0").split()[0]) / _KIB_PER_GIB, 1),
        system=f"{platform.system()} {platform.release()}",
        load_before=round(os.getloadavg()[0], 2),
        commit_us=round(_commit_us(folder)),
        python=sys.version.split()[0],
        sqlite=sqlite3.sqlite_version,
        libraries={name: found for name in _LIBRARIES if (found := _version(name))},
        commit=_git("rev-parse", "HEAD"),
        changed=bool(_git("status", "--porcelain", "--untracked-files=no")),
    )


def _said(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        ["git", *arguments],  # noqa: S607 - whatever git the caller has
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _commit_us(folder: Path | None) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as made:
        connection = sqlite3.connect(Path(made) / "commits.db", isolation_level=None)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE t (n)"):
            connection.execute(statement).close()
        taken = []
        for number in range(_COMMITS):
            began = time.perf_counter()
            connection.execute("INSERT INTO t VALUES (?)", (number,)).close()
            taken.append(time.perf_counter() - began)
        connection.close()
    return median(taken) * 1e6
