"""One HTTP request to a provider, and what of it is certain when no answer comes.

Nothing here tries again: whether a message may be repeated is the engine's to decide.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import h2.errors
import h2.events
import h2.exceptions
import httpx2
import msgspec
from msgspec import Meta, Struct

from channels.base import Retry, Unknown
from channels.retry_after import date_of
from channels.retry_after import retry_after as wait_of
from domain.errors import InputRefused

M = TypeVar("M")
R = TypeVar("R")
Clock = Callable[[], datetime]
Place = str | httpx2.URL
# Where a provider's interface begins.
BaseUrl = Annotated[str, Meta(pattern=r"^https?://[!-~]+$")]
# Answers of providers are short; what is longer is not one of them.
LARGEST_ANSWER = 64 * 1024
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
# How long an idle connection is kept: shorter than any provider's own limit, so that it is ours to close.
_IDLE_SECONDS = 30.0


class Reply(Struct, frozen=True):
    """A whole answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotSent(Struct, frozen=True):
    """The request was certainly not acted upon: its body never left, or the server said so in HTTP/2."""

    reason: str


class Lost(Struct, frozen=True):
    """The request left and no whole answer came: it may have been acted upon."""

    reason: str


class TooLarge(Lost, frozen=True):
    """An answer of this status whose body went beyond what is read of one."""

    status: int
    headers: Mapping[str, str]


def wall_clock() -> datetime:
    """The clock on the wall, aware UTC: tokens are dated by it."""
    return datetime.now(UTC)


def no_answer(failure: NotSent | Lost, *, provider: str) -> Retry | Unknown:
    """A request without an answer as the outcome of its message."""
    if isinstance(failure, NotSent):
        return Retry(failure.reason, provider=provider)
    return Unknown(failure.reason, provider=provider)


def retry_after(reply: Reply, now: datetime) -> timedelta | None:
    """How long the answer asks to wait, six hours at most; None where it does not say.

    Source: RFC 9110 section 10.2.3: seconds, or a date, which is read beside the server's own date.
    """
    since = date_of(reply.headers.get("date", "")) or now
    return wait_of(reply.headers.get("retry-after"), since)


def word_of(said: str) -> str:
    """A provider's code for what is wrong, "" for anything else: whole sentences may hold an address."""
    return said if _WORD.fullmatch(said) else ""


def decoded(content: bytes | str, into: type[R]) -> R | None:
    """What JSON from outside says, or None where it does not say that: torn, wrong, or nested without end."""
    try:
        return msgspec.json.decode(content, type=into)
    except (ValueError, RecursionError):
        return None


class Line:
    """The connections to a provider, made inside the running loop and kept until closed.

    ``ca_file`` names certificates (PEM) that are trusted instead of the public ones. Redirects are never
    followed.
    """

    def __init__(
        self, *, timeout_seconds: float, at_once: int, http2: bool = False, ca_file: str | None = None
    ) -> None:
        self._timeout = timeout_seconds
        self._at_once = at_once
        self._http2 = http2
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way = 0
        self._streams: dict[str, Any] = {}
        self._verification = verification(ca_file)

    async def post(
        self,
        url: Place,
        content: bytes,
        headers: Mapping[str, str],
        *,
        largest: int = LARGEST_ANSWER,
    ) -> Reply | NotSent | Lost:
        """Ask once. Connecting and each part of the answer may take the timeout, all of it twice that."""
        progress = _Progress()
        await self._leave_hung_up()
        client = self._ready()
        self._under_way += 1
        try:
            async with asyncio.timeout(2 * self._timeout):
                return await self._post(client, url, content, headers, largest, progress)
        except (TimeoutError, httpx2.TimeoutException):
            return Lost("timeout") if progress.body_left else NotSent("timeout: not connected")
        except (httpx2.HTTPError, h2.exceptions.H2Error) as error:
            reason = f"http: {type(error).__name__}"
            if not progress.body_left or progress.refused(error):
                return NotSent(reason)
            return Lost(reason)
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        """Let go of the connections; the next request makes new ones."""
        client, self._client = self._client, None
        self._streams.clear()
        if client is not None:
            await client.aclose()

    async def _post(
        self,
        client: httpx2.AsyncClient,
        url: Place,
        content: bytes,
        headers: Mapping[str, str],
        largest: int,
        progress: "_Progress",
    ) -> Reply | Lost:
        # What is compressed could grow without bound once it is read.
        sent = {**headers, "accept-encoding": "identity"}
        extensions = {"trace": progress.trace}
        async with client.stream(
            "POST", url, content=content, headers=sent, extensions=extensions
        ) as response:
            self._streams[response.url.netloc.decode()] = response.extensions.get("network_stream")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > largest:
                    headers_told = dict(response.headers)
                    return TooLarge("answer: too large", response.status_code, headers_told)
            return Reply(response.status_code, dict(response.headers), bytes(body))

    def _ready(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is not None and self._loop is loop:
            return self._client
        self._loop = loop
        self._under_way = 0
        self._streams.clear()
        self._client = httpx2.AsyncClient(
            http2=self._http2,
            timeout=self._timeout,
            verify=self._verification,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=self._at_once, keepalive_expiry=_IDLE_SECONDS),
        )
        return self._client

    async def _leave_hung_up(self) -> None:
        """Let go of connections that a server closed while they were idle: what goes over them is lost.

        The pool looks at that by itself in HTTP/1.1 only.
        """
        if not self._http2 or self._under_way or self._loop is not asyncio.get_running_loop():
            return
        if any(stream.get_extra_info("is_readable") for stream in self._streams.values()):
            await self.close()


class _Progress:
    """How far one request has come."""

    def __init__(self) -> None:
        self.body_left = False
        self._stream = 0

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        # A server cannot act on a request whose announced body it has not got.
        if name.endswith("send_request_body.started"):
            self.body_left = True
            self._stream = info.get("stream_id", 0)

    def refused(self, error: Exception) -> bool:
        """Whether the server says that it did not act. Source: RFC 9113 section 8.7."""
        event = error.__cause__.args[0] if error.__cause__ is not None and error.__cause__.args else None
        match event:
            case h2.events.StreamReset(error_code=code):
                return code == h2.errors.ErrorCodes.REFUSED_STREAM
            case h2.events.ConnectionTerminated(last_stream_id=last):
                return last is not None and self._stream > last
            case _:
                return False


def verification(ca_file: str | None) -> ssl.SSLContext | bool:
    """How a server proves who it is: by the certificates of this file, else by the public ones.

    Raises InputRefused for a file that holds none.
    """
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # an ssl.SSLError is one
        raise InputRefused("calling.ca_file", file=ca_file, reason=str(error)) from error
