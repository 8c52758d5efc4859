"""A whole Tidings on a store of its own, built as the command line builds it."""

import atexit
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from audit.findings import Verified
from channels.base import Channel
from domain.catalogue import ChannelName, Envelope
from domain.chain import genesis, link
from journeys.definition import Journey
from stores.batch import Changes
from stores.database import create_store
from stores.inbox import Taken, Told
from stores.journal import Journal
from stores.projections import LedgerEntry
from stores.vault import vault_of
from support.documents import first_programmes
from tidings.approving import begin
from tidings.authoring import publish
from tidings.bootstrap import Tidings, bootstrap
from tidings.cli.running import live
from tidings.cli.verifying import verify_all
from tidings.documents import Documents
from tidings.memory import Room
from tidings.process import BATCH, Tally
from tidings.sanctions import Person
from tidings.settings import Settings

# The machine's clock when something is published: far from the customers' own, which it must not move.
PUBLISHED_AT = datetime(2099, 1, 1, tzinfo=UTC)
Line = tuple[str, int, int, int, bytes, bytes]


class _Killed(BaseException):
    """As sudden as a kill: nothing catches it."""


class Bank:
    """A store in ``folder``; closing is the garbage collector's, as in a short-lived command.

    Messages go to ``channels`` where a test sets them, else to the sandbox.
    """

    channels: Mapping[ChannelName, Channel] | None = None

    def __init__(
        self,
        folder: Path,
        *,
        partitions: int = 2,
        name: str = "tidings",
        url: str | None = None,
        documents: Documents | None = None,
    ) -> None:
        """A fresh SQLite file, or the empty PostgreSQL database at ``url``, with the first four programmes.

        With ``documents`` it runs on these instead.
        """
        self.path = folder / f"{name}.db"
        self.outbox = folder / f"{name}-outbox"
        self.settings = Settings(url or f"sqlite:///{self.path}", self.outbox)
        if url is None and documents is None:
            made = _initialised(partitions)
            for suffix in (".db", ".keys.db", ".master-key"):
                shutil.copyfile(made.with_suffix(suffix), self.path.with_suffix(suffix))
        else:
            _initialise(self.settings.store, documents or first_programmes(), partitions)

    @property
    def tidings(self) -> Tidings:
        """The store, opened anew."""
        return bootstrap(self.settings, channels=self.channels)

    @property
    def environment(self) -> dict[str, str]:
        """What lets a command find the keys from any folder."""
        keys = vault_of(self.tidings.engine).place
        return {
            **os.environ,
            "TIDINGS_KEYS": keys.url,
            "TIDINGS_MASTER_KEY_FILE": str(keys.master_file.absolute()),
        }

    def take(self, told: Sequence[Envelope]) -> Taken:
        """Facts in, in this order."""
        tidings = self.tidings
        taken = tidings.inbox.take([Told(e, f"fact {n}") for n, e in enumerate(told)], origin="test", at=0)
        tidings.engine.dispose()
        return taken

    def publish(self, *journeys: Journey) -> None:
        """Put these journeys in force."""
        tidings = self.tidings
        publish(tidings.engine, Documents(list(journeys), []), at=PUBLISHED_AT)
        tidings.engine.dispose()

    def run(self, until: datetime, *, batch: int = BATCH, room: Room | None = None) -> Tally:
        """Live up to ``until``."""
        tidings = self.tidings
        tally = live(tidings, until=until, advance=lambda _: None, batch=batch, room=room)
        tidings.engine.dispose()
        return tally

    def run_killed(self, until: datetime, *, commits: int, batch: int = BATCH) -> bool:
        """A run that ends right after so many transactions; False where it was over before."""
        commit, left = Journal.commit, [commits]

        def counted(journal: Journal, changes: Changes, *, clock_at: datetime | None = None) -> None:
            commit(journal, changes, clock_at=clock_at)
            left[0] -= 1
            if left[0] == 0:
                raise _Killed

        Journal.commit = counted  # type: ignore[method-assign, assignment]
        try:
            self.run(until, batch=batch)
        except _Killed:
            return True
        finally:
            Journal.commit = commit  # type: ignore[method-assign]
        return False

    def verify(self) -> Verified:
        """What an audit finds."""
        tidings = self.tidings
        verified = verify_all(tidings, lambda _: None)
        tidings.engine.dispose()
        return verified

    def committed(self) -> int:
        """How many events of customers are in the store."""
        return int(self.sql("SELECT sum(last_seq) FROM partitions WHERE partition > 0")[0][0])

    def ledger(self) -> list[LedgerEntry]:
        """Every message that was asked for, and what became of it."""
        tidings = self.tidings
        entries = tidings.ledger.messages()
        tidings.engine.dispose()
        return entries

    def histories(self) -> dict[str, list[Line]]:
        """Each customer's events as told, whatever partition they lie in and whoever's key seals them.

        The hashes are those of a history in which nothing was sealed, so that histories can be compared.
        """
        rows = self.sql(
            "SELECT s.subject, e.partition, e.stream, e.kind, e.occurred_at, e.recorded_at, e.cause, e.body, "
            "r.digest, e.version "
            "FROM events e JOIN streams s ON s.partition = e.partition AND s.stream = e.stream "
            "LEFT JOIN rulebooks r ON r.partition = 0 AND r.number = e.rulebook "
            "WHERE e.partition > 0 "
            "ORDER BY s.subject, e.version"
        )
        told: dict[str, list[Line]] = {}
        vault = vault_of(self.tidings.engine)
        for subject, partition, stream, *line, stored, digest, version in sorted(
            rows, key=lambda r: str(r[0])
        ):
            kind, occurred_at, recorded_at, cause = line
            (clear,) = vault.opened(partition, [(stream, kind, bytes(stored))])
            lines = told.setdefault(subject, [])
            body = clear or bytes(stored)
            hash_ = link(
                lines[-1][-1] if lines else genesis(subject),
                version=version,
                kind=kind,
                occurred_at=occurred_at,
                recorded_at=recorded_at,
                cause=cause,
                rulebook=digest,
                body=body,
            )
            lines.append((kind, occurred_at, recorded_at, cause, body, hash_))
        return told

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Whatever an attacker or a test does to the file directly."""
        if not self.settings.store.startswith("sqlite"):
            return _postgresql(self.settings.store, statement, parameters)
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(statement, parameters).fetchall()
        finally:
            connection.close()


def copy_store(bank: Bank, copy: Bank) -> None:
    """Put one bank's file, with its customers' keys, in the place of another's."""
    # What a worker that died has written may still lie beside the file.
    bank.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in (".db", ".keys.db", ".master-key"):
        shutil.copyfile(bank.path.with_suffix(suffix), copy.path.with_suffix(suffix))


def _postgresql(url: str, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.replace("?", "%s").encode(), parameters)
        return cursor.fetchall() if cursor.description else []


@cache
def _initialised(partitions: int) -> Path:
    """A store with the first programmes, made once for each run of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="tidings-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "made.db"
    _initialise(f"sqlite:///{path}", first_programmes(), partitions)
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    return path


def _initialise(url: str, documents: Documents, partitions: int) -> None:
    engine, _ = create_store(url, customer_partitions=partitions)
    begin(engine, alone=Person("test", "one person tests"), at=PUBLISHED_AT)
    publish(engine, documents, at=PUBLISHED_AT)
    engine.dispose()
