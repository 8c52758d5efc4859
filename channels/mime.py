"""From a message to the bytes of a mail, the same bytes for the same message.

Bytes are put together here and not by the standard library's generator, which takes several times as long
as handing the mail over; tests read every mail back with the standard library's parser. Nothing that comes
from outside can begin another header: control characters become spaces, addresses must be plain ones.
"""

import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime, formataddr
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote

from msgspec import Struct

from channels.base import Image, Outgoing
from domain.errors import InputRefused

Header = tuple[bytes, bytes]

_LONGEST_LINE = 998
_LONGEST_PLAIN = 66
_ENCODED_BYTES = 39
_BASE64_LINE = 76
_LONGEST_ADDRESS = 254
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9._-]")
# Without quoted local parts and address literals: no customer has one, and each is a way to smuggle.
_PLAIN_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f-\x9f()<>@,;:\\\"\[\]]+@[^\s\x00-\x2c/:-@\[-`{-\x9f]+")
_NOT_ASCII = bytes(range(128, 256))
# Base64 becomes the shorter one where more than this share of the bytes is not ASCII.
_BASE64_SHARE = 0.17
_URL_SAFE = ":/?#[]@!$&'()*+,;=%~"


class Sender(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who mails are from. ``names`` are display names by language; ``zh`` also serves ``zh-CN``."""

    address: str
    names: dict[str, str] = {}


class Envelope(Struct, frozen=True):
    """A mail and between whom it goes. ``utf8`` says that the server must understand SMTPUTF8."""

    id: str
    message_id: str
    sender: str
    recipient: str
    content: bytes
    utf8: bool = False


class Signer(Protocol):
    """Signs a mail."""

    def sign(self, headers: Sequence[Header], body: bytes, *, at: datetime) -> Header:
        """The header that says so; headers are in the mail's order, ``at`` is aware UTC."""


class Composer:
    """Makes mails of one sender.

    ``bounce`` is where mails return to, "" for the sender; with ``verp`` it carries the message's id, as in
    ``bounces+<id>@bank.example``. ``mailto`` is an address for those who unsubscribe by mail, "" for none.
    Raises InputRefused for an address that is none.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        domain: str,
        reply_to: str = "",
        bounce: str = "",
        verp: bool = False,
        mailto: str = "",
        signers: Sequence[Signer] = (),
    ) -> None:
        address = _own(sender.address)
        self._from = {language: _mailbox_line(name, address) for language, name in sender.names.items()}
        self._fallback = _mailbox_line(next(iter(sender.names.values()), ""), address)
        self._domain = _own(f"postmaster@{domain}").rpartition("@")[2].encode()
        self._reply_to = _own(reply_to).encode() if reply_to else b""
        self._return = _own(bounce) if bounce else address
        self._verp = verp and bool(bounce)
        self._mailto = quote(_own(mailto), safe="@") if mailto else ""
        self._signers = tuple(signers)

    @property
    def domain(self) -> str:
        """What message ids end with, as the net knows it."""
        return self._domain.decode()

    def envelope(self, message: Outgoing) -> Envelope | None:
        """The mail of this message; None where its address is not one that mail can go to."""
        recipient = mailbox(message.address)
        if recipient is None:
            return None
        identity = _NOT_IN_AN_ID.sub("", message.id)
        kind, body = _content(message, identity)
        headers = self._headers(message, identity, recipient)
        headers += [(b"MIME-Version", b"1.0"), *kind]
        signatures = [signer.sign(headers, body, at=message.at) for signer in self._signers]
        lines = [b"%b: %b" % header for header in (*signatures, *headers)]
        return Envelope(
            identity,
            f"<{identity}@{self.domain}>",
            self._returning(identity),
            recipient,
            b"\r\n".join([*lines, b"", body]),
            not recipient.isascii(),
        )

    def _returning(self, identity: str) -> str:
        if not self._verp:
            return self._return
        local, _, domain = self._return.rpartition("@")
        return f"{local}+{identity}@{domain}"

    def _headers(self, message: Outgoing, identity: str, recipient: str) -> list[Header]:
        headers = [
            (b"From", self._from_line(message.language)),
            (b"To", recipient.encode()),
            (b"Subject", _words(_line(message.heading))),
            (b"Date", _date(message.at)),
            (b"Message-ID", b"<%b@%b>" % (identity.encode(), self._domain)),
            (b"Content-Language", _NOT_IN_AN_ID.sub("", message.language).encode()),
        ]
        if self._reply_to:
            headers.append((b"Reply-To", self._reply_to))
        if message.purpose in ("marketing", "care"):
            headers += [(b"Auto-Submitted", b"auto-generated"), (b"Precedence", b"bulk")]
        if message.unsubscribe:
            # RFC 8058: with the second header a POST to the address unsubscribes without another question.
            ways = f"<{quote(message.unsubscribe, safe=_URL_SAFE)}>"
            if self._mailto:
                ways += f",\r\n <mailto:{self._mailto}?subject=unsubscribe%20{identity}>"
            headers.append((b"List-Unsubscribe", ways.encode()))
            headers.append((b"List-Unsubscribe-Post", b"List-Unsubscribe=One-Click"))
        return headers

    def _from_line(self, language: str) -> bytes:
        return (
            self._from.get(language)
            or self._from.get(language.partition("-")[0])
            or self._from.get("en")
            or self._fallback
        )


def mailbox(address: str) -> str | None:
    """The address as the protocol writes it, its domain in ASCII; None for what is no plain address."""
    if len(address) > _LONGEST_ADDRESS or not _PLAIN_ADDRESS.fullmatch(address):
        return None
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return None


def _own(address: str) -> str:
    """An address of the settings, which every server has to understand."""
    found = mailbox(address)
    if found is None or not found.isascii():
        raise InputRefused("mail.bad_address", address=address)
    return found


def _mailbox_line(name: str, address: str) -> bytes:
    name = _line(name)
    if name.isascii() and len(name) <= _LONGEST_PLAIN and "=?" not in name:
        return formataddr((name, address)).encode()
    return _words(name) + b"\r\n <%b>" % address.encode()


def _line(text: str) -> str:
    """The text on one line, as a header must be: a line break would begin another header."""
    return _CONTROLS.sub(" ", text).strip()


def _words(text: str) -> bytes:
    """The text as a header's value; what is long or not ASCII in encoded words (RFC 2047)."""
    data = text.encode("utf-8", "replace")
    if data.isascii() and len(data) <= _LONGEST_PLAIN and b"=?" not in data:
        return data
    words = []
    start = 0
    while start < len(data):
        end = start + _ENCODED_BYTES
        # No character may be cut in two: step back to where one begins.
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(b"=?utf-8?b?%b?=" % binascii.b2a_base64(data[start:end], newline=False))
        start = end
    return b"\r\n ".join(words)


@lru_cache(maxsize=256)
def _date(at: datetime) -> bytes:
    return format_datetime(at).encode()


def _content(message: Outgoing, identity: str) -> tuple[list[Header], bytes]:
    """The headers that say what the body is, and the body."""
    if not message.html:
        return _text(message.text, b"plain")
    text, html = _text(message.text, b"plain"), _text(message.html, b"html")
    if message.images:
        html = _multipart(b"related", b"=_r." + identity.encode(), [html, *map(_image, message.images)])
    return _multipart(b"alternative", b"=_a." + identity.encode(), [text, html])


def _multipart(
    kind: bytes, boundary: bytes, parts: Sequence[tuple[list[Header], bytes]]
) -> tuple[list[Header], bytes]:
    # No part holds the boundary: "=_" is not in base64, not in quoted-printable and not in our 7bit.
    opening = b"--%b\r\n" % boundary
    body = b"\r\n".join(opening + _part(headers, body) for headers, body in parts)
    first = b'; type="text/html"' if kind == b"related" else b""
    described = b'multipart/%b;\r\n boundary="%b"%b' % (kind, boundary, first)
    return [(b"Content-Type", described)], b"%b\r\n--%b--\r\n" % (body, boundary)


def _part(headers: Sequence[Header], body: bytes) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body


def _text(text: str, subtype: bytes) -> tuple[list[Header], bytes]:
    """The text in the encoding that mail servers leave alone and that is short: 7bit, quoted or base64."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.endswith("\n"):
        text += "\n"
    data = text.encode("utf-8", "replace")
    if _is_plain(data):
        encoding, body = b"7bit", data.replace(b"\n", b"\r\n")
    elif len(data) - len(data.translate(None, _NOT_ASCII)) > len(data) * _BASE64_SHARE:
        encoding, body = b"base64", _base64(data.replace(b"\n", b"\r\n"))
    else:
        encoding, body = b"quoted-printable", binascii.b2a_qp(data).replace(b"\n", b"\r\n")
    headers = [
        (b"Content-Type", b'text/%b; charset="utf-8"' % subtype),
        (b"Content-Transfer-Encoding", encoding),
    ]
    return headers, body


def _is_plain(data: bytes) -> bool:
    if not data.isascii() or b"\0" in data or b"=_" in data:
        return False
    return len(data) <= _LONGEST_LINE or max(map(len, data.split(b"\n"))) <= _LONGEST_LINE


def _base64(data: bytes) -> bytes:
    encoded = binascii.b2a_base64(data, newline=False)
    lines = [encoded[start : start + _BASE64_LINE] for start in range(0, len(encoded), _BASE64_LINE)]
    return b"\r\n".join([*lines, b""])


@lru_cache(maxsize=64)
def _image(image: Image) -> tuple[list[Header], bytes]:
    """Encoded once: all mails of a template show the same pictures."""
    name = quote(image.name, safe="@").encode()
    kind = quote(image.media_type, safe="/+").encode()
    headers = [
        (b"Content-Type", kind),
        (b"Content-Transfer-Encoding", b"base64"),
        (b"Content-ID", b"<%b>" % name),
        (b"Content-Disposition", b'inline; filename="%b"' % name),
    ]
    return headers, _base64(image.data)
