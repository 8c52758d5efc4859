"""A broadcast: one event of the bank's business, told as a fact of each customer whom it may concern.

What is broadcast is kept under its id, as documents are. So it can be repeated, and goes on where it was
broken off: each fact is told by the source ``broadcast/<ID>`` under the customer's id, and counts once.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct
from sqlalchemy import Engine

from domain.errors import InputRefused
from domain.fact import OWN_FACT
from domain.ports import StoredDocument
from stores.database import writing
from stores.dialect import lock
from stores.inbox import Told
from stores.library import add_documents, document_of
from tidings.importing.facts import Header, Shape, enveloped, shape_of
from tidings.importing.faults import broken_json, plain, unfit

_LOCK = 7_461_204
_KIND = "broadcast"


class Broadcast(Struct, frozen=True):
    """What is told, under its id: a bank's own type of fact, its data, and when it happened (aware UTC)."""

    id: Annotated[str, Meta(min_length=1, max_length=150)]
    type: Annotated[str, Meta(pattern=f"^{OWN_FACT}$")]
    data: dict[str, str | int | bool | None]
    time: datetime


def broadcast_of(ident: str, kind: str, data: str, *, time: datetime, now: datetime) -> Broadcast:
    """What a command line says. Raises InputRefused with what is wrong, before anything is told."""
    try:
        header = msgspec.convert({"type": kind, "source": _source(ident), "id": "x", "subject": "x"}, Header)
        told = Broadcast(ident, kind, _data(shape_of(kind), header, data), time)
        msgspec.convert(msgspec.to_builtins(told), Broadcast)
    except msgspec.ValidationError as error:
        raise InputRefused("broadcast.unfit", id=ident[:60], type=kind[:60], reason=str(error)) from error
    # Once for all: what is wrong with one fact would be wrong with each.
    _told(told, "x", now=now)
    return told


def announce(engine: Engine, broadcast: Broadcast, *, anytime: bool) -> Broadcast:
    """Keep what is broadcast under its id; gives what is kept there already where it is a repetition.

    ``anytime``: no time was asked for, so that of the first announcement counts. Raises InputRefused where
    something else was broadcast under this id.
    """
    body = msgspec.json.encode(broadcast, order="deterministic")
    with writing(engine) as connection:
        lock(connection, _LOCK)
        stored = document_of(connection, _KIND, broadcast.id)
        if stored is None:
            digest = sha256(body).hexdigest()
            add_documents(connection, [StoredDocument(_KIND, broadcast.id, 1, digest, body)])
            return broadcast
    known = msgspec.json.decode(stored.body, type=Broadcast)
    if (known.type, known.data) != (broadcast.type, broadcast.data):
        raise InputRefused("broadcast.id_reused", id=broadcast.id, type=known.type)
    if not anytime and known.time != broadcast.time:
        raise InputRefused("broadcast.other_time", id=broadcast.id, time=known.time.isoformat())
    return known


def facts_of(broadcast: Broadcast, audience: Iterable[str], *, now: datetime) -> Iterator[Told]:
    """The fact of each customer of the audience, which may be any number of them in any order."""
    for number, subject in enumerate(audience, 1):
        yield _told(broadcast, subject, now=now, place=f"customer {number}")


def _told(broadcast: Broadcast, subject: str, *, now: datetime, place: str = "") -> Told:
    shape = shape_of(broadcast.type)
    header = Header(type=broadcast.type, source=_source(broadcast.id), id=subject, subject=subject)
    fact = shape.make(source=header.source, id=subject, data=broadcast.data)
    return Told(enveloped(shape, header, at=broadcast.time, fact=fact, now=now), place)


def _source(ident: str) -> str:
    return f"{_KIND}/{ident}"


def _data(shape: Shape, header: Header, data: str) -> dict[str, str | int | bool | None]:
    """The fields that a JSON object tells, as a bank's own fact has them."""
    if shape.fields is not None:
        raise InputRefused("broadcast.not_own", type=header.type)
    encoded = data.encode()
    try:
        msgspec.json.decode(encoded, type=Raw)
        found: dict[str, str | int | bool | None] = shape.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise broken_json(encoded) or unfit(error, plain(encoded), None) from error
    return found
