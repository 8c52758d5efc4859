"""The application of the library ``eventsourcing`` that keeps what people publish, propose and approve."""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate
from eventsourcing.utils import get_topic
from msgspec import Struct

from domain.approvals import REGISTER_ID
from domain.ports import StoredDocument
from journeys.rulebook import canonical, digest
from tidings.authored import (
    AuthoredDocument,
    CalendarDocument,
    ControlDocument,
    JourneyDocument,
    MigrationDocument,
    PolicyDocument,
    SegmentDocument,
    TemplateDocument,
    WithdrawalDocument,
)
from tidings.documents import Documents
from tidings.register import Proposal, Register

_ENVIRONMENT = {"PERSISTENCE_MODULE": "stores.recorder_factory", "CREATE_TABLE": "f"}
_KINDS: tuple[type[AuthoredDocument], ...] = (
    TemplateDocument,
    PolicyDocument,
    CalendarDocument,
    SegmentDocument,
    JourneyDocument,
    ControlDocument,
    WithdrawalDocument,
    MigrationDocument,
)
_PUBLICATIONS = [get_topic(event) for kind in _KINDS for event in (kind.Created, kind.Published)]
_PAGE = 100
_A = TypeVar("_A", bound=Aggregate)


class Authoring(Application[UUID]):
    """What people wrote, in the store at ``url``."""

    def __init__(self, url: str) -> None:
        super().__init__({**_ENVIRONMENT, "TIDINGS_STORE": url})

    def prepared(
        self, documents: Documents, *, at: datetime
    ) -> tuple[list[AuthoredDocument], list[StoredDocument]]:
        """What is to be saved to publish what is new among the documents, and that, in order.

        Raises InputRefused where a version is published with other content.
        """
        authored: dict[UUID, AuthoredDocument] = {}
        new: list[StoredDocument] = []
        for kind, name, document in named(documents):
            known = authored.setdefault(kind.create_id(name), self._authored(kind, name, at=at))
            version: int = document.version  # type: ignore[attr-defined]
            text, name_of = canonical(document), digest(document)
            if known.publish(version, text=text, digest=name_of, at=at):
                new.append(StoredDocument(kind.KIND, name, version, name_of, text))
        return [document for document in authored.values() if document.pending_events], new

    def register(self, *, at: datetime) -> Register:
        """The register of approvals, begun at ``at`` where there is none."""
        return self._found(Register, REGISTER_ID) or Register.begin(at=at)

    def proposal(self, name: str) -> Proposal | None:
        """The proposal of this name; None where there is none."""
        return self._found(Proposal, Proposal.create_id(name))

    def proposals(self) -> Iterator[Proposal]:
        """All proposals, in the order in which they were made."""
        start: int | None = 1
        while start is not None:
            made = self.recorder.select_notifications(start, _PAGE, topics=[Proposal.Created.TOPIC])
            for notification in made:
                found = self._found(Proposal, UUID(str(notification.originator_id)))
                if found is not None:
                    yield found
            start = made[-1].id + 1 if made else None

    def versions(self) -> Iterator[StoredDocument]:
        """Every version of every document, in the order of publication."""
        names: dict[UUID, tuple[str, str]] = {}
        start: int | None = 1
        while start is not None:
            notifications = self.recorder.select_notifications(start, _PAGE, topics=_PUBLICATIONS)
            for notification in notifications:
                event = self.mapper.to_domain_event(notification)
                if isinstance(event, AuthoredDocument.Created):
                    kind = notification.topic.partition(".")[0]
                    names[event.originator_id] = (kind, event.name)
                elif isinstance(event, AuthoredDocument.Published):
                    kind, name = names[event.originator_id]
                    yield StoredDocument(
                        kind, name, event.document_version, event.digest, event.text.encode()
                    )
            start = notifications[-1].id + 1 if notifications else None

    def _authored(self, kind: type[AuthoredDocument], name: str, *, at: datetime) -> AuthoredDocument:
        return self._found(kind, kind.create_id(name)) or kind.begin(name, at=at)

    def _found(self, kind: type[_A], ident: UUID) -> _A | None:
        try:
            found: _A = self.repository.get(ident)
        except AggregateNotFoundError:
            return None
        return found


def named(documents: Documents) -> Iterator[tuple[type[AuthoredDocument], str, Struct]]:
    """The documents by kind and name, in the order in which they rest on each other."""
    for template in documents.templates:
        yield TemplateDocument, template.template, template
    if documents.policy is not None:
        yield PolicyDocument, documents.policy.policy, documents.policy
    for calendar in documents.calendars:
        yield CalendarDocument, calendar.calendar, calendar
    for segment in documents.segments:
        yield SegmentDocument, segment.segment, segment
    for journey in documents.journeys:
        yield JourneyDocument, journey.journey, journey
    for control in documents.controls.journeys:
        yield ControlDocument, control.journey, control
    for withdrawal in documents.controls.templates:
        yield WithdrawalDocument, withdrawal.template, withdrawal
    for migration in documents.controls.migrations:
        yield MigrationDocument, migration.journey, migration
