"""The register of approvals, and proposals, as aggregates of the library ``eventsourcing``.

There is one register in a store. Everything that comes into force is saved together with an event of it, so
that publications follow one another and of two at the same moment one is refused.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate
from msgspec import Struct, to_builtins

from domain.approvals import NAMESPACE, REGISTER_ID, Bound
from tidings.sanctions import Person, Sanction

State = Literal["pending", "approved", "rejected", "withdrawn"]
Change = Literal["publish", "four_eyes_off"]


class Register(Aggregate):
    """What was approved so far; ``domain.approvals`` reads the same events without the library."""

    TOPIC = "register/1"

    class Created(Aggregate.Created):
        """The store has a register."""

        TOPIC = "register.begun/1"
        name: str

    class Approved(Aggregate.Event):
        """Documents came into force, and with them a rulebook: all of them by digest."""

        TOPIC = "approval.given/1"
        proposal: str
        proposed_by: str
        approved_by: str
        reason: str
        rulebook: int
        rulebook_digest: str
        documents: list[dict[str, Any]]

        def apply(self, aggregate: Any) -> None:
            """Fold the approval in."""
            aggregate.rulebook = (self.rulebook, self.rulebook_digest)

    class FourEyesSet(Aggregate.Event):
        """From here on a second person is asked for, or no longer."""

        TOPIC = "four_eyes.set/1"
        required: bool
        by: str
        reason: str
        proposal: str

        def apply(self, aggregate: Any) -> None:
            """Fold the setting in."""
            aggregate.four_eyes = self.required
            aggregate.is_set = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.rulebook: tuple[int, str] = (0, "")
        self.four_eyes = True
        self.is_set = False

    @classmethod
    def begin(cls, *, at: datetime) -> "Register":
        """A register that holds nothing, begun at ``at`` (aware UTC)."""
        return cls._create(event_class=cls.Created, id=REGISTER_ID, name="register", timestamp=at)

    def approve(
        self, documents: Sequence[Bound], *, rulebook_digest: str, sanction: Sanction, at: datetime
    ) -> int:
        """Bind documents and the rulebook that they make up; gives the rulebook's number."""
        number, digest = self.rulebook
        number += rulebook_digest != digest
        self.trigger_event(
            self.Approved,
            proposal=sanction.proposal,
            proposed_by=sanction.proposed_by,
            approved_by=sanction.approved_by,
            reason=sanction.reason,
            rulebook=number,
            rulebook_digest=rulebook_digest,
            documents=to_builtins(list(documents)),
            timestamp=at,
        )
        return number

    def ask_for_two(self, required: bool, *, person: Person, proposal: str = "", at: datetime) -> None:
        """Ask for a second person from now on, or no longer."""
        self.trigger_event(
            self.FourEyesSet,
            required=required,
            by=person.name,
            reason=person.reason,
            proposal=proposal,
            timestamp=at,
        )


class Proposed(Struct, frozen=True):
    """One document as it was proposed: its canonical text, and the digest that names it."""

    kind: str
    name: str
    version: int
    digest: str
    text: str

    @property
    def bound(self) -> Bound:
        """What an approval says of it."""
        return Bound(self.kind, self.name, self.version, self.digest)


class Proposal(Aggregate):
    """What one person wants changed, until another decides on it."""

    TOPIC = "proposal/1"

    class Created(Aggregate.Created):
        """It was proposed: these bytes, resting on what was in force (``tidings.resting``)."""

        TOPIC = "proposal.made/1"
        name: str
        change: str
        documents: list[dict[str, Any]]
        rests_on: list[str]
        by: str
        reason: str

    class Decided(Aggregate.Event):
        """Somebody ended it; recorded only as one of those below."""

        TOPIC = "proposal.decided/1"
        by: str
        reason: str

        def apply(self, aggregate: Any) -> None:
            """Fold the decision in."""
            aggregate.state = type(self).TOPIC.partition("/")[0].partition(".")[2]
            aggregate.decided_by, aggregate.decided_at = self.by, self.timestamp
            aggregate.decided_because = self.reason

    class Approved(Decided):
        TOPIC = "proposal.approved/1"

    class Rejected(Decided):
        TOPIC = "proposal.rejected/1"

    class Withdrawn(Decided):
        TOPIC = "proposal.withdrawn/1"

    def __init__(
        self,
        name: str,
        change: Change,
        documents: list[dict[str, Any]],
        rests_on: list[str],
        by: str,
        reason: str,
    ) -> None:
        self.name, self.change, self.by, self.reason = name, change, by, reason
        self.documents = [Proposed(**document) for document in documents]
        self.rests_on = rests_on
        self.state: State = "pending"
        self.decided_by = self.decided_because = ""
        self.decided_at: datetime | None = None

    @classmethod
    def create_id(cls, name: str) -> UUID:
        """The only id that a proposal of this name can have."""
        return uuid5(NAMESPACE, f"proposal/{name}")

    @classmethod
    def make(
        cls,
        name: str,
        change: Change,
        documents: Sequence[Proposed],
        *,
        rests_on: Sequence[str],
        person: Person,
        at: datetime,
    ) -> "Proposal":
        """A proposal of ``at`` (aware UTC)."""
        return cls._create(
            event_class=cls.Created,
            id=cls.create_id(name),
            name=name,
            change=change,
            documents=to_builtins(list(documents)),
            rests_on=list(rests_on),
            by=person.name,
            reason=person.reason,
            timestamp=at,
        )

    def decide(self, state: State, *, person: Person, at: datetime) -> None:
        """End it at ``at`` (aware UTC); the caller has checked that the person may."""
        event = {"approved": self.Approved, "rejected": self.Rejected, "withdrawn": self.Withdrawn}[state]
        self.trigger_event(event, by=person.name, reason=person.reason, timestamp=at)
