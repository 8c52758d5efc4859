"""What customers choose on our own pages: their words on consent as they are now, and the facts of a change.

Words that wait to be decided on count already: whoever has just said no must not see that they are still
written to, and saying it twice must not make two facts of it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from audit.replay import Replayed, replay
from domain.catalogue import ChannelName, ConsentGranted, ConsentWithdrawn, CustomerMerged, Envelope, Purpose
from domain.clock import to_micros
from domain.consent import ANY, Word, latest_word, remember
from domain.customer import Customer
from domain.policy import ConsentRule
from domain.ports import History
from stores.waiting import waiting_facts
from tidings.bootstrap import Tidings

GRANTED, WITHDRAWN = "consent.granted/1", "consent.withdrawn/1"
# What customers can say no to; the rest is sent because it must be.
CHOSEN: tuple[Purpose, ...] = ("marketing", "care")
CHANNELS: tuple[ChannelName, ...] = get_args(ChannelName)


class Cell(Struct, frozen=True, order=True):
    """One thing that can be chosen: messages of a purpose by a channel, on one topic or any (``*``)."""

    purpose: Purpose
    channel: ChannelName
    topic: str = ANY


class Occasion(Struct, frozen=True):
    """How the customer came to say something: what consents must be shown to rest on."""

    source: str
    provenance: str
    at: datetime
    captured_through: str
    text_version: str = ""


class Standing(Struct, frozen=True):
    """A customer with all that they have said so far, decided on or waiting."""

    customer: Customer
    rules: dict[Purpose, ConsentRule]

    def is_on(self, cell: Cell) -> bool:
        """Whether consent stands for it. ``*`` as topic asks about what no word on a topic speaks of."""
        word = self._word(cell)
        return self.rules[cell.purpose] == "not_withdrawn" if word is None else word.granted

    def cells(self) -> list[Cell]:
        """All that can be chosen: each channel that reaches the customer, and topics they had words on."""
        words = self.customer.consents
        found: list[Cell] = []
        for purpose in CHOSEN:
            if self.rules[purpose] == "not_needed":
                continue
            for channel in CHANNELS:
                said = [w for w in words if w.purpose == purpose and w.channel in (ANY, channel)]
                reached = channel in self.customer.addresses or any(w.channel == channel for w in said)
                if not reached:
                    continue
                topics = sorted({word.topic for word in said} - {ANY})
                found += [Cell(purpose, channel, topic) for topic in (ANY, *topics)]
        return found

    def said(self, words: Iterable[Envelope]) -> "Standing":
        """With these further words on consent."""
        customer = self.customer
        for envelope in words:
            word = envelope.fact
            if not isinstance(word, ConsentGranted | ConsentWithdrawn):
                continue
            customer = replace(
                customer,
                version=customer.version + 1,
                consents=remember(
                    customer.consents,
                    Word(
                        purpose=word.purpose,
                        channel=word.channel,
                        topic=word.topic,
                        granted=isinstance(word, ConsentGranted),
                        said_at=envelope.occurred_at,
                        provenance=word.provenance,
                        version=customer.version + 1,
                    ),
                ),
            )
        return replace(self, customer=customer)

    def changed(self, choices: Sequence[tuple[Cell, bool]], occasion: Occasion) -> list[Envelope]:
        """The facts that make it so, broader words first; nothing where it is so already."""
        standing, told = self, list[Envelope]()
        for cell, wanted in sorted(choices, key=lambda choice: (choice[0].topic != ANY, choice[0])):
            if standing.is_on(cell) != wanted:
                word = standing._told(cell, wanted, occasion)
                told.append(word)
                standing = standing.said([word])
        return told

    def withdrawn(self, purpose: Purpose, channel: ChannelName, occasion: Occasion) -> list[Envelope]:
        """The fact that says no to a purpose by a channel, whatever the topic; none where all is off."""
        if not any(self.is_on(cell) for cell in self._spoken_of(purpose, channel)):
            return []
        return [self._told(Cell(purpose, channel), False, occasion)]

    def kept(self, purpose: Purpose, channel: ChannelName) -> list[tuple[Cell, bool]]:
        """What must be chosen after a withdrawal for it to be as it is now: no topic more, none less."""
        return [(cell, self.is_on(cell)) for cell in self._spoken_of(purpose, channel)]

    def _spoken_of(self, purpose: Purpose, channel: ChannelName) -> list[Cell]:
        words = [w for w in self.customer.consents if w.purpose == purpose and w.channel in (ANY, channel)]
        return [Cell(purpose, channel, t) for t in (ANY, *sorted({w.topic for w in words} - {ANY}))]

    def _word(self, cell: Cell) -> Word | None:
        return latest_word(
            self.customer.consents, purpose=cell.purpose, channel=cell.channel, topic=cell.topic
        )

    def _told(self, cell: Cell, wanted: bool, occasion: Occasion) -> Envelope:
        kind, fact = (GRANTED, ConsentGranted) if wanted else (WITHDRAWN, ConsentWithdrawn)
        body = fact(
            source=occasion.source,
            id=self._id(cell, wanted),
            purpose=cell.purpose,
            channel=cell.channel,
            topic=cell.topic,
            provenance=occasion.provenance,
            text_version=occasion.text_version or None,
            captured_through=occasion.captured_through,
        )
        return Envelope(kind, self.customer.subject, occasion.at, body)

    def _id(self, cell: Cell, wanted: bool) -> str:
        """Names the change by what it changes: a button pressed twice says it once, a later change anew."""
        before = self._word(cell)
        since = "" if before is None else f"{to_micros(before.said_at)}/{before.granted}"
        parts = (self.customer.subject, cell.purpose, cell.channel, cell.topic, str(wanted), since)
        return sha256("\x1f".join(parts).encode()).hexdigest()[:40]


class Choices:
    """Reads where customers stand. May be used by several threads."""

    def __init__(self, tidings: Tidings) -> None:
        self._tidings = tidings

    def standing(self, subject: str, *, now: datetime) -> Standing:
        """Where the customer stands now (aware UTC), or who they are the same person as since.

        Raises NotFound for one who was never registered.
        """
        history = self._tidings.history
        replayed = _going_on(history, subject)
        subject = replayed.subject
        place = history.find(subject)
        rules = self._tidings.in_force().rules.rulebook.policy.consent
        standing = Standing(replayed.customer, rules)
        if place is None:
            return standing
        kinds = (GRANTED, WITHDRAWN)
        waiting = waiting_facts(self._tidings.engine, place, subject, kinds=kinds, until=now)
        return standing.said(waiting)


def _going_on(history: History, subject: str) -> Replayed:
    """The customer, or whom they were merged into: an old link must work for who is written to now."""
    followed: set[str] = set()
    while True:
        replayed = replay(history, subject)
        followed.add(subject)
        merged = [e.body.into for e in replayed.history if isinstance(e.body, CustomerMerged)]
        if not merged or merged[-1] in followed or history.find(merged[-1]) is None:
            return replayed
        subject = merged[-1]
