"""Makes our recorders for applications of the `eventsourcing` library, as their environment says."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from eventsourcing.persistence import (
    InfrastructureFactory,
    InfrastructureFactoryError,
    NotSupportedError,
    Recorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool
from sqlalchemy import Engine

from stores.database import create_store, open_store
from stores.recorders import (
    AuthoredAggregateRecorder,
    AuthoredApplicationRecorder,
    AuthoredProcessRecorder,
    AuthoredStore,
    AuthoredTrackingRecorder,
    utc_now,
)

_AnyRecorder = TypeVar("_AnyRecorder", bound=Recorder)


class AuthoredFactory(InfrastructureFactory[AuthoredTrackingRecorder]):
    """Makes the recorders for an application of the library; its environment says where the store is.

    ``TIDINGS_STORE`` is the store's URL; it is made there if missing unless ``CREATE_TABLE`` is "f".
    ``ORIGINATOR_ID_TYPE`` is "uuid" (default) or "text".
    """

    TIDINGS_STORE = "TIDINGS_STORE"
    CREATE_TABLE = "CREATE_TABLE"
    ORIGINATOR_ID_TYPE = "ORIGINATOR_ID_TYPE"

    def __init__(self, env: Environment | EnvType | None, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Raises InfrastructureFactoryError for a wrong environment, StoreUnusable for a wrong store."""
        super().__init__(env)
        id_type = self._originator_id_type()
        self._store = AuthoredStore(self._open(), clock, id_type)

    def close(self) -> None:
        """Close the store's connections."""
        self._store.engine.dispose()

    def aggregate_recorder(self, purpose: str = "events") -> AuthoredAggregateRecorder:
        """A recorder of histories. Raises NotSupportedError for any purpose but "events"."""
        if purpose != "events":
            raise NotSupportedError(
                f"purpose {purpose!r}: expected 'events'; no snapshots, authored objects have short histories"
            )
        return AuthoredAggregateRecorder(self._store)

    def application_recorder(self) -> AuthoredApplicationRecorder:
        """A recorder of histories and their common order."""
        return self._chosen(self.APPLICATION_RECORDER_TOPIC, AuthoredApplicationRecorder)(self._store)

    def tracking_recorder(
        self, tracking_recorder_class: type[AuthoredTrackingRecorder] | None = None
    ) -> AuthoredTrackingRecorder:
        """A recorder of what was processed, of the class given here or named in the environment."""
        chosen = tracking_recorder_class or self._chosen(
            self.TRACKING_RECORDER_TOPIC, AuthoredTrackingRecorder
        )
        return chosen(self._store)

    def process_recorder(self) -> AuthoredProcessRecorder:
        """A recorder of events together with what was processed."""
        return self._chosen(self.PROCESS_RECORDER_TOPIC, AuthoredProcessRecorder)(self._store)

    def _open(self) -> Engine:
        url = self.env.get(self.TIDINGS_STORE)
        if not url:
            keys = ", ".join(self.env.create_keys(self.TIDINGS_STORE))
            raise InfrastructureFactoryError(f"the environment must say where the store is, as {keys}")
        if not strtobool(self.env.get(self.CREATE_TABLE) or "yes"):
            return open_store(url)
        engine, _ = create_store(url, customer_partitions=1)
        return engine

    def _originator_id_type(self) -> type[UUID] | type[str]:
        match self.env.get(self.ORIGINATOR_ID_TYPE, "uuid").lower():
            case "uuid":
                return UUID
            case "text":
                return str
            case other:
                raise InfrastructureFactoryError(
                    f"{self.ORIGINATOR_ID_TYPE} must be 'uuid' or 'text', found {other!r}"
                )

    def _chosen(self, key: str, default: type[_AnyRecorder]) -> type[_AnyRecorder]:
        topic = self.env.get(key)
        chosen = resolve_topic(topic) if topic else default
        if not (isinstance(chosen, type) and issubclass(chosen, default)):
            raise InfrastructureFactoryError(f"{key} must name a {default.__name__}, found {topic!r}")
        return chosen
