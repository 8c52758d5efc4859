"""Reads what a pack is about: the customer's events, what of them is told, the texts that they cite."""

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from audit.evidence.contents import Disclosed, Period, disclosed, message_of
from audit.why import Explanation, explain
from channels.base import Outgoing
from domain.codec import restored
from domain.customer import Customer
from domain.errors import InputRefused, NotFound
from domain.events import Event, MessageRequested, MessageSending
from domain.fold import evolve
from domain.ports import History, StoredDocument, StoredEvent, StoredRulebook
from journeys.rulebook import Rules
from templates.render import Rendered
from tidings.authoring import Templates, rules_of, templates_of
from tidings.sending import again, is_lost


class Gathered(Struct, frozen=True):
    """Everything that a pack is made from. ``place`` is the history's partition and stream."""

    customer: str
    period: Period
    place: tuple[int, int]
    stored: list[StoredEvent]
    history: list[Event]
    told: Disclosed
    rulebooks: dict[int, StoredRulebook]
    documents: list[StoredDocument]
    rules: dict[int, Rules]
    templates: Templates

    @property
    def disclosed(self) -> list[Event]:
        """The events whose bodies are told, in order."""
        return [event for event in self.history if event.version in self.told.all]

    @property
    def inside(self) -> list[Event]:
        """The events of the period, in order."""
        return [event for event in self.history if event.version in self.told.inside]

    @property
    def cited(self) -> dict[int, StoredRulebook]:
        """The rulebooks that disclosed events cite, by number."""
        numbers = {e.rulebook for e in self.stored if e.version in self.told.all}
        return {number: self.rulebooks[number] for number in sorted(numbers) if number in self.rulebooks}

    @property
    def is_sealed(self) -> bool:
        """Whether personal values are sealed and could not be opened: the customer's key is gone."""
        return any(b'"sealed":"' in e.body and e.clear is None for e in self.stored)


class Words(Struct, frozen=True):
    """What a message said by the intent of this version; ``rendered`` is None where the words are lost."""

    version: int
    message: Outgoing
    rendered: bytes | None


def gather(history: History, customer: str, period: Period, *, now: datetime) -> Gathered:
    """What there is on a customer in a period. ``now`` is aware UTC.

    Raises NotFound for an unknown customer, InputRefused for a period that has no events, ends before it
    begins, or lies in the future; StoreCorrupt for events that cannot be read.
    """
    if period.since and period.until and period.since >= period.until:
        raise InputRefused("evidence.period_backwards", since=period.since, until=period.until)
    found = history.find(customer)
    if found is None:
        raise NotFound("customer.unknown", customer=customer)
    stored = history.history(*found)
    events = [restored(event) for event in stored]
    # A virtual clock may have gone beyond the real one.
    known = max([now, *(event.recorded_at for event in events)])
    for at in (period.since, period.until):
        if at is not None and at > known:
            raise InputRefused("evidence.future", at=at.isoformat(), now=f"{known:%Y-%m-%dT%H:%M:%SZ}")
    documents = history.documents()
    rulebooks = history.rulebooks()
    return Gathered(
        customer=customer,
        period=period,
        place=found,
        stored=stored,
        history=events,
        told=disclosed(events, period, customer=customer),
        rulebooks=rulebooks,
        documents=documents,
        rules=rules_of(rulebooks),
        templates=templates_of(documents),
    )


def messages(gathered: Gathered) -> list[Explanation]:
    """Why each message that has a disclosed request was or was not sent, in the order of the requests."""
    found: list[Explanation] = []
    for event in gathered.disclosed:
        if isinstance(event.body, MessageRequested):
            found.append(explain(gathered.customer, gathered.history, event.body.message))
    return found


def lives(gathered: Gathered) -> dict[str, list[int]]:
    """The versions of each message's disclosed events, by message."""
    told: dict[str, list[int]] = {}
    for event in gathered.disclosed:
        if message := message_of(event):
            told.setdefault(message, []).append(event.version)
    return told


def words(gathered: Gathered) -> Iterator[Words]:
    """The words of each message that was to leave, made again from the state of that moment, in order."""
    rules: Mapping[int, Rules] = gathered.rules
    customer = Customer(gathered.customer)
    for event, stored in zip(gathered.history, gathered.stored, strict=True):
        customer = evolve(customer, event)
        if event.version not in gathered.told.all or not isinstance(event.body, MessageSending):
            continue
        request = customer.messages[event.body.message].request
        if stored.rulebook not in rules or (request.template, request.template_version) not in (
            gathered.templates
        ):
            raise InputRefused("evidence.rules_unreadable", version=event.version)
        made = again(customer, event.body.message, rules=rules[stored.rulebook], templates=gathered.templates)
        rendered = Rendered(made.channel, made.language, made.heading, made.text, made.html)
        yield Words(event.version, made, None if is_lost(made) else msgspec.json.encode(rendered))
