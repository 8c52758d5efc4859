"""Authored documents as aggregates: publishing a version adds an event, and nothing is ever changed.

Aggregates, events and their names live in the library ``eventsourcing``; the documents that the engine
runs on, and the rulebook that they make up, are a read model of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
from eventsourcing.persistence import IntegrityError
from msgspec import UNSET, Struct
from sqlalchemy import Engine

from domain.approvals import Bound
from domain.calendars import Calendar
from domain.errors import InputRefused, StoreCorrupt, StoreUnusable
from domain.policy import Policy
from domain.ports import StoredDocument, StoredRulebook
from journeys import segment_problems
from journeys.definition import Control, Controls, Journey, Migration, Segment, Withdrawal
from journeys.engine_versions import ENGINE_VERSION, ENGINES, engine_named
from journeys.policy_problems import policy_problems
from journeys.rulebook import Rulebook, Rules, TemplateMark, canonical, digest
from journeys.validation import problems
from stores.database import store_name, writing
from stores.dialect import lock
from stores.history import StoredHistory
from stores.library import (
    add_documents,
    add_rulebook,
    current_rulebook,
    known_documents,
    last_rulebook,
    published,
    rulebook_of,
)
from templates.lint import errors
from templates.model import Template, decode_template
from tidings.approved import check_approved
from tidings.documents import Documents, mark_of
from tidings.publications import Authoring
from tidings.register import Proposal, Register
from tidings.sanctions import UNNAMED, Sanction

Templates = dict[tuple[str, int], Template]
_LOCK = 7_461_205
_TRIES = 20


class InForce(Struct, frozen=True):
    """What the engine runs on: the rulebook, its number, and every template ever published."""

    number: int
    rules: Rules
    templates: Templates


def publish(
    engine: Engine, documents: Documents, *, at: datetime, sanction: Sanction = UNNAMED
) -> list[tuple[str, str, int]]:
    """Publish what is new among these documents and put it in force at ``at`` (aware UTC).

    Gives kind, name and version of what was new, the engine too where the rulebook in force named an older
    one. A crash in between is made good by the next call.
    Raises InputRefused, and publishes nothing, where a journey has a problem or a version is published
    with other content. It costs the same for any number of customers: workers bring the rules to them.

    Whoever calls this answers for it that ``sanction`` is enough: ``tidings.approving`` asks for two persons.
    """
    with authoring_of(engine) as authoring:
        for _ in range(_TRIES):
            register = authoring.register(at=at)
            before = brought_up(authoring, engine, register)
            check(engine, documents)
            with suppress(IntegrityError):
                return put(authoring, engine, register, before, documents, sanction=sanction, at=at)
    raise busy(engine)


def authoring_of(engine: Engine) -> Authoring:
    """What people wrote in this store; close it, or leave its context."""
    return Authoring(engine.url.render_as_string(hide_password=False))


def busy(engine: Engine) -> StoreUnusable:
    """Others publish all the time."""
    name = store_name(engine.url.render_as_string(hide_password=False))
    return StoreUnusable("store.busy_publishing", store=name)


def brought_up(authoring: Authoring, engine: Engine, register: Register) -> list[StoredDocument]:
    """All that was ever published, after the engine's own tables were brought up to it.

    A command that was killed between the approval and these tables is finished by this.
    """
    versions = list(authoring.versions())
    if register.rulebook[0]:
        _put_in_force(engine, versions, register.rulebook[0])
    return versions


def put(
    authoring: Authoring,
    engine: Engine,
    register: Register,
    before: Sequence[StoredDocument],
    documents: Documents,
    *,
    sanction: Sanction,
    at: datetime,
    proposal: Proposal | None = None,
) -> list[tuple[str, str, int]]:
    """Save what is new with its approval, all or none, then bring the engine's own tables up to it.

    ``register`` must have been read before anything was checked: whoever publishes in between is found by it.
    Raises the library's IntegrityError then; read it anew and check again. ``before`` is what was published.
    """
    authored, new = authoring.prepared(documents, at=at)
    former = current_rulebook(engine)
    moves = former is not None and engine_named(former[1]) not in (None, ENGINE_VERSION)
    if new or moves:
        bound = [Bound(stored.kind, stored.name, stored.version, stored.digest) for stored in new]
        rulebook = _rulebook([*before, *new])
        number = register.approve(bound, rulebook_digest=digest(rulebook), sanction=sanction, at=at)
        authoring.save(register, *authored, *([proposal] if proposal else []))
        _put_in_force(engine, [*before, *new], number)
    told = [(stored.kind, stored.name, stored.version) for stored in new]
    return [*told, ("engine", "engine", ENGINE_VERSION)] if moves else told


def known_templates(engine: Engine, added: Sequence[Template] = ()) -> dict[str, TemplateMark]:
    """The templates that a journey may use by name: the newest published, and these."""
    templates = sorted([*all_templates(engine).values(), *added], key=lambda template: template.version)
    return {template.template: mark_of(template) for template in templates}


def known_calendars(engine: Engine, added: Sequence[Calendar] = ()) -> dict[str, Calendar]:
    """The calendars that a journey may use by name: the newest published, and these."""
    calendars = [*_calendars_of(published(engine)), *added]
    return {found.calendar: found for found in sorted(calendars, key=lambda found: found.version)}


def _calendars_of(documents: Iterable[StoredDocument]) -> Iterator[Calendar]:
    for stored in documents:
        if stored.kind == "calendar":
            yield msgspec.json.decode(stored.body, type=Calendar)


def known_journeys(engine: Engine) -> set[str]:
    """The names of all journeys that were ever published."""
    return {stored.name for stored in published(engine) if stored.kind == "journey"}


def known_segments(engine: Engine, added: Sequence[Segment] = ()) -> dict[str, Segment]:
    """The segments that conditions may use by name: the newest published, and these."""
    segments = [*_segments_of(published(engine)), *added]
    return {found.segment: found for found in sorted(segments, key=lambda found: found.version)}


def _segments_of(documents: Iterable[StoredDocument]) -> Iterator[Segment]:
    for stored in documents:
        if stored.kind == "segment":
            yield msgspec.json.decode(stored.body, type=Segment)


def check(engine: Engine, documents: Documents) -> None:
    """Raises InputRefused for the first document that has a problem: nothing faulty comes into force.

    Nor does an engine that is older than the one in force: StoreUnusable.
    """
    check_engine(engine)
    for template in documents.templates:
        for finding in errors(template):
            raise InputRefused(
                "template.invalid", template=template.template, problem=finding.code, **finding.values
            )
    marks = known_templates(engine, documents.templates)
    calendars = known_calendars(engine, documents.calendars)
    if documents.policy is not None:
        for problem in policy_problems(documents.policy, calendars):
            raise InputRefused(
                "policy.invalid", name=documents.policy.policy, problem=problem.code, **problem.values
            )
    names = known_journeys(engine) | {journey.journey for journey in documents.journeys}
    segments = known_segments(engine, documents.segments)
    for segment in documents.segments:
        for problem in segment_problems.problems(segment, segments, names):
            raise InputRefused(
                "segment.invalid", name=segment.segment, problem=problem.code, **problem.values
            )
    for journey in documents.journeys:
        for problem in problems(journey, marks, calendars, names, segments):
            raise InputRefused(
                "document.invalid", name=journey.journey, problem=problem.code, **problem.values
            )


def all_templates(engine: Engine) -> Templates:
    """Every version of every template that was ever published and can be read."""
    return templates_of(published(engine))


def templates_of(documents: Iterable[StoredDocument]) -> Templates:
    """Those of the documents that are templates and can be read."""
    templates: Templates = {}
    for stored in documents:
        if stored.kind == "template":
            with suppress(msgspec.DecodeError):
                templates[stored.name, stored.version] = decode_template(stored.body)
    return templates


def in_force(engine: Engine) -> InForce:
    """The rulebook in force with its templates.

    Raises StoreCorrupt where nothing was ever published, or where something is there that nobody approved;
    StoreUnusable where a newer program has put it in force, for an engine that this one has not got.
    """
    current = current_rulebook(engine)
    if current is None:
        raise StoreCorrupt("store.no_rulebook", store=str(engine.url.database))
    number, body = current
    documents = published(engine)
    check_approved(engine, number, body, documents)
    try:
        _refuse_newer(engine, number, body)
        rulebook = decode_rulebook(body)
    except (msgspec.DecodeError, TypeError) as error:
        raise StoreCorrupt("store.unreadable_rulebook", number=number, reason=str(error)) from error
    return InForce(number, Rules(rulebook), templates_of(documents))


def check_engine(engine: Engine) -> None:
    """Raises StoreUnusable where what is in force names an engine that this program has not got."""
    if (current := current_rulebook(engine)) is not None:
        _refuse_newer(engine, *current)


def _refuse_newer(engine: Engine, number: int, body: bytes) -> None:
    """Raises StoreUnusable for a rulebook that names an engine which this program has not got."""
    if (found := engine_named(body)) is not None and found not in ENGINES:
        store = store_name(engine.url.render_as_string(hide_password=False))
        raise StoreUnusable(
            "store.newer_engine", store=store, number=number, found=found, newest=ENGINE_VERSION
        )


def all_rules(engine: Engine) -> dict[int, Rules]:
    """Every rulebook that was ever in force, by its number, without those that cannot be read any more."""
    return rules_of(StoredHistory(engine).rulebooks())


def rules_of(rulebooks: Mapping[int, StoredRulebook]) -> dict[int, Rules]:
    """Those of the rulebooks that can be read, by number."""
    rules: dict[int, Rules] = {}
    for number, stored in rulebooks.items():
        with suppress(msgspec.DecodeError, TypeError, KeyError):
            rules[number] = Rules(decode_rulebook(stored.body))
    return rules


def rules_numbered(engine: Engine, number: int) -> Rules | None:
    """The rulebook of this number; None where there is none that can be read."""
    body = rulebook_of(engine, number)
    with suppress(msgspec.DecodeError, TypeError, KeyError):
        return None if body is None else Rules(decode_rulebook(body))
    return None


def decode_rulebook(body: bytes) -> Rulebook:
    """A rulebook from its canonical bytes."""
    return msgspec.json.decode(body, type=Rulebook)


def _controls_of(versions: Sequence[StoredDocument]) -> Controls | None:
    """All that is ordered by these documents; None where nothing ever was."""
    kinds: dict[str, type[Struct]] = {"control": Control, "withdrawal": Withdrawal, "migration": Migration}
    ordered = sorted(
        (stored for stored in versions if stored.kind in kinds),
        key=lambda stored: (stored.name, stored.version),
    )
    read = [msgspec.json.decode(stored.body, type=kinds[stored.kind]) for stored in ordered]
    controls = {order.journey: order for order in read if isinstance(order, Control)}
    withdrawals = {order.template: order for order in read if isinstance(order, Withdrawal)}
    migrations = tuple(order for order in read if isinstance(order, Migration))
    if not read:
        return None
    return Controls(
        journeys=tuple(controls.values()), templates=tuple(withdrawals.values()), migrations=migrations
    )


def _rulebook(versions: Sequence[StoredDocument]) -> Rulebook:
    """What these documents, in the order of publication, make up."""
    templates = [decode_template(stored.body) for stored in versions if stored.kind == "template"]
    policies = [
        msgspec.json.decode(stored.body, type=Policy) for stored in versions if stored.kind == "policy"
    ]
    return Rulebook(
        journeys=tuple(
            msgspec.json.decode(stored.body, type=Journey) for stored in versions if stored.kind == "journey"
        ),
        templates=tuple(mark_of(template) for template in templates),
        policy=max(policies, key=lambda policy: policy.version),
        calendars=tuple(_calendars_of(versions)),
        segments=tuple(_segments_of(versions)),
        controls=_controls_of(versions) or UNSET,
    )


def _put_in_force(engine: Engine, versions: Sequence[StoredDocument], number: int) -> None:
    """Bring documents and rulebook up to what was published; nothing where they are, or further."""
    with writing(engine) as connection:
        lock(connection, _LOCK)
        known = known_documents(connection)
        new = [stored for stored in versions if (stored.kind, stored.name, stored.version) not in known]
        if new:
            add_documents(connection, new)
        if last_rulebook(connection) < number:
            rulebook = _rulebook(versions)
            add_rulebook(connection, number, digest=digest(rulebook), body=canonical(rulebook))
