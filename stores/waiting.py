"""What one customer's facts say that wait to be decided on, for pages that must show it at once."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, select

from domain.catalogue import Envelope, Fact
from domain.clock import from_micros, to_micros
from domain.codec import decode_body
from stores.database import reading
from stores.schema import inbox
from stores.vault import vault_of


def waiting_facts(
    engine: Engine,
    place: tuple[int, int],
    subject: str,
    *,
    kinds: Sequence[str] | None = None,
    until: datetime | None = None,
) -> list[Envelope]:
    """The customer's waiting facts of these kinds that happened by ``until`` (aware UTC), in their order.

    Without ``kinds`` of all, without ``until`` however far ahead. ``place`` is the customer's partition and
    stream. All that waits in the partition and is due is gone through: in a service that keeps up that is
    little.
    """
    partition, stream = place
    query = (
        select(inbox.c.kind, inbox.c.occurred_at, inbox.c.body)
        .where(inbox.c.partition == partition, inbox.c.stream == stream)
        .order_by(inbox.c.occurred_at, inbox.c.rank, inbox.c.position)
    )
    if until is not None:
        query = query.where(inbox.c.occurred_at <= to_micros(until))
    if kinds is not None:
        query = query.where(inbox.c.kind.in_(kinds))
    told: list[Envelope] = []
    with reading(engine) as connection:
        found = connection.execute(query).all()
        clear = vault_of(engine).opened(partition, ((stream, kind, body) for kind, _, body in found))
        for (kind, occurred_at, body), opened in zip(found, clear, strict=True):
            fact = decode_body(kind, opened or body)
            if isinstance(fact, Fact):
                told.append(Envelope(kind, subject, from_micros(occurred_at), fact))
    return told
