"""A bank that is served by the clock on the wall, which a test moves, by a worker that it can kill."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from channels.base import Channel, everywhere
from domain.catalogue import CustomFact, Envelope, Purpose
from support.asking import SHIPPED, asks
from support.bank import Bank
from support.facts import at, granted, registered
from support.scenario import envelope
from support.scripted import Scripted
from tidings.documents import Documents
from tidings.serving import Serving

MORNING = at("2026-01-05 10:00")


class Wall:
    """A clock on the wall that a test moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Killed(BaseException):
    """The process is no more."""


class Service:
    """A bank that is served; each ``step`` is a look of the worker at what is due."""

    def __init__(
        self,
        folder: Path,
        channel: Scripted,
        *,
        purpose: Purpose = "care",
        customers: int = 1,
        by: Sequence[str] = (),
        way: Channel | None = None,
        url: str | None = None,
        partitions: int = 2,
    ) -> None:
        """Each asks for a message ``by`` channels, else by e-mail; ``way`` is what leads to the channel."""
        self.channel = channel
        documents = Documents([asks(purpose, *by)], SHIPPED.templates, SHIPPED.policy, SHIPPED.calendars)
        self.bank = Bank(folder, partitions=partitions, documents=documents, url=url)
        self.bank.channels = everywhere(way or channel)
        self.purpose = purpose
        self.wall = Wall(MORNING)
        self.names = [f"c-{number}" for number in range(customers)]
        told = [envelope(name, MORNING, fact) for name in self.names for fact in (registered(), granted())]
        assert self.bank.take(told).refused == []

    def ask(self, at: datetime) -> "Service":
        told = [
            Envelope(f"x.{self.purpose}/1", name, at, CustomFact(source="/test", id=f"{name}-{at}"))
            for name in self.names
        ]
        assert self.bank.take(told).refused == []
        return self

    def step(self, at: datetime) -> "Service":
        self.wall.now = at
        tidings = self.bank.tidings
        serving = Serving(tidings, clock=self.wall)
        with asyncio.Runner() as runner:
            while serving.step(runner):
                pass
        tidings.engine.dispose()
        return self

    def killed(self, at: datetime) -> "Service":
        with pytest.raises(Killed):
            self.step(at)
        return self

    def statuses(self) -> list[str]:
        assert self.bank.verify().findings == []
        return [entry.status for entry in self.bank.ledger()]
