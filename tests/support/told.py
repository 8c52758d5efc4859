"""Histories as they were told, so that those of two stores, whose keys differ, can be compared."""

from domain.chain import genesis, link
from stores.database import open_store
from stores.history import StoredHistory


def heads_told(store: str) -> list[tuple[str, int, str]]:
    """Each customer's last version, and the hash (hex) of their history had nothing in it been sealed."""
    engine = open_store(store)
    history = StoredHistory(engine)
    digests = {number: rulebook.digest for number, rulebook in history.rulebooks().items()}
    heads: dict[str, tuple[int, bytes]] = {}
    for partition in history.customer_partitions():
        subjects = history.subjects(partition)
        for event in history.events(partition, upto=history.last_seq(partition)):
            subject = subjects[event.stream]
            _, before = heads.get(subject, (0, genesis(subject)))
            hash_ = link(
                before,
                version=event.version,
                kind=event.kind,
                occurred_at=event.occurred_at,
                recorded_at=event.recorded_at,
                cause=event.cause,
                rulebook=digests[event.rulebook],
                body=event.clear or event.body,
            )
            heads[subject] = event.version, hash_
    engine.dispose()
    return sorted((subject, version, hash_.hex()) for subject, (version, hash_) in heads.items())
