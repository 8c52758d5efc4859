"""One customer who is owed two service messages a minute apart, of the first of which nobody knows."""

from datetime import datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from channels.base import Unknown
from domain.caps import Cap
from domain.catalogue import CustomerRegistered, CustomFact, Envelope
from support.asking import asks
from support.bank import Bank
from support.documents import first_programmes
from support.facts import at
from support.scenario import envelope
from support.scripted import Scripted
from tidings.documents import Documents

SUBJECT = "c-1"
MORNING = at("2026-01-05 10:00")
# The second one is asked for before the first one is tried again.
SOON = MORNING + timedelta(seconds=5)
UNTIL = at("2026-01-08 12:00")
ONE_A_DAY = Cap(name="one-a-day", purposes=("service",), at_most=1, in_days=1)


def in_doubt() -> list[Envelope]:
    """The facts, in their order."""
    person = CustomerRegistered(source="/golden", id="person", email="jana@example.com")
    return [envelope(SUBJECT, MORNING, person), _asked(MORNING, "one"), _asked(SOON, "two")]


def documents() -> Documents:
    """A journey by which a fact asks for a service message, and one such message a day."""
    first = first_programmes()
    assert first.policy is not None
    policy = replace(first.policy, caps=(ONE_A_DAY,))
    return Documents([asks("service")], first.templates, policy, first.calendars)


def bank(folder: Path, *, url: str | None = None) -> Bank:
    """A bank that has these facts, and whose provider does not say what became of the first message."""
    made = Bank(folder, partitions=1, documents=documents(), url=url)
    made.channels = Scripted(Unknown("no answer", provider="one")).channels
    assert made.take(in_doubt()).refused == []
    return made


def _asked(moment: datetime, name: str) -> Envelope:
    return Envelope("x.service/1", SUBJECT, moment, CustomFact(source="/golden", id=name))
