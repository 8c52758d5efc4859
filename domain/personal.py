"""Which part of a body identifies a person, and how a body is taken apart into that part and the rest.

The catalogue marks fields ``PERSONAL``. The rest of a body is a whole body of its own, which decodes without
the personal part: its fields are missing there, or hold ``WITHHELD`` where they must be there.
"""

from functools import cache
from typing import Any

import msgspec
import msgspec.inspect as shape

from domain.codec import decode_body, encode_body
from domain.events import type_of

WITHHELD = "withheld"
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])
_NOTHING: tuple[object, ...] = (None, "", {}, [])


@cache
def personal_fields(kind: str) -> dict[str, object]:
    """The personal fields of an event of this kind, each with what stands for it where it is withheld.

    None stands for a field that may be missing. Empty for a kind without any, or that nobody knows.
    """
    struct = type_of(kind)
    if struct is None:
        return {}
    described = shape.type_info(struct)
    assert isinstance(described, shape.StructType)  # noqa: S101 - every event is one
    return {field.encode_name: _stand_in(field) for field in described.fields if is_personal(field.type)}


def is_personal(described: shape.Type) -> bool:
    """Whether a field of this type identifies a person, by the catalogue's mark."""
    if isinstance(described, shape.Metadata):
        return bool((described.extra or {}).get("personal")) or is_personal(described.type)
    return isinstance(described, shape.UnionType) and any(map(is_personal, described.types))


def taken_apart(kind: str, body: bytes) -> tuple[bytes, bytes] | None:
    """The public part of a body and the personal one, both JSON objects; None where nothing is personal."""
    fields = personal_fields(kind)
    if not fields:
        return None
    told = _decoder.decode(body)
    personal = {name: told[name] for name in fields if told.get(name) not in _NOTHING}
    if not personal:
        return None
    public = {
        name: fields[name] if name in personal else value
        for name, value in told.items()
        if name not in personal or fields[name] is not None
    }
    return _encoder.encode(public), _encoder.encode(personal)


def put_together(kind: str, public: bytes, personal: bytes) -> bytes:
    """The body that was taken apart, byte for byte. Raises StoreCorrupt where the parts are of none."""
    # Of two members of one name the later one counts.
    return encode_body(decode_body(kind, public[:-1] + b"," + personal[1:]))


def _stand_in(field: shape.Field) -> object:
    if not field.required:
        return None
    described = field.type
    while isinstance(described, shape.Metadata):
        described = described.type
    return {} if isinstance(described, shape.DictType) else WITHHELD
