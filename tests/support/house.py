"""A bank whose journey calls an endpoint and waits for its answer."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from channels.base import everywhere
from channels.secret import Secret
from channels.webhook import EndpointSettings, Webhooks
from domain.catalogue import CustomFact, Envelope
from journeys.definition import Branch, Case, End, EnterOnFact, EntryValue, Journey, Send, Webhook
from stores.calls import Calls
from stores.inbox import Inbox
from support.asking import SHIPPED
from support.bank import Bank
from support.facts import at, registered
from support.push_servers import WebhookServer
from support.scenario import envelope
from support.scripted import Scripted
from support.wall import Wall
from tidings.bootstrap import Tidings, bootstrap
from tidings.calling import Courier
from tidings.documents import Documents
from tidings.serving import Serving

MORNING = at("2026-01-05 10:00")
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
JOURNEY = Journey(
    journey="score",
    version=1,
    title={"en": "Score"},
    purpose="care",
    topic="offers",
    enter=EnterOnFact(fact="x.go/1", values=("amount",)),
    steps=(
        Webhook(
            step="ask",
            endpoint="scoring",
            values=("amount",),
            answers=("score",),
            within_hours=2,
            next="choose",
            otherwise="end",
        ),
        Branch(
            step="choose",
            cases=(Case(when=EntryValue(name="score", at_least=700), next="say"),),
            otherwise="end",
        ),
        Send(step="say", template="birthday-greeting", channels=("email",), next="end"),
        End(step="end"),
    ),
)


class House:
    """A bank whose journey calls an endpoint; ``live`` lets its courier and worker work at an instant."""

    def __init__(self, folder: Path, server: WebhookServer, url: str | None) -> None:
        self.server = server
        self.wall = Wall(MORNING)
        self.channel = Scripted()
        documents = Documents([JOURNEY], SHIPPED.templates, SHIPPED.policy, SHIPPED.calendars)
        self.bank = Bank(folder, partitions=2, documents=documents, url=url)
        self.settings = EndpointSettings(
            url=server.url, secret=Secret(file=str(folder / "webhook-secret")), timeout_seconds=5
        )
        self.webhooks = Webhooks({"scoring": self.settings}, clock=self.wall)
        self.tidings = self.opened("scoring")

    def opened(self, *endpoints: str) -> Tidings:
        """The store, opened by a process that may call these endpoints."""
        return bootstrap(self.bank.settings, channels=everywhere(self.channel), endpoints=endpoints)

    def courier(self, inbox: Inbox | None = None) -> Courier:
        """Another one, which shares nothing but the store with the others."""
        webhooks = Webhooks({"scoring": self.settings}, clock=self.wall)
        return Courier(Calls(self.tidings.engine), inbox or self.tidings.inbox, webhooks, clock=self.wall)

    def go(self, *names: str) -> "House":
        """These customers come to the step that calls."""
        told = [
            told
            for name in names
            for told in (
                envelope(name, MORNING, registered()),
                Envelope("x.go/1", name, MORNING, CustomFact(source="/go", id=name, data={"amount": 7})),
            )
        ]
        assert self.bank.take(told).refused == []
        self.work()
        return self

    def work(self) -> None:
        """The worker decides what is due now."""
        with asyncio.Runner() as runner:
            worker = Serving(self.tidings, clock=self.wall)
            while worker.step(runner):
                pass

    def live(self, moment: datetime = MORNING) -> int:
        """Calls that are due are made, and what follows is decided; gives how many were made."""
        self.wall.now = moment
        made = self.courier().deliver()
        self.work()
        return made

    def ends(self, name: str = "c-1") -> list[str]:
        """How the customer's waits ended."""
        return [
            msgspec.json.decode(line[4])["reason"]
            for line in self.bank.histories()[name]
            if line[0] == "wait.ended/1"
        ]

    def answered(self, name: str = "c-1") -> int:
        """How many answers the customer's history has."""
        return [line[0] for line in self.bank.histories()[name]].count("webhook.answered/1")

    def rows(self) -> list[tuple[str, int]]:
        """The calls that are kept, and how often each came to nothing."""
        return [(row[0], row[1]) for row in self.bank.sql("SELECT call, tries FROM calls ORDER BY call")]

    def refusals(self) -> list[tuple[object, ...]]:
        """What was not taken in."""
        return self.bank.sql("SELECT code FROM dead_letters")
