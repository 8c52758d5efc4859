"""Mails: how many a second of the processor are handed to an SMTP server, which is another process.

Beside ours runs the bare loop: the same calls of aiosmtplib (MAIL, RCPT, DATA) on as many connections, once
with bytes that lie ready and once making the same mails on the way. Ours makes its mails on the way; in
lockstep it waits for each reply as the bare loop must, else it uses PIPELINING. Rounds take turns, and
the best of each counts, since nothing but another program makes one slower.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import aiosmtplib
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.command import Figures, Size, main, rounded
from bench.place import Place
from bench.stopwatch import Spent, Stopwatch
from channels.base import Accepted, Outgoing
from channels.mail_signing import Dkim
from channels.mime import Composer, Sender
from channels.secret import Secret
from channels.smtp import Smtp, SmtpSettings

_MAILS = {"quick": 4_000, "full": 20_000}
_ROUNDS = 3
_CONNECTIONS = 4
_DOMAIN = "bank.example"
_SENDER = Sender(address=f"care@{_DOMAIN}", names={"en": "Example Bank"})
_SERVER = Path(__file__).parent.parent / "tests" / "support" / "smtp_server.py"
_AT = datetime(2026, 5, 3, 7, tzinfo=UTC)
_TEXT = "Dear customer,\n\nyour deposit ends on 17 May. Would you like to talk about what comes next?\n" * 4
_HTML = (
    "<html><body>" + "<tr><td style='padding:8px'>Ihr Termin, váš termín</td></tr>\n" * 60 + "</body></html>"
)

Sending = Callable[[Sequence[Outgoing]], Awaitable[None]]


def measure(size: Size, _: Place) -> Figures:
    """All ways in turn, to one server."""
    messages = [_message(number) for number in range(_MAILS[size])]
    keys = {"rsa": _rsa_key(), "ed25519": _ed25519_key()}
    with TemporaryDirectory() as folder, _server() as port:
        signed = {name: _dkim(name, key, Path(folder)) for name, key in keys.items()}
        ways: dict[str, Callable[[], Sending]] = {
            "ours": lambda: _ours(port),
            "ours_lockstep": lambda: _ours(port, pipelining=False),
            "bare": lambda: _bare(port, ready=messages),
            "bare_making": lambda: _bare(port),
            "ours_rsa": lambda: _ours(port, signed["rsa"]),
            "ours_ed25519": lambda: _ours(port, signed["ed25519"]),
        }
        best = {name: min(took) for name, took in _rounds(ways, messages).items()}
    made = _composing(messages)
    rate = {name: len(messages) / seconds for name, seconds in best.items()}
    return {
        "mails": len(messages),
        "connections": _CONNECTIONS,
        "bytes_per_mail": len(_content(messages[0])),
        "mails_per_cpu_s": rounded(rate["ours"]),
        "lockstep_mails_per_cpu_s": rounded(rate["ours_lockstep"]),
        "bare_mails_per_cpu_s": rounded(rate["bare"]),
        "bare_making_mails_per_cpu_s": rounded(rate["bare_making"]),
        "signed_rsa_mails_per_cpu_s": rounded(rate["ours_rsa"]),
        "signed_ed25519_mails_per_cpu_s": rounded(rate["ours_ed25519"]),
        "us_to_make_a_mail": rounded(made.cpu_seconds / len(messages) * 1e6),
        "times_bare": rounded(rate["ours"] / rate["bare"]),
        "times_bare_making": rounded(rate["ours"] / rate["bare_making"]),
        "lockstep_times_bare": rounded(rate["ours_lockstep"] / rate["bare"]),
        "lockstep_times_bare_making": rounded(rate["ours_lockstep"] / rate["bare_making"]),
    }


def _rounds(ways: dict[str, Callable[[], Sending]], messages: Sequence[Outgoing]) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            took[name].append(asyncio.run(_timed(way(), messages)).cpu_seconds)
    return took


async def _timed(send: Sending, messages: Sequence[Outgoing]) -> Spent:
    with Stopwatch() as watch:
        await send(messages)
    return watch.spent


def _ours(port: int, *dkim: Dkim, pipelining: bool = True) -> Sending:
    settings = SmtpSettings(
        host="127.0.0.1",
        port=port,
        tls="none",
        sender=_SENDER,
        connections=_CONNECTIONS,
        messages_per_connection=1_000_000,
        dkim=dkim,
        pipelining=pipelining,
    )
    channel = Smtp("bench", settings)

    async def send(messages: Sequence[Outgoing]) -> None:
        outcomes = await channel.send(messages)
        if not all(isinstance(outcome, Accepted) for outcome in outcomes):
            raise AssertionError(f"not all were taken: {set(map(type, outcomes))}")
        await channel.close()

    return send


def _bare(port: int, ready: Sequence[Outgoing] = ()) -> Sending:
    contents = {message.id: _content(message) for message in ready}

    async def send(messages: Sequence[Outgoing]) -> None:
        waiting = iter(messages)

        async def carry() -> None:
            client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
            await client.connect()
            for message in waiting:
                content = contents.get(message.id) or _content(message)
                await client.mail(_SENDER.address)
                await client.rcpt(message.address)
                await client.data(content)
            await client.quit()

        await asyncio.gather(*(carry() for _ in range(_CONNECTIONS)))

    return send


_COMPOSER = Composer(_SENDER, domain=_DOMAIN)


def _content(message: Outgoing) -> bytes:
    envelope = _COMPOSER.envelope(message)
    if envelope is None:
        raise AssertionError(f"{message.address} is no address")
    return envelope.content


def _composing(messages: Sequence[Outgoing]) -> Spent:
    with Stopwatch() as watch:
        for message in messages:
            _content(message)
    return watch.spent


def _message(number: int) -> Outgoing:
    identity = str(UUID(int=number, version=5))
    return Outgoing(
        id=identity,
        channel="email",
        address=f"customer-{number}@example.com",
        language="en",
        heading="Your deposit ends soon",
        text=_TEXT,
        html=_HTML,
        purpose="marketing",
        at=_AT,
        unsubscribe=f"https://{_DOMAIN}/unsubscribe/{identity}",
    )


def _rsa_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _ed25519_key() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _dkim(name: str, key: bytes, folder: Path) -> Dkim:
    path = folder / f"{name}.pem"
    path.write_bytes(key)
    return Dkim(domain=_DOMAIN, selector=name, key=Secret(file=str(path)))


@contextmanager
def _server() -> Iterator[int]:
    process = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, str(_SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        if process.stdout is None or process.stdin is None:
            raise AssertionError("the server has no pipes")
        try:
            port: int = json.loads(process.stdout.readline())["port"]
            yield port
        finally:
            process.stdin.close()


if __name__ == "__main__":
    main(measure)
