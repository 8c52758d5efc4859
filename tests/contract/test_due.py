"""Which partitions have something to do: all that do, and no other is looked into."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine

from domain.clock import from_micros
from stores.database import open_store
from stores.due import due_partitions, rulebook_in_force
from support.asking import asks
from support.bank import Bank
from support.facts import paid
from support.postgres import fresh_database
from support.scenario import envelope
from support.sends import NEW_YEAR, NOON, Scripted, asked, bank_of, people

EVERYWHERE = [1, 2, 3]


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    """One customer, and nothing to do any more."""
    url = fresh_database() if request.param == "postgresql" else None
    bank = bank_of(tmp_path, Scripted(), url=url, partitions=3)
    bank.take(people("c-1"))
    bank.run(NEW_YEAR)
    return bank


@pytest.fixture
def engine(bank: Bank) -> Iterator[Engine]:
    engine = open_store(bank.settings.store)
    yield engine
    engine.dispose()


def due(engine: Engine, now: datetime, *, rulebook: int | None = None) -> list[int]:
    number = rulebook_in_force(engine) if rulebook is None else rulebook
    return due_partitions(engine, EVERYWHERE, now=now, rulebook=number)


def home(bank: Bank) -> list[int]:
    """The partition of the customer."""
    return [row[0] for row in bank.sql("SELECT partition FROM streams WHERE subject = 'c-1'")]


def test_where_nothing_is_due_nothing_is_looked_into(engine: Engine) -> None:
    assert due(engine, NEW_YEAR) == []


def test_a_fact_is_due_from_its_instant_on(bank: Bank, engine: Engine) -> None:
    bank.take([envelope("c-1", NOON, paid())])
    assert due(engine, NOON - timedelta(seconds=1)) == []
    assert due(engine, NOON) == home(bank)


def test_a_wake_up_is_due_from_its_instant_on(bank: Bank, engine: Engine) -> None:
    ((birthday,),) = bank.sql("SELECT due_at FROM timers")
    assert due(engine, from_micros(birthday - 1)) == []
    assert due(engine, from_micros(birthday)) == home(bank)


def test_a_message_without_an_answer_is_due_whatever_the_time(bank: Bank, engine: Engine) -> None:
    bank.take(asked("care", "c-1"))
    commits = count(1)
    while bank.sql("SELECT count(*) FROM outbox") == [(0,)]:
        assert bank.run_killed(NOON, commits=next(commits))
    assert due(engine, NEW_YEAR) == home(bank)


def test_rules_that_nobody_has_come_to_are_due_everywhere(bank: Bank, engine: Engine) -> None:
    number = rulebook_in_force(engine)
    bank.publish(asks("marketing"))
    assert rulebook_in_force(engine) == number + 1
    assert due(engine, NEW_YEAR) == EVERYWHERE
    assert due(engine, NEW_YEAR, rulebook=number) == []


def test_a_look_at_everybody_that_was_broken_off_is_due(bank: Bank, engine: Engine) -> None:
    bank.sql("UPDATE partitions SET adopted_stream = 0 WHERE partition = 2")
    assert due(engine, NEW_YEAR) == [2]


def test_only_the_partitions_that_were_asked_for_are_given(bank: Bank, engine: Engine) -> None:
    bank.publish(asks("marketing"))
    found = due_partitions(engine, [3], now=NEW_YEAR, rulebook=rulebook_in_force(engine))
    assert found == [3]
