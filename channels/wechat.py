"""WeChat official accounts: template messages and subscription messages to open ids.

WeChat cannot be asked what became of a message by our id. A template message carries our id as
``client_msg_id``: WeChat sends one for each open id and id (for ten minutes, says its documentation). A
subscription message has nothing of that kind, so what became of one is left unknown sooner.
Source: https://developers.weixin.qq.com/doc/offiaccount, "Template message interface", "Subscription
messages", "Stable access token" and "Global return codes".
"""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

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
)
from channels.provider import Callback, ProviderSettings, Receipt
from channels.secret import Secret
from channels.wechat_events import Events

_PAUSE = timedelta(minutes=10)
# How many messages' numbers are remembered, so that what WeChat tells of them finds its message.
_NUMBERS = 50_000
_TOKEN_REFUSED = frozenset({40001, 40014, 42001})
_OPTED_OUT = frozenset({43004, 43101, 50005})  # follows no more, refused this template, follows no more
_ADDRESS = frozenset({40003, 41009})  # no open id of this account
# Refused before the message was looked at: how much we may ask, or whether we may ask at all.
_QUOTA = {45009: timedelta(hours=1), 45011: timedelta(minutes=1)}
_NOT_US = frozenset({40013, 40125, 40164, 41001, 48001, 48004, 61004, *_TOKEN_REFUSED})
# Everything that is wrong with a request has a number from here on; others tell of WeChat's own troubles.
_FIRST_REFUSAL = 40000


class WeChatSettings(ProviderSettings, tag="wechat", frozen=True, kw_only=True):
    """The account's ``appid`` and ``secret``; ``token`` and ``aes_key`` are those of its message server.

    Without ``token`` nothing that WeChat tells is believed; ``aes_key`` (43 characters) is for its safe mode.
    """

    appid: str
    secret: Secret
    token: Secret | None = None
    aes_key: Secret | None = None
    base_url: BaseUrl = "https://api.weixin.qq.com"
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 20
    ca_file: str | None = None


class Value(Struct, frozen=True, forbid_unknown_fields=True):
    """One value of a template, as WeChat takes it."""

    value: str


class Content(Struct, frozen=True, forbid_unknown_fields=True):
    """What the text of a message for WeChat says, in JSON."""

    template_id: str
    data: dict[str, str | Value]
    url: str = ""
    kind: Literal["template", "subscription"] = "template"


class _Said(Struct, frozen=True):
    errcode: int = 0
    msgid: int | None = None
    access_token: str = ""
    expires_in: int = 0


class WeChat:
    """Hands messages to WeChat; addresses are open ids of followers of the account."""

    def __init__(self, name: str, settings: WeChatSettings, *, clock: Clock = wall_clock) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        self._secret = settings.secret.reveal()
        self._base = settings.base_url.rstrip("/")
        self._events = Events(
            name,
            appid=settings.appid,
            token=settings.token.reveal() if settings.token else None,
            aes_key=settings.aes_key.reveal() if settings.aes_key else None,
        )
        self._line = Line(
            timeout_seconds=settings.timeout_seconds, at_once=settings.concurrency, ca_file=settings.ca_file
        )
        self._tokens = Borrowed(self._fetch, clock=clock, pause=_PAUSE)
        self._refused = ""
        self._numbers: OrderedDict[str, str] = OrderedDict()

    @property
    def name(self) -> str:
        """The name that the settings give it."""
        return self._name

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand these over; their text is ``Content`` in JSON."""
        return await at_once(self._send, messages, limit=self._settings.concurrency)

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Unknown: WeChat tells of no message by our id."""
        return [Unknown("wechat: cannot be asked", provider=self._name) for _ in messages]

    async def close(self) -> None:
        """Let go of connections; the access token is kept."""
        await self._tokens.close()
        await self._line.close()

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What the account's message server was told, signed by WeChat.

        ``message`` is known for what this adapter handed over lately; otherwise the open id alone is told.
        """
        return self._events.receipts(callback, self._numbers)

    def echo(self, callback: Callback) -> str:
        """The body of the answer when WeChat first calls the message server's address (GET).

        Raises InputRefused, ``callback.forged``.
        """
        return self._events.echo(callback)

    async def _send(self, message: Outgoing) -> Outcome:
        if not message.address:
            return Rejected("wechat: no open id", refused="address", provider=self._name)
        content = decoded(message.text, Content)
        if content is None:
            return Rejected("wechat: the text is no content of a template", provider=self._name)
        path, body = _request(message, content)
        lent = await self._tokens.current()
        if isinstance(lent, NotLent):
            return Retry(lent.reason, lent.after, provider=self._name)
        reply = await self._post(path, body, lent)
        if isinstance(reply, Reply) and _said(reply).errcode in _TOKEN_REFUSED:
            self._refused = lent.token
            other = await self._tokens.instead_of(lent.token)
            if isinstance(other, Lent):
                reply = await self._post(path, body, other)
        if not isinstance(reply, Reply):
            return no_answer(reply, provider=self._name)
        return self._outcome(message, reply)

    async def _post(self, path: str, body: bytes, lent: Lent) -> Reply | NotSent | Lost:
        url = f"{self._base}{path}?access_token={lent.token}"
        return await self._line.post(url, body, {"content-type": "application/json"})

    def _outcome(self, message: Outgoing, reply: Reply) -> Outcome:
        if reply.status == 429:
            return Retry("wechat: http 429", retry_after(reply, self._clock()), provider=self._name)
        said = _said(reply)
        reason = f"wechat: {said.errcode}"
        if reply.status != 200:
            return Unknown(f"wechat: http {reply.status}", provider=self._name)
        match said.errcode:
            case 0:
                return Accepted(self._remember(message, said), provider=self._name)
            case code if code in _OPTED_OUT:
                return Rejected(reason, refused="opted_out", provider=self._name)
            case code if code in _ADDRESS:
                return Rejected(reason, refused="address", provider=self._name)
            case code if code in _QUOTA:
                return Retry(reason, _QUOTA[code], provider=self._name)
            case code if code in _NOT_US:
                return Retry(reason, provider=self._name)
            case code if code >= _FIRST_REFUSAL:
                return Rejected(reason, provider=self._name)
            case _:
                # "System busy" and whatever has no number of a refusal: it may have been sent.
                return Unknown(reason, provider=self._name)

    def _remember(self, message: Outgoing, said: _Said) -> str:
        if said.msgid is None:
            return message.id
        number = str(said.msgid)
        self._numbers[number] = message.id
        if len(self._numbers) > _NUMBERS:
            self._numbers.popitem(last=False)
        return number

    async def _fetch(self) -> Lent | NotLent:
        """The stable token, which is the same for all who ask; a new one where WeChat refuses that itself."""
        got = await self._stable_token(force=False)
        if isinstance(got, Lent) and got.token == self._refused:
            return await self._stable_token(force=True)
        return got

    async def _stable_token(self, *, force: bool) -> Lent | NotLent:
        asked = {
            "grant_type": "client_credential",
            "appid": self._settings.appid,
            "secret": self._secret,
            "force_refresh": force,
        }
        headers = {"content-type": "application/json"}
        reply = await self._line.post(
            f"{self._base}/cgi-bin/stable_token", msgspec.json.encode(asked), headers
        )
        if not isinstance(reply, Reply):
            return NotLent(f"wechat token: {reply.reason}")
        said = _said(reply)
        if reply.status != 200 or not said.access_token.isascii() or not said.access_token:
            wait = _QUOTA.get(said.errcode) or retry_after(reply, self._clock())
            return NotLent(f"wechat token: {said.errcode if reply.status == 200 else reply.status}", wait)
        life = max(said.expires_in - 300, said.expires_in // 2)
        return Lent(said.access_token, self._clock() + timedelta(seconds=life))


def _request(message: Outgoing, content: Content) -> tuple[str, bytes]:
    data = {name: value if isinstance(value, Value) else Value(value) for name, value in content.data.items()}
    body: dict[str, Any] = {"touser": message.address, "template_id": content.template_id, "data": data}
    if content.kind == "subscription":
        if content.url:
            body["page"] = content.url
        return "/cgi-bin/message/subscribe/bizsend", msgspec.json.encode(body)
    if content.url:
        body["url"] = content.url
    body["client_msg_id"] = message.id
    return "/cgi-bin/message/template/send", msgspec.json.encode(body)


def _said(reply: Reply) -> _Said:
    """What WeChat says; an answer that cannot be read counts as its trouble."""
    return decoded(reply.body, _Said) or _Said(errcode=-1)
