"""Five hundred customers in four journeys at once, each with a delay and a message; workers are killed."""

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from domain.catalogue import CustomFact, Envelope
from journeys.definition import Delay, End, EnterOnFact, Journey, Send
from support.asking import SHIPPED
from support.bank import Bank
from support.facts import at, registered
from support.scenario import envelope
from support.served import Served
from support.stream import Provider
from tidings.documents import Documents

pytestmark = [pytest.mark.slow, pytest.mark.long]

MORNING = at("2026-01-05 10:00")
CUSTOMERS = 500
JOURNEYS = ("one", "two", "three", "four")
KILLS = 4
SPEED = 60.0


def delayed(name: str) -> Journey:
    """Entered by one fact for all four: wait for two minutes, then send."""
    return Journey(
        journey=name,
        version=1,
        title={"en": name},
        purpose="service",
        topic="contracts",
        enter=EnterOnFact(fact="x.go/1"),
        steps=(
            Delay(step="rest", minutes=2, next="say"),
            Send(step="say", template="birthday-greeting", channels=("email",), next="end"),
            End(step="end"),
        ),
    )


@pytest.mark.slow
def test_two_thousand_of_two_thousand_are_delivered_once(tmp_path: Path) -> None:
    documents = Documents(
        [delayed(name) for name in JOURNEYS], SHIPPED.templates, SHIPPED.policy, SHIPPED.calendars
    )
    bank = Bank(tmp_path, partitions=4, documents=documents)
    names = [f"c-{number}" for number in range(CUSTOMERS)]
    before = MORNING - timedelta(hours=1)
    told = [envelope(name, before, registered(email=f"{name}@example.com")) for name in names]
    told += [Envelope("x.go/1", name, MORNING, CustomFact(source="/test", id=f"go-{name}")) for name in names]
    assert bank.take(told).refused == []
    record = tmp_path / "taken"
    provider = Provider(record)
    served = Served(bank.settings.store, MORNING, speed=SPEED, ways=["--record", str(record)])
    try:
        chance = random.Random(7)
        for moment in sorted(chance.sample(range(100, 1_900), KILLS)):
            until(lambda moment=moment: len(provider.taken()) >= moment)  # type: ignore[misc]
            served.kill()
        until(lambda: Counter(entry.status for entry in bank.ledger()) == {"accepted": 2_000})
    finally:
        served.end()
    taken = Counter(line.split()[0] for line in provider.taken())
    assert len(taken) == CUSTOMERS * len(JOURNEYS)
    assert set(taken.values()) == {1}
    assert bank.verify().findings == []


def until(true: Callable[[], bool]) -> None:
    """Wait for what has to come; the test's own limit of time ends a wait in vain."""
    while not true():
        time.sleep(0.02)
