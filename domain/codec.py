"""Stored form of events: canonical JSON bodies under literal names."""

import msgspec
from msgspec import Struct

from domain.clock import from_micros
from domain.errors import StoreCorrupt
from domain.events import Body, Event, type_of
from domain.ports import StoredEvent

_encoder = msgspec.json.Encoder(order="deterministic")
_decoders: dict[str, msgspec.json.Decoder[Body]] = {}


def encode_body(body: Struct) -> bytes:
    """The only bytes of a body: JSON, fields in declared order, mappings sorted."""
    return _encoder.encode(body)


def decode_body(kind: str, stored: bytes) -> Body:
    """The body of an event of this kind; unknown fields are ignored, missing new ones take their defaults.

    Raises StoreCorrupt where the name is unknown or the bytes are not such a body.
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
        raise StoreCorrupt("store.unreadable_body", kind=kind, reason=str(error)) from error


def restored(stored: StoredEvent) -> Event:
    """A stored event as the domain knows it. Raises StoreCorrupt where its body cannot be read."""
    return Event(
        stored.version,
        stored.kind,
        from_micros(stored.occurred_at),
        from_micros(stored.recorded_at),
        stored.cause,
        decode_body(stored.kind, stored.body),
    )
