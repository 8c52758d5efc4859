"""Attacks on what stands beside the events: where histories end, what waits, who is who."""

from typing import Any

from support.bank import Bank
from support.tampering import OTHER, PARTITION, VICTIM, WAITING, Place, end_at, entries, last_seq, stream_of


def a_head_is_set_back(bank: Bank) -> Place:
    former = entries(bank)[-2]
    _at(bank, "UPDATE heads SET version = ?, seq = ?, hash = ?", former.version, former.seq, former.hash)
    return Place(PARTITION, None, VICTIM, former.version + 1)


def a_head_is_removed(bank: Bank) -> Place:
    _at(bank, "DELETE FROM heads")
    return Place(PARTITION, None, VICTIM)


def a_wake_up_is_moved(bank: Bank) -> Place:
    _at(bank, "UPDATE timers SET due_at = due_at + 1")
    return Place(PARTITION, None, VICTIM)


def a_wake_up_is_removed(bank: Bank) -> Place:
    _at(bank, "DELETE FROM timers")
    return Place(PARTITION, None, VICTIM)


def a_message_under_way_is_removed(bank: Bank) -> Place:
    bank.sql("DELETE FROM outbox")
    return Place(PARTITION, None, WAITING)


def a_snapshot_is_altered(bank: Bank) -> Place:
    ((state,),) = _at(bank, "SELECT state FROM snapshots")
    _at(bank, "UPDATE snapshots SET state = ?", bytes(state[:-1]) + bytes([state[-1] ^ 1]))
    return Place(PARTITION, None, VICTIM)


def a_snapshot_cannot_be_read(bank: Bank) -> Place:
    _at(bank, "UPDATE snapshots SET state = ?", b"\xc1")
    return Place(PARTITION, None, VICTIM)


def a_snapshot_lies_beyond_the_history(bank: Bank) -> Place:
    _at(bank, "UPDATE snapshots SET version = 999")
    return Place(PARTITION, None, VICTIM)


def the_partition_is_removed_from_the_count(bank: Bank) -> Place:
    bank.sql("DELETE FROM partitions WHERE partition = ?", PARTITION)
    return Place(PARTITION)


def the_partition_is_said_to_be_longer(bank: Bank) -> Place:
    last = last_seq(bank)
    end_at(bank, last + 3)
    return Place(PARTITION, last)


def a_customer_gets_another_name(bank: Bank) -> Place:
    _at(bank, "UPDATE streams SET subject = 'c-9'")
    return Place(PARTITION, None, "c-9", 1)


def a_customer_loses_their_name(bank: Bank) -> Place:
    stream = stream_of(bank, VICTIM)
    _at(bank, "DELETE FROM streams")
    return Place(PARTITION, None, f"#{stream}")


def two_customers_change_names(bank: Bank) -> Place:
    mine, theirs = stream_of(bank, VICTIM), stream_of(bank, OTHER)
    for name, stream in (("c-9", mine), (VICTIM, theirs), (OTHER, mine)):
        bank.sql("UPDATE streams SET subject = ? WHERE partition = ? AND stream = ?", name, PARTITION, stream)
    return Place(PARTITION, None, VICTIM, 1)


def the_identity_of_a_fact_is_removed(bank: Bank) -> Place:
    """So that the same fact could be told again."""
    ((key, *_), *_) = bank.sql("SELECT key FROM fact_keys ORDER BY key")
    bank.sql("DELETE FROM fact_keys WHERE key = ?", key)
    return Place(0)


def the_identity_of_a_fact_is_made_up(bank: Bank) -> Place:
    """So that a fact of this name would be refused."""
    bank.sql("INSERT INTO fact_keys (partition, key, digest) VALUES (1, ?, ?)", bytes(16), bytes(16))
    return Place(0)


def _at(bank: Bank, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """The statement, of the victim's row only."""
    return bank.sql(
        f"{statement} WHERE partition = ? AND stream = ?", *values, PARTITION, stream_of(bank, VICTIM)
    )


ON_ENDS = {
    a_head_is_set_back: "audit.head_differs",
    a_head_is_removed: "audit.head_differs",
    a_wake_up_is_moved: "audit.timer_differs",
    a_wake_up_is_removed: "audit.timer_differs",
    a_message_under_way_is_removed: "audit.answer_missing",
    a_snapshot_is_altered: "audit.snapshot_differs",
    a_snapshot_cannot_be_read: "audit.snapshot_differs",
    a_snapshot_lies_beyond_the_history: "audit.snapshot_unfounded",
    the_partition_is_removed_from_the_count: "audit.partition_missing",
    the_partition_is_said_to_be_longer: "audit.partition_cut",
    a_customer_gets_another_name: "audit.hash_differs",
    a_customer_loses_their_name: "audit.unknown_stream",
    two_customers_change_names: "audit.hash_differs",
    the_identity_of_a_fact_is_removed: "audit.keys_missing",
    the_identity_of_a_fact_is_made_up: "audit.keys_unfounded",
}
