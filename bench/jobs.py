"""A plain use of APScheduler: one job for each timer, in a job store of SQLAlchemy's.

A job does nothing but count. The store is as durable as ours (WAL, ``synchronous = FULL``) and all jobs are
due when the scheduler wakes up, so that it never waits.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event
from typing import Any, NamedTuple

from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from sqlalchemy import Engine, create_engine, event, make_url, text

from bench.bank import SINCE
from bench.place import driven
from bench.stopwatch import Spent, Stopwatch

_LONGEST_SECONDS = 3_600
_fired: set[int] = set()
_when_fired: list[Callable[[], None]] = []


class Jobs(NamedTuple):
    """What planning and firing this many jobs took."""

    number: int
    planned: Spent
    fired: Spent


def greet(customer: int) -> None:
    """The job."""
    _fired.add(customer)
    for told in _when_fired:
        told()


def run_jobs(url: str, number: int) -> Jobs:
    """Plan jobs in an empty database, all due by now, then fire them."""
    engine = _engine(url)
    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(engine=engine)},
        executors={"default": ThreadPoolExecutor(1)},
        job_defaults={"misfire_grace_time": None},
        timezone="UTC",
    )
    scheduler.start(paused=True)
    planning, firing, done = Stopwatch(), Stopwatch(), Event()
    _fired.clear()
    _when_fired[:] = [lambda: done.set() if len(_fired) == number else None]
    with planning:
        for customer in range(number):
            scheduler.add_job(greet, "date", run_date=_due(customer), args=(customer,), id=str(customer))
    with firing:
        scheduler.resume()
        in_time = done.wait(_LONGEST_SECONDS)
        # Jobs are taken out of the store after they were given to the executor.
        scheduler.shutdown()
    with engine.connect() as connection:
        left = connection.execute(text("SELECT count(*) FROM apscheduler_jobs")).scalar_one()
    engine.dispose()
    if not in_time or left:
        raise AssertionError(f"{len(_fired)} of {number} jobs fired, {left} are left")
    return Jobs(number, planning.spent, firing.spent)


def _due(customer: int) -> datetime:
    return SINCE - timedelta(days=3_650) + timedelta(seconds=customer)


def _engine(url: str) -> Engine:
    engine = create_engine(driven(make_url(url)))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _as_durable_as_ours)
    return engine


def _as_durable_as_ours(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").close()
