"""The wire below a connection: what is written, and replies in the order in which they come.

aiosmtplib connects, encrypts and signs in. Its own reader loses replies that come together, so afterwards
the transport is taken over by this one.
"""

import asyncio
from collections import deque

import aiosmtplib

from channels.smtp_replies import Reply

_GOODBYE_SECONDS = 2.0
_LONGEST_REPLY = 65_536


class Broken(Exception):
    """The connection is of no more use; ``reason`` says in a word why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Wire(asyncio.Protocol):
    """Takes over what aiosmtplib opened; ``gone`` is done when nothing is left of it.

    Raises Broken where there is nothing to take over.
    """

    def __init__(self, client: aiosmtplib.SMTP, *, timeout: float) -> None:
        transport = client.transport
        if not isinstance(transport, asyncio.Transport) or transport.is_closing():
            raise Broken("connection lost")
        self._client = client
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._buffer = b""
        self._replies: deque[Reply] = deque()
        self._lines: list[str] = []
        self._waiter: asyncio.Future[None] | None = None
        self._broken = ""
        self._busy = False
        self._leaving = False
        self._writable = asyncio.Event()
        self._writable.set()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        transport.set_protocol(self)
        # Writing is paused while anything at all waits in the buffer. Not 0: an encrypted transport pauses
        # at that even with nothing in it, and may not resume.
        transport.set_write_buffer_limits(high=1, low=0)

    @property
    def sound(self) -> bool:
        """Whether it can be used, as far as can be told without asking the server."""
        return not self._broken and not self._leaving and not self._transport.is_closing()

    def _write(self, data: bytes) -> None:
        # A transport that is closing says nothing of it: the reply that does not come will.
        if data and not self._broken:
            self._transport.write(data)

    async def _reply(self) -> Reply:
        while not self._replies:
            if self._broken:
                raise Broken(self._broken)
            self._waiter = self._loop.create_future()
            timer = self._loop.call_later(self._timeout, self._fail, "timeout")
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        return self._replies.popleft()

    async def _drained(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._writable.wait()
        except TimeoutError:
            raise Broken("timeout") from None
        if self._broken:
            raise Broken(self._broken)

    def _fail(self, reason: str) -> None:
        self._broken = self._broken or reason
        self._writable.set()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def pause_writing(self) -> None:
        """Nothing more fits on the wire."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """All is on the wire."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Cut what came into replies."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            code, mark = line[:3], line[3:4]
            if not code.isdigit() or mark not in (b" ", b"-", b"\r", b""):
                self._fail("garbled reply")
                return
            self._lines.append(line[4:].decode("utf-8", "replace").strip())
            if mark != b"-":
                self._replies.append(Reply(int(code), "\n".join(self._lines)))
                self._lines = []
        if len(self._buffer) + sum(map(len, self._lines)) > _LONGEST_REPLY:
            self._fail("garbled reply")
        elif self._leaving:
            self._transport.close()
        elif not self._busy:
            # Nobody asked: a server may say that it closes an idle connection.
            self._fail("connection closed")
        elif self._replies:
            self._wake()

    def eof_received(self) -> None:
        """The server says no more; the transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever has not been answered will not be."""
        self._fail("connection lost")
        if not self.gone.done():
            self.gone.set_result(None)

    def leave(self) -> None:
        """Say goodbye, and close when the server has said it too, or has not for a while."""
        if self._leaving or self._broken or self._transport.is_closing():
            self.abort()
            return
        self._leaving = True
        self._write(b"QUIT\r\n")
        timer = self._loop.call_later(_GOODBYE_SECONDS, self.abort)
        self.gone.add_done_callback(lambda _: timer.cancel())

    def abort(self) -> None:
        """Close at once."""
        self._fail("connection lost")
        self._transport.abort()
        self._client.close()
