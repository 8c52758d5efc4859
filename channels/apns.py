"""Push messages through Apple's push service (APNs), over HTTP/2 with provider tokens.

It cannot be asked what became of a message. One that is handed over again carries the same
``apns-collapse-id``, so that it takes the place of the first on the device.
Source: Apple, "Sending notification requests to APNs", "Establishing a token-based connection to APNs",
"Handling notification responses from APNs".
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Meta, Struct

from channels.at_once import at_once
from channels.base import Accepted, Answer, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.borrowed import Borrowed, Lent, NotLent
from channels.calling import (
    BaseUrl,
    Clock,
    Line,
    Lost,
    NotSent,
    Reply,
    decoded,
    no_answer,
    retry_after,
    wall_clock,
    word_of,
)
from channels.device import no_device, token_of
from channels.provider import Callback, ProviderSettings, Receipt
from channels.secret import Secret
from domain.errors import InputRefused

# Apple takes tokens for an hour, and takes it ill if they change within 20 minutes.
_TOKEN_LIFE = timedelta(minutes=40)
_PAUSE = timedelta(minutes=20)
_ADDRESS_REFUSED = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})
# Refused before the message was looked at: who we are, or how we ask, is wrong, and a person mends that.
_NOT_US = frozenset(
    {
        "BadCertificate", "BadCertificateEnvironment", "BadEnvironmentKeyIdInToken", "BadTopic",
        "ExpiredProviderToken", "Forbidden", "IdleTimeout", "InvalidProviderToken", "MissingProviderToken",
        "MissingTopic", "TopicDisallowed", "UnrelatedKeyIdInToken",
    }
)  # fmt: skip
_DEVICE = re.compile(r"[0-9a-fA-F]{8,200}")


class ApnsSettings(ProviderSettings, tag="apns", frozen=True, kw_only=True):
    """``key`` is the signing key (.p8) of ``key_id`` and ``team_id``, ``topic`` the app's bundle id.

    ``base_url`` is the production service; ``https://api.sandbox.push.apple.com`` is for development builds.
    """

    key: Secret
    key_id: str
    team_id: str
    topic: str
    base_url: BaseUrl = "https://api.push.apple.com"
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 100
    ca_file: str | None = None


class _Failed(Struct, frozen=True):
    reason: str = ""


class Apns:
    """Hands messages to APNs, each for one device. Raises InputRefused for a key that is none."""

    def __init__(self, name: str, settings: ApnsSettings, *, clock: Clock = wall_clock) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        self._key = _signing_key(settings.key)
        self._url = f"{settings.base_url.rstrip('/')}/3/device/"
        self._line = Line(
            timeout_seconds=settings.timeout_seconds,
            at_once=settings.concurrency,
            http2=True,
            ca_file=settings.ca_file,
        )
        self._tokens = Borrowed(self._sign, clock=clock, pause=_PAUSE)

    @property
    def name(self) -> str:
        """The name that the settings give it."""
        return self._name

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand these over; a message for an address that is no ``apns:<hex token>`` is rejected."""
        return await at_once(self._send, messages, limit=self._settings.concurrency)

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Unknown: APNs tells of no message afterwards."""
        return [Unknown("apns: cannot be asked", provider=self._name) for _ in messages]

    async def close(self) -> None:
        """Let go of connections; the provider token is kept."""
        await self._tokens.close()
        await self._line.close()

    def receipts(self, callback: Callback) -> list[Receipt]:
        """APNs never calls back. Raises InputRefused."""
        raise InputRefused("callback.forged", provider=self._name)

    async def _send(self, message: Outgoing) -> Outcome:
        device = token_of(message.address, "apns")
        if not _DEVICE.fullmatch(device):
            return no_device(self._name)
        lent = await self._tokens.current()
        if isinstance(lent, NotLent):
            return Retry(lent.reason, provider=self._name)
        reply = await self._post(message, device, lent)
        if isinstance(reply, Reply) and reply.status == 403 and _reason(reply) == "ExpiredProviderToken":
            other = await self._tokens.instead_of(lent.token)
            if isinstance(other, Lent):
                reply = await self._post(message, device, other)
        if not isinstance(reply, Reply):
            return no_answer(reply, provider=self._name)
        return self._outcome(message, reply)

    async def _post(self, message: Outgoing, device: str, lent: Lent) -> Reply | NotSent | Lost:
        headers = {
            "authorization": f"bearer {lent.token}",
            "apns-id": message.id,
            "apns-topic": self._settings.topic,
            "apns-push-type": "alert",
            "apns-priority": "10" if message.purpose in ("service", "regulatory") else "5",
            "apns-collapse-id": message.id[:64],
        }
        if message.expires_at is not None:
            headers["apns-expiration"] = str(int(message.expires_at.timestamp()))
        alert = {"title": message.heading, "body": message.text}
        body = msgspec.json.encode({"aps": {"alert": alert, "sound": "default"}, "message": message.id})
        return await self._line.post(self._url + device, body, headers)

    def _outcome(self, message: Outgoing, reply: Reply) -> Outcome:
        if reply.status == 200:
            return Accepted(reply.headers.get("apns-id", message.id), provider=self._name)
        word = _reason(reply)
        reason = f"apns: {reply.status} {word}".rstrip()
        after = retry_after(reply, self._clock())
        retry = partial(Retry, reason, after, provider=self._name)
        match reply.status:
            case 410:
                return Rejected(reason, refused="address", provider=self._name)
            case 400 if word in _ADDRESS_REFUSED:
                return Rejected(reason, refused="address", provider=self._name)
            case 408 | 425 | 429 | 403:
                return retry()
            case 400 if word in _NOT_US:
                return retry()
            case 503 if word in ("ServiceUnavailable", "Shutdown"):
                return retry()
            case status if 400 <= status < 500:
                return Rejected(reason, provider=self._name)
            case _:
                return Unknown(reason, provider=self._name)

    async def _sign(self) -> Lent:
        now = self._clock()
        claims = {"iss": self._settings.team_id, "iat": int(now.timestamp())}
        token = jwt.encode(claims, self._key, "ES256", headers={"kid": self._settings.key_id})
        return Lent(token, now + _TOKEN_LIFE)


def _signing_key(secret: Secret) -> EllipticCurvePrivateKey:
    text = secret.reveal()
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey):
        place = secret.file or f"${secret.env}"
        raise InputRefused("secret.unreadable", place=place, reason="not a private key of Apple's (.p8)")
    return key


def _reason(reply: Reply) -> str:
    """Apple's word for it, "" where the answer has none."""
    failed = decoded(reply.body, _Failed)
    return "" if failed is None else word_of(failed.reason)
