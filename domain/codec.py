"""Stored form of events, canonical JSON bodies under literal names, and of customers' states."""

from functools import cache
from hashlib import sha256

import msgspec
from msgspec import Struct

from domain.chain import is_stub
from domain.clock import from_micros
from domain.customer import Customer
from domain.errors import StoreCorrupt
from domain.events import Body, Event, type_of
from domain.fold import FOLD
from domain.ports import StoredEvent
from domain.withheld import Withheld

_encoder = msgspec.json.Encoder(order="deterministic")
_state_encoder = msgspec.msgpack.Encoder()
_state_decoder = msgspec.msgpack.Decoder(Customer)
_decoders: dict[str, msgspec.json.Decoder[Body]] = {}


def encode_body(body: Struct) -> bytes:
    """The only bytes of a body: JSON, fields in declared order, mappings sorted."""
    return _encoder.encode(body)


def decode_body(kind: str, stored: bytes) -> Body:
    """The body of an event of this kind; unknown fields are ignored, missing new ones take their defaults.

    ``Withheld`` where retention has left only the body's stub (``domain.chain.stub``). Raises StoreCorrupt
    where the name is unknown or the bytes are not such a body.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        struct = type_of(kind)
        if struct is None:
            raise StoreCorrupt("store.unknown_kind", kind=kind)
        decoder = _decoders[kind] = msgspec.json.Decoder(struct)
    try:
        return decoder.decode(stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if is_stub(stored):
            return Withheld(stored[1:].hex())
        raise StoreCorrupt("store.unreadable_body", kind=kind, reason=str(error)) from error


def restored(stored: StoredEvent) -> Event:
    """A stored event as the domain knows it, with its personal data where they could be opened.

    Raises StoreCorrupt where its body cannot be read.
    """
    return Event(
        stored.version,
        stored.kind,
        from_micros(stored.occurred_at),
        from_micros(stored.recorded_at),
        stored.cause,
        decode_body(stored.kind, stored.body if stored.clear is None else stored.clear),
    )


def encode_state(customer: Customer) -> bytes:
    """A customer's state as a snapshot keeps it: MessagePack, mappings in the order in which they grew."""
    return _state_encoder.encode(customer)


def decode_state(stored: bytes) -> Customer:
    """The state that ``encode_state`` made bytes of. Raises StoreCorrupt where they are none."""
    try:
        return _state_decoder.decode(stored)
    except msgspec.DecodeError as error:
        raise StoreCorrupt("store.unreadable_snapshot", reason=str(error)) from error


def state_digest(customer: Customer) -> bytes:
    """SHA-256 of a state, whatever the order in which its mappings grew."""
    return sha256(_encoder.encode(customer)).digest()


@cache
def state_form() -> str:
    """Names the form of states: the meaning of the fold, and a digest of the fields. Others are not read."""
    return f"{FOLD}-{sha256(msgspec.json.encode(msgspec.json.schema(Customer))).hexdigest()[:12]}"
