"""Changes that need two persons: proposed by one, approved by another, bound by digest in between."""

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256

import msgspec
from eventsourcing.persistence import IntegrityError
from msgspec import Struct
from sqlalchemy import Engine

from domain.calendars import Calendar
from domain.clock import to_micros
from domain.errors import InputRefused, NotFound, StoreCorrupt
from domain.policy import Policy
from journeys.definition import Control, Controls, Journey, Migration, Segment, Withdrawal
from journeys.rulebook import Rules
from templates.model import decode_template
from tidings.approved import approvals
from tidings.authoring import authoring_of, brought_up, busy, check, in_force, publish, put
from tidings.documents import Documents
from tidings.publications import Authoring
from tidings.register import Change, Proposal, Proposed, Register, State
from tidings.resting import rests_on
from tidings.sanctions import Person, Sanction, same_person

_TRIES = 20
_KINDS: dict[str, type[Struct]] = {
    "policy": Policy,
    "calendar": Calendar,
    "segment": Segment,
    "journey": Journey,
    "control": Control,
    "withdrawal": Withdrawal,
    "migration": Migration,
}
New = list[tuple[str, str, int]]
# What a proposal and its approval come to: put in force with what was new, or one more look.
Attempt = Callable[[Authoring, Register, Proposal], New]


class Changed(Struct, frozen=True):
    """What a command came to: ``new`` is in force, or would be by the ``proposal`` that waits for another."""

    new: New
    proposal: Proposal | None = None
    proposed_before: bool = False


def begin(engine: Engine, *, alone: Person | None, at: datetime) -> None:
    """Note in a fresh store whether one person may change it; nothing where that is settled.

    Raises InputRefused where ``alone`` is asked of a store that needs two persons.
    """
    with authoring_of(engine) as authoring:
        register = authoring.register(at=at)
        if register.is_set or register.rulebook[0]:
            if alone is not None and register.four_eyes:
                raise InputRefused("approvals.not_alone_later")
            return
        person = alone or Person("tidings", "the default of `tidings init`")
        register.ask_for_two(alone is None, person=person, at=at)
        authoring.save(register)


def change(
    engine: Engine, documents: Documents, *, person: Person, at: datetime, at_once: bool = False
) -> Changed:
    """Put the documents in force where one person may, else propose them at ``at`` (aware UTC).

    ``at_once``: one person always may, as to pause. Raises InputRefused as ``authoring.publish`` does.
    """
    if at_once or not approvals(engine).four_eyes:
        return Changed(publish(engine, documents, at=at, sanction=Sanction.alone(person)))
    with authoring_of(engine) as authoring:
        brought_up(authoring, engine, authoring.register(at=at))
        check(engine, documents)
        rules = in_force(engine).rules
        _, new = authoring.prepared(documents, at=at)
        if not new:
            return Changed([])
        proposed = [Proposed(s.kind, s.name, s.version, s.digest, s.body.decode()) for s in new]
        resting = rests_on(rules, _documents(proposed))
        return _propose(authoring, "publish", proposed, rests_on=resting, person=person, at=at)


def ask_for_two(engine: Engine, *, person: Person, at: datetime) -> bool:
    """From now on changes need two persons, by anybody's word; False where they do already."""
    with authoring_of(engine) as authoring:
        for _ in range(_TRIES):
            register = authoring.register(at=at)
            if register.four_eyes and register.is_set:
                return False
            register.ask_for_two(True, person=person, at=at)
            try:
                authoring.save(register)
            except IntegrityError:
                continue
            return True
    raise busy(engine)


def propose_alone(engine: Engine, *, person: Person, at: datetime) -> Changed:
    """Propose that one person may change the store. Gives no proposal where that is so already."""
    with authoring_of(engine) as authoring:
        if not authoring.register(at=at).four_eyes:
            return Changed([])
        return _propose(authoring, "four_eyes_off", [], rests_on=[], person=person, at=at)


def proposals(engine: Engine, *, pending: bool) -> list[Proposal]:
    """The proposals, the oldest first; with ``pending`` only those that nobody has decided on."""
    with authoring_of(engine) as authoring:
        return [p for p in authoring.proposals() if not pending or p.state == "pending"]


def proposal_of(engine: Engine, name: str) -> Proposal:
    """The proposal of this name. Raises NotFound."""
    with authoring_of(engine) as authoring:
        return _known(authoring, name)


def overtaken(rules: Rules, proposal: Proposal) -> list[tuple[str, str]]:
    """What the proposal rests on and what is there instead, where the two differ."""
    if proposal.change != "publish":
        return []
    now = {place.rpartition(" ")[0]: place for place in rests_on(rules, documents_of(proposal))}
    then = {place.rpartition(" ")[0]: place for place in proposal.rests_on}
    return [
        (then.get(of, f"{of} 0"), now.get(of, f"{of} 0"))
        for of in sorted({*now, *then})
        if now.get(of) != then.get(of)
    ]


def approve(engine: Engine, name: str, *, person: Person, at: datetime) -> New:
    """Put in force exactly what was proposed, by another person's word at ``at`` (aware UTC).

    Gives what is new; nothing where this person approved it before, and a crash since is made good. Raises
    NotFound; InputRefused where it was decided on, where the person proposed it, and where what it rests on
    has changed since; StoreCorrupt where its bytes are not those that were proposed.
    """
    with authoring_of(engine) as authoring:
        for _ in range(_TRIES):
            # Before anything is looked at: whoever publishes or decides meanwhile makes the save fail.
            register = authoring.register(at=at)
            before = brought_up(authoring, engine, register)
            proposal = _known(authoring, name)
            if proposal.state == "approved" and same_person(proposal.decided_by, person.name):
                return []
            _check_open(proposal)
            if same_person(proposal.by, person.name):
                raise InputRefused("approvals.same_person", proposal=name, by=proposal.by)
            documents = documents_of(proposal)
            _check_holds(engine, proposal, documents)
            proposal.decide("approved", person=person, at=at)
            try:
                if proposal.change == "four_eyes_off":
                    register.ask_for_two(False, person=person, proposal=name, at=at)
                    authoring.save(register, proposal)
                    return []
                sanction = Sanction(proposal.by, person.name, proposal.reason, name)
                return put(
                    authoring,
                    engine,
                    register,
                    before,
                    documents,
                    sanction=sanction,
                    at=at,
                    proposal=proposal,
                )
            except IntegrityError:
                continue
    raise busy(engine)


def end(engine: Engine, name: str, state: State, *, person: Person, at: datetime) -> bool:
    """Reject a proposal, as another person, or withdraw it, as the one who made it; False where that is done.

    Raises NotFound, and InputRefused for the wrong person or a proposal that was decided on otherwise.
    """
    with authoring_of(engine) as authoring:
        for _ in range(_TRIES):
            proposal = _known(authoring, name)
            if proposal.state == state:
                return False
            _check_open(proposal)
            if same_person(proposal.by, person.name) != (state == "withdrawn"):
                raise InputRefused(f"approvals.not_{state}_by", proposal=name, by=proposal.by)
            proposal.decide(state, person=person, at=at)
            try:
                authoring.save(proposal)
            except IntegrityError:
                continue
            return True
    raise busy(engine)


def documents_of(proposal: Proposal) -> Documents:
    """What was proposed, from its bytes. Raises StoreCorrupt where they are not what their digests name."""
    for document in proposal.documents:
        if sha256(document.text.encode()).hexdigest() != document.digest:
            raise StoreCorrupt(
                "approvals.altered", proposal=proposal.name, kind=document.kind, name=document.name
            )
    return _documents(proposal.documents)


def _documents(proposed: Sequence[Proposed]) -> Documents:
    read: dict[str, list[Struct]] = {kind: [] for kind in (*_KINDS, "template")}
    for document in proposed:
        body = document.text.encode()
        read[document.kind].append(
            decode_template(body)
            if document.kind == "template"
            else msgspec.json.decode(body, type=_KINDS[document.kind])
        )
    controls = Controls(
        journeys=tuple(read["control"]),  # type: ignore[arg-type]
        templates=tuple(read["withdrawal"]),  # type: ignore[arg-type]
        migrations=tuple(read["migration"]),  # type: ignore[arg-type]
    )
    return Documents(
        journeys=read["journey"],  # type: ignore[arg-type]
        templates=read["template"],  # type: ignore[arg-type]
        policy=next(iter(read["policy"]), None),  # type: ignore[arg-type]
        calendars=tuple(read["calendar"]),  # type: ignore[arg-type]
        segments=tuple(read["segment"]),  # type: ignore[arg-type]
        controls=controls,
    )


def _propose(
    authoring: Authoring,
    sort: Change,
    documents: Sequence[Proposed],
    *,
    rests_on: Sequence[str],
    person: Person,
    at: datetime,
) -> Changed:
    new = [(d.kind, d.name, d.version) for d in documents]
    for other in authoring.proposals():
        if other.state == "pending" and (other.change, other.documents) == (sort, list(documents)):
            return Changed(new, other, proposed_before=True)
    said = "|".join([sort, person.name, str(to_micros(at)), *(d.digest for d in documents)])
    name = sha256(said.encode()).hexdigest()[:10]
    proposal = Proposal.make(name, sort, documents, rests_on=rests_on, person=person, at=at)
    authoring.save(proposal)
    return Changed(new, proposal)


def _known(authoring: Authoring, name: str) -> Proposal:
    found = authoring.proposal(name)
    if found is None:
        near = [other.name for other in authoring.proposals()]
        raise NotFound("approvals.unknown", proposal=name, near=near)
    return found


def _check_open(proposal: Proposal) -> None:
    if proposal.state != "pending":
        raise InputRefused(
            f"approvals.already_{proposal.state}", proposal=proposal.name, by=proposal.decided_by
        )


def _check_holds(engine: Engine, proposal: Proposal, documents: Documents) -> None:
    """The preview that was approved must be the one that was proposed, and nothing may have become wrong."""
    for then, now in overtaken(in_force(engine).rules, proposal):
        raise InputRefused("approvals.overtaken", proposal=proposal.name, then=then, now=now)
    check(engine, documents)
