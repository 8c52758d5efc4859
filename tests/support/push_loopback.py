"""An HTTP server on loopback that answers as it is told, badly where a test asks for that.

It runs in a thread with a loop of its own, on a port that the kernel chooses, and ends with its handle.
"""

import asyncio
import json
import ssl
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Literal, NoReturn, Self

Misdeed = Literal["answer", "silent", "drop", "half", "endless"]


@dataclass(frozen=True)
class Asked:
    """A request. Names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Given:
    """An answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What the next message gets instead of its due; ``taken`` says whether it is taken nevertheless."""

    misdeed: Misdeed
    taken: bool
    given: Given = Given(200)


def answers(status: int, body: object = b"", *, taken: bool = False, **headers: str) -> Fault:
    """This answer; a body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault("answer", taken, Given(status, content, names))


def silent(*, taken: bool) -> Fault:
    """No answer ever, before or after the message was taken."""
    return Fault("silent", taken)


def drops(*, taken: bool) -> Fault:
    """The connection is closed without an answer, before or after the message was taken."""
    return Fault("drop", taken)


def half() -> Fault:
    """The message is taken, and the answer breaks off in the middle."""
    return Fault("half", True)


def endless(status: int) -> Fault:
    """The message is taken, and the answer of this status never ends."""
    return Fault("endless", True, Given(status))


class Loopback:
    """The server. Subclasses say what a message is, take it, and answer everything else.

    ``taken`` counts messages by idempotency key; with ``log`` each is a line of JSON in that file too.
    """

    def __init__(self, *, port: int = 0, log: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.taken: Counter[str] = Counter()
        self.asked: list[Asked] = []
        self.connections = 0
        self.port = port
        self._log = log
        self._tls = tls
        self._faults: deque[Fault] = deque()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failure: BaseException | None = None
        self._open: set[asyncio.Task[None]] = set()

    def is_message(self, asked: Asked) -> bool:
        """Whether this hands a message over."""
        raise NotImplementedError

    def take(self, asked: Asked) -> Given:
        """Check the message, take it by ``note``, and give its answer."""
        raise NotImplementedError

    def other(self, asked: Asked) -> Given:
        """The answer to what is no message."""
        return Given(404)

    def will(self, *faults: Fault) -> None:
        """The next messages get these instead, one each."""
        self._faults.extend(faults)

    def note(self, key: str, to: str) -> None:
        """One more message was taken under this key."""
        self.taken[key] += 1
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"key": key, "to": to}) + "\n")

    def hang_up(self) -> None:
        """Close all connections, and come back when that is done."""
        asyncio.run_coroutine_threadsafe(self._close_all(), self._loop).result()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def due(self, asked: Asked) -> tuple[Misdeed, Given]:
        """How this request is to be answered, and with what."""
        self.asked.append(asked)
        if not self.is_message(asked):
            return "answer", self.other(asked)
        if not self._faults:
            return "answer", self.take(asked)
        fault = self._faults.popleft()
        usual = self.take(asked) if fault.taken else fault.given
        return fault.misdeed, usual if fault.misdeed == "half" else fault.given

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One HTTP/1.1 connection."""
        while (asked := await _request(reader)) is not None:
            misdeed, given = self.due(asked)
            if misdeed == "drop":
                return
            if misdeed == "silent":
                await reader.read()
                return
            if misdeed == "endless":
                await _pour(writer, given.status)
            content = _response(given)
            if misdeed == "half":
                writer.write(content[: len(content) - max(len(given.body) // 2, 1)])
                await writer.drain()
                return
            writer.write(content)
            await writer.drain()

    async def listen(self) -> None:
        """Serve until ended."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            task = asyncio.current_task()
            assert task is not None
            self._open.add(task)
            try:
                await self.serve(reader, writer)
            except (ConnectionError, asyncio.CancelledError):
                pass  # the other side, or the test, has ended it
            finally:
                self._open.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(connected, "127.0.0.1", self.port, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        await self._close_all()

    async def _close_all(self) -> None:
        open_ones = list(self._open)
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
        # What was aborted tells its transport in the next turn of the loop.
        await asyncio.sleep(0)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self.listen())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()
            self._loop.close()


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None
    return Asked(method, path, headers, body)


async def _pour(writer: asyncio.StreamWriter, status: int) -> NoReturn:
    """Until the other side goes away, which raises ConnectionError."""
    writer.write(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n\r\n".encode())
    while True:
        writer.write(b" " * 4096)
        await writer.drain()


def _response(given: Given) -> bytes:
    lines = [f"HTTP/1.1 {given.status} {HTTPStatus(given.status).phrase}"]
    headers = {"content-length": str(len(given.body)), **given.headers}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + given.body
