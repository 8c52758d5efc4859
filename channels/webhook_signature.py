"""Whether a webhook is from who shares a secret with us, by the scheme of Standard Webhooks.

The scheme's own library judges a timestamp by the wall clock and takes no body that is not UTF-8, which a
returned mail need not be, so the check is made here; tests sign with that library.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from channels.provider import Callback
from domain.errors import InputRefused

_PREFIX = "whsec_"
_TOLERANCE = timedelta(minutes=5)


def signing_key(secret: str) -> bytes:
    """The key of a secret as Standard Webhooks writes it. Raises InputRefused where it is none."""
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputRefused("mail.callback_secret") from error
    if not key:
        raise InputRefused("mail.callback_secret")
    return key


def check_signature(callback: Callback, key: bytes) -> str:
    """The webhook's id. Raises InputRefused where the signature is not ours or older than five minutes."""
    identity = callback.headers.get("webhook-id", "")
    timestamp = callback.headers.get("webhook-timestamp", "")
    signatures = callback.headers.get("webhook-signature", "")
    if not (identity and timestamp and signatures):
        raise InputRefused("callback.forged", reason="unsigned")
    signed = b".".join((identity.encode(), timestamp.encode(), callback.body))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    versions = [signature.partition(",") for signature in signatures.split(" ")]
    if not any(v == "v1" and hmac.compare_digest(s.encode(), expected) for v, _, s in versions):
        raise InputRefused("callback.forged", reason="signature")
    if abs(callback.at - _instant(timestamp)) > _TOLERANCE:
        raise InputRefused("callback.forged", reason="timestamp")
    return identity


def _instant(timestamp: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(timestamp), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InputRefused("callback.forged", reason="timestamp") from error
