"""What approvals bind, read from the store's register: pure, so that the engine and audit read it alike.

The register is one authored history. Each approval in it names, by digest, the documents that were published
with it and the rulebook that they brought into force; nothing else may be run.
"""

from collections.abc import Iterable
from uuid import UUID, uuid5

import msgspec
from msgspec import Struct, field

from domain.chain import genesis, link
from domain.ports import StoredEvent

NAMESPACE = UUID("6a0c7a0e-4f3b-5d1e-9f0d-2b8f1f7f4c11")
REGISTER_ID = uuid5(NAMESPACE, "register")
REGISTER = str(REGISTER_ID)
APPROVED = "approval.given/1"
# How the name begins under which a release approves what it ships; no person may go by it.
RELEASE = "tidings "
FOUR_EYES_SET = "four_eyes.set/1"
# What is told of many customers is kept beside the documents, and no rule is in it.
NO_RULES = frozenset({"broadcast"})


class Bound(Struct, frozen=True):
    """One version of a document, by the digest (hex) of its canonical bytes."""

    kind: str
    name: str
    version: int
    digest: str


class Approval(Struct, frozen=True):
    """Documents that came into force together: who proposed them, who approved them, and why.

    ``rulebook`` and ``rulebook_digest`` name what they made up. ``proposal`` is "" where one word was enough:
    a release of Tidings, a pause, a store that one person works with.
    """

    proposal: str
    proposed_by: str
    approved_by: str
    reason: str
    rulebook: int
    rulebook_digest: str
    documents: tuple[Bound, ...]

    @property
    def by_two(self) -> bool:
        """Whether two persons stand for it, or a release of Tidings."""
        if not self.proposal:
            return self.approved_by.startswith(RELEASE)
        return self.proposed_by != self.approved_by


class FourEyes(Struct, frozen=True):
    """Whether the store asks for a second person from here on, by whose word."""

    required: bool
    by: str
    reason: str


class Approvals(Struct):
    """All that was ever approved; a store whose register says nothing asks for a second person.

    ``given`` has each approval with its instant, in microseconds since 1970; ``followed`` says how many
    entries of the register were read. ``alone`` are those without a second person where one was asked for.
    """

    given: list[tuple[int, Approval]] = field(default_factory=list)
    documents: dict[tuple[str, str, int], str] = field(default_factory=dict)
    rulebooks: dict[int, str] = field(default_factory=dict)
    four_eyes: bool = True
    followed: int = 0
    alone: list[Approval] = field(default_factory=list)
    _two_asked_for: bool = False

    def add(self, event: StoredEvent) -> None:
        """Take in one event of the register. Raises msgspec.DecodeError for one that cannot be read."""
        if event.kind == APPROVED:
            approval = msgspec.json.decode(event.body, type=Approval)
            self.given.append((event.occurred_at, approval))
            if self._two_asked_for and not approval.by_two:
                self.alone.append(approval)
            self.rulebooks[approval.rulebook] = approval.rulebook_digest
            self.documents |= {(b.kind, b.name, b.version): b.digest for b in approval.documents}
        elif event.kind == FOUR_EYES_SET:
            self.four_eyes = msgspec.json.decode(event.body, type=FourEyes).required
            self._two_asked_for = self.four_eyes


def approvals_of(events: Iterable[StoredEvent]) -> Approvals:
    """What the register's history says up to the first entry that was altered: nothing after it counts."""
    found, before = Approvals(), genesis(REGISTER)
    for version, event in enumerate(events, 1):
        hash_ = link(
            before,
            version=version,
            kind=event.kind,
            occurred_at=event.occurred_at,
            recorded_at=event.recorded_at,
            cause=event.cause,
            rulebook="",
            body=event.body,
        )
        if (event.version, event.hash) != (version, hash_):
            break
        try:
            found.add(event)
        except msgspec.DecodeError:
            break
        before, found.followed = hash_, version
    return found
