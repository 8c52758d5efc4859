"""What pages and callbacks look up: addressees of messages and facts that wait, on either database."""

from datetime import timedelta
from pathlib import Path

import pytest

from domain import catalogue as facts
from domain.catalogue import Envelope
from stores.addressees import Addressee, Addressees
from stores.database import open_store
from stores.history import StoredHistory
from stores.waiting import waiting_facts
from support.bank import Bank
from support.facts import granted, paid, registered, withdrawn
from support.postgres import fresh_database
from support.scenario import envelope
from support.service import MORNING, asks

HOUR = timedelta(hours=1)
WORDS = ("consent.granted/1", "consent.withdrawn/1")


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    return Bank(tmp_path, partitions=3, url=fresh_database() if request.param == "postgresql" else None)


def test_messages_are_found_whatever_partition_they_lie_in(bank: Bank) -> None:
    bank.publish(asks("ask", "care"))
    people = [f"c-{number}" for number in range(9)]
    bank.take([envelope(person, MORNING, registered()) for person in people])
    asked = [facts.CustomFact(source="/test", id=f"ask-{person}") for person in people]
    bank.take([Envelope("x.ask/1", p, MORNING, ask) for p, ask in zip(people, asked, strict=True)])
    bank.run(MORNING)
    wanted = {entry.id: Addressee(entry.customer, "email", "care") for entry in bank.ledger()}
    engine = open_store(bank.settings.store)
    found = Addressees(engine).of([*wanted, *wanted, "no-such-message", ""])
    engine.dispose()
    assert found == wanted
    assert {addressee.customer for addressee in found.values()} == set(people)


def test_only_the_customers_own_due_words_are_read(bank: Bank) -> None:
    told = [
        envelope("c-1", MORNING, registered()),
        envelope("c-2", MORNING, registered()),
        envelope("c-1", MORNING + HOUR, withdrawn(channel="sms")),
        envelope("c-1", MORNING, granted()),
        envelope("c-2", MORNING, granted()),
        envelope("c-1", MORNING, paid()),
        envelope("c-1", MORNING + 3 * HOUR, granted(channel="push")),
    ]
    bank.take(told)
    engine = open_store(bank.settings.store)
    place = StoredHistory(engine).find("c-1")
    assert place is not None
    waiting = waiting_facts(engine, place, "c-1", kinds=WORDS, until=MORNING + HOUR)
    engine.dispose()
    assert waiting == [told[3], told[2]]
