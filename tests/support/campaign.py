"""A campaign of kills: thousands of messages of every purpose, and a sender that dies over and over.

What the provider took is the truth; what the bank recorded is compared with it.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

from msgspec import Struct

from domain.catalogue import ChannelName, CustomFact, DeviceRegistered, Envelope, Fact, Purpose
from stores.projections import LedgerEntry
from support.asking import SHIPPED, asks
from support.bank import Bank
from support.facts import granted, registered
from support.scenario import envelope
from support.served import Served
from templates.model import Content, Push, Template, WeChat
from tidings.documents import Documents

SPEED = 20.0
AT_MOST_ONCE: tuple[Purpose, ...] = ("marketing", "care")


class Campaign(Struct):
    """What a campaign came to: the ledger, and how often the provider took each message."""

    ledger: Sequence[LedgerEntry]
    taken: Mapping[str, int]

    def check(self) -> None:
        """By purpose once, or the same one again; nothing lost, nothing unexplained, nothing stuck."""
        for entry in self.ledger:
            times = self.taken.get(entry.id, 0)
            about = (entry, times)
            assert entry.status in ("accepted", "unknown", "rejected"), about
            if entry.purpose in AT_MOST_ONCE:
                assert times <= 1, about
            else:
                assert times >= 1, about
                assert entry.status == "accepted", about
            if entry.status == "accepted":
                assert times >= 1, about
            if entry.status == "rejected":
                assert times == 0, about
            if entry.status == "unknown":
                assert entry.reason, about
        assert set(self.taken) <= {entry.id for entry in self.ledger}

    def told(self) -> str:
        """The campaign in one line: messages by purpose, status and how often they were taken."""
        counts = Counter((e.purpose, e.status, self.taken.get(e.id, 0)) for e in self.ledger)
        return ", ".join(f"{'/'.join(map(str, about))}: {number}" for about, number in sorted(counts.items()))


def fought(
    folder: Path,
    channel: ChannelName,
    *,
    messages: int,
    kills: int,
    seed: int,
    ways: Sequence[str],
    taken: Callable[[], Sequence[str]],
    customer: Callable[[int], Mapping[str, str]] = lambda number: {},
    device: str = "",
) -> Campaign:
    """Send so many messages, a quarter of each purpose, and kill the sender at as many random moments.

    ``taken`` gives the ids that the provider took so far, with repetitions; ``customer`` says more of the
    customer of a number, and ``device`` is one that all have.
    """
    purposes: tuple[Purpose, ...] = get_args(Purpose)
    journeys = [asks(purpose, channel, template=f"say-{purpose}") for purpose in purposes]
    templates = [said(purpose) for purpose in purposes]
    documents = Documents(journeys, templates, SHIPPED.policy, SHIPPED.calendars)
    bank = Bank(folder, partitions=4, documents=documents)
    # Providers date what they take by the clock on the wall: where the customers live it is morning now.
    start = datetime.now(UTC)
    west = (start.hour - 10 + 11) % 24 - 11
    zone = f"Etc/GMT{west:+}"
    before = start - timedelta(hours=1)
    told: list[Envelope] = []
    for number in range(messages // len(purposes)):
        who = f"c-{number}"
        facts: list[Fact] = [registered(zone=zone, **customer(number)), granted()]
        if device:
            facts.append(DeviceRegistered(source="/test", id=f"device-{number}", device=device))
        told += [envelope(who, before, fact) for fact in facts]
        for purpose in purposes:
            fact = CustomFact(source="/test", id=f"{who}-{purpose}")
            told.append(Envelope(f"x.{purpose}/1", who, start, fact))
    assert bank.take(told).refused == []
    served = Served(bank.settings.store, start, speed=SPEED, ways=ways)
    chance = random.Random(seed)
    try:
        # Not up to the last one: what is unknown in the end may never have been taken.
        for moment in sorted(chance.sample(range(messages // 100, messages * 6 // 10), kills)):
            until(lambda moment=moment: len(taken()) >= moment)  # type: ignore[misc]
            time.sleep(chance.random() * 0.02)
            served.kill()
        until(lambda: ended(bank) == messages)
    finally:
        served.end()
    assert bank.verify().findings == []
    return Campaign(bank.ledger(), Counter(taken()))


def said(purpose: Purpose) -> Template:
    """A template for messages of this purpose: providers that know words only can tell them apart."""
    words = f"A message of the purpose {purpose}."
    content = Content(
        subject=words,
        email=words,
        sms=words,
        push=Push(title=purpose, body=words),
        wechat=WeChat(template_id="T-1", data={"first": words}),
    )
    return Template(
        template=f"say-{purpose}", version=1, promotional=False, variables=(), languages={"en": content}
    )


def ended(bank: Bank) -> int:
    """How many messages have ended for good."""
    counts = Counter(entry.status for entry in bank.ledger())
    return sum(counts[status] for status in ("accepted", "rejected", "unknown", "suppressed"))


def until(true: Callable[[], bool]) -> None:
    """Wait for what has to come; the test's own limit of time ends a wait in vain."""
    while not true():
        time.sleep(0.02)
