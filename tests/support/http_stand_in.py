"""A small HTTP/1.1 server for stand-ins of providers: fast, on one loop, and able to fail in the middle.

A stand-in is a function from a request to what is done: a whole reply, half of one, silence, or a closed
connection. ``serving`` runs it on a thread of its own and ends it by its own handle.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from msgspec import Struct


class Request(Struct, frozen=True):
    """What a client sent. Header names are in lower case; ``target`` has the query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Reply(Struct, frozen=True):
    """A whole answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Half(Struct, frozen=True):
    """The head and half of the body, then the connection is closed."""

    reply: Reply


# "drop" closes the connection without a byte, "hang" never answers.
Cut = Literal["drop", "hang"]
Done = Reply | Half | Cut
StandIn = Callable[[Request], Done]


class _Connection(asyncio.Protocol):
    def __init__(self, stand_in: StandIn, open_ones: set[asyncio.Transport]) -> None:
        self._stand_in = stand_in
        self._open = open_ones
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.startswith(b"\x16"):
            # Somebody speaks TLS to a server that does not; it says so in its own words.
            self._transport.write(_written(Reply(400)))
            self._transport.close()
            return
        while (request := self._taken()) is not None:
            done = self._stand_in(request)
            if done == "hang":
                return
            if done == "drop":
                self._transport.close()
                return
            if isinstance(done, Half):
                whole = _written(done.reply)
                self._transport.write(whole[: len(whole) - (len(done.reply.body) + 1) // 2])
                self._transport.close()
                return
            assert isinstance(done, Reply)
            self._transport.write(_written(done))

    def _taken(self) -> Request | None:
        """The first whole request of the buffer, which is then gone from it."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(self._buffer) < end + 4 + length:
            return None
        body = self._buffer[end + 4 : end + 4 + length]
        self._buffer = self._buffer[end + 4 + length :]
        method, target, _ = first.split(" ", 2)
        return Request(method, target, headers, body)


def _written(reply: Reply) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\nContent-Length: {len(reply.body)}\r\n"
    )
    extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    return f"{head}{extra}\r\n".encode("latin-1") + reply.body


async def serve(
    stand_in: StandIn, open_ones: set[asyncio.Transport], *, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """A server on loopback, on a port that the kernel chooses."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Connection(stand_in, open_ones), "127.0.0.1", 0, ssl=tls)


def port_of(server: asyncio.Server) -> int:
    """The port that the kernel chose."""
    return int(server.sockets[0].getsockname()[1])


@contextmanager
def serving(stand_in: StandIn, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The base URL of the stand-in while it runs on a thread of its own."""
    loop = asyncio.new_event_loop()
    open_ones: set[asyncio.Transport] = set()
    server = loop.run_until_complete(serve(stand_in, open_ones, tls=tls))
    thread = threading.Thread(target=loop.run_forever, name="stand-in")
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port_of(server)}"
    finally:
        asyncio.run_coroutine_threadsafe(_ended(server, open_ones), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def silent() -> Iterator[int]:
    """The port of somebody who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody has a reason to trust, but who is given ``self-signed.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "self-signed.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def _ended(server: asyncio.Server, open_ones: set[asyncio.Transport]) -> None:
    server.close()
    for transport in list(open_ones):
        transport.abort()
    while open_ones:
        await asyncio.sleep(0)
