"""The stand-ins as processes of their own, as tests that kill processes start them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from channels.base import Accepted, Unknown
from channels.fcm import Fcm, FcmSettings
from channels.secret import Secret
from support.channel_contract import outgoing
from support.closing import ClosedAfterwards

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def started(kind: str, folder: Path, *more: str) -> Iterator[int]:
    """The stand-in in a process of its own, killed at the end; its port."""
    command = [sys.executable, "-m", "support.push_servers", kind, "--folder", str(folder), *more]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("fcm", {"service-account.json"}),
        ("apns", {"ca.pem", "apns.p8"}),
        ("webpush", {"vapid.pem"}),
        ("wechat", {"app-secret"}),
        ("webhook", {"webhook-secret"}),
    ],
)
def test_each_runs_as_a_process_and_leaves_what_an_adapter_needs(
    kind: str, keys: set[str], tmp_path: Path
) -> None:
    with started(kind, tmp_path) as port:
        assert port > 0
        assert keys <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_what_was_taken_is_in_the_log_whatever_was_answered(tmp_path: Path) -> None:
    log = tmp_path / "taken.jsonl"
    with started("fcm", tmp_path, "--log", str(log), "--first", "drop-taken") as port:
        settings = FcmSettings(
            service_account=Secret(file=str(tmp_path / "service-account.json")),
            base_url=f"http://127.0.0.1:{port}",
            token_uri=f"http://127.0.0.1:{port}/token",
            concurrency=1,
        )
        messages = [outgoing(number, channel="push", address="fcm:device-1") for number in (1, 2)]
        outcomes = asyncio.run(ClosedAfterwards(Fcm("google", settings)).send(messages))
    assert [type(outcome) for outcome in outcomes] == [Unknown, Accepted]
    taken = [json.loads(line) for line in log.read_text().splitlines()]
    assert taken == [{"key": message.id, "to": "device-1"} for message in messages]
