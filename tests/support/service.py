"""The HTTP service around a bank on SQLite, with a hand-moved clock and providers that tests script."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import uvicorn
from msgspec import Struct
from sqlalchemy import Engine
from starlette.testclient import TestClient

from channels.base import Answer, Outcome, Outgoing
from channels.provider import Callback, Receipt
from channels.webhook import LateAnswer
from domain import catalogue as facts
from domain.catalogue import ChannelName, Envelope
from domain.errors import InputRefused
from journeys.definition import End, EnterOnFact, Journey, Send
from stores.vault import vault_of
from support.bank import Bank
from support.facts import at, granted, registered
from support.scenario import envelope
from tidings.api import ServiceSettings, application
from tidings.links import LinkKeys, Links

PUBLIC = "https://care.bank.example"
KEY = "a key that is long enough to be believed"
API_KEY = "the app's own key"
MORNING = at("2026-03-02 10:00")
PHONE = "+420601000001"


class ScriptedProvider:
    """Believes what bears ``x-signature: good``; its body is a list of receipts in JSON."""

    def __init__(self, name: str = "post") -> None:
        self.name = name
        self.urls: list[str] = []

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What the body says."""
        self.urls.append(callback.url)
        if callback.headers.get("x-signature") != "good":
            raise InputRefused("callback.forged")
        try:
            return msgspec.json.decode(callback.body, type=list[Receipt])
        except msgspec.DecodeError as error:
            raise InputRefused("callback.unreadable") from error

    def echo(self, callback: Callback) -> str:
        """What was asked, where the question is signed."""
        query = dict(parse_qsl(urlsplit(callback.url).query))
        if query.get("signature") != "good":
            raise InputRefused("callback.forged")
        return query["echostr"]

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Nothing leaves by it here."""
        raise AssertionError

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Nothing is asked here."""
        raise AssertionError

    async def close(self) -> None:
        """There is nothing to let go of."""


class Holders:
    """Who has which address, by channel and address."""

    def __init__(self, known: Mapping[tuple[str, str], list[str]] | None = None) -> None:
        self.known = dict(known or {})

    def holders(self, channel: ChannelName, address: str) -> list[str]:
        """The customers who have it."""
        return self.known.get((channel, address), [])


class InApp(Struct):
    """A message in the app, as the mailbox lists it."""

    message: str
    title: str


class Mailboxes:
    """Every customer has one message, with their name in it."""

    def letters(self, customer: str, now: datetime) -> list[InApp]:
        """It."""
        return [InApp("m-1", f"Dear {customer}")]

    def read(self, customer: str, message: str, at: datetime) -> bool:
        """It was."""
        return True


class Hooks:
    """Calls and answers of one webhook: a body is believed that says so."""

    def verify(self, endpoint: str, callback: Callback) -> LateAnswer:
        """What the body says."""
        if callback.headers.get("webhook-signature") != f"good for {endpoint}":
            raise InputRefused("callback.forged")
        said = msgspec.json.decode(callback.body)
        return LateAnswer("k", said["call"], said["ok"], said.get("values", {}))

    def customer_of(self, call: str, *, endpoint: str) -> str | None:
        """Only the calls whose ids say whom they were for are known."""
        return call.partition(":")[2] or None


def asks(name: str, purpose: str) -> Journey:
    """A journey that asks for one e-mail of this purpose when ``x.<name>/1`` comes."""
    return Journey(
        journey=name,
        version=1,
        title={"en": name},
        purpose=purpose,  # type: ignore[arg-type]
        topic="offers",
        enter=EnterOnFact(fact=f"x.{name}/1"),
        steps=(
            Send(step="say", template=_TEMPLATES[purpose], channels=("email",), next="end"),
            End(step="end"),
        ),
    )


_TEMPLATES = {"marketing": "tier-course", "care": "birthday-greeting", "service": "birthday-greeting"}


class Service:
    """A running service; ``now`` is what its clock shows."""

    def __init__(self, bank: Bank, *, now: datetime = MORNING, **wired: Any) -> None:
        self.bank = bank
        self.now = now
        self.provider = ScriptedProvider()
        self.contacts = Holders()
        self.links = Links(PUBLIC, LinkKeys([KEY]))
        self.tidings = bank.tidings
        given = {
            "providers": {"post": self.provider},
            "links": self.links,
            "contacts": self.contacts,
            "settings": ServiceSettings(api_keys=("another key", API_KEY)),
            "mailbox": Mailboxes(),
            "answers": Hooks(),
            "calls": Hooks(),
            "clock": lambda: self.now,
            **wired,
        }
        self.app = application(self.tidings, **given)
        self.client = TestClient(self.app, base_url=PUBLIC, follow_redirects=False)

    def path(self, link: str) -> str:
        """A link's path, as the service sees it."""
        assert link.startswith(PUBLIC)
        return link.removeprefix(PUBLIC)

    def get(self, link: str, **given: Any) -> Any:
        """What a browser gets."""
        return self.client.get(self.path(link), **given)

    def post(self, link: str, **given: Any) -> Any:
        """What a form gets."""
        return self.client.post(self.path(link), **given)

    def calls_back(self, *receipts: Receipt, later: timedelta = timedelta(), signature: str = "good") -> Any:
        """The provider tells these."""
        self.now += later
        return self.client.post(
            "/callbacks/post", content=msgspec.json.encode(receipts), headers={"x-signature": signature}
        )

    def waiting(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Kind, customer and fields of every fact that waits, in the order in which they were taken."""
        rows = self.bank.sql(
            "SELECT i.kind, s.subject, i.partition, i.stream, i.body FROM inbox i JOIN streams s "
            "ON s.partition = i.partition AND s.stream = i.stream "
            "ORDER BY i.occurred_at, i.partition, i.position"
        )
        vault = vault_of(self.bank.tidings.engine)
        told = []
        for kind, subject, partition, stream, body in rows:
            (clear,) = vault.opened(partition, [(stream, kind, bytes(body))])
            told.append((kind, subject, msgspec.json.decode(clear or body)))
        return told

    def dead_letters(self) -> list[tuple[str, str, str, bytes]]:
        """Origin, code, reason and raw bytes of all that was refused."""
        return [
            (origin, code, *opened_letter(self.bank.tidings.engine, row))
            for origin, code, *row in self.bank.sql(
                "SELECT origin, code, number, sealed_by, reason, raw FROM dead_letters ORDER BY number"
            )
        ]

    def whole(self) -> list[object]:
        """All that the store holds of facts, events and refusals, for a comparison of before and after."""
        tables = ("events", "inbox", "fact_keys", "dead_letters", "partitions")
        return [self.bank.sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]

    def run(self) -> None:
        """The engine decides on all that waits."""
        self.bank.run(self.now)


@contextmanager
def serving(bank: Bank, **given: Any) -> Iterator[Service]:
    """A service from its start to its end."""
    service = Service(bank, **given)
    with service.client:
        yield service
    service.tidings.engine.dispose()


@contextmanager
def on_loopback(service: Service) -> Iterator[tuple[str, int]]:
    """The same service behind a real server; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(service.app, log_level="warning", lifespan="off", access_log=False)
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def bank_asked(
    folder: Path, *, purpose: str = "marketing", told: Sequence[Envelope] = (), **person: object
) -> Bank:
    """A bank where customer c-1 is due to be sent one e-mail of this purpose."""
    bank = Bank(folder)
    bank.publish(asks("ask", purpose))
    early = MORNING - timedelta(hours=2)
    ask = facts.CustomFact(source="/test", id="ask-1")
    bank.take(
        [
            envelope("c-1", early, registered(**person)),
            envelope("c-1", early, granted(channel="email")),
            *told,
            Envelope("x.ask/1", "c-1", MORNING - timedelta(hours=1), ask),
        ]
    )
    return bank


def bank_with_message(folder: Path, **given: Any) -> tuple[Bank, str]:
    """The same bank after it was sent, and the message's id."""
    bank = bank_asked(folder, **given)
    bank.run(MORNING)
    (entry,) = bank.ledger()
    assert entry.status == "accepted", entry
    return bank, entry.id


def opened_letter(engine: Engine, row: Sequence[Any]) -> tuple[str, bytes]:
    """Reason and raw bytes of a refusal: its number, the number of its key, and both as they are stored."""
    number, sealed_by, reason, raw = row
    _, key = vault_of(engine).letters(sealed_by)
    told = key.open_text(reason, place=f"refused/{number}/reason")
    content = key.open(bytes(raw), place=f"refused/{number}/raw".encode())
    assert told is not None
    assert content is not None
    return told, content
