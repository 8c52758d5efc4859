"""STOP counts for the number: whoever gets it next is not written to, and their own history tells why."""

import json
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from domain import catalogue as facts
from domain.catalogue import Envelope, Fact
from support.bank import Bank
from support.facts import at, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope
from support.sends import NEW_YEAR, NOON, Scripted, asked, bank_of, people

DAY = timedelta(days=1)
NUMBER = "+420601000001"
_ids = count(1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.long])])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    return Bank(tmp_path, partitions=3, url=fresh_database() if request.param == "postgresql" else None)


def fact(kind: Any, **given: object) -> Any:
    return kind(source="/test", id=f"word-{next(_ids)}", **given)


def out(customer: str, moment: datetime, address: str = NUMBER) -> Envelope:
    told = fact(facts.ContactOptedOut, channel="sms", address=address, provenance="STOP")
    return envelope(customer, moment, told)


def back(customer: str, moment: datetime, address: str = NUMBER) -> Envelope:
    told = fact(facts.ContactOptedIn, channel="sms", address=address, provenance="START")
    return envelope(customer, moment, told)


def person(name: str, moment: datetime = NEW_YEAR, **given: object) -> Envelope:
    return envelope(name, moment, registered(**{"email": None, "phone": None, "device": None, **given}))


def happened(bank: Bank, *told: Envelope) -> None:
    taken = bank.take(list(told))
    assert (taken.refused, taken.accepted) == ([], len(told))
    bank.run(max(envelope.occurred_at for envelope in told))


def words(bank: Bank, customer: str) -> list[tuple[str, str]]:
    """Who said no or yes for an address of theirs, and for which, by their own history."""
    told = []
    for kind, _, _, _, body, _ in bank.histories()[customer]:
        if kind.startswith("contact.opted"):
            read = json.loads(bytes(body))
            told.append((read["source"], read["address"]))
    return told


def test_who_gets_the_number_next_is_told_what_was_said_for_it(bank: Bank) -> None:
    happened(bank, person("c-1", phone=NUMBER), person("c-2"), out("c-1", NEW_YEAR + DAY))
    changed: Fact = fact(facts.CustomerChanged, phone="+420 601-000-001")
    happened(
        bank,
        envelope("c-2", NEW_YEAR + 2 * DAY, changed),
        person("c-3", NEW_YEAR + 2 * DAY, phone=NUMBER),
        person("c-4", NEW_YEAR + 2 * DAY, phone="+420601000009"),
    )
    assert words(bank, "c-1") == [("/test", NUMBER)]
    assert words(bank, "c-2") == [("address-word", "+420 601-000-001")]
    assert words(bank, "c-3") == [("address-word", NUMBER)]
    assert words(bank, "c-4") == []


def test_it_stands_right_after_the_registration_and_at_the_same_instant(bank: Bank) -> None:
    happened(bank, person("c-1", phone=NUMBER), out("c-1", NEW_YEAR))
    happened(bank, person("c-2", NEW_YEAR + DAY, phone=NUMBER))
    kinds = [(kind, occurred) for kind, occurred, *_ in bank.histories()["c-2"]]
    instants = {occurred for kind, occurred in kinds if kind.startswith(("customer.", "contact."))}
    assert [kind for kind, _ in kinds if kind.startswith(("customer.", "contact."))] == [
        "customer.registered/1",
        "contact.opted_out/1",
    ]
    assert len(instants) == 1
    assert bank.verify().findings == []


def test_all_in_one_chunk_is_the_same(bank: Bank) -> None:
    happened(bank, person("c-1", phone=NUMBER), out("c-1", NEW_YEAR), person("c-2", phone=NUMBER))
    assert words(bank, "c-2") == [("address-word", NUMBER)]


def test_a_yes_that_came_later_ends_it_in_whatever_order_they_are_told(bank: Bank) -> None:
    happened(bank, person("c-1", phone=NUMBER), back("c-1", NEW_YEAR + 2 * DAY))
    happened(bank, out("c-1", NEW_YEAR + DAY))
    happened(bank, person("c-2", NEW_YEAR + 3 * DAY, phone=NUMBER))
    assert words(bank, "c-2") == []
    happened(bank, out("c-1", NEW_YEAR + 4 * DAY))
    happened(bank, person("c-3", NEW_YEAR + 5 * DAY, phone=NUMBER))
    assert words(bank, "c-3") == [("address-word", NUMBER)]


@pytest.mark.parametrize("yes_first", [True, False])
def test_of_a_yes_and_a_no_of_the_same_instant_the_no_counts(bank: Bank, yes_first: bool) -> None:
    happened(bank, person("c-1", phone=NUMBER))
    told = [back("c-1", NEW_YEAR + DAY), out("c-1", NEW_YEAR + DAY)]
    for word in told if yes_first else told[::-1]:
        happened(bank, word)
    happened(bank, person("c-2", NEW_YEAR + 2 * DAY, phone=NUMBER))
    assert words(bank, "c-2") == [("address-word", NUMBER)]


def test_of_very_many_addresses_in_one_chunk_each_is_looked_up(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [f"+42060100{number:04}" for number in range(9)]
    happened(bank, person("c-1"), *(out("c-1", NEW_YEAR, number) for number in numbers))
    monkeypatch.setattr("stores.address_words._PARAMETERS", 2)
    happened(bank, *(person(f"d-{n}", NEW_YEAR + DAY, phone=phone) for n, phone in enumerate(numbers)))
    assert [words(bank, f"d-{n}") for n in range(9)] == [[("address-word", phone)] for phone in numbers]


def test_the_same_word_is_told_to_them_once(bank: Bank) -> None:
    happened(bank, person("c-1", phone=NUMBER), out("c-1", NEW_YEAR))
    for number in range(1, 4):
        happened(bank, person("c-2", NEW_YEAR + number * DAY, phone=NUMBER))
    assert words(bank, "c-2") == [("address-word", NUMBER)]
    happened(bank, out("c-1", NEW_YEAR + 5 * DAY), person("c-2", NEW_YEAR + 6 * DAY, phone=NUMBER))
    assert len(words(bank, "c-2")) == 2


def test_facts_told_again_tell_nothing_again(bank: Bank) -> None:
    told = [person("c-1", phone=NUMBER), out("c-1", NEW_YEAR), person("c-2", phone=NUMBER)]
    happened(bank, *told)
    again = bank.take(told)
    assert (again.accepted, again.repeated) == (0, 3)
    assert bank.sql("SELECT count(*) FROM inbox WHERE partition > 0") == [(0,)]


def test_what_waits_is_counted_exactly_with_what_was_passed_on(bank: Bank) -> None:
    bank.take([person("c-1", phone=NUMBER), out("c-1", NEW_YEAR), person("c-2", phone=NUMBER)])
    counted = bank.sql("SELECT sum(last_position - facts_taken) FROM partitions WHERE partition > 0")
    assert int(counted[0][0]) == bank.sql("SELECT count(*) FROM inbox WHERE partition > 0")[0][0] == 4


def test_nothing_is_looked_up_where_nothing_was_ever_said(bank: Bank) -> None:
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    chunk = [person(f"c-{number}", phone=f"+42060100{number:04}") for number in range(50)]
    event.listen(Engine, "before_cursor_execute", note)
    try:
        bank.take(chunk)
        registrations = [statement for statement in statements if "address_words" in statement]
        statements.clear()
        bank.take([envelope("c-1", at("2026-02-01 12:00"), paid())])
        payments = [statement for statement in statements if "address_words" in statement]
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(registrations) == 1
    assert payments == []


def test_no_address_stands_in_the_table(bank: Bank) -> None:
    happened(bank, person("c-1", phone=NUMBER), out("c-1", NEW_YEAR))
    ((partition, channel, digest, _, granted),) = bank.sql("SELECT * FROM address_words")
    assert (partition, channel, len(bytes(digest)), granted) == (0, "sms", 16, 0)


def test_whoever_has_the_address_now_is_not_written_to(tmp_path: Path) -> None:
    channel = Scripted()
    bank = bank_of(tmp_path, channel)
    bank.take(people("c-1"))
    told = fact(facts.ContactOptedOut, channel="email", address="C-1@example.com", provenance="link")
    bank.take([envelope("c-1", NEW_YEAR, told)])
    bank.take([*people("c-2", email="c-1@example.com"), *people("c-3"), *asked("care", "c-2", "c-3")])
    bank.run(NOON)
    assert {e.customer: (e.status, e.reason) for e in bank.ledger()} == {
        "c-2": ("suppressed", "opted_out"),
        "c-3": ("accepted", None),
    }
