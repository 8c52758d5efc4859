"""Calls of other systems by journeys, and their answers, as Standard Webhooks.

A call is a POST signed with the endpoint's secrets, under the id of the journey's call: to make it again is
harmless, because a receiver knows the id. So what may have arrived is simply to be made again.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

import hmac
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, NoReturn

import httpx2
import msgspec
from msgspec import Meta, Struct
from standardwebhooks import Webhook

from channels.calling import Clock, Line, Lost, NotSent, Reply, TooLarge, decoded, retry_after, wall_clock
from channels.provider import Callback
from channels.secret import Secret
from domain.errors import InputRefused

Value = str | int | bool | None
Values = dict[Annotated[str, Meta(min_length=1, max_length=200)], Value]

LARGEST_ANSWER = 16 * 1024
MOST_VALUES = 50
_TOLERANCE = timedelta(minutes=5)
_AGAIN = frozenset({408, 409, 425, 429})
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BIGGEST = 2**63
_INSTANT = re.compile(r"[0-9]{1,10}")
# Octets that a secret has, by the specification.
_SECRET = range(24, 65)
# So many signatures of one callback are looked at.
_MOST_SIGNATURES = 20


class EndpointSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a call goes: HTTPS, or HTTP on the machine itself. Secrets are ``whsec_`` and base64.

    ``former_secrets`` are those that a receiver may still know: a call is signed with all of them, and an
    answer signed with any of them is believed.
    """

    url: str
    secret: Secret
    former_secrets: tuple[Secret, ...] = ()
    timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 15.0
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 20
    ca_file: str | None = None


class Answered(Struct, frozen=True):
    """The endpoint did it, and answered these values."""

    values: dict[str, Value]


class Later(Struct, frozen=True):
    """The endpoint has the call (202) and will answer it by a callback of its own."""


class Failed(Struct, frozen=True):
    """The endpoint will not do it, or answers what cannot be read: it is not called again."""

    reason: str


class Again(Struct, frozen=True):
    """The call is to be made again under the same id, ``after`` so long at the earliest where it says so."""

    reason: str
    after: timedelta | None = None


class LateAnswer(Struct, frozen=True):
    """What an endpoint answered by a callback. ``key`` names this telling: twice is once."""

    key: str
    call: str
    ok: bool
    values: dict[str, Value]


class _Data(Struct, frozen=True):
    call: Annotated[str, Meta(min_length=1, max_length=200)]
    ok: bool = True
    values: Values = {}


class _Body(Struct, frozen=True):
    data: _Data


class _Endpoint:
    def __init__(self, name: str, settings: EndpointSettings) -> None:
        _check(name, settings.url)
        self.url = settings.url
        self.signers = [_signer(secret) for secret in (settings.secret, *settings.former_secrets)]
        self.line = Line(
            timeout_seconds=settings.timeout_seconds, at_once=settings.concurrency, ca_file=settings.ca_file
        )

    def signatures(self, identity: str, at: datetime, body: str) -> list[str]:
        """One for each secret, the one in force first."""
        return [signer.sign(identity, at, body) for signer in self.signers]


class Webhooks:
    """All endpoints by the names that journeys call them. Raises InputRefused for what cannot be called."""

    def __init__(self, endpoints: Mapping[str, EndpointSettings], *, clock: Clock = wall_clock) -> None:
        self._endpoints = {name: _Endpoint(name, settings) for name, settings in endpoints.items()}
        self._clock = clock

    async def call(
        self,
        endpoint: str,
        *,
        call: str,
        at: datetime,
        values: Mapping[str, object],
        asked_at: datetime | None = None,
    ) -> Answered | Later | Failed | Again:
        """Make this call once, under its id.

        ``at`` is now (aware UTC): receivers refuse what is minutes away. ``asked_at`` is when the journey
        asked for it, which stays the same when a call is made again; ``at`` unless given.
        """
        known = self._endpoints.get(endpoint)
        if known is None:
            return Failed("webhook: unknown endpoint")
        told = {"type": "journey.webhook", "timestamp": (asked_at or at).astimezone(UTC), "data": values}
        body = msgspec.json.encode(told)
        headers = {
            "content-type": "application/json",
            "webhook-id": call,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(known.signatures(call, at.astimezone(UTC), body.decode())),
        }
        reply = await known.line.post(known.url, body, headers, largest=LARGEST_ANSWER)
        return self._answer(reply)

    async def close(self) -> None:
        """Let go of connections. It may be used again afterwards, also by another event loop."""
        for endpoint in self._endpoints.values():
            await endpoint.line.close()

    def verify(self, endpoint: str, callback: Callback) -> LateAnswer:
        """The answer that a callback of this endpoint brings, ``{"data": {"call", "ok", "values"}}``.

        Raises InputRefused: ``callback.forged`` where no secret of the endpoint signed it, or more than five
        minutes from when it came, ``callback.unreadable`` where it cannot be understood.
        """
        known = self._endpoints.get(endpoint)
        identity = callback.headers.get("webhook-id", "")
        timestamp = callback.headers.get("webhook-timestamp", "")
        if known is None or len(callback.body) > LARGEST_ANSWER:
            _forged(endpoint)
        # A full stop in the id could move the bounds of what is signed.
        if not (0 < len(identity) <= 200) or "." in identity or not _INSTANT.fullmatch(timestamp):
            _forged(endpoint)
        at = datetime.fromtimestamp(int(timestamp), UTC)
        given = callback.headers.get("webhook-signature", "").split(" ")[:_MOST_SIGNATURES]
        try:
            due = known.signatures(identity, at, callback.body.decode())
        except UnicodeDecodeError:
            _forged(endpoint)
        # All are compared, whatever the first says: how long it takes tells nothing.
        matches = [hmac.compare_digest(one.encode(), other.encode()) for one in due for other in given]
        if not any(matches) or abs(callback.at - at) > _TOLERANCE:
            _forged(endpoint)
        said = decoded(callback.body, _Body)
        if said is None or not _holds(said.data.values):
            raise InputRefused("callback.unreadable", provider=endpoint)
        return LateAnswer(identity, said.data.call, said.data.ok, said.data.values)

    def _answer(self, reply: Reply | NotSent | Lost) -> Answered | Later | Failed | Again:
        match reply:
            case TooLarge(status=status) if 200 <= status < 300:
                return Failed("webhook: the answer is too large")
            case TooLarge(status=status, headers=headers):
                reply = Reply(status, headers, b"")
            case NotSent(reason=reason) | Lost(reason=reason):
                return Again(f"webhook: {reason}")
        status = reply.status
        if status == 202:
            return Later()
        if 200 <= status < 300:
            return _values(reply.body)
        if status in _AGAIN or status >= 500:
            return Again(f"webhook: {status}", retry_after(reply, self._clock()))
        return Failed(f"webhook: {status}")


def _values(body: bytes) -> Answered | Failed:
    if not body.strip():
        return Answered({})
    values = decoded(body, Values)
    if values is None or not _holds(values):
        return Failed("webhook: the answer is no flat object of at most 50 texts, whole numbers and truths")
    return Answered(values)


def _holds(values: dict[str, Value]) -> bool:
    """Whether a fact can hold that much."""
    numbers = [value for value in values.values() if isinstance(value, int)]
    return len(values) <= MOST_VALUES and all(-_BIGGEST <= number < _BIGGEST for number in numbers)


def _check(name: str, url: str) -> None:
    try:
        place = httpx2.URL(url)
    except httpx2.InvalidURL:
        place = httpx2.URL("")
    safe = place.scheme == "https" or (place.scheme == "http" and place.host in _LOOPBACK)
    if not safe or not place.host or place.userinfo:
        raise InputRefused("webhook.url", endpoint=name, url=url)


def _signer(secret: Secret) -> Webhook:
    text = secret.reveal()
    try:
        prefix, _, encoded = text.partition("_")
        if prefix != "whsec" or len(b64decode(encoded, validate=True)) not in _SECRET:
            raise ValueError("no secret")
        return Webhook(text)
    except ValueError:  # its words could quote the secret
        place = secret.file or f"${secret.env}"
        reason = "not a secret of Standard Webhooks: whsec_ and 24 to 64 octets in base64"
        raise InputRefused("secret.unreadable", place=place, reason=reason) from None


def _forged(endpoint: str) -> NoReturn:
    raise InputRefused("callback.forged", provider=endpoint)
