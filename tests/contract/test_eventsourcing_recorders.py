"""Our recorders keep what the `eventsourcing` library promises of its own: its published cases, and ours."""

import sqlite3
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from unittest import TestCase
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import (
    DataError,
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    NotSupportedError,
    StoredEvent,
    Tracking,
)
from eventsourcing.utils import Environment
from sqlalchemy import select, update

from domain.chain import genesis, link
from domain.clock import from_micros
from domain.errors import StoreUnusable
from domain.ports import StoredEvent as StoredRow
from stores.database import create_store, reading, writing
from stores.history import StoredHistory
from stores.recorder_factory import AuthoredFactory
from stores.recorders import (
    AuthoredAggregateRecorder,
    AuthoredApplicationRecorder,
    AuthoredProcessRecorder,
    AuthoredStore,
    AuthoredTrackingRecorder,
)
from stores.schema import partitions, streams
from support.postgres import fresh_database

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HAS_AES = find_spec("Crypto") is not None
needs_aes = pytest.mark.skipif(not HAS_AES, reason="the library's AES cipher needs pycryptodome")

if not HAS_AES:
    # The published cases import the cipher wherever they are used, though only three of them need it.
    cipher = ModuleType("eventsourcing.cipher")
    cipher.__dict__["AESCipher"] = type("AESCipher", (), {"CIPHER_KEY": "CIPHER_KEY"})
    sys.modules.setdefault(cipher.__name__, cipher)

# The module and not its classes: pytest would collect abstract cases that stand in this module.
from eventsourcing.tests import persistence as published  # noqa: E402


def ticking() -> Callable[[], datetime]:
    """A clock that shows one second more each time it is asked."""
    seconds = count()
    return lambda: T0 + timedelta(seconds=next(seconds))


class OwnStore(TestCase):
    """A new store in a folder of its own, for as long as one test."""

    originator_id_type: type[UUID] | type[str] = UUID

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "store.db"
        self.url = self.store_url()
        engine, _ = create_store(self.url, customer_partitions=1)
        self.addCleanup(engine.dispose)
        self.store = AuthoredStore(engine, ticking(), self.originator_id_type)

    def store_url(self) -> str:
        """Where the store is made."""
        return f"sqlite:///{self.path}"


class OnPostgresql(OwnStore):
    """The same on a PostgreSQL database of its own."""

    def store_url(self) -> str:
        return fresh_database()


class TestAggregateRecorder(OwnStore, published.AggregateRecorderTestCase):
    def create_recorder(self) -> AuthoredAggregateRecorder:
        return AuthoredAggregateRecorder(self.store)


class TestApplicationRecorder(OwnStore, published.ApplicationRecorderTestCase[AuthoredApplicationRecorder]):
    def create_recorder(self) -> AuthoredApplicationRecorder:
        return AuthoredApplicationRecorder(self.store)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderWithTextIds(TestApplicationRecorder):
    originator_id_type = str

    def new_originator_id(self) -> str:
        return f"journey-{uuid4()}"


class TestTrackingRecorder(OwnStore, published.TrackingRecorderTestCase):
    def create_recorder(self) -> AuthoredTrackingRecorder:
        return AuthoredTrackingRecorder(self.store)


class TestProcessRecorder(OwnStore, published.ProcessRecorderTestCase):
    def create_recorder(self) -> AuthoredProcessRecorder:
        return AuthoredProcessRecorder(self.store)


class TestNotificationIds(OwnStore, published.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> AuthoredApplicationRecorder:
        return AuthoredApplicationRecorder(self.store)


class OtherTrackingRecorder(AuthoredTrackingRecorder):
    """What an application may name instead of ours."""


class TestFactory(OwnStore, published.InfrastructureFactoryTestCase[AuthoredFactory]):
    def setUp(self) -> None:
        OwnStore.setUp(self)
        self.env = Environment("Studio", environment(self.url))
        published.InfrastructureFactoryTestCase.setUp(self)

    def expected_factory_class(self) -> type[AuthoredFactory]:
        return AuthoredFactory

    def expected_aggregate_recorder_class(self) -> type[AuthoredAggregateRecorder]:
        return AuthoredAggregateRecorder

    def expected_application_recorder_class(self) -> type[AuthoredApplicationRecorder]:
        return AuthoredApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[AuthoredTrackingRecorder]:
        return AuthoredTrackingRecorder

    def tracking_recorder_subclass(self) -> type[AuthoredTrackingRecorder]:
        return OtherTrackingRecorder

    def expected_process_recorder_class(self) -> type[AuthoredProcessRecorder]:
        return AuthoredProcessRecorder

    @needs_aes
    def test_mapper_with_cipher(self) -> None:
        super().test_mapper_with_cipher()

    @needs_aes
    def test_mapper_with_cipher_and_compressor(self) -> None:
        super().test_mapper_with_cipher_and_compressor()

    @needs_aes
    def test_mapper_with_wrong_cipher_key(self) -> None:
        super().test_mapper_with_wrong_cipher_key()


class TestAggregateRecorderOnPostgresql(OnPostgresql, TestAggregateRecorder):
    pass


class TestApplicationRecorderOnPostgresql(OnPostgresql, TestApplicationRecorder):
    pass


class TestTrackingRecorderOnPostgresql(OnPostgresql, TestTrackingRecorder):
    pass


class TestProcessRecorderOnPostgresql(OnPostgresql, TestProcessRecorder):
    pass


class TestNotificationIdsOnPostgresql(OnPostgresql, TestNotificationIds):
    pass


class TestFactoryOnPostgresql(OnPostgresql, TestFactory):
    pass


class TestAuthoredStream(OwnStore):
    """What our tables promise beyond the library's cases."""

    def setUp(self) -> None:
        super().setUp()
        self.recorder = AuthoredProcessRecorder(self.store)

    def test_a_stale_append_writes_nothing(self) -> None:
        known, new = uuid4(), uuid4()
        self.recorder.insert_events(history(known, versions=[1, 2]))
        before = contents(self.path)
        with pytest.raises(IntegrityError, match=f"{known}: expected version 3, found 2"):
            self.recorder.insert_events([*history(new, versions=[1]), *history(known, versions=[2])])
        assert contents(self.path) == before
        assert self.recorder.insert_events(history(new, versions=[1])) == [3]

    def test_a_version_must_not_be_left_out(self) -> None:
        with pytest.raises(IntegrityError, match="expected version 2, found 3"):
            self.recorder.insert_events(history(uuid4(), versions=[1, 3]))
        assert self.recorder.max_notification_id() is None

    def test_stale_tracking_leaves_no_event_behind(self) -> None:
        self.recorder.insert_tracking(Tracking("bank", 7))
        before = contents(self.path)
        with pytest.raises(IntegrityError, match="bank: notification 7 does not lie after"):
            self.recorder.insert_events(history(uuid4(), versions=[1]), tracking=Tracking("bank", 7))
        assert contents(self.path) == before

    def test_what_the_tables_refuse_is_an_integrity_error_of_the_library(self) -> None:
        self.recorder.insert_events(history(uuid4(), versions=[1]))
        with writing(self.store.engine) as connection:
            connection.execute(update(partitions).values(last_seq=0))
        with pytest.raises(IntegrityError, match="UNIQUE"):
            self.recorder.insert_events(history(uuid4(), versions=[1]))

    def test_an_id_of_another_type_is_refused(self) -> None:
        with pytest.raises(DataError, match="expected a UUID, found a str"):
            self.recorder.insert_events(history("welcome", versions=[1]))
        assert self.recorder.max_notification_id() is None

    def test_the_chain_of_a_history_holds_link_by_link(self) -> None:
        first, second = uuid4(), uuid4()
        self.recorder.insert_events(
            [*history(first, versions=[0, 1]), *history(second, versions=[1]), *history(first, versions=[2])]
        )
        self.recorder.insert_events(history(first, versions=[3]))
        for subject in (first, second):
            rows = self.rows(subject)
            assert [row.prev for row in rows] == [0, *(row.seq for row in rows[:-1])]
            assert [row.hash for row in rows] == chained(str(subject), rows)
        assert [row.version for row in self.rows(first)] == [0, 1, 2, 3]
        seconds = [from_micros(row.recorded_at) - T0 for row in self.rows(first)]
        assert seconds == [timedelta(0)] * 3 + [timedelta(seconds=1)]

    def test_heads_and_counters_agree_with_the_events(self) -> None:
        first, second = uuid4(), uuid4()
        self.recorder.insert_events([*history(first, versions=[1, 2]), *history(second, versions=[1])])
        self.recorder.insert_events(history(second, versions=[2]))
        stored = StoredHistory(self.store.engine)
        assert [row.seq for row in stored.events(0, upto=4)] == [1, 2, 3, 4]
        assert stored.subjects(0) == {1: str(first), 2: str(second)}
        for stream, head in stored.ends(0).heads.items():
            last = stored.history(0, stream)[-1]
            assert (head.version, head.seq, head.hash) == (last.version, last.seq, last.hash)
        with reading(self.store.engine) as connection:
            counters = connection.execute(
                select(partitions.c.last_seq, partitions.c.last_stream).where(partitions.c.partition == 0)
            ).one()
        assert counters == (4, 2)

    def test_a_history_is_read_between_versions_in_both_directions(self) -> None:
        journey = uuid4()
        self.recorder.insert_events(history(journey, versions=range(1, 11)))
        read = self.recorder.select_events
        assert [e.originator_version for e in read(journey, gt=3, lte=8, limit=2)] == [4, 5]
        assert [e.originator_version for e in read(journey, gt=3, lte=8, desc=True, limit=2)] == [8, 7]
        assert [e.originator_version for e in read(journey, gt=9)] == [10]
        assert read(journey, gt=10) == []

    def rows(self, subject: UUID) -> list[StoredRow]:
        with reading(self.store.engine) as connection:
            query = select(streams.c.stream).where(
                streams.c.partition == 0, streams.c.subject == str(subject)
            )
            stream = int(str(connection.execute(query).scalar_one()))
        return StoredHistory(self.store.engine).history(0, stream)


class TestFactorySettings(OwnStore):
    """What the environment may say, and what is refused."""

    def test_a_missing_store_is_made_unless_that_is_forbidden(self) -> None:
        path = self.path.with_name("new.db")
        with pytest.raises(StoreUnusable, match=r"store\.missing"):
            AuthoredFactory(environment(f"sqlite:///{path}") | {"CREATE_TABLE": "f"})
        AuthoredFactory(environment(f"sqlite:///{path}")).close()
        AuthoredFactory(environment(f"sqlite:///{path}") | {"CREATE_TABLE": "f"}).close()

    def test_the_environment_must_name_the_store(self) -> None:
        with pytest.raises(InfrastructureFactoryError, match="STUDIO_TIDINGS_STORE, TIDINGS_STORE"):
            AuthoredFactory(Environment("studio"))

    def test_an_unknown_type_of_ids_is_refused(self) -> None:
        with pytest.raises(InfrastructureFactoryError, match="must be 'uuid' or 'text', found 'int'"):
            AuthoredFactory(environment(self.url) | {"ORIGINATOR_ID_TYPE": "int"})

    def test_snapshots_are_refused(self) -> None:
        with AuthoredFactory(environment(self.url)) as factory:
            self.addCleanup(factory.close)
            with pytest.raises(NotSupportedError, match="purpose 'snapshots': expected 'events'"):
                factory.aggregate_recorder(purpose="snapshots")

    def test_a_recorder_named_in_the_environment_must_be_one_of_ours(self) -> None:
        topic = "eventsourcing.popo:POPOApplicationRecorder"
        factory = AuthoredFactory(environment(self.url) | {"APPLICATION_RECORDER_TOPIC": topic})
        self.addCleanup(factory.close)
        with pytest.raises(InfrastructureFactoryError, match="must name a AuthoredApplicationRecorder"):
            factory.application_recorder()

    def test_text_ids_come_back_as_text(self) -> None:
        factory = InfrastructureFactory.construct(environment(self.url) | {"ORIGINATOR_ID_TYPE": "text"})
        self.addCleanup(factory.close)
        recorder = factory.application_recorder()
        recorder.insert_events(history("welcome", versions=[1]))
        assert [n.originator_id for n in recorder.select_notifications(None, 10)] == ["welcome"]


class Journey(Aggregate):
    """An aggregate as authored objects are."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    @event("StepAdded")
    def add(self, step: str) -> None:
        self.steps.append(step)


class TestApplication(OwnStore):
    def test_an_application_of_the_library_keeps_its_aggregates_here(self) -> None:
        app = Application[UUID](environment(self.url))
        self.addCleanup(app.close)
        journey = Journey()
        journey.add("greet")
        app.save(journey)
        journey.add("wait")
        app.save(journey)
        kept: Journey = app.repository.get(journey.id)
        assert kept.steps == ["greet", "wait"]
        assert [item.id for item in app.notification_log.select(1, 10)] == [1, 2, 3]


def environment(url: str) -> dict[str, str]:
    """What an application's environment says about the store."""
    return {"PERSISTENCE_MODULE": "stores.recorder_factory", "TIDINGS_STORE": url}


def history(subject: UUID | str, *, versions: Sequence[int]) -> list[StoredEvent]:
    """Events of one object with these versions."""
    return [StoredEvent(subject, n, "journey.step_added/1", b'{"n":%d}' % n) for n in versions]


def contents(path: Path) -> list[str]:
    """All that the store holds, as SQL."""
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def chained(subject: str, rows: Sequence[StoredRow]) -> list[bytes]:
    """The links that these events must have."""
    links: list[bytes] = [genesis(subject)]
    for row in rows:
        said: dict[str, Any] = {
            name: getattr(row, name)
            for name in ("version", "kind", "occurred_at", "recorded_at", "cause", "body")
        }
        links.append(link(links[-1], **said, rulebook=""))
    return links[1:]
