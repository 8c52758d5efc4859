"""A bank whose two providers do whatever a script says, and whose worker dies at any moment."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import event

from channels.base import (
    Accepted,
    Answer,
    NotTaken,
    Outcome,
    Outgoing,
    Refused,
    Rejected,
    Retry,
    Unknown,
    everywhere,
)
from channels.breaker import Guarded
from channels.provider import Callback, Receipt
from channels.route import Route
from domain import catalogue as facts
from domain.catalogue import CustomFact, Envelope, Fact, Purpose
from domain.clock import from_micros
from stores.batch import Changes
from stores.inbox import Told
from stores.journal import Journal
from support.asking import SHIPPED, asks
from support.bank import Bank, copy_store
from support.facts import at, granted, registered, withdrawn
from support.scenario import envelope
from tidings.documents import Documents
from tidings.serving import Serving

START = at("2026-01-05 10:00")
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
CUSTOMERS = ("c-1", "c-2", "c-3")


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Act:
    """What a provider does with one message: the outcome, whether it takes it, and how long that takes."""

    outcome: Outcome
    takes: bool
    seconds: int = 0


@dataclass
class World:
    """The clock on the wall, what providers were given and took, and the moments at which the worker dies.

    ``begun`` is when what is handed over now was begun with, all providers at once.
    """

    deaths: frozenset[int]
    now: datetime = START
    begun: datetime = START
    moments: int = 0
    given: list[tuple[str, datetime, Outgoing]] = field(default_factory=list)
    taken: list[tuple[str, Outgoing]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def passes(self) -> None:
        """A moment at which the worker may die."""
        self.moments += 1
        if self.moments in self.deaths:
            raise Killed


class Provider:
    """It does what its script says, else accepts; asked, it tells the truth or, as often as told, nothing."""

    def __init__(self, name: str, world: World, script: Sequence[Act], mute: Sequence[bool]) -> None:
        self.name = name
        self._world = world
        self._script = list(script)
        self._mute = list(mute)
        self._has: set[str] = set()

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        return [self._send(message) for message in messages]

    def _send(self, message: Outgoing) -> Outcome:
        self._world.passes()
        self._world.given.append((self.name, self._world.begun, message))
        act = self._script.pop(0) if self._script else Act(Accepted("p", provider=self.name), takes=True)
        if act.takes:
            self._has.add(message.id)
            self._world.taken.append((self.name, message))
        if isinstance(act.outcome, Rejected) and act.outcome.refused != "message":
            self._world.refused.add(message.address)
        self._world.now += timedelta(seconds=act.seconds)
        self._world.passes()
        return act.outcome

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        self._world.passes()
        return [self._answer(message) for message in messages]

    def _answer(self, message: Outgoing) -> Answer:
        if self._mute.pop(0) if self._mute else False:
            return Unknown("cannot be asked", provider=self.name)
        return Accepted("p", provider=self.name) if message.id in self._has else NotTaken()

    async def close(self) -> None:
        """There is nothing to let go of."""

    def receipts(self, callback: Callback) -> list[Receipt]:
        """Nobody calls back."""
        raise AssertionError


class Entrance(Route):
    """A route that notes when it is given something."""

    def __init__(self, world: World, ways: Sequence[Guarded]) -> None:
        super().__init__(ways)
        self._world = world

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        self._world.begun = self._world.now
        return await super().send(messages)


Deed = Literal["ask", "withdraw", "grant", "device", "email", "hold", "release"]


@dataclass
class Step:
    """After so long these things happen, and the worker looks at what is due."""

    after: timedelta
    deeds: list[tuple[Deed, str, Purpose]]


REFUSED: tuple[Refused, ...] = get_args(Refused)
WAITS = st.one_of(
    st.none(),
    st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(hours=6), timedelta(days=400)]),
    st.timedeltas(timedelta(0), timedelta(days=5)),
)


def acts(name: str) -> st.SearchStrategy[Act]:
    """Anything that the provider of this name can do."""
    outcomes = st.one_of(
        st.just((Accepted("p", provider=name), True)),
        st.builds(lambda after: (Retry("busy", after=after, provider=name), False), WAITS),
        st.builds(lambda after: (Retry("paced", after=after), False), WAITS),
        st.builds(lambda what: (Rejected("no", what, provider=name), False), st.sampled_from(REFUSED)),
        st.builds(lambda takes: (Unknown("time_out", provider=name), takes), st.booleans()),
    )
    seconds = st.sampled_from([0, 0, 0, 1, 90, 3600])
    return st.builds(lambda act, wait: Act(act[0], act[1], wait), outcomes, seconds)


DEEDS: tuple[Deed, ...] = (
    "ask",
    "ask",
    "ask",
    "ask",
    "withdraw",
    "grant",
    "device",
    "email",
    "hold",
    "release",
)
STEPS = st.lists(
    st.builds(
        Step,
        st.one_of(
            st.timedeltas(timedelta(0), timedelta(minutes=3)),
            st.timedeltas(timedelta(0), timedelta(hours=14)),
            st.timedeltas(timedelta(0), timedelta(days=4)),
        ),
        st.lists(
            st.tuples(st.sampled_from(DEEDS), st.sampled_from(CUSTOMERS), st.sampled_from(PURPOSES)),
            max_size=8,
        ),
    ),
    min_size=1,
    max_size=8,
)
MUTES = st.lists(st.booleans(), max_size=8)
DEATHS = st.frozensets(st.integers(1, 120), max_size=8)


@cache
def made() -> Bank:
    """A store with the four journeys, made once for each run of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="tidings-outcomes-"))
    journeys = [asks(purpose, "push", "email") for purpose in PURPOSES]
    # Two messages of a customer leave together.
    journeys += [replace(journey, journey=f"{journey.journey}-too") for journey in journeys[1:3]]
    texts = [template for template in SHIPPED.templates if template.template == "birthday-greeting"]
    documents = Documents(journeys, texts, SHIPPED.policy, SHIPPED.calendars)
    bank = Bank(folder, partitions=1, documents=documents)
    people = [
        envelope(name, START, fact)
        for name in CUSTOMERS
        for fact in (registered(email=f"{name}@example.com", device=f"{name}/0"), granted())
    ]
    assert bank.take(people).refused == []
    bank.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return bank


class Life:
    """A bank that is served by a worker that dies and is started again."""

    def __init__(self, folder: Path, world: World, route: Route) -> None:
        self.world = world
        self.bank = Bank(folder, partitions=1)
        copy_store(made(), self.bank)
        self.bank.channels = everywhere(route)
        self.tidings = self.bank.tidings
        # Processes are killed here, never the machine.
        event.listen(
            self.tidings.engine, "connect", lambda opened, _: opened.execute("PRAGMA synchronous = OFF")
        )
        self._told = 0

    def step(self, step: Step) -> None:
        self.world.now += step.after
        told = [Told(self._fact(*deed), "") for deed in step.deeds]
        assert self.tidings.inbox.take(told, origin="test", at=0).refused == []
        self.serve()

    def serve(self) -> None:
        """Workers, one after the other, until one has nothing left to do."""
        while True:
            serving = Serving(self.tidings, clock=lambda: self.world.now)
            try:
                with asyncio.Runner() as runner:
                    while serving.step(runner):
                        pass
                return
            except Killed:
                continue

    def end(self) -> None:
        """Time passes until nobody is to be woken any more."""
        while waiting := self.bank.sql("SELECT min(due_at) FROM timers")[0][0]:
            self.world.now = max(self.world.now, from_micros(waiting))
            self.serve()

    def _fact(self, deed: Deed, name: str, purpose: Purpose) -> Envelope:
        self._told += 1
        number = str(self._told)
        if deed == "ask":
            return Envelope(f"x.{purpose}/1", name, self.world.now, CustomFact(source="/test", id=number))
        told: dict[Deed, Fact] = {
            "withdraw": withdrawn(),
            "grant": granted(),
            "device": facts.DeviceRegistered(source="/d", id=number, device=f"{name}/{number}"),
            "email": facts.CustomerChanged(source="/e", id=number, email=f"{name}.{number}@example.com"),
            "hold": facts.CareHoldPlaced(source="/h", id=number, reason="bereavement"),
            "release": facts.CareHoldLifted(source="/h", id=number, reason="bereavement"),
        }
        return envelope(name, self.world.now, told[deed])


@contextmanager
def dying(world: World) -> Iterator[None]:
    """The worker may die before and after each transaction."""
    commit = Journal.commit

    def deadly(journal: Journal, changes: Changes, *, clock_at: datetime | None = None) -> None:
        world.passes()
        commit(journal, changes, clock_at=clock_at)
        world.passes()

    Journal.commit = deadly  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Journal.commit = commit  # type: ignore[method-assign]
