"""Tidings sends through the real client libraries to stand-ins on this machine, and hears what comes back.

``python examples/loopback/run.py [FOLDER]``: starts the stand-ins and ``tidings serve``, lets three customers
be greeted by every channel, has Twilio report a delivery, and shows the ledger. Everything ends with it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ACCOUNT, TOKEN = "AC00000000000000000000000000000001", "example-token"
SECRETS = {
    "EXAMPLE_LINK_KEY": "example-link-key-of-forty-characters-0001",
    "EXAMPLE_API_KEY": "example-api-key",
    "EXAMPLE_TWILIO_TOKEN": TOKEN,
}
ENVIRONMENT = {**os.environ, **SECRETS, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
STAND_INS = {
    "SMTP": ["support.smtp_server"],
    "TWILIO": ["support.twilio_server", "--account", ACCOUNT, "--token", TOKEN],
    "FCM": ["support.push_servers", "fcm", "--folder", "FOLDER"],
    "WECHAT": ["support.push_servers", "wechat", "--folder", "FOLDER"],
}
LOGS = {"SMTP": "--taken", "TWILIO": "--taken", "FCM": "--log", "WECHAT": "--log"}


def main() -> None:
    """Run the example in a folder of its own."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="tidings-"))
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        ports = {name: stack.enter_context(stand_in(name, folder)) for name in STAND_INS}
        ports["SERVE"] = free_port()
        channels = settings(folder, ports)
        store = f"sqlite:///{folder / 'tidings.db'}"
        tidings("init", "--alone", "--store", store)
        tidings(
            "journeys",
            "publish",
            HERE / "hello.yaml",
            "--template",
            HERE / "hello-template.yaml",
            "--store",
            store,
        )
        stack.enter_context(serving(store, channels, ports["SERVE"]))
        post(f"http://127.0.0.1:{ports['SERVE']}/facts", facts())
        ledger = wait_for(store, "accepted", 15)
        text = next(entry for entry in ledger if entry["channel"] == "sms")
        reported(ports["SERVE"], text["id"])
        wait_for(store, "delivered", 1)
        print(tidings("messages", "--store", store))
        print(tidings("why", text["id"], "--store", store).split("\n\n")[0])
        print(tidings("audit", "verify", "--store", store))
        for name in STAND_INS:
            print(f"{name.lower()}: {len((folder / name).read_text().splitlines())} taken")


@contextmanager
def stand_in(name: str, folder: Path) -> Iterator[int]:
    """A provider's stand-in as a process; gives its port."""
    words = [word.replace("FOLDER", str(folder)) for word in STAND_INS[name]]
    with process([sys.executable, "-m", *words, LOGS[name], str(folder / name)]) as started:
        said = json.loads(started.stdout.readline() if started.stdout else b"0")
        yield said["port"] if isinstance(said, dict) else said


@contextmanager
def serving(store: str, channels: Path, port: int) -> Iterator[None]:
    """``tidings serve`` as a process, once it answers."""
    words = [sys.executable, "-m", "tidings", "serve", "--store", store, "--channels", str(channels)]
    with process([*words, "--port", str(port)]):
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield


@contextmanager
def process(words: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is ended with the block."""
    started = subprocess.Popen(
        words, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        yield started
    finally:
        started.terminate()
        started.communicate()


def settings(folder: Path, ports: Mapping[str, int]) -> Path:
    """The settings of channels with the ports that the stand-ins got."""
    text = (HERE / "channels.toml").read_text(encoding="utf-8").replace("FOLDER", str(folder))
    for name, port in ports.items():
        text = text.replace(f"PORT_{name}", str(port))
    path = folder / "channels.toml"
    path.write_text(text, encoding="utf-8")
    return path


def facts() -> str:
    """Three customers who live where it is morning now, and a hello for each."""
    now = datetime.now(UTC)
    zone = f"Etc/GMT{(now.hour - 10 + 11) % 24 - 11:+}"
    at, lines = now.isoformat(), []
    for number, (name, language) in enumerate([("Jana", "en"), ("Tom", "en"), ("小芳", "zh-CN")], 1):
        who = {"given_name": name, "language": language, "zone": zone, "email": f"c-{number}@example.com"}
        ways = {"phone": f"+42060100000{number}", "device": f"fcm:phone-{number}", "wechat": f"open-{number}"}
        common = {"specversion": "1.0", "source": "/example", "subject": f"c-{number}", "time": at}
        told = {**common, "id": f"r-{number}", "type": "customer.registered/1", "data": {**who, **ways}}
        lines += [told, {**common, "id": f"h-{number}", "type": "x.hello/1", "data": {}}]
    return "\n".join(json.dumps(line) for line in lines)


def reported(port: int, message: str) -> None:
    """Twilio reports that a text was delivered, signed as Twilio signs."""
    from twilio.request_validator import RequestValidator

    url = f"http://127.0.0.1:{port}/callbacks/twilio?message={message}"
    fields = {"MessageSid": "SM0", "MessageStatus": "delivered", "AccountSid": ACCOUNT}
    signature = RequestValidator(TOKEN).compute_signature(url, fields)
    body = "&".join(f"{name}={value}" for name, value in fields.items())
    kind = "application/x-www-form-urlencoded"
    post(url, body, {"X-Twilio-Signature": signature, "Content-Type": kind})


def post(url: str, body: str, headers: Mapping[str, str] | None = None) -> None:
    """One request; with the bank's key where no other headers are given."""
    given = headers or {
        "Authorization": f"Bearer {SECRETS['EXAMPLE_API_KEY']}",
        "Content-Type": "application/x-ndjson",
    }
    urllib.request.urlopen(urllib.request.Request(url, body.encode(), dict(given)), timeout=30).close()


def wait_for(store: str, word: str, number: int) -> list[dict[str, str]]:
    """The ledger, once so many messages stand so."""
    for _ in range(150):
        ledger: list[dict[str, str]] = json.loads(tidings("messages", "--json", "--store", store))
        if sum(word in (entry["status"], entry["delivery"]) for entry in ledger) >= number:
            return ledger
        time.sleep(0.2)
    raise SystemExit(f"{number} messages should be {word}:\n{tidings('messages', '--store', store)}")


def tidings(*words: object) -> str:
    """What a command of Tidings says."""
    command = [sys.executable, "-m", "tidings", *map(str, words)]
    return subprocess.run(
        command, env=ENVIRONMENT, check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout


def free_port() -> int:
    """A port that is free now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main()
