"""An SMTP server for tests: it takes mails quickly, and fails where and how it is told to.

In a test, ``with SmtpServer() as server`` runs it in a thread. In a process of its own::

    python tests/support/smtp_server.py [--taken FILE]

prints ``{"port": 12345}`` on one line, appends a line ``<Message-ID> <seconds since 1970>`` to FILE for each
mail before it answers, and ends at the end of its standard input, or by SIGTERM.
"""

import argparse
import asyncio
import base64
import json
import re
import ssl
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

At = Literal["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "content", "rset"]

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_END = b"\r\n.\r\n"
PASSWORD = "correct horse"  # noqa: S105 - the tests' own


@dataclass(frozen=True)
class Fault:
    """Instead of what would be said ``at`` a point: ``reply`` (b"" for nothing), and then.

    ``take`` is whether the mail is recorded although its content was answered so.
    """

    at: At
    reply: bytes = b""
    then: Literal["go on", "drop", "hang"] = "go on"
    take: bool = False


@dataclass
class SmtpServer:
    """Takes every mail. Each fault is met once, in their order, by whoever comes to its point first."""

    offers: tuple[bytes, ...] = (b"PIPELINING", b"8BITMIME", b"ENHANCEDSTATUSCODES", b"DSN", b"SMTPUTF8")
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    auth: bool = False
    most_per_connection: int | None = None
    keep: bool = True
    taken_file: Path | None = None
    connections: int = 0
    logins: list[bytes] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    port: int = 0
    # Set while there is no connection.
    emptied: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._faults: deque[Fault] = deque()
        self._loop = asyncio.new_event_loop()
        self._open: set[_Session] = set()
        self._listening: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.file = self.taken_file.open("a", encoding="ascii") if self.taken_file else None

    def fails(self, *faults: Fault) -> None:
        """Meet these, each once."""
        self._faults.extend(faults)

    def fault(self, at: At) -> Fault | None:
        """The next fault, if it is one of this point."""
        if self._faults and self._faults[0].at == at:
            return self._faults.popleft()
        return None

    def drop_all(self) -> None:
        """Close every connection, as a server does with idle ones."""
        self._do(lambda session: session.transport.abort())

    def say_to_all(self, line: bytes) -> None:
        """Say this without being asked."""
        self._do(lambda session: session.transport.write(line))

    def begin(self, session: "_Session") -> None:
        """A connection came."""
        self.connections += 1
        self._open.add(session)
        self.emptied.clear()

    def end(self, session: "_Session") -> None:
        """A connection is gone."""
        self._open.discard(session)
        if not self._open:
            self.emptied.set()

    def take(self, content: bytes) -> str:
        """Record a mail; what its queue calls it."""
        found = _MESSAGE_ID.search(content)
        name = found[1].decode() if found else ""
        self.counts[name] += 1
        if self.keep:
            self.mails.append(content)
        if self.file is not None:
            self.file.write(f"{name} {time.time():.6f}\n")
            self.file.flush()
        return f"Q{self.counts.total():06d}"

    async def listen(self) -> None:
        """Open a port that the kernel chooses."""
        context = self.tls if self.implicit_tls else None
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            lambda: _Session(self, encrypted=context is not None), "127.0.0.1", 0, ssl=context
        )
        self.port = self._listening.sockets[0].getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.listen(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self.file is not None:
            self.file.close()

    async def _stop(self) -> None:
        assert self._listening is not None
        self._listening.close()
        for session in list(self._open):
            session.transport.abort()
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for _ in range(3):  # until what was closed has been told so
            await asyncio.sleep(0)

    def _do(self, what: "Callable[[_Session], None]") -> None:
        async def done() -> None:
            for session in list(self._open):
                what(session)

        asyncio.run_coroutine_threadsafe(done(), self._loop).result()


class _Session(asyncio.Protocol):
    """One connection, of which whatever came together is answered together."""

    transport: asyncio.Transport

    def __init__(self, server: SmtpServer, *, encrypted: bool) -> None:
        self._server = server
        self._encrypted = encrypted
        self._buffer = b""
        self._in_content = False
        self._silent = False
        self._mails = 0
        self._login: list[bytes] | None = None
        self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if not self._begun:
            self._begun = True
            self._server.begin(self)
            self._say("greeting", b"220 mail.example ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.end(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer and not self._silent:
            if self._in_content:
                end = (b"\r\n" + self._buffer).find(_END)
                if end < 0:
                    return
                content, self._buffer = self._buffer[:end], self._buffer[end + 3 :]
                self._in_content = False
                self._content(content.replace(b"\r\n..", b"\r\n."))
            else:
                line, found, rest = self._buffer.partition(b"\r\n")
                if not found:
                    return
                self._buffer = rest
                self._command(line)

    def _say(self, at: At, reply: bytes) -> bool:
        """Whether it was said as it should be."""
        fault = self._server.fault(at)
        if fault is None:
            self.transport.write(reply)
            return True
        self._fail(fault)
        return False

    def _fail(self, fault: Fault) -> None:
        if fault.reply:
            self.transport.write(fault.reply)
        self._silent = fault.then != "go on"
        if fault.then == "drop":
            self.transport.close()
        elif fault.then == "hang":
            self.transport.pause_reading()

    def _content(self, content: bytes) -> None:
        fault = self._server.fault("content")
        if fault is None:
            self._mails += 1
            self.transport.write(f"250 2.0.0 Ok: queued as {self._server.take(content)}\r\n".encode())
            if self._mails == self._server.most_per_connection:
                self._silent = True
                self.transport.close()
            return
        if fault.take:
            self._server.take(content)
        self._fail(fault)

    def _command(self, line: bytes) -> None:
        if self._login is not None:
            self._go_on_with_login(line)
            return
        if self._server.keep:
            self._server.commands.append(line)
        match line[:4].upper():
            case b"MAIL":
                self._say("mail", b"250 2.1.0 Ok\r\n")
            case b"RCPT":
                self._say("rcpt", b"250 2.1.5 Ok\r\n")
            case b"DATA":
                self._in_content = self._say("data", b"354 Go ahead\r\n")
            case b"EHLO":
                self._say("ehlo", self._offers())
            case b"STAR" if self._server.tls is not None:
                if self._say("starttls", b"220 2.0.0 Go ahead\r\n"):
                    self._buffer = b""
                    # What comes before the new transport is known here would be answered over the old one.
                    self._silent = True
                    self._task = asyncio.get_running_loop().create_task(self._encrypt(self._server.tls))
            case b"AUTH":
                self._auth(line)
            case b"RSET" | b"NOOP":
                self._say("rset", b"250 2.0.0 Ok\r\n")
            case b"QUIT":
                self.transport.write(b"221 2.0.0 Bye\r\n")
                self._silent = True
                self.transport.close()
            case _:
                self.transport.write(b"502 5.5.2 What?\r\n")

    def _offers(self) -> bytes:
        words = [b"mail.example", *self._server.offers]
        if self._server.tls is not None and not self._encrypted:
            words.append(b"STARTTLS")
        if self._server.auth:
            words.append(b"AUTH PLAIN LOGIN")
        lines = [b"250-" + word for word in words[:-1]] + [b"250 " + words[-1]]
        return b"".join(line + b"\r\n" for line in lines)

    async def _encrypt(self, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            changed = await loop.start_tls(self.transport, self, context, server_side=True)
        except (OSError, ssl.SSLError):
            return  # the client did not like our certificate
        assert changed is not None
        self.transport = changed
        self._encrypted = True
        self._silent = False
        self.data_received(b"")

    def _auth(self, line: bytes) -> None:
        fault = self._server.fault("auth")
        if fault is not None:
            self._fail(fault)
            return
        method, _, initial = line[5:].partition(b" ")
        if method.upper() == b"PLAIN":
            _, name, password = base64.b64decode(initial).split(b"\0")
            self._log_in(name, password)
        else:
            self._login = [base64.b64decode(initial)]
            self.transport.write(b"334 UGFzc3dvcmQ6\r\n")

    def _go_on_with_login(self, line: bytes) -> None:
        assert self._login is not None
        name, self._login = self._login[0], None
        self._log_in(name, base64.b64decode(line))

    def _log_in(self, name: bytes, password: bytes) -> None:
        good = password == PASSWORD.encode()
        if good:
            self._server.logins.append(name)
        self.transport.write(b"235 2.7.0 Welcome\r\n" if good else b"535 5.7.8 No\r\n")


async def _serve(taken: Path | None) -> None:
    server = SmtpServer(taken_file=taken, keep=False)
    await server.listen()
    sys.stdout.write(json.dumps({"port": server.port}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--taken", type=Path)
    asyncio.run(_serve(arguments.parse_args().taken))
