"""Connections to one SMTP server: opened when they are needed, few, and used again and again."""

import asyncio
import socket
import ssl
from collections import deque

import aiosmtplib
from msgspec import Struct

from channels.smtp_connection import Connection
from channels.smtp_replies import Reply
from channels.smtp_wire import Broken

_CLOSING_SECONDS = 5.0


class Way(Struct, frozen=True, kw_only=True):
    """Where the server is and how it is spoken to: ``tls`` from the first byte on, or by ``starttls``."""

    host: str
    port: int
    own_name: str
    timeout: float
    tls: bool = False
    starttls: bool = False
    pipelining: bool = True
    context: ssl.SSLContext | None = None
    username: str | None = None
    password: str = ""


class Unreachable(Exception):
    """No connection came about, so nothing was taken. ``reason`` holds codes only."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Pool:
    """At most ``size`` connections at a time, each for ``most`` mails, closed when idle for a while."""

    def __init__(self, way: Way, *, size: int, most: int, idle_seconds: float) -> None:
        self._way = way
        self._size = size
        self._most = most
        self._idle_seconds = idle_seconds
        self._forget()

    @property
    def wanted(self) -> bool:
        """Whether others wait for a connection."""
        return bool(self._waiting)

    async def take(self, *, fresh: bool = False) -> Connection:
        """A connection, a new one if ``fresh``; give it back. Raises Unreachable where there is none."""
        self._settle_in()
        await self._turn()
        try:
            if fresh:
                # One that the server has closed is seldom alone.
                self._part(self._idle)
                self._idle.clear()
            while self._idle:
                connection = self._idle.pop()
                if connection.usable:
                    return connection
                connection.leave()
            connection = await self._opened()
        except BaseException:
            self._release()
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        """Let others have it."""
        if connection.usable:
            self._idle.append(connection)
        else:
            connection.leave()
        self._release()

    async def close(self) -> None:
        """Say goodbye on all connections. Those of a loop that has ended have gone with it."""
        if self._loop is not asyncio.get_running_loop():
            self._forget()
            return
        connections, keeper = list(self._open), self._keeper
        self._idle.clear()
        self._part(connections)
        if connections:
            gone = [connection.gone for connection in connections]
            await asyncio.wait(gone, timeout=_CLOSING_SECONDS)
            for connection in connections:
                connection.abort()
            await asyncio.wait(gone)
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        self._forget()

    def _forget(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._free = self._size
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()

    def _settle_in(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._forget()
            self._loop = loop
            self._keeper = loop.create_task(self._keep(self._open))

    async def _keep(self, connections: set[Connection]) -> None:
        """Part with what nobody has used for a while, and when the loop ends with everything."""
        try:
            while True:
                await asyncio.sleep(self._idle_seconds)
                last = asyncio.get_running_loop().time() - self._idle_seconds
                while self._idle and self._idle[0].used_at < last:
                    self._idle.popleft().leave()
        finally:
            for connection in list(connections):
                connection.abort()

    async def _turn(self) -> None:
        """Wait until one connection more may be used; who waits longest is next."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _part(self, connections: "deque[Connection] | list[Connection]") -> None:
        for connection in connections:
            connection.leave()

    async def _opened(self) -> Connection:
        connection = await connect(self._way, most=self._most)
        self._open.add(connection)
        among = self._open
        connection.gone.add_done_callback(lambda _: among.discard(connection))
        return connection


async def connect(way: Way, *, most: int) -> Connection:
    """A connection that is encrypted and signed in as asked. Raises Unreachable."""
    client = aiosmtplib.SMTP(
        hostname=way.host,
        port=way.port,
        local_hostname=way.own_name,
        timeout=way.timeout,
        use_tls=way.tls,
        start_tls=False,
        tls_context=way.context,
    )
    opened: list[asyncio.BaseTransport | None] = []
    try:
        await client.connect()
        opened.append(client.transport)
        await client.ehlo()
        if way.starttls:
            if not client.supports_extension("starttls"):
                raise Unreachable("smtp starttls not offered")
            await client.starttls()
            opened.append(client.transport)
            await client.ehlo()
        if way.username is not None:
            await client.login(way.username, way.password)
        return Connection(client, timeout=way.timeout, most=most, pipelining=way.pipelining)
    except (aiosmtplib.SMTPException, OSError, ValueError, Broken) as error:
        _abandon(client, opened)
        raise Unreachable(_why(error)) from error
    except BaseException:
        _abandon(client, opened)
        raise


def _abandon(client: aiosmtplib.SMTP, opened: list[asyncio.BaseTransport | None]) -> None:
    client.close()
    for transport in reversed(opened):
        # An encrypted connection that is only closed waits for the server to say goodbye.
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


def _why(error: Exception) -> str:
    """The reason in words and codes; what the server or the system says may hold names."""
    cause = error if isinstance(error, ssl.SSLError | ssl.CertificateError) else error.__cause__
    match error:
        case aiosmtplib.SMTPAuthenticationError(code=code, message=message):
            return Reply(code, message).told.replace("smtp", "smtp auth", 1)
        case aiosmtplib.SMTPResponseException(code=code, message=message) if code > 0:
            return Reply(code, message).told
        case aiosmtplib.SMTPTimeoutError() | TimeoutError():
            return "smtp connect timeout"
    match cause:
        case ssl.SSLError():
            return "smtp tls"
        case socket.gaierror():
            return "smtp dns"
        case ConnectionRefusedError():
            return "smtp connection refused"
    return "smtp connect"
