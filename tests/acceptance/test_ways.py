"""The ways of a settings file, wired: what is recorded, what leaves by whom, and `tidings serve` itself."""

import asyncio
import email
import email.policy
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from channels.base import Accepted, Outcome, Outgoing, Retry
from domain.catalogue import CustomFact, Envelope, Purpose
from domain.errors import InputRefused
from stores.app_inbox import StoredMailbox
from stores.database import open_store
from support.asking import SHIPPED, asks
from support.bank import Bank
from support.channel_contract import outgoing
from support.facts import at, granted, registered
from support.scenario import envelope
from support.served import ROOT
from support.smtp_server import SmtpServer
from templates.links import UNSUBSCRIBE
from templates.model import Content, Push, Template
from tidings.documents import Documents
from tidings.providers import Ways, opened, read_channels, ways
from tidings.settings import Settings

MORNING = at("2026-01-05 10:00")
PURPOSES: tuple[Purpose, ...] = ("marketing", "care", "service", "regulatory")
HEAD = """
public_url = "https://care.bank.example"
link_keys = [{ env = "TEST_LINK_KEY" }]
api_keys = [{ env = "TEST_API_KEY" }]
"""


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_LINK_KEY", "k" * 40)
    monkeypatch.setenv("TEST_API_KEY", "the bank's own key")


def relay(name: str, port: int, more: str = "") -> str:
    """A mail server on this machine."""
    return f"""
[providers.{name}]
kind = "smtp"
host = "127.0.0.1"
port = {port}
tls = "none"
sender = {{ address = "care@bank.example" }}
{more}
"""


def sandbox(name: str, more: str = "") -> str:
    return f'\n[providers.{name}]\nkind = "sandbox"\n{more}\n'


def file_of(folder: Path, text: str) -> Path:
    path = folder / "channels.toml"
    path.write_text(text)
    return path


def ways_of(folder: Path, text: str) -> Ways:
    """The ways of a file with this text, and a store that nothing is put into."""
    file = read_channels(file_of(folder, text))
    bank = Bank(folder)
    engine = open_store(bank.settings.store)
    engine.dispose()
    return ways(file, mailbox=StoredMailbox(engine), outbox=folder / "outbox")


def sent(found: Ways, *messages: Outgoing) -> list[Outcome]:
    """What became of these by e-mail."""

    async def handed_over() -> list[Outcome]:
        outcomes = await found.channels["email"].send(messages)
        await found.channels["email"].close()
        return outcomes

    return asyncio.run(handed_over())


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of this machine that nobody listens on, and nobody can begin to."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


class Lived:
    """One customer who was sent a message of each purpose by the ways of a file."""

    def __init__(self, folder: Path, text: str) -> None:
        folder.mkdir(exist_ok=True)
        words = f"Leave: {UNSUBSCRIBE}"
        content = Content(
            subject="Hello",
            email="Leave: {{ unsubscribe_url }}",
            sms="Leave: {{ unsubscribe_url }}",
            push=Push(title="Hello", body=words),
        )
        template = Template(
            template="say", version=1, promotional=False, variables=(), languages={"en": content}
        )
        journeys = [asks(purpose, "email", template="say") for purpose in PURPOSES]
        journeys.append(replace(asks("care", "sms", template="say"), journey="text", enter=_on("x.text/1")))
        documents = Documents(journeys, [template], SHIPPED.policy, SHIPPED.calendars)
        self.bank = Bank(folder, partitions=1, documents=documents)
        told = [envelope("c-1", MORNING, registered()), envelope("c-1", MORNING, granted())]
        for name in (*PURPOSES, "text"):
            told.append(Envelope(f"x.{name}/1", "c-1", MORNING, CustomFact(source="/test", id=name)))
        assert self.bank.take(told).refused == []
        self.tidings, self.ways = opened(self.bank.settings, file_of(folder, HEAD + text))
        self.bank.channels = self.ways.channels
        self.bank.run(MORNING + timedelta(hours=1))
        self.tidings.engine.dispose()

    def recorded(self) -> dict[str, str]:
        """The digest of the words, by the message's id."""
        bodies = [
            json.loads(bytes(line[4]))
            for line in self.bank.histories()["c-1"]
            if line[0] == "message.sending/1"
        ]
        return {body["message"]: body["content_sha256"] for body in bodies}

    def purposes(self) -> dict[str, str]:
        return {entry.id: entry.purpose for entry in self.bank.ledger()}


def _on(fact: str) -> object:
    return replace(asks("care").enter, fact=fact)


def links_of(mail: bytes) -> tuple[str, str]:
    """The link of the text, and the one that a mail program may call; "" for none."""
    read = email.message_from_bytes(mail, policy=email.policy.default)
    body = read.get_body()
    assert body is not None
    text = body.get_content()
    header = str(read.get("List-Unsubscribe", ""))
    return text.split()[1], header.strip("<>")


class TestWords:
    def test_the_record_is_the_same_with_any_link_key_and_what_leaves_is_the_customers_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left: list[dict[str, tuple[str, str]]] = []
        records: list[dict[str, str]] = []
        for key in ("k" * 40, "another key " * 4):
            monkeypatch.setenv("TEST_LINK_KEY", key)
            with SmtpServer() as server:
                folder = tmp_path / key[:1]
                lived = Lived(folder, '[routes]\nemail = ["relay"]\n' + relay("relay", server.port))
                mails = {
                    str(email.message_from_bytes(mail)["Message-ID"])[1:].partition("@")[0]: links_of(mail)
                    for mail in server.mails
                }
            records.append(lived.recorded())
            left.append(mails)
            assert lived.bank.verify().findings == []
            purposes = lived.purposes()
            assert sorted(purposes[message] for message in mails) == sorted(PURPOSES)
            for message, (in_text, one_click) in mails.items():
                token = urlsplit(in_text).path.removeprefix("/u/")
                said = lived.ways.links.opened("unsubscribe", token)
                assert (said.message, said.customer, said.channel) == (message, "c-1", "email")
                can_be_left = purposes[message] in ("marketing", "care")
                assert one_click == (in_text if can_be_left else ""), purposes[message]
        assert records[0] == records[1]
        assert len(records[0]) == len(PURPOSES) + 1
        assert left[0].keys() == left[1].keys()
        assert all(left[0][message][0] != left[1][message][0] for message in left[0])

    def test_a_channel_without_a_route_goes_to_the_sandbox_with_its_links(self, tmp_path: Path) -> None:
        with SmtpServer() as server:
            lived = Lived(tmp_path, '[routes]\nemail = ["relay"]\n' + relay("relay", server.port))
            assert len(server.mails) == len(PURPOSES)
        (text,) = lived.bank.outbox.rglob("*.json")
        written = json.loads(text.read_text())
        assert written["channel"] == "sms"
        assert written["unsubscribe"] == written["text"].split()[1]
        assert written["unsubscribe"].startswith("https://care.bank.example/u/")


class TestRoutes:
    def test_the_second_provider_gets_what_the_first_did_not_take(self, tmp_path: Path) -> None:
        with closed_port() as nobody, SmtpServer() as server:
            text = '[routes]\nemail = ["down", "up"]\n' + relay("down", nobody) + relay("up", server.port)
            lived = Lived(tmp_path, text)
            assert len(server.mails) == len(PURPOSES)
        told = [json.loads(bytes(line[4])) for line in lived.bank.histories()["c-1"]]
        assert {body["provider"] for body in told if "until" in body and "provider" in body} == {"down"}
        mails = [entry for entry in lived.bank.ledger() if entry.channel == "email"]
        assert {(entry.status, entry.provider) for entry in mails} == {("accepted", "up")}
        assert lived.bank.verify().findings == []

    def test_a_provider_that_is_down_is_left_alone_after_ten_failures(self, tmp_path: Path) -> None:
        with closed_port() as nobody:
            found = ways_of(tmp_path, HEAD + '[routes]\nemail = ["down"]\n' + relay("down", nobody))
            first = sent(found, *(outgoing(number) for number in range(10)))
            (after,) = sent(found, outgoing(11))
        assert {outcome.provider for outcome in first} == {"down"}
        assert isinstance(after, Retry)
        assert (after.reason, after.provider) == ("circuit_open", "")

    @pytest.mark.parametrize("pace", ["per_second = 0.01", 'domains = { "example.com" = 0.01 }'])
    def test_each_of_several_workers_takes_its_share_of_the_pace(self, pace: str, tmp_path: Path) -> None:
        text = f'workers = 4\n{HEAD}[routes]\nemail = ["box"]\n'
        found = ways_of(tmp_path, text + sandbox("box", f"pace = {{ {pace}, burst = 4 }}"))
        first, second = sent(found, outgoing(1), outgoing(2))
        assert isinstance(first, Accepted)
        assert isinstance(second, Retry)
        # One token is there at once, the next in 400 seconds; a whole pace would have had four, and 100.
        assert (second.reason, second.provider) == ("paced", "")
        assert second.after is not None
        assert second.after > timedelta(seconds=300)

    def test_workers_that_are_more_than_the_burst_have_a_token_each(self, tmp_path: Path) -> None:
        text = f'workers = 9\n{HEAD}[routes]\nemail = ["box"]\n'
        found = ways_of(tmp_path, text + sandbox("box", "pace = { per_second = 0.01, burst = 2 }"))
        (first,) = sent(found, outgoing(1))
        assert isinstance(first, Accepted)

    def test_a_single_worker_has_the_whole_burst(self, tmp_path: Path) -> None:
        text = f'{HEAD}[routes]\nemail = ["box"]\n'
        found = ways_of(tmp_path, text + sandbox("box", "pace = { per_second = 0.01, burst = 2 }"))
        assert [type(outcome) for outcome in sent(found, *map(outgoing, range(3)))] == [
            Accepted,
            Accepted,
            Retry,
        ]

    def test_the_inbox_of_the_app_is_kept_in_the_store(self, tmp_path: Path) -> None:
        text = f'{HEAD}[routes]\ninbox = ["app"]\n[providers.app]\nkind = "in_app"\n'
        bank = Bank(tmp_path)
        bank.take([envelope("c-1", MORNING, registered())])
        tidings, found = opened(bank.settings, file_of(tmp_path, text))
        message = outgoing(channel="inbox", customer="c-1", address="c-1", expires_at=MORNING)
        (outcome,) = asyncio.run(found.channels["inbox"].send([message]))
        assert outcome == Accepted(f"app/{message.id}", provider="app")
        assert StoredMailbox(tidings.engine).known([message.id]) == {message.id}
        tidings.engine.dispose()

    def test_providers_are_called_back_by_their_names(self, tmp_path: Path) -> None:
        found = ways_of(tmp_path, HEAD + relay("one", 25) + sandbox("two"))
        assert {name: provider.name for name, provider in found.providers.items()} == {
            "one": "one",
            "two": "two",
        }

    def test_webhooks_of_the_file_may_be_called(self, tmp_path: Path) -> None:
        text = '[webhooks.scoring]\nurl = "https://scoring.bank.example/"\nsecret = { env = "TEST_HOOK" }\n'
        bank = Bank(tmp_path)
        os.environ["TEST_HOOK"] = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
        try:
            tidings, _ = opened(bank.settings, file_of(tmp_path, HEAD + text))
        finally:
            del os.environ["TEST_HOOK"]
        assert tidings.endpoints == {"scoring"}
        tidings.engine.dispose()


class TestSettings:
    def test_the_sandbox_alone_needs_neither_address_nor_key(self, tmp_path: Path) -> None:
        path = file_of(tmp_path, '[routes]\nemail = ["box"]\n' + sandbox("box"))
        assert read_channels(path).routes == {"email": ("box",)}

    def test_a_secret_that_is_not_there_is_told_before_anything_leaves(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TEST_LINK_KEY")
        with pytest.raises(InputRefused, match=r"secret\.missing") as refused:
            ways_of(tmp_path, HEAD)
        assert refused.value.values["place"] == "$TEST_LINK_KEY"

    def test_a_key_that_can_be_guessed_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TEST_LINK_KEY", "short")
        with pytest.raises(InputRefused, match=r"link\.short_key"):
            ways_of(tmp_path, HEAD)

    def test_secrets_are_shown_nowhere(self, tmp_path: Path) -> None:
        found = ways_of(tmp_path, HEAD + '[routes]\nemail = ["relay"]\n' + relay("relay", 25))
        assert "kkkk" not in repr(found.file) + repr(found.links)


@contextmanager
def serving(settings: Settings, channels: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`tidings serve` as a process, and the address that it says it listens on."""
    words = ["serve", "--store", settings.store, "--outbox", str(settings.outbox), "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tidings", *words, "--channels", str(channels)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        found = re.search(r"http://[\d.]+:\d+", said)
        assert found, said
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def asked(url: str, path: str, body: object = None, *, key: str = "") -> tuple[int, dict[str, object]]:
    """Status and JSON of an answer."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json"}
    told = None if body is None else json.dumps(body)
    with closing(connection):
        connection.request("GET" if told is None else "POST", path, told, headers)
        answer = connection.getresponse()
        return answer.status, json.load(answer)


REGISTERED = {
    "specversion": "1.0",
    "source": "/core",
    "id": "r-1",
    "type": "customer.registered/1",
    "subject": "c-1",
    "time": "2026-01-05T10:00:00Z",
    "data": {"email": "one@example.com", "zone": "Europe/Prague", "language": "en"},
}


class TestServe:
    @pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
    def test_it_hears_who_has_the_key_and_ends_when_it_is_told_to(
        self, ending: signal.Signals, tmp_path: Path
    ) -> None:
        bank = Bank(tmp_path)
        path = file_of(tmp_path, HEAD + '[routes]\nemail = ["box"]\n' + sandbox("box"))
        with serving(bank.settings, path) as (process, url):
            assert asked(url, "/health") == (200, {"status": "ok"})
            for wrong in ("", "another key"):
                status, problem = asked(url, "/facts", REGISTERED, key=wrong)
                assert (status, problem["status"]) == (401, 401)
            assert bank.sql("SELECT count(*) FROM fact_keys WHERE partition > 0") == [(0,)]
            status, taken = asked(url, "/facts", REGISTERED, key="the bank's own key")
            assert (status, taken["accepted"], taken["refused"]) == (200, 1, 0)
            status, taken = asked(url, "/facts", REGISTERED, key="the bank's own key")
            assert (status, taken["accepted"], taken["repeated"]) == (200, 0, 1)
            process.send_signal(ending)
            assert process.wait(60) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""
        # What was under way is finished, and nobody has to wait for a lease to run out.
        assert bank.sql("SELECT DISTINCT owner FROM partitions") == [(None,)]
        assert bank.verify().findings == []

    def test_a_damaged_history_stops_its_partition_and_no_other(self, tmp_path: Path) -> None:
        """It is told in the log, by its place and without whom it is about, and tried again; others go on."""
        documents = Documents([asks("care")], SHIPPED.templates, SHIPPED.policy, SHIPPED.calendars)
        bank = Bank(tmp_path, partitions=2, documents=documents)
        names = [f"c-{number}" for number in range(8)]
        assert bank.take([envelope(name, MORNING, registered()) for name in names]).refused == []
        bank.run(MORNING)
        bank.sql("UPDATE heads SET version = version + 5 WHERE partition = 1")
        whole = {row[0] for row in bank.sql("SELECT subject FROM streams WHERE partition = 2")}
        path = file_of(tmp_path, HEAD + '[routes]\nemail = ["box"]\n' + sandbox("box"))
        now = datetime.now(UTC)
        asked_for = [(name, CustomFact(source="/test", id=name)) for name in names]
        bank.take([Envelope("x.care/1", name, now, fact) for name, fact in asked_for])
        with serving(bank.settings, path) as (process, _):
            while {entry.customer for entry in bank.ledger() if entry.status != "requested"} != whole:
                assert process.poll() is None
            process.terminate()
            assert process.wait(60) == 0
            assert process.stderr is not None
            said = process.stderr.read()
        assert "partition 1 failed and is tried again" in said
        assert "Traceback" not in said
        assert not any(name in said for name in names)
