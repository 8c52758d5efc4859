"""Takes a person out of everything in the store but the log, where nobody can open what is personal."""

from sqlalchemy import Engine, select

from domain.catalogue import ChannelName
from domain.customer import Customer
from stores import schema
from stores.addresses import digest_of, normalised
from stores.database import reading, writing
from stores.dialect import lock, run, upsert
from stores.vault import vault_of
from stores.wiping import wipe, zeroing

# A person is known by these rows, or their words are in them, sealed. What is made from the log again holds
# nothing personal of who has no key.
_TABLES = ("snapshots", "timers", "calls", "mailbox", "contacts", "profiles", "traits", "tallies")
_FORGET = "DELETE FROM {table} WHERE partition = :partition AND stream = :stream"


def under_way(engine: Engine, partition: int, stream: int) -> bool:
    """Whether some message of the customer was handed over and has no answer yet."""
    query = select(schema.outbox.c.message).where(
        schema.outbox.c.partition == partition, schema.outbox.c.stream == stream
    )
    with reading(engine) as connection:
        return connection.execute(query.limit(1)).first() is not None


def keep_suppressed(engine: Engine, customer: Customer, *, at: int) -> int:
    """Keep that nothing goes to the person's dead and opted-out addresses, by keyed digests; how many.

    ``at`` is in microseconds since 1970. A later word on such an address counts, an earlier one does not.
    """
    key = vault_of(engine).digests
    silent = {*customer.dead_addresses, *customer.opted_out}
    known: list[tuple[ChannelName, str]] = [
        *customer.addresses.items(),
        *(("push", device) for device in customer.devices),
    ]
    # Addresses that the person had before are silent too: by which channel is told by how they look.
    known += [("email" if "@" in address else "sms", address) for address in sorted(silent)]
    digests = {
        (channel, digest_of(channel, address, key=key))
        for channel, address in known
        if address in silent or normalised(channel, address) in silent
    }
    with writing(engine) as connection:
        words = schema.address_words
        there = {
            (row[0], bytes(row[1]))
            for row in connection.execute(
                select(words.c.channel, words.c.digest).where(words.c.partition == 0, words.c.said_at >= at)
            )
        }
        upsert(connection, words, [(0, *place, at, 0) for place in sorted(digests - there)])
    return len(digests)


def clean(engine: Engine, partition: int, stream: int) -> None:
    """Remove what is known of the customer beside the log; their timers too: nobody wakes them any more."""
    with writing(engine) as connection, zeroing(connection):
        lock(connection, partition)
        for table in _TABLES:
            run(connection, _FORGET.format(table=table), partition=partition, stream=stream)
    wipe(engine, *_TABLES)
