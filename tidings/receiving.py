"""What providers tell becomes facts: each telling once, about the customers whom it concerns.

It never decides anything; what cannot be brought to a customer lies among the dead letters.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from audit.replay import replay
from channels.provider import Callback, Receipt
from domain import catalogue as facts
from domain.catalogue import ChannelName, Envelope
from domain.clock import to_micros
from domain.errors import NotFound
from stores.addressees import Addressee, Addressees
from stores.inbox import Item, Refusal, Taken, Told
from tidings.bootstrap import Tidings
from tidings.dead_letters import BoundedLetters
from tidings.together import Together

_LONGEST_ID = 200
_LONGEST_TEXT = 200
_LONGEST_PERSONAL = 320
# An answer without a word, such as a picture, is an answer all the same.
_WORDLESS = "—"
_OF_MESSAGES = ("delivered", "undelivered", "opened", "clicked")
_OF_ALL_HOLDERS = ("opted_out", "opted_in")


class Contacts(Protocol):
    """Who has an address now."""

    def holders(self, channel: ChannelName, address: str) -> list[str]:
        """The customers whose address for this channel it is."""


class _Telling(Struct, frozen=True):
    """What one callback of a provider said."""

    origin: str
    callback: Callback
    receipts: list[Receipt]


class Receiver:
    """Takes receipts in. May be used by several threads."""

    def __init__(self, tidings: Tidings, contacts: Contacts, letters: BoundedLetters) -> None:
        self._inbox = tidings.inbox
        self._history = tidings.history
        self._ledger = tidings.ledger
        self._addressees = Addressees(tidings.engine)
        self._contacts = contacts
        self._letters = letters
        self._together = Together(self._take_all)

    def take(self, origin: str, callback: Callback, receipts: Sequence[Receipt]) -> None:
        """Take in what a callback says, with whatever else is told meanwhile. ``origin`` becomes the source.

        Raises InputRefused while the inbox is full, StoreUnusable: it may be told again.
        """
        self._together.do(_Telling(origin, callback, [_clean(r) for r in receipts]))

    def _take_all(self, tellings: Sequence[_Telling]) -> None:
        known = self.addressees({r.message for telling in tellings for r in telling.receipts if r.message})
        by_origin: dict[str, list[_Telling]] = {}
        for telling in tellings:
            by_origin.setdefault(telling.origin, []).append(telling)
        for origin, group in by_origin.items():
            items = [item for telling in group for item in self._items(telling, known)]
            refused = [item for item in items if isinstance(item, Refusal)]
            told: list[Item] = [item for item in items if isinstance(item, Told)]
            self._take(origin, told, refused, at=max(telling.callback.at for telling in group))

    def refuse(self, origin: str, refusal: Refusal, *, at: datetime) -> None:
        """Note what came from ``origin`` and was not taken, as far as there is room for it."""
        self._take(origin, [], [refusal], at=at)

    def tell(self, told: Sequence[Envelope], *, at: datetime) -> Taken:
        """Take facts in that our own pages were told; the same id again is a repetition."""
        origin = told[0].fact.source if told else ""
        return self._take(origin, [Told(envelope, origin, once=True) for envelope in told], [], at=at)

    def close(self, *, at: datetime) -> None:
        """Note how many refusals were only counted."""
        for origin, refusals in self._letters.rest().items():
            self._inbox.take(refusals, origin=origin, at=to_micros(at))

    def addressees(self, messages: set[str]) -> dict[str, Addressee]:
        """Whom these messages are for. The ledger is brought up to date only where one is not known yet."""
        known = self._addressees.of(messages)
        missing = messages - known.keys()
        if missing:
            # A receipt can overtake our own commit of the outcome, never that of the intent.
            self._ledger.catch_up()
            known |= self._addressees.of(missing)
        return known

    def _take(self, origin: str, told: Sequence[Item], refused: Sequence[Refusal], *, at: datetime) -> Taken:
        items = [*told, *(self._letters.admitted(origin, refused, at=at) if refused else ())]
        if not items:
            return Taken(0, 0, [])
        return self._inbox.take(items, origin=origin, at=to_micros(at))

    def _items(self, telling: _Telling, known: Mapping[str, Addressee]) -> Iterator[Item]:
        for receipt in telling.receipts:
            yield from self._items_of(telling, receipt, known.get(receipt.message))

    def _items_of(self, telling: _Telling, receipt: Receipt, addressee: Addressee | None) -> Iterator[Item]:
        if receipt.told in _OF_MESSAGES:
            if addressee is None:
                yield _refusal("receipt.unknown_message", telling, receipt)
            else:
                yield _told(telling, receipt, addressee.customer, _of_message(receipt))
            return
        address = receipt.address or self._current_address(receipt.channel, addressee)
        customers = self._customers(receipt, address, addressee)
        needs_address = receipt.told != "replied"
        if not customers or (needs_address and not 0 < len(address) <= _LONGEST_PERSONAL):
            unknown = "message" if receipt.message and not receipt.address else "address"
            yield _refusal(f"receipt.unknown_{unknown}", telling, receipt)
            return
        message = receipt.message if addressee else UNSET
        for customer in customers:
            body = _of_address(telling.origin, receipt, address, message)
            yield _told(telling, receipt, customer, body)

    def _customers(self, receipt: Receipt, address: str, addressee: Addressee | None) -> list[str]:
        """Whom it concerns: whoever the message was for, else all who have the address.

        Who says no for an address says it for all who have it.
        """
        own = [addressee.customer] if addressee else []
        if not address or (own and receipt.told not in _OF_ALL_HOLDERS):
            return own
        return list(dict.fromkeys([*own, *self._contacts.holders(receipt.channel, address)]))

    def _current_address(self, channel: ChannelName, addressee: Addressee | None) -> str:
        if addressee is None:
            return ""
        try:
            return replay(self._history, addressee.customer).customer.address(channel) or ""
        except NotFound:
            return ""


def _clean(receipt: Receipt) -> Receipt:
    """The receipt without characters that no store takes: a lone half of a pair, or zero."""
    said = {
        name: value.encode(errors="replace").decode().replace("\x00", "\ufffd")
        for name in ("key", "message", "address", "reason", "text", "link")
        if (value := getattr(receipt, name))
    }
    return replace(receipt, **said)


def _told(telling: _Telling, receipt: Receipt, customer: str, body: tuple[str, Mapping[str, object]]) -> Told:
    """The fact under an id that follows from the telling alone."""
    kind, fields = body
    fact = facts.FACTS[kind](source=telling.origin, id=bounded(receipt.key, receipt.told, customer), **fields)
    callback = telling.callback
    at = callback.at if receipt.at is None else min(receipt.at, callback.at)
    return Told(Envelope(kind, customer, at, fact), f"receipt {receipt.told}", callback.body, once=True)


def _of_message(receipt: Receipt) -> tuple[str, dict[str, object]]:
    fields: dict[str, object] = {"message": receipt.message}
    if receipt.told == "undelivered":
        fields["reason"] = _later(receipt.reason)
    if receipt.told == "clicked":
        fields["link"] = receipt.link[:_LONGEST_TEXT] or None
    return f"message.{receipt.told}/1", fields


def _of_address(
    origin: str, receipt: Receipt, address: str, message: str | UnsetType
) -> tuple[str, dict[str, object]]:
    text = receipt.text[:_LONGEST_PERSONAL]
    fields: dict[str, object] = {"channel": receipt.channel}
    match receipt.told:
        case "replied":
            fields["text"] = text or _WORDLESS
        case "bounced":
            fields |= {"address": address, "message": message, "reason": _later(receipt.reason)}
        case "complained":
            fields |= {"address": address, "message": message}
        case _:
            fields |= {"address": address, "message": message, "provenance": origin, "text": text or UNSET}
    return f"contact.{receipt.told}/1", fields


def _later(text: str) -> str | UnsetType:
    return text[:_LONGEST_TEXT] or UNSET


def _refusal(code: str, telling: _Telling, receipt: Receipt) -> Refusal:
    """The values hold no address: they are shown where dead letters are listed."""
    values: dict[str, object] = {"told": receipt.told, "message": receipt.message, "channel": receipt.channel}
    values = {"provider": telling.origin, **values}
    return Refusal(f"receipt {receipt.told}", code, values, telling.callback.body)


def bounded(*parts: str) -> str:
    """An id made of these parts, as they are where it is short and plain, else by their digest."""
    said = "/".join(parts)
    if len(said) <= _LONGEST_ID and said.isprintable():
        return said
    return sha256("\x1f".join(parts).encode()).hexdigest()
