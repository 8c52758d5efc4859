"""What people order about personal data, as authored objects: legal holds, retention, and what it removed.

Nothing here names a person but by the customer's id, and reasons must not either: they stay for ever.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4, uuid5

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, AggregateEvent
from eventsourcing.utils import get_topic
from sqlalchemy import Engine

_NAMESPACE = UUID("0d8d6cb5-7c1c-5d6e-9b57-0f7f4f0c6a11")
_ENVIRONMENT = {"PERSISTENCE_MODULE": "stores.recorder_factory", "CREATE_TABLE": "f"}
_PAGE = 500
_A = TypeVar("_A", bound=Aggregate)
_E = TypeVar("_E", bound=AggregateEvent)


class LegalHold(Aggregate):
    """Whether a customer's data must be kept, whatever retention and the customer say."""

    TOPIC = "hold/1"

    class Created(Aggregate.Created):
        """Somebody asked for a hold on this customer for the first time."""

        TOPIC = "hold.begun/1"
        customer: str

    class Placed(Aggregate.Event):
        """From now on nothing of them goes."""

        TOPIC = "hold.placed/1"
        by: str
        reason: str

        def apply(self, aggregate: Any) -> None:
            """Fold it in."""
            aggregate.placed = (self.timestamp, self.by, self.reason)

    class Lifted(Aggregate.Event):
        """What retention and the customer say counts again."""

        TOPIC = "hold.lifted/1"
        by: str
        reason: str

        def apply(self, aggregate: Any) -> None:
            """Fold it in."""
            aggregate.placed = None

    def __init__(self, customer: str) -> None:
        self.customer = customer
        self.placed: tuple[datetime, str, str] | None = None

    @classmethod
    def create_id(cls, customer: str) -> UUID:
        """The only id that a hold on this customer can have."""
        return uuid5(_NAMESPACE, f"hold/{customer}")

    @classmethod
    def begin(cls, customer: str, *, at: datetime) -> "LegalHold":
        """A hold that is not placed yet, begun at ``at`` (aware UTC)."""
        return cls._create(
            event_class=cls.Created, id=cls.create_id(customer), customer=customer, timestamp=at
        )


class Retention(Aggregate):
    """For how many days the bodies of facts are kept, by kind."""

    TOPIC = "retention/1"

    class Created(Aggregate.Created):
        """The first rule is about to be made."""

        TOPIC = "retention.begun/1"

    class Ruled(Aggregate.Event):
        """From now on facts of this kind keep their bodies for so many days; 0 means for ever."""

        TOPIC = "retention.ruled/1"
        fact_kind: str
        days: int
        by: str
        reason: str

        def apply(self, aggregate: Any) -> None:
            """Fold it in."""
            aggregate.rules.pop(self.fact_kind, None)
            if self.days:
                aggregate.rules[self.fact_kind] = (self.days, self.timestamp, self.by, self.reason)

    ID = uuid5(_NAMESPACE, "retention")

    def __init__(self) -> None:
        self.rules: dict[str, tuple[int, datetime, str, str]] = {}

    @classmethod
    def begin(cls, *, at: datetime) -> "Retention":
        """No rules yet, at ``at`` (aware UTC)."""
        return cls._create(event_class=cls.Created, id=cls.ID, timestamp=at)


class Removal(Aggregate):
    """One time that rules were applied: what was ordered, before it began, and what went, once it was over.

    ``cutoffs`` are ISO instants by kind: what was recorded before loses its body, by partition and kind as
    far as the seq in ``upto``. ``partitions`` tells by partition how many did, and the highest seq of them.
    """

    TOPIC = "removal/1"

    class Created(Aggregate.Created):
        """It is about to begin; where nothing follows, it was broken off."""

        TOPIC = "retention.ordered/1"
        cutoffs: dict[str, str]
        upto: dict[str, dict[str, int]]
        by: str
        reason: str

    class Done(Aggregate.Event):
        """So much has gone."""

        TOPIC = "retention.applied/1"
        kinds: dict[str, int]
        partitions: dict[str, list[int]]

        def apply(self, aggregate: Any) -> None:
            """Fold it in."""
            aggregate.kinds, aggregate.partitions = self.kinds, self.partitions

    def __init__(
        self, cutoffs: dict[str, str], upto: dict[str, dict[str, int]], by: str, reason: str
    ) -> None:
        self.cutoffs, self.upto, self.by, self.reason = cutoffs, upto, by, reason
        self.kinds: dict[str, int] | None = None
        self.partitions: dict[str, list[int]] = {}

    @classmethod
    def create_id(cls) -> UUID:
        """A new one each time."""
        return uuid4()

    @classmethod
    def order(
        cls,
        cutoffs: dict[str, str],
        *,
        upto: dict[str, dict[str, int]],
        by: str,
        reason: str,
        at: datetime,
    ) -> "Removal":
        """Ordered at ``at`` (aware UTC)."""
        return cls._create(
            event_class=cls.Created, cutoffs=cutoffs, upto=upto, by=by, reason=reason, timestamp=at
        )


class Erasure(Aggregate):
    """That a person was erased: ordered before anything goes, and what had gone when it was over."""

    TOPIC = "erasure/1"

    class Created(Aggregate.Created):
        """It is about to begin; where nothing follows, it was broken off and is to be done again."""

        TOPIC = "erasure.ordered/1"
        customer: str
        by: str
        reason: str
        replayed: int
        findings: int

    class Done(Aggregate.Event):
        """The key is destroyed, and nothing else of the person is left in the store."""

        TOPIC = "person.erased/1"
        version: int
        hash: str
        letters: int
        files: int
        suppressed: int

        def apply(self, aggregate: Any) -> None:
            """Fold it in."""
            names = "version", "hash", "letters", "files", "suppressed"
            aggregate.done = {name: getattr(self, name) for name in names}

    def __init__(self, customer: str, by: str, reason: str, replayed: int, findings: int) -> None:
        self.customer, self.by, self.reason = customer, by, reason
        self.replayed, self.findings = replayed, findings
        self.done: dict[str, Any] | None = None

    @classmethod
    def create_id(cls, customer: str) -> UUID:
        """The only id that the erasure of this customer can have."""
        return uuid5(_NAMESPACE, f"erasure/{customer}")

    @classmethod
    def order(
        cls, customer: str, *, by: str, reason: str, replayed: int, findings: int, at: datetime
    ) -> "Erasure":
        """Ordered at ``at`` (aware UTC)."""
        return cls._create(
            event_class=cls.Created,
            id=cls.create_id(customer),
            customer=customer,
            by=by,
            reason=reason,
            replayed=replayed,
            findings=findings,
            timestamp=at,
        )


class PersonalOrders(Application[UUID]):
    """Reads and records them in one store. Close it, or leave its context."""

    def __init__(self, engine: Engine) -> None:
        url = engine.url.render_as_string(hide_password=False)
        super().__init__({**_ENVIRONMENT, "TIDINGS_STORE": url})

    def found(self, kind: type[_A], ident: UUID) -> _A | None:
        """The object of this id; None where there is none."""
        try:
            found: _A = self.repository.get(ident)
        except AggregateNotFoundError:
            return None
        return found

    def recorded(self, *kinds: type[_E]) -> Iterator[_E]:
        """Every event of these kinds, in the order in which they were recorded."""
        topics = [get_topic(kind) for kind in kinds]
        start: int | None = 1
        while start is not None:
            page = self.recorder.select_notifications(start, _PAGE, topics=topics)
            for notification in page:
                event = self.mapper.to_domain_event(notification)
                if isinstance(event, kinds):
                    yield event
            start = page[-1].id + 1 if page else None
