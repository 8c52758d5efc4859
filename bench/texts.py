"""Texts by Twilio: messages for each second of our processor, beside a bare loop over Twilio's own client.

Both send the same messages over the same number of connections to the same server, which runs in a process of
its own; they take turns, so that what else the machine does falls on both.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from twilio.http.async_http_client import AsyncTwilioHttpClient  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from bench.command import Figures, Size, main, rounded
from bench.place import Place
from bench.stopwatch import Stopwatch
from channels.base import Accepted, Outgoing
from channels.secret import Secret
from channels.twilio_sms import Twilio, TwilioSettings

_MESSAGES = {"quick": 1_500, "full": 10_000}
_ROUNDS = 5
_AT_ONCE = 16
_ACCOUNT = "AC" + "0" * 31 + "b"
_TOKEN = "of-the-benchmark"  # noqa: S105 - nobody else's
_SENDER = "+15005550006"
_CALLBACK = "https://bank.example/callbacks/twilio"
_ROOT = Path(__file__).parent.parent


def measure(size: Size, place: Place) -> Figures:
    """Send them all in rounds, ours and the bare ones by turns; the figures are medians of the rounds."""
    del place  # nothing is stored
    os.environ["TIDINGS_BENCH_TWILIO"] = _TOKEN
    messages = [_message(number) for number in range(_MESSAGES[size])]
    with _server() as url:
        asyncio.run(_ours(url, messages[:100]))
        asyncio.run(_bare(url, messages[:100]))
        rounds = [
            (asyncio.run(_ours(url, messages)), asyncio.run(_bare(url, messages))) for _ in range(_ROUNDS)
        ]
    number = len(messages)
    return {
        "messages": number,
        "at_once": _AT_ONCE,
        "messages_per_cpu_s": rounded(median(number / ours.spent.cpu_seconds for ours, _ in rounds)),
        "bare_messages_per_cpu_s": rounded(median(number / bare.spent.cpu_seconds for _, bare in rounds)),
        "messages_per_s": rounded(median(number / ours.spent.seconds for ours, _ in rounds)),
        "bare_messages_per_s": rounded(median(number / bare.spent.seconds for _, bare in rounds)),
        "share_of_bare": rounded(
            median(bare.spent.cpu_seconds / ours.spent.cpu_seconds for ours, bare in rounds)
        ),
    }


async def _ours(url: str, messages: Sequence[Outgoing]) -> Stopwatch:
    settings = TwilioSettings(
        account_sid=_ACCOUNT,
        auth_token=Secret(env="TIDINGS_BENCH_TWILIO"),
        sender=_SENDER,
        callback_url=_CALLBACK,
        base_url=url,
        concurrency=_AT_ONCE,
    )
    twilio, watch = Twilio("twilio", settings), Stopwatch()
    with watch:
        outcomes = await twilio.send(messages)
    await twilio.close()
    if not all(isinstance(outcome, Accepted) for outcome in outcomes):
        raise AssertionError("not everything was accepted")
    return watch


async def _bare(url: str, messages: Sequence[Outgoing]) -> Stopwatch:
    http = AsyncTwilioHttpClient()
    client: Any = Client(_ACCOUNT, _TOKEN, http_client=http)
    client.api.base_url = url
    waiting, watch = iter(messages), Stopwatch()

    async def work() -> None:
        for message in waiting:
            await client.messages.create_async(
                to=message.address,
                from_=_SENDER,
                body=message.text,
                status_callback=f"{_CALLBACK}?message={message.id}",
            )

    with watch:
        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    await http.close()
    return watch


@contextmanager
def _server() -> Iterator[str]:
    """The base URL of a stand-in for Twilio in a process of its own."""
    process = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-m", "support.twilio_server", "--account", _ACCOUNT, "--token", _TOKEN],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT / "tests")},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()


def _message(number: int) -> Outgoing:
    return Outgoing(
        id=f"00000000-0000-5000-8000-{number:012}",
        channel="sms",
        address=f"+4206010{number:05}",
        language="en",
        heading="",
        text=f"Dear customer {number}, your deposit comes to an end on 3 May. Your bank wishes you well.",
        purpose="service",
        at=datetime(2026, 5, 3, 7, tzinfo=UTC),
    )


if __name__ == "__main__":
    main(measure)
