"""Whom messages are for, and what those who hear of them need to know: looked up by id, many at once."""

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import Engine, and_, select

from domain.catalogue import Purpose
from stores.database import customer_partitions, reading
from stores.schema import messages, streams

_PARAMETERS = 500


class Addressee(Struct, frozen=True):
    """The customer whom a message is for. ``channel`` is the one that it left by, "" before it has one."""

    customer: str
    channel: str
    purpose: Purpose


class Addressees:
    """Messages by id, as far as the ledger was caught up; it is not caught up here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with reading(engine) as connection:
            self._partitions = customer_partitions(connection)

    def of(self, ids: Iterable[str]) -> dict[str, Addressee]:
        """The addressees of those messages that are known."""
        wanted = sorted(set(ids))
        found: dict[str, Addressee] = {}
        with reading(self._engine) as connection:
            for start in range(0, len(wanted), _PARAMETERS):
                query = (
                    select(messages.c.id, streams.c.subject, messages.c.channel, messages.c.purpose)
                    .join(
                        streams,
                        and_(
                            streams.c.partition == messages.c.partition,
                            streams.c.stream == messages.c.stream,
                        ),
                    )
                    # Named one by one, so that each message is looked up by its key.
                    .where(
                        messages.c.partition.in_(self._partitions),
                        messages.c.id.in_(wanted[start : start + _PARAMETERS]),
                    )
                )
                for message, customer, channel, purpose in connection.execute(query):
                    found[message] = Addressee(customer, channel or "", purpose)
        return found
