"""One bad message, provider or partition does not stop the others, and is not stuck itself."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from channels.base import Answer, Outcome, Outgoing, Rejected, Unknown
from channels.breaker import Guarded
from channels.provider import Callback, Receipt
from channels.route import Route
from domain.catalogue import DeviceRegistered, Purpose
from domain.errors import InputRefused, StoreUnusable
from stores.batch import Changes
from stores.journal import Journal
from support.asking import asks
from support.scenario import envelope
from support.scripted import Scripted
from support.wall import MORNING, Killed, Service
from templates.render import Rendered
from tidings import sending
from tidings.process import Worker
from tidings.serving import Serving

SOON = MORNING + timedelta(minutes=5)
LATER = MORNING + timedelta(hours=6)
ALL: list[Purpose] = ["marketing", "care", "service", "regulatory"]


class Post(Scripted):
    """A provider with a name, which may be killed before it takes anything, or after."""

    name = "post"
    kills: str = ""

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        if self.kills == "before":
            raise Killed
        outcomes = await super().send(messages)
        if self.kills == "after":
            raise Killed
        return outcomes

    def receipts(self, callback: Callback) -> list[Receipt]:
        """Nobody calls back."""
        raise AssertionError


class Mute(Post):
    """It cannot be asked."""

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        return [Unknown("cannot be asked") for _ in messages]


def refuses(*_: object, **__: object) -> Rendered:
    """The language of templates has become stricter."""
    raise InputRefused("template.fails", template="birthday-greeting", reason="stricter")


def otherwise(*_: object, **__: object) -> Rendered:
    """The same template makes other words."""
    return Rendered("email", "en", "Hello", "Other words\n")


def crashed(service: Service, *, when: str) -> Service:
    """An intent is recorded, and the process dies before anything leaves, or later."""
    channel = service.channel
    assert isinstance(channel, Post)
    service.ask(MORNING)
    if when == "not begun":
        worker = service.bank.tidings
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("tidings.leaving._FIRST_AT_ONCE", 0)
            with asyncio.Runner() as runner:
                service.wall.now = MORNING
                Serving(worker, clock=service.wall).step(runner)
        worker.engine.dispose()
    else:
        channel.kills = when
        service.killed(MORNING)
        channel.kills = ""
    assert [row[0] for row in service.bank.sql("SELECT begun FROM outbox")] == [int(when != "not begun")]
    return service


@pytest.mark.parametrize("purpose", ALL)
@pytest.mark.parametrize("when", ["not begun", "before", "after"])
def test_words_that_cannot_be_made_again_stop_nobody(
    purpose: Purpose, when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the provider has is accepted; what it certainly has not is judged anew, and has no words."""
    channel = Post()
    service = Service(tmp_path, channel, way=Route([Guarded(channel)]), purpose=purpose)
    crashed(service, when=when)
    monkeypatch.setattr(sending, "render", refuses)
    service.step(SOON)
    # An audit finds that these words are made no more: it would make them anew.
    assert [entry.status for entry in service.bank.ledger()] == [
        "accepted" if when == "after" else "suppressed"
    ]
    assert len(channel.given) == (when == "after")
    assert service.bank.sql("SELECT * FROM outbox") == []


@pytest.mark.parametrize("purpose", ALL)
def test_what_may_have_left_and_has_no_words_any_more_ends_by_its_purpose(
    purpose: Purpose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Mute()
    service = Service(tmp_path, channel, way=Route([Guarded(channel)]), purpose=purpose)
    crashed(service, when="after")
    monkeypatch.setattr(sending, "render", refuses)
    service.step(SOON).step(LATER)
    (entry,) = service.bank.ledger()
    assert entry.status == ("unknown" if purpose in ("marketing", "care") else "suppressed")
    assert entry.in_doubt
    assert len(channel.given) == 1
    assert service.bank.sql("SELECT * FROM outbox") == []


@pytest.mark.parametrize("when", ["not begun", "before"])
def test_words_that_come_out_otherwise_are_judged_and_recorded_anew(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Post()
    service = Service(tmp_path, channel, way=Route([Guarded(channel)]))
    crashed(service, when=when)
    monkeypatch.setattr(sending, "render", otherwise)
    service.step(SOON)
    assert [message.text for message in channel.given] == ["Other words\n"]
    assert service.bank.ledger()[0].status == "accepted"


class Buggy(Post):
    """It breaks its promise: it raises, and says too little."""

    def __init__(self) -> None:
        super().__init__()
        self.bad = {"send", "ask"}

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        if "send" in self.bad:
            raise KeyError("a bug")
        return (await super().send(messages))[: 0 if "count" in self.bad else None]

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        if "ask" in self.bad:
            raise KeyError("a bug")
        return await super().ask(messages)


@pytest.mark.parametrize(("purpose", "status"), [("marketing", "unknown"), ("service", "accepted")])
@pytest.mark.parametrize("bug", ["send", "count"])
def test_a_provider_that_raises_may_have_the_message_and_stops_nobody(
    purpose: Purpose, status: str, bug: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Buggy()
    channel.bad = {bug, "ask"}
    service = Service(tmp_path, channel, way=Route([Guarded(channel)]), purpose=purpose, customers=3)
    service.ask(MORNING).step(MORNING)
    assert "provider post failed" in caplog.text
    channel.bad = set()
    service.step(SOON).step(LATER)
    assert service.statuses() == [status] * 3


def test_a_partition_that_fails_rests_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(tmp_path, Scripted(), customers=8).ask(MORNING)
    run = Worker.run

    def failing(worker: Worker, partition: int, **given: object) -> int:
        if partition == 1:
            raise RuntimeError("a bug")
        return run(worker, partition, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "run", failing)
    service.wall.now = MORNING
    tidings = service.bank.tidings
    serving = Serving(tidings, clock=service.wall)
    with asyncio.Runner() as runner:
        while serving.step(runner):
            pass
        assert 0 < len(service.channel.given) < 8
        assert caplog.text.count("partition 1 failed") == 1
        monkeypatch.undo()
        assert serving.step(runner) is False
        service.wall.now += timedelta(minutes=2)
        while serving.step(runner):
            pass
    tidings.engine.dispose()
    assert service.statuses() == ["accepted"] * 8


def test_what_a_provider_says_of_an_address_is_about_the_one_it_was_given(tmp_path: Path) -> None:
    """Two pushes to one device are refused together: the customer's other device is well."""
    gone = Rejected("gone", "address", provider="one")
    service = Service(tmp_path, Scripted(gone, gone), by=["push"])
    devices = [DeviceRegistered(source="/test", id=name, device=name) for name in ("device-1", "device-2")]
    service.bank.take([envelope("c-0", MORNING, device) for device in devices])
    service.bank.publish(replace(asks("care", "push"), journey="too"))
    service.ask(MORNING).step(SOON)
    assert [message.address for message in service.channel.given] == ["device-2"] * 2
    service.ask(SOON + timedelta(hours=1)).step(LATER)
    assert [message.address for message in service.channel.given[2:]] == ["device-1"] * 2
    assert sorted(service.statuses()) == ["accepted"] * 2 + ["rejected"] * 2


def test_what_was_not_begun_is_marked_before_it_leaves_by_a_virtual_clock_too(tmp_path: Path) -> None:
    channel = Mute()
    service = Service(tmp_path, channel, way=Route([Guarded(channel)]), purpose="marketing")
    crashed(service, when="not begun")
    for _ in range(3):
        channel.kills = "after"
        try:
            service.bank.run(SOON)
        except Killed:
            channel.kills = ""
    assert len(channel.given) == 1
    assert service.statuses() == ["unknown"]


@pytest.mark.parametrize("fails_at", range(1, 6))
def test_a_store_that_fails_in_the_middle_loses_nothing_and_doubles_nothing(
    fails_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path, Scripted(), purpose="marketing", customers=3).ask(MORNING)
    commit, left = Journal.commit, [fails_at]

    def failing(journal: Journal, changes: Changes, **given: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise StoreUnusable("store.busy", store="it", reason="locked")
        commit(journal, changes, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(Journal, "commit", failing)
    with suppress(StoreUnusable):
        service.step(MORNING)
    assert left[0] <= 0
    service.step(SOON)
    assert service.statuses() == ["accepted"] * 3
    assert len(service.channel.given) == 3
