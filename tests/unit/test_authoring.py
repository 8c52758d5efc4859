"""Publishing documents: nothing faulty comes into force, nothing published is changed."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from domain.errors import InputRefused
from journeys.definition import Wait
from stores.database import open_store
from support.bank import Bank
from support.facts import at
from tidings.authoring import in_force, publish
from tidings.documents import shipped

NOW = at("2026-01-01 12:00")


def test_a_journey_with_a_problem_is_refused_and_nothing_is_published(tmp_path: Path) -> None:
    bank = Bank(tmp_path, documents=shipped())
    engine = open_store(bank.settings.store)
    documents = shipped()
    first = documents.journeys[0]
    lost = replace(first, version=2, steps=(Wait(step="a", days=1, at="09:00", next="nowhere"),))
    with pytest.raises(InputRefused, match=r"document\.invalid.*journey\.dangling"):
        publish(engine, replace(documents, journeys=[*documents.journeys, lost]), at=NOW)
    assert in_force(engine).number == 1


def test_a_new_version_comes_into_force_beside_the_old_one(tmp_path: Path) -> None:
    engine = open_store(Bank(tmp_path, documents=shipped()).settings.store)
    documents = shipped()
    second = replace(documents.journeys[0], version=2)
    new = publish(engine, replace(documents, journeys=[*documents.journeys, second]), at=NOW)
    assert new == [("journey", second.journey, 2)]
    rules = in_force(engine).rules
    assert rules.journeys[second.journey] == second
    assert (second.journey, 1) in rules.versions


def test_a_published_version_cannot_be_published_with_other_content(tmp_path: Path) -> None:
    engine = open_store(Bank(tmp_path, documents=shipped()).settings.store)
    documents = shipped()
    other = replace(documents.journeys[0], topic="otherwise")
    with pytest.raises(InputRefused, match=r"document\.version_taken"):
        publish(engine, replace(documents, journeys=[other]), at=NOW)
