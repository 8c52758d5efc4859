"""DKIM: a domain's signature on a mail (RFC 6376), with RSA or Ed25519 keys (RFC 8463).

Tests have dkimpy verify what is signed here. It does not sign itself: it reads the key anew and raises it to
its power in Python for each mail (5.6 ms here, 0.3 ms this way), takes the time from the clock, so that
the same mail would differ, and has no Ed25519 without another library.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from channels.mime import Header
from channels.secret import Secret
from domain.errors import InputRefused

# RFC 8058 section 4 wants the two of List-Unsubscribe covered; the others say what the mail is.
_SIGNED = {
    b"from", b"to", b"subject", b"date", b"message-id", b"reply-to", b"list-unsubscribe",
    b"list-unsubscribe-post", b"content-language", b"auto-submitted", b"precedence", b"mime-version",
    b"content-type", b"content-transfer-encoding",
}  # fmt: skip
_SPACES = re.compile(rb"[ \t\r\n]+")
_LINE = 70
# Shorter keys are refused by receivers (RFC 8301).
_SHORTEST_KEY_BITS = 1024


class Dkim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key whose public half stands in the DNS at ``<selector>._domainkey.<domain>``.

    ``key`` is PEM, RSA or Ed25519; the 32 bytes of an Ed25519 key in base64 will do too.
    """

    domain: str
    selector: str
    key: Secret


class DkimSigner:
    """Signs with one key, which is read once. Raises InputRefused for what is no key."""

    def __init__(self, settings: Dkim) -> None:
        self._key = _read(settings.key.reveal(), settings.selector)
        algorithm = "rsa-sha256" if isinstance(self._key, RSAPrivateKey) else "ed25519-sha256"
        self._begins = (
            f"v=1; a={algorithm}; c=relaxed/simple; d={settings.domain}; s={settings.selector};"
        ).encode()

    def sign(self, headers: Sequence[Header], body: bytes, *, at: datetime) -> Header:
        """The DKIM-Signature header; the same for the same mail and instant (aware UTC)."""
        signed = [(name, value) for name, value in headers if name.lower() in _SIGNED]
        names = _names(tuple(name for name, _ in signed))
        digest = base64.b64encode(hashlib.sha256(body.rstrip(b"\r\n") + b"\r\n").digest())
        value = b"%b\r\n t=%d;\r\n %b\r\n bh=%b;\r\n b=" % (
            self._begins,
            int(at.timestamp()),
            names,
            digest,
        )
        lines = [_relaxed(header) for header in signed]
        said = b"\r\n".join([*lines, _relaxed((b"DKIM-Signature", value))])
        signature = base64.b64encode(self._signed(said))
        cut = [signature[start : start + _LINE] for start in range(0, len(signature), _LINE)]
        return b"DKIM-Signature", value + b"\r\n ".join(cut)

    def _signed(self, data: bytes) -> bytes:
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(data, PKCS1v15(), SHA256())
        # RFC 8463 section 3: it is the digest that an Ed25519 key signs.
        return self._key.sign(hashlib.sha256(data).digest())


def _relaxed(header: Header) -> bytes:
    name, value = header
    if b"\n" in value or b"  " in value or b"\t" in value:
        value = _SPACES.sub(b" ", value)
    return name.lower() + b":" + value.strip()


@lru_cache(maxsize=64)
def _names(names: tuple[bytes, ...]) -> bytes:
    """The tag of what is signed, on lines that are short enough.

    From is named once more than it stands there, so that nobody can add another.
    """
    lines = [b"h=From"]
    for name in names:
        if len(lines[-1]) + len(name) > _LINE:
            lines.append(b"")
        lines[-1] += b":" + name
    return b"\r\n ".join(lines) + b";"


def _read(key: str, selector: str) -> RSAPrivateKey | Ed25519PrivateKey:
    try:
        if "-----BEGIN" not in key:
            return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key, validate=True))
        found = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm) as error:
        raise InputRefused("mail.dkim_key", selector=selector) from error
    if isinstance(found, Ed25519PrivateKey) or (
        isinstance(found, RSAPrivateKey) and found.key_size >= _SHORTEST_KEY_BITS
    ):
        return found
    raise InputRefused("mail.dkim_key", selector=selector)
