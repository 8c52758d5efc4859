"""Twilio's own asynchronous client, on connections that have a limit, a time and a longest answer.

The library lets answers take for ever (its asynchronous client ignores the time-out that it is given), reads
them whatever their size, and drops their headers, ``Retry-After`` among them. What it calls for its requests
is therefore put between it and aiohttp.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from aiohttp import (
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    encode_basic_auth,
)
from msgspec import Meta, Struct
from twilio.http.async_http_client import AsyncTwilioHttpClient  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from channels.retry_after import retry_after

BASE_URL = "https://api.twilio.com"
# A page of a thousand long messages is below 4 MiB.
_LONGEST_ANSWER = 8 << 20
# Shorter than servers keep them: a request on a connection that is just being closed has an unknown outcome.
_IDLE_SECONDS = 10.0
_TO_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Login:
    """Who we are to Twilio: the account, and as whom we sign in, itself or an API key."""

    account: str
    user: str
    password: str = field(repr=False)


class Where(NamedTuple):
    """Which Twilio is called, and how. ``edge`` and ``region`` count at Twilio's own address only."""

    base_url: str
    edge: str | None
    region: str | None
    connections: int
    seconds: float


class Refusal(Exception):
    """An answer that is not a success; ``code`` is Twilio's, None where the answer is not Twilio's own."""

    def __init__(self, status: int, code: int | None, after: timedelta | None) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code
        self.after = after


class Unreadable(Exception):
    """A success that does not say what was taken."""


class _Told(Struct, frozen=True):
    """What must be said of a new message; the library believes whatever comes."""

    sid: Annotated[str, Meta(min_length=1, max_length=64)]


class _Listed(_Told, frozen=True):
    body: str | None = None
    direction: str | None = None
    date_created: str | None = None


class _Page(Struct, frozen=True):
    messages: list[_Listed]
    next_page_uri: str | None = None


class _Error(Struct, frozen=True):
    code: int | None = None


class Line:
    """An open client and the loop that its connections belong to."""

    def __init__(self, login: Login, where: Where) -> None:
        self.loop = asyncio.get_running_loop()
        self._http = AsyncTwilioHttpClient(pool_connections=False, logger=_Silent())
        self._http.session = _Session(where)
        own = where.base_url == BASE_URL
        client = Client(
            login.user,
            login.password,
            login.account,
            region=where.region if own else None,
            http_client=self._http,
            # Not the process's: variables called TWILIO_* must not change where messages go.
            environment={"TIDINGS": "1"},
            edge=where.edge if own else None,
            # Else the library makes the header anew for each message, by a call that aiohttp gives up.
            credential_provider=_Basic(login),
        )
        client.api.base_url = where.base_url
        self.messages: Any = client.messages

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()


class _Basic:
    """Basic authentication, made once: the library's way to give credentials of one's own."""

    auth_type = "basic"

    def __init__(self, login: Login) -> None:
        self._header = encode_basic_auth(login.user, login.password)

    def to_auth_strategy(self) -> "_Basic":
        return self

    def get_auth_string(self) -> str:
        return self._header

    def requires_authentication(self) -> bool:
        return True


class _Session:
    """What the library calls for its requests instead of aiohttp's own session."""

    _readers: Mapping[str, msgspec.json.Decoder[Any]] = {
        "POST": msgspec.json.Decoder(_Told),
        "GET": msgspec.json.Decoder(_Page),
    }

    def __init__(self, where: Where) -> None:
        self._timeout = ClientTimeout(
            total=where.seconds, connect=min(_TO_CONNECT_SECONDS, where.seconds / 2)
        )
        self._session = ClientSession(
            connector=TCPConnector(limit=where.connections, keepalive_timeout=_IDLE_SECONDS),
            cookie_jar=DummyCookieJar(),
        )

    async def request(self, *, method: str, data: Mapping[str, str] | None, **asked: Any) -> "_Checked":
        """The answer, read to its end. Raises Refusal, Unreadable, and what aiohttp raises."""
        asked["timeout"] = self._timeout
        response = await self._session.request(method, data=urlencode(data) if data else None, **asked)
        body = await _read(response)
        if not 200 <= response.status < 300:
            after = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            raise Refusal(response.status, _code(body), after)
        try:
            told = self._readers[method].decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreadable from error
        return _Checked(response, msgspec.json.encode(told).decode())

    async def close(self) -> None:
        await self._session.close()


class _Checked:
    """An answer of which the library sees what is asked of it and has been checked, and parses no more."""

    def __init__(self, response: ClientResponse, content: str) -> None:
        self.status = response.status
        self.headers = response.headers
        self._content = content

    async def text(self) -> str:
        return self._content


class _Silent:
    """A logger for the library, which tells the numbers that it asks for."""

    def info(self, *_: object) -> None:
        """Nothing is told."""


async def _read(response: ClientResponse) -> bytes:
    """The body; one that grows too long is given up."""
    length = response.content_length
    if length is not None and length <= _LONGEST_ANSWER and "Content-Encoding" not in response.headers:
        return await response.read()
    read = bytearray()
    async for part in response.content.iter_any():
        read += part
        if len(read) > _LONGEST_ANSWER:
            response.close()
            raise ClientPayloadError("the answer is too long")
    return bytes(read)


def _code(body: bytes) -> int | None:
    try:
        return msgspec.json.decode(body, type=_Error).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
