"""tidings serve as an operator has it: how it ends, and the stores that it must not serve."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from support.served import ROOT
from support.smtp_server import SmtpServer
from tidings.cli import run
from tidings.providers import opened
from tidings.serving import Working, begin
from tidings.settings import Settings

SETTINGS = """
public_url = "http://127.0.0.1:1"
link_keys = [{env = "TEST_LINK_KEY"}]
[routes]
email = ["relay"]
[providers.relay]
kind = "smtp"
host = "127.0.0.1"
port = PORT
tls = "none"
sender = {address = "care@bank.example"}
"""


class Slow(SmtpServer):
    """Says nothing of a mail that it has taken before it is told to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.has_one, self.may_answer = Event(), Event()

    def take(self, content: bytes) -> str:
        self.has_one.set()
        self.may_answer.wait()
        return super().take(content)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEST_LINK_KEY", "k" * 40)
    assert run(["init"]) == 0
    return tmp_path


def with_provider(folder: Path, port: int = 1) -> list[str]:
    """The words of the command line for a provider that really sends."""
    (folder / "channels.toml").write_text(SETTINGS.replace("PORT", str(port)))
    return ["--channels", "channels.toml"]


def registered(folder: Path, zone: str) -> None:
    now = datetime.now(UTC).isoformat()
    told = {"zone": zone, "email": "c@example.com"}
    common = {"specversion": "1.0", "id": "1", "source": "/crm", "subject": "c", "time": now}
    fact = {**common, "type": "customer.registered/1", "data": told}
    (folder / "facts.jsonl").write_text(json.dumps(fact))
    assert run(["import", "cloudevents", "facts.jsonl"]) == 0


def outbox(folder: Path) -> list[tuple[str, int]]:
    connection = sqlite3.connect(folder / "tidings.db")
    try:
        return connection.execute("SELECT message, begun FROM outbox").fetchall()
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker"]])
def test_a_signal_ends_it_after_what_is_under_way(
    folder: Path, command: list[str], ending: signal.Signals
) -> None:
    now = datetime.now(UTC)
    registered(folder, f"Etc/GMT{(now.hour - 10 + 11) % 24 - 11:+}")  # where it is morning
    relay = Slow()
    with relay:
        words = [sys.executable, "-m", "tidings", *command, *with_provider(folder, relay.port)]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        served = subprocess.Popen(words, cwd=folder, env={**os.environ, "PYTHONPATH": paths})
        try:
            assert relay.has_one.wait(60)
            served.send_signal(ending)
            relay.may_answer.set()
            assert served.wait(60) == 0
        finally:
            relay.may_answer.set()
            served.kill()
            served.wait()
    assert outbox(folder) == []
    assert run(["messages", "--status", "accepted"]) == 0


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker"]])
def test_a_store_that_was_lived_ahead_of_now_is_not_served(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", "--until", "2199-12-31T00:00:00Z"]) == 0
    capsys.readouterr()
    for language, told in (("en", "lived it ahead of now"), ("zh-CN", "晚于当前时间")):
        assert run([*command, *with_provider(folder), "--lang", language]) == 1
        said = capsys.readouterr().err
        assert "tidings.db" in said
        assert "2199-12-31 00:00Z" in said
        assert told in said
        assert said.count("\n") == 1
    assert run(["run", "--until", "2199-12-31T01:00:00Z"]) == 0


def test_what_really_leaves_cannot_be_run_to_the_sandbox(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tidings, ways = opened(Settings(), folder / with_provider(folder)[1])
    begin(tidings, ways, datetime(2026, 5, 3, 12, tzinfo=UTC))
    begin(tidings, ways, datetime(2026, 5, 4, 12, tzinfo=UTC))
    tidings.engine.dispose()
    assert run(["run", "--until", "2199-12-31T00:00:00Z"]) == 1
    said = capsys.readouterr().err
    assert "really leave, by `tidings serve`, since 2026-05-03 12:00Z" in said
    assert said.count("\n") == 1


def test_what_is_served_to_the_sandbox_can_be_run(folder: Path) -> None:
    tidings, ways = opened(Settings(), None)
    begin(tidings, ways, datetime(2026, 5, 3, 12, tzinfo=UTC))
    tidings.engine.dispose()
    assert run(["run", "--until", "2199-12-31T00:00:00Z"]) == 0


def test_a_worker_that_breaks_ends_what_serves_with_it() -> None:
    ended = Event()

    def break_down(_: Event) -> None:
        raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"), Working(break_down, failed=ended.set):
        assert ended.wait(60)


def test_a_worker_works_until_the_context_ends() -> None:
    stopped: list[bool] = []
    with Working(lambda stop: stopped.append(stop.wait(60)), failed=lambda: None):
        assert stopped == []
    assert stopped == [True]
