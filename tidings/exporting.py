"""All that is held on a person, as one document: the right of access (GDPR art. 15), portable (art. 20)."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, to_builtins

from domain.clock import from_micros
from domain.codec import restored
from domain.customer import Customer
from domain.errors import NotFound
from domain.events import Event, MessageSending, SegmentEntered, Withheld
from domain.fold import evolve
from domain.ports import History
from stores.app_inbox import StoredMailbox
from stores.journal import Journal
from stores.letters import Letter, Letters
from stores.projections import LedgerEntry, TaskEntry
from stores.vault import vault_of
from stores.waiting import waiting_facts
from tidings.accesses import reads
from tidings.bootstrap import Tidings
from tidings.memory import state_of
from tidings.sending import again, is_lost

FORMAT = "tidings-personal-data/1"


class Sent(Struct, frozen=True):
    """One time that a message left, with its words; they are None where they cannot be made again."""

    version: int
    at: datetime
    channel: str
    language: str
    address: str | None
    heading: str | None
    text: str | None
    html: str | None


class Export(Struct, frozen=True):
    """What ``docs/how-to/personal-data.md`` describes, member by member. Instants are aware UTC."""

    format: str
    exported_at: datetime
    customer: str
    erased_at: datetime | None
    identity: dict[str, Any]
    addresses: dict[str, Any]
    consents: list[dict[str, Any]]
    state: dict[str, Any]
    events: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    inbox_letters: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    segments: list[dict[str, Any]]
    enrolments: list[dict[str, Any]]
    waiting_facts: list[dict[str, Any]]
    refused: list[dict[str, Any]]
    read_by: list[dict[str, Any]]


def export(tidings: Tidings, history: History, customer: str, *, at: datetime) -> Export:
    """Everything on a customer at ``at`` (aware UTC); of who was erased, what is left without a person in it.

    ``history`` is the store's, or that joined with an archive. Raises NotFound for an unknown customer,
    StoreCorrupt where events of theirs are in neither.
    """
    place = history.find(customer)
    if place is None:
        near = tidings.history.similar_subjects(customer)
        raise NotFound("customer.unknown", customer=customer, near=near)
    vault = vault_of(tidings.engine)
    stored = vault.with_clear(place[0], history.history(*place), strict=False)
    events = [restored(event) for event in stored]
    state = _state(tidings, place)
    return Export(
        format=FORMAT,
        exported_at=at,
        customer=customer,
        erased_at=_erased_at(events),
        identity=_part(
            state, "birth_date", "given_name", "family_name", "language", "zone", "region", "registered_at"
        ),
        addresses=_part(state, "addresses", "devices", "dead_addresses", "opted_out"),
        consents=[_event(event) for event in events if event.kind.startswith("consent.")],
        state=to_builtins(state),
        events=[_event(event) for event in events],
        messages=_messages(tidings, customer, events),
        inbox_letters=[to_builtins(letter) for letter in StoredMailbox(tidings.engine).everything(customer)],
        tasks=[_entry(task) for task in tidings.ledger.tasks() if task.customer == customer],
        segments=_segments(state, events),
        enrolments=[{"id": ident, **to_builtins(e)} for ident, e in state.enrolments.items()],
        waiting_facts=[to_builtins(told) for told in waiting_facts(tidings.engine, place, customer)],
        refused=[_letter(letter) for letter in naming(tidings, customer, state)],
        read_by=list(_reads(tidings, customer)),
    )


def _state(tidings: Tidings, place: tuple[int, int]) -> Customer:
    """As workers have it: where retention has removed bodies, snapshots know what they said."""
    partition, stream = place
    return state_of(Journal(tidings.engine, partition).load([stream])[stream])


def _erased_at(events: Sequence[Event]) -> datetime | None:
    return next((event.recorded_at for event in events if event.kind.startswith("customer.erased/")), None)


def _part(state: Customer, *names: str) -> dict[str, Any]:
    return {name: to_builtins(getattr(state, name)) for name in names}


def _event(event: Event) -> dict[str, Any]:
    """An event with what it says; of a body that retention removed, its digest."""
    told: dict[str, Any] = {
        "version": event.version,
        "kind": event.kind,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "cause": event.cause or None,
    }
    if isinstance(event.body, Withheld):
        return {**told, "data": None, "removed_by_retention": event.body.digest}
    data = {name: getattr(event.body, name) for name in event.body.__struct_fields__}
    return {**told, "data": to_builtins({name: value for name, value in data.items() if value is not UNSET})}


def _messages(tidings: Tidings, customer: str, events: Sequence[Event]) -> list[dict[str, Any]]:
    """The ledger's entries, each with the words of every time that it left."""
    sent: dict[str, list[Sent]] = {}
    for message, time in _sent(tidings, customer, events):
        sent.setdefault(message, []).append(time)
    entries = tidings.ledger.messages(customer=customer)
    return [{**_entry(entry), "sent": to_builtins(sent.get(entry.id, []))} for entry in entries]


def _sent(tidings: Tidings, customer: str, events: Sequence[Event]) -> Iterator[tuple[str, Sent]]:
    in_force = tidings.in_force()
    state = Customer(customer)
    for event in events:
        state = evolve(state, event)
        body = event.body
        if not isinstance(body, MessageSending):
            continue
        # The name may have changed since: it is the state of that moment that the words were made from.
        known = body.message in state.messages
        made = None
        if known:
            found = again(state, body.message, rules=in_force.rules, templates=in_force.templates)
            made = None if is_lost(found) else found
        yield (
            body.message,
            Sent(
                version=event.version,
                at=event.recorded_at,
                channel=body.channel,
                language=body.language,
                address=None if made is None else made.address,
                heading=None if made is None else made.heading,
                text=None if made is None else made.text,
                html=None if made is None else made.html or None,
            ),
        )


def _entry(entry: LedgerEntry | TaskEntry) -> dict[str, Any]:
    """An entry of the ledger, its instants as the others."""
    told: dict[str, Any] = to_builtins(entry)
    return {
        name: from_micros(value) if name.endswith("_at") and value is not None else value
        for name, value in told.items()
    }


def _segments(state: Customer, events: Sequence[Event]) -> list[dict[str, Any]]:
    since = {e.body.segment: e.recorded_at for e in events if isinstance(e.body, SegmentEntered)}
    return [
        {"segment": segment, "class": found, "since": since.get(segment)}
        for segment, found in sorted(state.segments.items())
    ]


def naming(tidings: Tidings, customer: str, state: Customer) -> Iterator[Letter]:
    """What was refused and speaks of the customer: by their id, or an address of theirs."""
    words = [customer, *state.addresses.values(), *state.devices]
    named = re.compile("|".join(rf"(?<![\w.@-]){re.escape(word)}(?![\w@-])" for word in words if word))
    for letter in Letters(tidings.engine).all():
        raw = "" if letter.raw is None else letter.raw.decode(errors="replace")
        if named.search(letter.reason or "") or named.search(raw):
            yield letter


def _letter(letter: Letter) -> dict[str, Any]:
    told: dict[str, Any] = to_builtins(letter)
    return {**told, "raw": None if letter.raw is None else letter.raw.decode(errors="backslashreplace")}


def _reads(tidings: Tidings, customer: str) -> Iterator[dict[str, Any]]:
    """Who looked at their data, the oldest first."""
    for read in reads(tidings.engine):
        if read.concerns(customer):
            told: dict[str, Any] = to_builtins(read)
            # With whom else they were looked at is not theirs to know.
            yield {name: value for name, value in told.items() if name != "customers"}
