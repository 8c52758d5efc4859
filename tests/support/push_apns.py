"""A stand-in for Apple's push service: HTTP/2 over TLS, tokens checked, notifications collapsed."""

import asyncio
import datetime
import ipaddress
import json
import ssl
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.push_loopback import Asked, Given, Loopback, Misdeed

TEAM, KEY_ID, TOPIC = "TEAM123456", "KEY1234567", "com.example.bank"
_DAY = datetime.timedelta(days=1)


class ApnsServer(Loopback):
    """``folder`` gets the certificate authority (``ca.pem``) and the signing key (``apns.p8``).

    ``refused`` makes it refuse the next so many streams in HTTP/2's own way; with ``goodbye`` it closes the
    connection at the next, naming that stream as the last one that it looked at. ``ahead`` is how far its
    clock is before the wall's.
    """

    def __init__(self, folder: Path, *, port: int = 0, log: Path | None = None) -> None:
        super().__init__(port=port, log=log, tls=_certified(folder))
        self.ca_file = folder / "ca.pem"
        self.key_file = folder / "apns.p8"
        self.waiting: dict[tuple[str, str], dict[str, object]] = {}
        self.tokens: list[str] = []
        self.refused = 0
        self.goodbye: int | None = None
        self.ahead = datetime.timedelta(0)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.key_file.write_bytes(_pem(self._key))

    def is_message(self, asked: Asked) -> bool:
        """As Apple has it."""
        return asked.method == "POST" and asked.path.startswith("/3/device/")

    def take(self, asked: Asked) -> Given:
        """The token is checked first, then the topic, then the device."""
        refusal = self._refusal(asked)
        if refusal is not None:
            return refusal
        device = asked.path.removeprefix("/3/device/")
        key = asked.headers["apns-id"]
        self.waiting[device, asked.headers["apns-collapse-id"]] = json.loads(asked.body)
        self.note(key, device)
        return Given(200, headers={"apns-id": key})

    def _refusal(self, asked: Asked) -> Given | None:
        token = asked.headers.get("authorization", "").removeprefix("bearer ")
        if token not in self.tokens:
            self.tokens.append(token)
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            options = {"verify_iat": False, "require": ["iss", "iat"]}
            claims = jwt.decode(token, self._key.public_key(), algorithms=["ES256"], options=options)  # type: ignore[arg-type]
        except jwt.PyJWTError:
            return _no(403, "InvalidProviderToken")
        if key_id != KEY_ID or claims["iss"] != TEAM:
            return _no(403, "InvalidProviderToken")
        now = datetime.datetime.now(datetime.UTC) + self.ahead
        if abs(now.timestamp() - claims["iat"]) > 3600:
            return _no(403, "ExpiredProviderToken")
        if asked.headers.get("apns-topic") != TOPIC:
            return _no(400, "TopicDisallowed")
        if len(asked.body) > 4096:
            return _no(413, "PayloadTooLarge")
        return None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One HTTP/2 connection."""
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        asked: dict[int, tuple[dict[str, str], bytearray]] = {}
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                match event:
                    case h2.events.RequestReceived(stream_id=stream, headers=headers):
                        asked[stream] = (dict(headers), bytearray())  # type: ignore[arg-type]
                    case h2.events.DataReceived(stream_id=stream, data=part, flow_controlled_length=size):
                        asked[stream][1].extend(part or b"")
                        connection.acknowledge_received_data(size or 0, stream)
                    case h2.events.StreamEnded(stream_id=stream):
                        if not self._answer(connection, stream, *asked.pop(stream)):
                            writer.write(connection.data_to_send())
                            await writer.drain()
                            return
            writer.write(connection.data_to_send())
            await writer.drain()

    def _answer(
        self, connection: h2.connection.H2Connection, stream: int, headers: dict[str, str], body: bytearray
    ) -> bool:
        """Answer one stream, or not; False ends the connection."""
        if self.refused:
            self.refused -= 1
            connection.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            return True
        if self.goodbye is not None:
            last, self.goodbye = self.goodbye, None
            connection.close_connection(last_stream_id=last)
            return False
        misdeed, given = self.due(Asked(headers[":method"], headers[":path"], headers, bytes(body)))
        return _send(connection, stream, misdeed, given)


def _send(connection: h2.connection.H2Connection, stream: int, misdeed: Misdeed, given: Given) -> bool:
    if misdeed == "drop":
        return False
    if misdeed == "silent":
        return True
    told = [(":status", str(given.status)), *given.headers.items()]
    if misdeed == "half":
        connection.send_headers(stream, [*told, ("content-length", "10")])
        return False
    connection.send_headers(stream, told, end_stream=not given.body)
    if given.body:
        connection.send_data(stream, given.body, end_stream=True)
    return True


def _no(status: int, reason: str) -> Given:
    return Given(status, json.dumps({"reason": reason}).encode())


def _certified(folder: Path) -> ssl.SSLContext:
    """A server's TLS for 127.0.0.1, its authority's certificate written to ``ca.pem``."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    ca = (
        _certificate(authority, authority, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = (
        _certificate(own, authority, key.public_key())
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    chain = folder / "server.pem"
    chain.write_bytes(_pem(key) + leaf.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.set_alpn_protocols(["h2"])
    return context


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
