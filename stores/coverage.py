"""How far back a worker still looks, and how far projections have come: what lies before may go.

A worker begins with a customer's snapshot of the current form, and never looks behind it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Engine

from domain.codec import decode_state, encode_state, restored, state_form
from domain.customer import Customer
from domain.fold import folded
from stores.batch import Changes, Snapshot, Stored
from stores.database import reading
from stores.dialect import rows, run
from stores.journal import Journal
from stores.vault import open_state, vault_of

_AT_ONCE = 5_000
_SELECT_STATES = """
SELECT stream, version, state FROM snapshots
WHERE partition = :partition AND form = :form AND stream > :after ORDER BY stream LIMIT :limit
"""
_SELECT_SOME = """
SELECT stream, version, state FROM snapshots
WHERE partition = :partition AND form = :form AND stream {among streams}
"""
_SELECT_PROJECTED = "SELECT coalesce(min(seq), 0) FROM projections WHERE partition = :partition"


def floors(engine: Engine, partition: int) -> Iterator[tuple[int, int]]:
    """Up to which version each customer's snapshot speaks, for those that a worker could begin with."""
    after, form = -1, state_form()
    while True:
        with reading(engine) as connection:
            found = rows(
                connection, _SELECT_STATES, partition=partition, form=form, after=after, limit=_AT_ONCE
            )
        yield from _sound(engine, partition, found)
        if len(found) < _AT_ONCE:
            return
        after = found[-1][0]


def floors_of(engine: Engine, partition: int, streams: Sequence[int]) -> dict[int, int]:
    """The same for these customers."""
    with reading(engine) as connection:
        found = rows(
            connection, _SELECT_SOME, partition=partition, form=state_form(), streams=sorted(streams)
        )
    return dict(_sound(engine, partition, found))


def leave_snapshots(engine: Engine, journal: Journal, streams: Sequence[int]) -> None:
    """Snapshots of these customers as they are, so that no worker looks behind. The journal must be entered.

    Who was erased gets none, and needs none.
    """
    changes = Changes()
    for stream, stored in journal.load(streams).items():
        if stored.key is None or not stored.head.version:
            continue
        state = encode_state(_state_of(stored))
        changes.snapshots.append(Snapshot(stream, stored.head.version, state, stored.key))
    if changes.snapshots:
        journal.commit(changes)


def projected(engine: Engine, partition: int) -> int:
    """The last seq that every table which is made from the partition's events has taken in."""
    with reading(engine) as connection:
        return int(run(connection, _SELECT_PROJECTED, partition=partition).scalar() or 0)


def _state_of(stored: Stored) -> Customer:
    known = Customer(stored.subject) if stored.state is None else decode_state(stored.state)
    return folded(known, map(restored, stored.events))


def _sound(engine: Engine, partition: int, found: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, int]]:
    keys = vault_of(engine).keys(partition, [row[0] for row in found])
    for stream, version, state in found:
        key = keys[stream]
        if key is not None and decode_state(open_state(key, state, version=version)).version == version:
            yield stream, version
