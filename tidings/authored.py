"""The documents that are published, as aggregates of the library ``eventsourcing``: one class a kind."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate

from domain.errors import InputRefused

_NAMESPACE = UUID("5f0d9a52-3c0e-5a55-8f0b-6a7d9f6f2f10")


class AuthoredDocument(Aggregate):
    """One document by name, with every version of it that was published."""

    KIND = "document"

    class Created(Aggregate.Created):
        """The name was taken into use."""

        name: str

    class Published(Aggregate.Event):
        """A version was published: its digest and canonical text, for ever."""

        document_version: int
        digest: str
        text: str

        def apply(self, aggregate: Any) -> None:
            """Fold the version in."""
            aggregate.versions[self.document_version] = (self.digest, self.text)

    def __init__(self, name: str) -> None:
        self.name = name
        self.versions: dict[int, tuple[str, str]] = {}

    @classmethod
    def create_id(cls, name: str) -> UUID:
        """The only id that a document of this kind and name can have."""
        return uuid5(_NAMESPACE, f"{cls.KIND}/{name}")

    @classmethod
    def begin(cls, name: str, *, at: datetime) -> "AuthoredDocument":
        """A document that has no version yet, begun at ``at`` (aware UTC)."""
        return cls._create(event_class=cls.Created, id=cls.create_id(name), name=name, timestamp=at)

    def publish(self, version: int, *, text: bytes, digest: str, at: datetime) -> bool:
        """Add a version at ``at`` (aware UTC); False where it is there already, byte for byte.

        Raises InputRefused where the version is published with other content.
        """
        known = self.versions.get(version)
        if known is not None and known[0] == digest:
            return False
        if known is not None:
            raise InputRefused("document.version_taken", kind=self.KIND, name=self.name, version=version)
        self.trigger_event(
            self.Published, document_version=version, digest=digest, text=text.decode(), timestamp=at
        )
        return True


class JourneyDocument(AuthoredDocument):
    KIND = "journey"
    TOPIC = "journey/1"

    class Created(AuthoredDocument.Created):
        TOPIC = "journey.begun/1"

    class Published(AuthoredDocument.Published):
        TOPIC = "journey.published/1"


class TemplateDocument(AuthoredDocument):
    KIND = "template"
    TOPIC = "template/1"

    class Created(AuthoredDocument.Created):
        TOPIC = "template.begun/1"

    class Published(AuthoredDocument.Published):
        TOPIC = "template.published/1"


class PolicyDocument(AuthoredDocument):
    KIND = "policy"
    TOPIC = "policy/1"

    class Created(AuthoredDocument.Created):
        TOPIC = "policy.begun/1"

    class Published(AuthoredDocument.Published):
        TOPIC = "policy.published/1"


class CalendarDocument(AuthoredDocument):
    KIND = "calendar"
    TOPIC = "calendar/1"

    class Created(AuthoredDocument.Created):
        TOPIC = "calendar.begun/1"

    class Published(AuthoredDocument.Published):
        TOPIC = "calendar.published/1"


class SegmentDocument(AuthoredDocument):
    KIND = "segment"
    TOPIC = "segment/1"

    class Created(AuthoredDocument.Created):
        TOPIC = "segment.begun/1"

    class Published(AuthoredDocument.Published):
        TOPIC = "segment.published/1"


class ControlDocument(AuthoredDocument):
    KIND = "control"
    TOPIC = "control/1"

    class Created(AuthoredDocument.Created):
        TOPIC = "control.begun/1"

    class Published(AuthoredDocument.Published):
        TOPIC = "control.published/1"


class WithdrawalDocument(AuthoredDocument):
    KIND = "withdrawal"
    TOPIC = "withdrawal/1"

    class Created(AuthoredDocument.Created):
        TOPIC = "withdrawal.begun/1"

    class Published(AuthoredDocument.Published):
        TOPIC = "withdrawal.published/1"


class MigrationDocument(AuthoredDocument):
    KIND = "migration"
    TOPIC = "migration/1"

    class Created(AuthoredDocument.Created):
        TOPIC = "migration.begun/1"

    class Published(AuthoredDocument.Published):
        TOPIC = "migration.published/1"
