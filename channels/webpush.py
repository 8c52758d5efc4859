"""Push messages to browsers: Web Push (RFC 8030), encrypted for the browser (RFC 8291), signed (RFC 8292).

A push service cannot be asked what became of a message. One that is handed over again carries the same
topic, so that it takes the place of the first while that is not delivered; after that the site's service
worker shows one notification for each ``id`` of the content, if it uses that as the notification's tag.
Endpoints are addresses that customers' browsers gave: only those of known push services are ever called.
"""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import http_ece  # type: ignore[import-untyped]
import httpx2
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta, Struct
from py_vapid import Vapid02, VapidException  # type: ignore[import-untyped]

from channels.at_once import at_once
from channels.base import Accepted, Answer, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.calling import Clock, Line, Reply, no_answer, retry_after, wall_clock
from channels.device import LONGEST_LIFE_SECONDS, WebKeys, life_seconds, no_device, subscription_of
from channels.provider import Callback, ProviderSettings, Receipt
from channels.secret import Secret
from domain.catalogue import Purpose
from domain.errors import InputRefused

PUSH_SERVICES = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
)
# A signature may live for a day; half of one leaves room for clocks that differ.
_SIGNED_FOR = timedelta(hours=12)
_SIGNED_ANEW = timedelta(hours=6)
_ORIGINS = 1000
# 4096 octets, less the header of 86, the delimiter and the tag of 16 (RFC 8291 section 4).
_LONGEST = 3993
_URGENCY: dict[Purpose, str] = {
    "regulatory": "high", "service": "high", "care": "normal", "marketing": "low",
}  # fmt: skip
_LOOPBACK = ("127.0.0.1", "localhost")


class WebPushSettings(ProviderSettings, tag="webpush", frozen=True, kw_only=True):
    """``subject`` is where push services may complain (mailto: or https:), ``key`` the VAPID private key.

    ``hosts`` are the push services that may be called: a name, one with ``*.`` before it, or one with
    ``:port`` behind it. ``allow_http`` lets those of the machine itself be called without TLS, for trials.
    """

    subject: str
    key: Secret
    hosts: tuple[str, ...] = PUSH_SERVICES
    allow_http: bool = False
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 50
    ca_file: str | None = None


class _Signed(Struct, frozen=True):
    header: str
    until: datetime


class WebPush:
    """Hands messages to browsers' push services. Raises InputRefused for a key or subject that is none."""

    def __init__(self, name: str, settings: WebPushSettings, *, clock: Clock = wall_clock) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        self._key = _signing_key(settings.key)
        self._signed: dict[str, _Signed] = {}
        self._line = Line(
            timeout_seconds=settings.timeout_seconds,
            at_once=settings.concurrency,
            http2=True,
            ca_file=settings.ca_file,
        )
        self._sign("https://push.example")  # a wrong subject is told now and not with each message

    @property
    def name(self) -> str:
        """The name that the settings give it."""
        return self._name

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand these over; a message for an address that is no ``web:<subscription>`` is rejected."""
        return await at_once(self._send, messages, limit=self._settings.concurrency)

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Unknown: push services tell of no message afterwards."""
        return [Unknown("web: cannot be asked", provider=self._name) for _ in messages]

    async def close(self) -> None:
        """Let go of connections."""
        await self._line.close()

    def receipts(self, callback: Callback) -> list[Receipt]:
        """Push services never call back. Raises InputRefused."""
        raise InputRefused("callback.forged", provider=self._name)

    async def _send(self, message: Outgoing) -> Outcome:
        subscription = subscription_of(message.address)
        if subscription is None:
            return no_device(self._name)
        place = _place(subscription.endpoint)
        if place is None or not self._may_call(place):
            return Rejected("web: no push service of the settings", refused="address", provider=self._name)
        content = {"id": message.id, "title": message.heading, "body": message.text}
        plain = msgspec.json.encode(content)
        if len(plain) > _LONGEST:
            return Rejected("web: too long", provider=self._name)
        try:
            body = encrypted(plain, subscription.keys)
        except (ValueError, binascii.Error):
            return Rejected("web: keys that are none", refused="address", provider=self._name)
        life = life_seconds(message)
        headers = {
            "authorization": self._sign(f"{place.scheme}://{place.netloc.decode()}"),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(LONGEST_LIFE_SECONDS if life is None else life),
            "urgency": _URGENCY[message.purpose],
            "topic": UUID(message.id).hex,
        }
        reply = await self._line.post(place, body, headers)
        if not isinstance(reply, Reply):
            return no_answer(reply, provider=self._name)
        return self._outcome(message, reply)

    def _outcome(self, message: Outgoing, reply: Reply) -> Outcome:
        reason = f"web: {reply.status}"
        after = retry_after(reply, self._clock())
        match reply.status:
            case 200 | 201 | 202:
                # The place of the message is a secret of the push service's and ours: whoever has it may
                # delete the message. Our own id says as much.
                return Accepted(message.id, provider=self._name)
            case 404 | 410:
                return Rejected(reason, refused="address", provider=self._name)
            case 408 | 425 | 429 | 401 | 403:
                # Not waited for, too many, or a signature that is not believed: a clock or a key that a
                # person mends.
                return Retry(reason, after, provider=self._name)
            case 503 if after is not None:
                return Retry(reason, after, provider=self._name)
            case status if 400 <= status < 500:
                return Rejected(reason, provider=self._name)
            case _:
                return Unknown(reason, provider=self._name)

    def _may_call(self, place: httpx2.URL) -> bool:
        host = place.host
        if ":" in host:
            return False  # an IPv6 address is no push service's, and no signature can name it
        if place.scheme != "https" and not (self._settings.allow_http and host in _LOOPBACK):
            return False
        named = host if place.port in (None, 443) else f"{host}:{place.port}"
        return any(
            named == known or (known.startswith("*.") and named.endswith(known[1:]))
            for known in self._settings.hosts
        )

    def _sign(self, origin: str) -> str:
        """The signature for this push service, made anew every six hours."""
        now = self._clock()
        signed = self._signed.get(origin)
        if signed is not None and now < signed.until and signed.until - now <= _SIGNED_ANEW:
            return signed.header
        expires_at = int((now + _SIGNED_FOR).timestamp())
        claims = {"sub": self._settings.subject, "aud": origin, "exp": expires_at}
        try:
            header = str(self._key.sign(claims)["Authorization"])
        except VapidException as error:
            raise InputRefused("push.subject", subject=self._settings.subject) from error
        if len(self._signed) >= _ORIGINS:
            self._signed.clear()
        self._signed[origin] = _Signed(header, now + _SIGNED_ANEW)
        return header


def encrypted(
    plain: bytes,
    keys: WebKeys,
    *,
    own: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The content as one record for this browser only; ``own`` and ``salt`` are made for it unless given.

    Raises ValueError for keys of a subscription that are none. Source: RFC 8291 section 4.
    """
    point, secret = _decoded(keys.p256dh), _decoded(keys.auth)
    if len(secret) != 16:
        raise ValueError("the authentication secret has 16 octets")
    content: bytes = http_ece.encrypt(
        plain,
        salt=salt,
        private_key=own or ec.generate_private_key(ec.SECP256R1()),
        dh=point,
        auth_secret=secret,
        version="aes128gcm",
    )
    return content


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def _place(endpoint: str) -> httpx2.URL | None:
    """The address as the client will read it; None where it cannot be one that a request should go to."""
    try:
        place = httpx2.URL(endpoint)
    except httpx2.InvalidURL:
        return None
    return place if place.host and not place.userinfo else None


def _signing_key(secret: Secret) -> Vapid02:
    text = secret.reveal()
    try:
        if text.startswith("-----"):
            return Vapid02.from_pem(text.strip().encode())
        return Vapid02.from_string(text)
    except (ValueError, TypeError, VapidException):
        place = secret.file or f"${secret.env}"
        raise InputRefused("secret.unreadable", place=place, reason="not a VAPID private key") from None
