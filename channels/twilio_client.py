"""Twilio's own asynchronous client, on connections that have a limit, a time and a longest answer.

The library lets answers take for ever (its asynchronous client ignores the time-out that it is given), reads
them whatever their size, and drops their headers, ``Retry-After`` among them. What it calls for its requests
is therefore put between it and aiohttp.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

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


class Login(NamedTuple):
    """Who we are to Twilio: the account, and as whom we sign in, itself or an API key."""

    account: str
    user: str
    password: str


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
    """What must be said of a message; the library believes whatever comes."""

    sid: Annotated[str, Meta(min_length=1, max_length=64)]
    body: str | None = None
    direction: str | None = None
    date_created: str | None = None
    date_updated: str | None = None
    date_sent: str | None = None


class _Page(Struct, frozen=True):
    messages: list[_Told]
    next_page_uri: str | None = None


class _Error(Struct, frozen=True):
    code: int | None = None


class Line:
    """An open client and the loop that its connections belong to."""

    def __init__(self, login: Login, where: Where) -> None:
        self.loop = asyncio.get_running_loop()
        self._http = AsyncTwilioHttpClient(pool_connections=False)
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
            response_class=_Bounded,
        )

    async def request(self, **asked: Any) -> ClientResponse:
        """The answer, read to its end. Raises Refusal, Unreadable, and what aiohttp raises."""
        asked["timeout"] = self._timeout
        response = await self._session.request(**asked)
        body = await response.read()
        if not 200 <= response.status < 300:
            after = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            raise Refusal(response.status, _code(body), after)
        try:
            self._readers[asked["method"]].decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreadable from error
        return response

    async def close(self) -> None:
        await self._session.close()


class _Bounded(ClientResponse):
    """A response that is given up when it grows too long."""

    async def read(self) -> bytes:
        length = self.content_length
        if self._body is None and (
            length is None or length > _LONGEST_ANSWER or "Content-Encoding" in self.headers
        ):
            read = bytearray()
            async for part in self.content.iter_any():
                read += part
                if len(read) > _LONGEST_ANSWER:
                    self.close()
                    raise ClientPayloadError("the answer is too long")
            self._body = bytes(read)
        return await super().read()


def _code(body: bytes) -> int | None:
    try:
        return msgspec.json.decode(body, type=_Error).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
