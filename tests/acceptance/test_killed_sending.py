"""The sender is killed over and over: by purpose at most once, or the same one again; nothing stays open."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from domain.catalogue import ChannelName
from support.campaign import fought
from support.served import ROOT
from support.stream import Provider

SEED = int(os.environ.get("TIDINGS_TEST_SEED", "5"))
MESSAGES, KILLS = 5_000, 50
HEAD = """
public_url = "http://127.0.0.1:1"
link_keys = [{env = "TEST_LINK_KEY"}]
"""
SMTP = """
[routes]
email = ["relay"]
[providers.relay]
kind = "smtp"
host = "127.0.0.1"
port = PORT
tls = "none"
sender = {address = "care@bank.example", names = {en = "Your bank"}}
"""
ACCOUNT = "AC00000000000000000000000000000001"
TWILIO = f"""
[routes]
sms = ["twilio"]
[providers.twilio]
kind = "twilio"
account_sid = "{ACCOUNT}"
auth_token = {{env = "TEST_TOKEN"}}
sender = "+15005550006"
callback_url = "http://127.0.0.1:1/callbacks/twilio"
base_url = "http://127.0.0.1:PORT"
"""


PUSH = """
[routes]
push = ["devices"]
[providers.devices]
kind = "push"
"""
FCM = (
    PUSH
    + """
[providers.devices.fcm]
service_account = {file = "FOLDER/service-account.json"}
base_url = "http://127.0.0.1:PORT"
token_uri = "http://127.0.0.1:PORT/token"
"""
)
APNS = (
    PUSH
    + """
[providers.devices.apns]
key = {file = "FOLDER/apns.p8"}
key_id = "KEY1234567"
team_id = "TEAM123456"
topic = "com.example.bank"
base_url = "https://127.0.0.1:PORT"
ca_file = "FOLDER/ca.pem"
"""
)
WEB = (
    PUSH
    + """
[providers.devices.web]
subject = "mailto:push@bank.example"
key = {file = "FOLDER/vapid.pem"}
hosts = ["127.0.0.1:PORT"]
allow_http = true
"""
)
WECHAT = """
[routes]
wechat = ["account"]
[providers.account]
kind = "wechat"
appid = "wx0123456789abcdef"
secret = {file = "FOLDER/app-secret"}
base_url = "http://127.0.0.1:PORT"
"""


@contextmanager
def stand_in(*command: str) -> Iterator[int]:
    """A provider in a process of its own; gives the port that it says it listens on."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        yield int(said["port"] if isinstance(said, dict) else said)
    finally:
        process.terminate()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def ways(folder: Path, settings: str, port: int) -> list[str]:
    """The words of the command line for these settings of channels."""
    path = folder / "channels.toml"
    told = settings.replace("PORT", str(port)).replace("FOLDER", str(folder))
    path.write_text(HEAD + told)
    return ["--channels", str(path)]


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_LINK_KEY", "k" * 40)
    monkeypatch.setenv("TEST_TOKEN", "token")


def lines(path: Path) -> Sequence[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.long
@pytest.mark.slow
def test_a_provider_that_can_be_asked_gets_everything_exactly_once(tmp_path: Path) -> None:
    record = tmp_path / "taken"
    provider = Provider(record)
    campaign = fought(
        tmp_path,
        "email",
        messages=800,
        kills=8,
        seed=SEED,
        ways=["--record", str(record)],
        taken=lambda: [line.split()[0] for line in provider.taken()],
    )
    campaign.check()
    assert set(campaign.taken.values()) == {1}
    assert {entry.status for entry in campaign.ledger} == {"accepted"}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_mail(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    with stand_in("support.smtp_server", "--taken", str(taken)) as port:
        campaign = fought(
            tmp_path,
            "email",
            messages=MESSAGES,
            kills=KILLS,
            seed=SEED,
            ways=ways(tmp_path, SMTP, port),
            taken=lambda: [line.split()[0].strip("<>").partition("@")[0] for line in lines(taken)],
            customer=lambda number: {"email": f"c-{number}@example.com"},
        )
    campaign.check()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_texts(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    account = ("--account", ACCOUNT, "--token", "token")
    with stand_in("support.twilio_server", "--taken", str(taken), *account) as port:
        campaign = fought(
            tmp_path,
            "sms",
            messages=MESSAGES,
            kills=KILLS,
            seed=SEED,
            ways=ways(tmp_path, TWILIO, port),
            taken=lambda: [json.loads(line)["id"] for line in lines(taken)],
            customer=lambda number: {"phone": f"+420601{number:06}"},
        )
    campaign.check()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("kind", "settings", "channel"),
    [("fcm", FCM, "push"), ("apns", APNS, "push"), ("webpush", WEB, "push"), ("wechat", WECHAT, "wechat")],
)
def test_push_and_wechat(kind: str, settings: str, channel: ChannelName, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    with stand_in("support.push_servers", kind, "--folder", str(tmp_path), "--log", str(taken)) as port:
        subscription = tmp_path / "subscription.json"
        campaign = fought(
            tmp_path,
            channel,
            messages=MESSAGES,
            kills=KILLS,
            seed=SEED,
            ways=ways(tmp_path, settings, port),
            taken=lambda: [json.loads(line)["key"] for line in lines(taken)],
            customer=lambda number: {
                "device": f"apns:{number:064x}" if kind == "apns" else f"fcm:device-{number}",
                "wechat": f"open-{number}",
            },
            device=f"web:{subscription.read_text()}" if kind == "webpush" else "",
        )
    campaign.check()
