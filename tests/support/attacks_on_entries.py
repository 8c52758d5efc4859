"""Attacks on single entries of the record."""

from domain.chain import stub
from support.bank import Bank
from support.tampering import (
    OTHER,
    PARTITION,
    VICTIM,
    Entry,
    Place,
    add,
    chained,
    count_facts,
    end_at,
    entries,
    entry,
    last_seq,
    make_fit,
    place,
    put,
    remove,
    stream_of,
    swap,
)


def a_fact_is_altered(bank: Bank) -> Place:
    found = entry(bank, "transaction.posted/1")
    put(bank, found.seq, body=found.body.replace(b"-10.00", b"-90.00"))
    return place(found)


def a_decision_is_altered(bank: Bank) -> Place:
    found = entry(bank, "message.requested/1")
    put(bank, found.seq, body=found.body.replace(b'"visit":1', b'"visit":2'))
    return place(found)


def a_consent_becomes_a_withdrawal(bank: Bank) -> Place:
    found = entry(bank, "consent.granted/1")
    put(bank, found.seq, kind="consent.withdrawn/1")
    return place(found)


def the_time_it_happened_is_moved(bank: Bank) -> Place:
    found = entry(bank, "consent.granted/1")
    put(bank, found.seq, occurred_at=found.occurred_at - 1)
    return place(found)


def the_clock_of_a_decision_is_moved(bank: Bank) -> Place:
    found = entry(bank, "message.sending/1")
    put(bank, found.seq, recorded_at=found.recorded_at + 1)
    return place(found)


def another_cause_is_named(bank: Bank) -> Place:
    found = entry(bank, "enrolment.started/1")
    put(bank, found.seq, cause=1)
    return place(found)


def another_version_is_told(bank: Bank) -> Place:
    found = entry(bank, "balance.recorded/1")
    put(bank, found.seq, version=found.version + 1)
    return place(found)._replace(version=found.version + 1)


def a_hash_is_altered(bank: Bank) -> Place:
    found = entry(bank, "balance.recorded/1")
    put(bank, found.seq, hash=bytes(32))
    return place(found)


def a_back_pointer_is_altered(bank: Bank) -> Place:
    found = entry(bank, "balance.recorded/1")
    put(bank, found.seq, prev=found.prev - 1)
    return place(found)


def other_rules_are_cited(bank: Bank) -> Place:
    bank.sql(
        "INSERT INTO rulebooks (partition, number, digest, body) SELECT 0, 9, ?, body FROM rulebooks",
        "0" * 64,
    )
    found = entry(bank, "message.sending/1")
    put(bank, found.seq, rulebook=9)
    return place(found)


def rules_are_cited_that_never_were(bank: Bank) -> Place:
    found = entry(bank, "message.sending/1")
    put(bank, found.seq, rulebook=77)
    return place(found)


def the_first_entry_is_removed(bank: Bank) -> Place:
    first, second = entries(bank)[:2]
    remove(bank, first.seq)
    return place(second)


def a_fact_is_removed(bank: Bank) -> Place:
    found = entry(bank, "balance.recorded/1")
    remove(bank, found.seq)
    return Place(PARTITION, found.seq + 1)


def a_decision_is_removed(bank: Bank) -> Place:
    found = entry(bank, "message.accepted/1")
    remove(bank, found.seq)
    return Place(PARTITION, found.seq + 1)


def the_last_entry_is_removed(bank: Bank) -> Place:
    last = last_seq(bank)
    remove(bank, last)
    return Place(PARTITION, last - 1)


def two_entries_of_one_customer_are_swapped(bank: Bank) -> Place:
    first, second = entry(bank, "consent.granted/1"), entry(bank, "balance.recorded/1")
    swap(bank, first.seq, second.seq)
    return Place(PARTITION, first.seq, VICTIM, second.version)


def entries_of_two_customers_are_swapped(bank: Bank) -> Place:
    """The same fact of two customers, each given to the other with its place in the history."""
    mine, theirs = entry(bank, "transaction.posted/1"), entry(bank, "transaction.posted/1", subject=OTHER)
    put(bank, mine.seq, body=theirs.body)
    put(bank, theirs.seq, body=mine.body)
    return place(mine)


def an_entry_is_given_to_another_customer(bank: Bank) -> Place:
    found = entry(bank, "transaction.posted/1")
    put(bank, found.seq, stream=stream_of(bank, OTHER))
    return place(found, OTHER)


def an_entry_is_given_to_nobody(bank: Bank) -> Place:
    found = entry(bank, "transaction.posted/1")
    put(bank, found.seq, stream=77)
    return place(found, "#77")


def a_body_is_replaced_by_its_digest(bank: Bank) -> Place:
    """As retention does, which lets go of nothing here: the chain holds."""
    found = entry(bank, "consent.granted/1")
    put(bank, found.seq, body=stub(found.body))
    return place(found)


def one_link_is_made_anew(bank: Bank) -> Place:
    """A fact altered with the right hash for itself: the next link tells."""
    found = entry(bank, "consent.granted/1")
    before = entries(bank)[found.version - 2]
    forged = found._replace(body=found.body.replace(b"branch form 7", b"branch form 8"))
    put(bank, found.seq, body=forged.body, hash=chained(before.hash, forged))
    return place(entries(bank)[found.version])


def a_fact_is_told_twice(bank: Bank) -> Place:
    """Copied to the end with version, chain, head and every count."""
    made = _at_the_end(bank, entry(bank, "transaction.posted/1"))
    count_facts(bank, 1)
    return place(made)


def a_fact_is_made_up(bank: Bank) -> Place:
    """Put at the end with version, chain, head and the partition's last number."""
    found = entry(bank, "transaction.posted/1")
    _at_the_end(bank, found._replace(body=found.body.replace(b'"id":"', b'"id":"x')))
    return Place(PARTITION)


def a_decision_is_made_up(bank: Bank) -> Place:
    """A journey left that nobody is in, with version, chain, head and the partition's last number."""
    return place(_at_the_end(bank, entry(bank, "enrolment.ended/1")))


def _at_the_end(bank: Bank, found: Entry) -> Entry:
    last = last_seq(bank) + 1
    made = found._replace(seq=last, version=len(entries(bank)) + 1)
    latest = entries(bank)[-1].recorded_at
    add(bank, made._replace(occurred_at=latest, recorded_at=latest))
    end_at(bank, last)
    make_fit(bank)
    return made


ON_ENTRIES = {
    a_fact_is_altered: "audit.hash_differs",
    a_decision_is_altered: "audit.hash_differs",
    a_consent_becomes_a_withdrawal: "audit.hash_differs",
    the_time_it_happened_is_moved: "audit.hash_differs",
    the_clock_of_a_decision_is_moved: "audit.hash_differs",
    another_cause_is_named: "audit.hash_differs",
    another_version_is_told: "audit.version_gap",
    a_hash_is_altered: "audit.hash_differs",
    a_back_pointer_is_altered: "audit.wrong_prev",
    other_rules_are_cited: "audit.hash_differs",
    rules_are_cited_that_never_were: "audit.unknown_rulebook",
    the_first_entry_is_removed: "audit.version_gap",
    a_fact_is_removed: "audit.seq_missing",
    a_decision_is_removed: "audit.seq_missing",
    the_last_entry_is_removed: "audit.partition_cut",
    two_entries_of_one_customer_are_swapped: "audit.version_gap",
    entries_of_two_customers_are_swapped: "audit.hash_differs",
    an_entry_is_given_to_another_customer: "audit.wrong_prev",
    an_entry_is_given_to_nobody: "audit.unknown_stream",
    a_body_is_replaced_by_its_digest: "audit.body_missing",
    one_link_is_made_anew: "audit.hash_differs",
    a_fact_is_told_twice: "audit.fact_twice",
    a_fact_is_made_up: "audit.facts_differ",
    a_decision_is_made_up: "audit.decision_unfounded",
}
