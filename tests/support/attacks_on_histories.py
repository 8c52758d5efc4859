"""Attacks by somebody who has the program too: histories made anew, with all numbers, hashes and heads."""

from support.bank import Bank
from support.tampering import (
    PARTITION,
    VICTIM,
    Place,
    end_at,
    entries,
    entry,
    last_seq,
    make_fit,
    remove,
    rewrite,
    stream_of,
    take_out,
)


def a_decision_is_rewritten(bank: Bank) -> Place:
    return rewrite(bank, entry(bank, "message.requested/1"), b"win-back-survey", b"win-back-offer")


def the_words_of_an_intent_are_rewritten(bank: Bank) -> Place:
    found = entry(bank, "message.sending/1")
    digest = found.body.partition(b'"content_sha256":"')[2][:64]
    return rewrite(bank, found, digest, b"0" * 64)


def a_fact_that_led_to_something_is_rewritten(bank: Bank) -> Place:
    found = entry(bank, "holding.opened/1")
    rewrite(bank, found, b"2026-07-01", b"2026-07-02")
    # What was planned because of it is no longer what follows from it.
    return Place(PARTITION, found.seq + 1, VICTIM, found.version + 1)


def a_hand_over_is_taken_out(bank: Bank) -> Place:
    """Intent and answer gone, and everything after them moved up."""
    intent, answer = entry(bank, "message.sending/1"), entry(bank, "message.accepted/1")
    take_out(bank, [intent, answer])
    # It should have been judged before what comes next.
    return Place(PARTITION, None, VICTIM, intent.version)


def an_answer_is_taken_out(bank: Bank) -> Place:
    take_out(bank, [entry(bank, "message.accepted/1", nth=-1)])
    return Place(PARTITION, None, VICTIM)


def the_end_is_cut_off(bank: Bank) -> Place:
    """The last entries of all customers gone, and what the store says of ends mended."""
    first = last_seq(bank) - 40
    for seq in range(first, last_seq(bank) + 1):
        remove(bank, seq)
    end_at(bank, first - 1)
    for (subject,) in bank.sql("SELECT subject FROM streams WHERE partition = ?", PARTITION):
        make_fit(bank, subject)
    return Place(PARTITION)


def a_customer_is_removed_from_the_events(bank: Bank) -> Place:
    bank.sql("DELETE FROM events WHERE partition = ? AND stream = ?", PARTITION, stream_of(bank, VICTIM))
    return Place(PARTITION, 0, VICTIM)


def a_customer_is_removed_altogether(bank: Bank) -> Place:
    """Out of every table by their number, all counts mended: only the identities of their facts are left."""
    _forget(bank)
    return Place(0)


def a_customer_and_their_facts_identities_are_removed(bank: Bank) -> Place:
    """What the last attack left is gone too: the store is the one of a bank that never had the customer."""
    facts = _forget(bank)
    keys = bank.sql("SELECT key FROM fact_keys ORDER BY key")[:facts]
    for (key,) in keys:
        bank.sql("DELETE FROM fact_keys WHERE key = ?", key)
    return Place(0)


def a_fact_without_consequences_is_rewritten(bank: Bank) -> Place:
    """All hashes recomputed, and nothing that was decided would have been otherwise."""
    return rewrite(bank, entry(bank, "transaction.posted/1"), b"-10.00", b"-90.00")


def _forget(bank: Bank) -> int:
    """Remove the victim everywhere; gives how many facts they had told."""
    stream, history = stream_of(bank, VICTIM), entries(bank)
    told = len([one for one in history if '"source":' in one.body.decode()])
    take_out(bank, history, facts=told)
    for table in ("heads", "timers", "outbox", "snapshots", "streams", "messages", "tasks"):
        bank.sql(f"DELETE FROM {table} WHERE partition = ? AND stream = ?", PARTITION, stream)
    return told


ON_HISTORIES = {
    a_decision_is_rewritten: "audit.decision_differs",
    the_words_of_an_intent_are_rewritten: "audit.decision_words_differ",
    a_fact_that_led_to_something_is_rewritten: "audit.decision_differs",
    a_hand_over_is_taken_out: "audit.decision_missing",
    an_answer_is_taken_out: "audit.answer_missing",
    the_end_is_cut_off: "audit.facts_differ",
    a_customer_is_removed_from_the_events: "audit.history_missing",
    a_customer_is_removed_altogether: "audit.keys_unfounded",
}
# What nothing in the store itself can tell: a checkpoint kept elsewhere must.
ONLY_BY_A_CHECKPOINT = [
    a_fact_without_consequences_is_rewritten,
    a_customer_and_their_facts_identities_are_removed,
]
