"""Push messages through Firebase Cloud Messaging, HTTP v1.

It cannot be asked what became of a message. One that is handed over again under the same id takes the place
of the first on an Android device, which shows one notification for each tag. Nothing is collapsed on the
way: FCM keeps four collapse keys for each device and forgets any of a fifth.
Source: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages, .../v1/ErrorCode.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import msgspec
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
from channels.device import life_seconds, no_device, token_of
from channels.google_account import GoogleAccount
from channels.provider import Callback, ProviderSettings, Receipt
from channels.secret import Secret
from domain.errors import InputRefused

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_PAUSE = timedelta(minutes=1)


class FcmSettings(ProviderSettings, tag="fcm", frozen=True, kw_only=True):
    """``service_account`` is the account's key file (JSON), ``project`` its own project unless given.

    ``base_url`` and ``token_uri`` are Google's, ``concurrency`` is how many messages are under way at once,
    over one connection with ``http2`` and over as many connections without.
    """

    service_account: Secret
    project: str | None = None
    base_url: BaseUrl = "https://fcm.googleapis.com"
    token_uri: BaseUrl | None = None
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 50
    http2: bool = True
    ca_file: str | None = None


class _Detail(Struct, frozen=True):
    type_: str = msgspec.field(name="@type", default="")
    error_code: str = msgspec.field(name="errorCode", default="")
    violations: list[dict[str, Any]] = msgspec.field(name="fieldViolations", default_factory=list)


class _Error(Struct, frozen=True):
    status: str = ""
    message: str = ""
    details: list[_Detail] = []

    @property
    def code(self) -> str:
        """FCM's own word where it has one, else that of all Google services."""
        return word_of(next((found.error_code for found in self.details if found.error_code), self.status))

    @property
    def about_token(self) -> bool:
        """Whether it is the registration token that is refused."""
        fields = {str(found.get("field")) for detail in self.details for found in detail.violations}
        return "message.token" in fields or (not fields and "registration token" in self.message)


class _Failed(Struct, frozen=True):
    error: _Error = _Error()


class _Taken(Struct, frozen=True):
    name: str


class Fcm:
    """Hands messages to FCM, each for one device. Raises InputRefused for a service account that is none."""

    def __init__(self, name: str, settings: FcmSettings, *, clock: Clock = wall_clock) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        account = GoogleAccount(
            settings.service_account,
            scope=_SCOPE,
            token_uri=settings.token_uri,
            timeout_seconds=settings.timeout_seconds,
            ca_file=settings.ca_file,
            clock=clock,
        )
        project = settings.project or account.project
        self._url = f"{settings.base_url.rstrip('/')}/v1/projects/{project}/messages:send"
        self._line = Line(
            timeout_seconds=settings.timeout_seconds,
            at_once=settings.concurrency,
            http2=settings.http2,
            ca_file=settings.ca_file,
        )
        self._tokens = Borrowed(account.fetch, clock=clock, pause=_PAUSE)

    @property
    def name(self) -> str:
        """The name that the settings give it."""
        return self._name

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand these over; a message for an address that is no ``fcm:<token>`` is rejected."""
        return await at_once(self._send, messages, limit=self._settings.concurrency)

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Unknown: FCM tells of no message by the id that it was given."""
        return [Unknown("fcm: cannot be asked", provider=self._name) for _ in messages]

    async def close(self) -> None:
        """Let go of connections; the access token is kept."""
        await self._tokens.close()
        await self._line.close()

    def receipts(self, callback: Callback) -> list[Receipt]:
        """FCM never calls back. Raises InputRefused."""
        raise InputRefused("callback.forged", provider=self._name)

    async def _send(self, message: Outgoing) -> Outcome:
        token = token_of(message.address, "fcm")
        if not token:
            return no_device(self._name)
        body = msgspec.json.encode({"message": _message(message, token)})
        lent = await self._tokens.current()
        if isinstance(lent, NotLent):
            return Retry(lent.reason, lent.after, provider=self._name)
        reply = await self._post(body, lent)
        if (
            isinstance(reply, Reply)
            and reply.status == 401
            and _error(reply).code != "THIRD_PARTY_AUTH_ERROR"
        ):
            other = await self._tokens.instead_of(lent.token)
            if isinstance(other, Lent):
                reply = await self._post(body, other)
        return self._outcome(reply) if isinstance(reply, Reply) else no_answer(reply, provider=self._name)

    async def _post(self, body: bytes, lent: Lent) -> Reply | NotSent | Lost:
        headers = {"authorization": f"Bearer {lent.token}", "content-type": "application/json"}
        return await self._line.post(self._url, body, headers)

    def _outcome(self, reply: Reply) -> Outcome:
        if reply.status == 200:
            taken = decoded(reply.body, _Taken)
            if taken is None:
                return Unknown("fcm: unreadable answer", provider=self._name)
            return Accepted(taken.name, provider=self._name)
        error = _error(reply)
        reason = f"fcm: {reply.status} {error.code}".rstrip()
        after = retry_after(reply, self._clock())
        retry = partial(Retry, reason, provider=self._name)
        match reply.status, error.code:
            case 404, "UNREGISTERED":
                return Rejected(reason, refused="address", provider=self._name)
            case 403, "SENDER_ID_MISMATCH":
                return Rejected(reason, refused="address", provider=self._name)
            case 400, "INVALID_ARGUMENT" if error.about_token:
                return Rejected(reason, refused="address", provider=self._name)
            case ((408 | 425 | 429), _):
                return retry(after)
            case 503, "UNAVAILABLE" if after is not None:
                # Overloaded and says when to come again: FCM turned it away. Without that, UNAVAILABLE is
                # what any Google service says when one of its parts gave no answer, the message taken or not.
                return retry(after)
            case ((401 | 403 | 404), _):
                # The account, the project or a certificate is wrong, not the message: a person mends that.
                return retry(after)
            case status, _ if 400 <= status < 500:
                return Rejected(reason, provider=self._name)
            case _:
                return Unknown(reason, provider=self._name)


def _message(message: Outgoing, token: str) -> dict[str, Any]:
    urgent = message.purpose in ("service", "regulatory")
    android: dict[str, Any] = {
        "priority": "HIGH" if urgent else "NORMAL",
        "notification": {"tag": message.id},
    }
    apns = {"apns-collapse-id": message.id}
    web: dict[str, Any] = {"notification": {"tag": message.id}}
    life = life_seconds(message)
    if life is not None and message.expires_at is not None:
        android["ttl"] = f"{life}s"
        apns["apns-expiration"] = str(int(message.expires_at.timestamp()))
        web["headers"] = {"TTL": str(life)}
    return {
        "token": token,
        "notification": {"title": message.heading, "body": message.text},
        "data": {"message": message.id},
        "android": android,
        "apns": {"headers": apns},
        "webpush": web,
    }


def _error(reply: Reply) -> _Error:
    failed = decoded(reply.body, _Failed)
    return _Error() if failed is None else failed.error
