"""Text messages by Twilio's Messages API (2010-04-01), through Twilio's own library.

Messages has no idempotency key, so what may have been taken is never sent again blindly: it is looked for in
the list of messages to the number.
"""

import asyncio
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

from aiohttp import ClientConnectorError, ClientError, ConnectionTimeoutError
from msgspec import Meta

from channels.at_once import at_once
from channels.base import Accepted, Answer, NotTaken, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.phone_numbers import bad_number, e164
from channels.provider import Callback, ProviderSettings, Receipt
from channels.replies import Words
from channels.secret import Secret
from channels.segments import Cost, Prices, cost
from channels.signature import Signature, signed
from channels.twilio_client import BASE_URL, Line, Login, Refusal, Unreadable, Where
from channels.twilio_outcomes import refused
from channels.twilio_receipts import Receiver
from domain.errors import InputRefused

# Twilio takes 1 to 36,000 seconds, and advises against fewer than 6.
_VALIDITY = (6, 36_000)
_PAGE = 1000
_PAGES = 5
# How far Twilio's clock and ours may differ, and how long its list may lag behind what it took.
_SKEW = timedelta(minutes=5)
# The first try of a message in doubt may lie so far before the judgement that it carries now.
_DOUBT = timedelta(days=1)


class TwilioSettings(ProviderSettings, frozen=True, kw_only=True, tag="twilio"):
    """A Twilio account. Texts go out by a messaging service or from one sender, of which one must be given.

    ``sender`` is a number in E.164, a name (up to 11 letters and digits) or a short code. ``auth_token``
    signs callbacks also where an API key sends; ``webhook_key`` is the shared key of a webhook setting, if
    there is one. ``callback_url`` is where Twilio reports to; the message's id is added as ``?message=``.
    """

    account_sid: Annotated[str, Meta(pattern=r"^AC[0-9a-fA-F]{32}$")]
    auth_token: Secret
    api_key_sid: Annotated[str, Meta(pattern=r"^SK[0-9a-fA-F]{32}$")] | None = None
    api_key_secret: Secret | None = None
    webhook_key: Secret | None = None
    messaging_service_sid: Annotated[str, Meta(pattern=r"^MG[0-9a-fA-F]{32}$")] | None = None
    sender: (
        Annotated[str, Meta(pattern=r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|[A-Za-z0-9 +&_-]{1,11})$")] | None
    ) = None
    signature: Signature = ""
    default_region: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None = None
    callback_url: Annotated[str, Meta(pattern=r"^https?://[^?#\s]+$")] | None = None
    base_url: Annotated[str, Meta(pattern=r"^https?://[^?#\s]+$")] = BASE_URL
    edge: Annotated[str, Meta(pattern=r"^[a-z0-9-]+$")] | None = None
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]+$")] | None = None
    words: Words = Words()
    prices: Prices = Prices()
    concurrency: Annotated[int, Meta(ge=1, le=100)] = 16


class Twilio:
    """Sends texts, asks what became of them, and reads what Twilio reports."""

    def __init__(self, name: str, settings: TwilioSettings) -> None:
        """Reads the secrets. Raises InputRefused where one is missing, or settings contradict each other."""
        if (settings.sender is None) == (settings.messaging_service_sid is None):
            raise InputRefused("sms.sender", provider=name)
        if (settings.api_key_sid is None) != (settings.api_key_secret is None):
            raise InputRefused("sms.api_key", provider=name)
        self._name = name
        self._settings = settings
        token = settings.auth_token.reveal()
        key = settings.webhook_key
        self._receiver = Receiver(
            token, key.reveal() if key else None, settings.words, settings.default_region
        )
        account = settings.account_sid
        self._login = Login(account, account, token)
        if settings.api_key_sid and settings.api_key_secret:
            self._login = Login(account, settings.api_key_sid, settings.api_key_secret.reveal())
        self._where = Where(
            settings.base_url,
            settings.edge,
            settings.region,
            settings.concurrency,
            settings.timeout_seconds,
        )
        self._sender = (
            {"from_": settings.sender}
            if settings.sender
            else {"messaging_service_sid": settings.messaging_service_sid}
        )
        self._line: Line | None = None

    @property
    def name(self) -> str:
        """The name that the settings give it."""
        return self._name

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand them over, up to ``concurrency`` at once, and say what became of each."""
        if not messages:
            return []
        call = partial(self._send, self._open().messages)
        return await at_once(call, messages, limit=self._settings.concurrency)

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Whether Twilio lists each message. NotTaken only where the list is whole and leaves no doubt."""
        if not messages:
            return []
        call = partial(self._ask, self._open().messages)
        return await at_once(call, messages, limit=self._settings.concurrency)

    async def close(self) -> None:
        """Let go of the connections; the next call opens new ones."""
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What a status report or an inbound text says. Raises InputRefused: ``callback.forged``,
        ``callback.unreadable``."""
        return self._receiver.receipts(callback)

    def estimate(self, message: Outgoing) -> Cost:
        """How many segments the message would take and what they would cost, without sending it."""
        number = e164(message.address, region=self._settings.default_region)
        return cost(self._body(message), number or "", self._settings.prices)

    def _open(self) -> Line:
        # Connections belong to the loop that opened them.
        if self._line is None or self._line.loop is not asyncio.get_running_loop():
            self._line = Line(self._login, self._where)
        return self._line

    def _body(self, message: Outgoing) -> str:
        return signed(message.text, message.language, self._settings.signature)

    async def _send(self, api: Any, message: Outgoing) -> Outcome:
        number = e164(message.address, region=self._settings.default_region)
        if number is None:
            return bad_number(self._name)
        body = self._body(message)
        if not body:
            return Rejected("text.empty", provider=self._name)
        values: dict[str, object] = {"to": number, "body": body, **self._sender}
        if self._settings.callback_url:
            values["status_callback"] = f"{self._settings.callback_url}?message={message.id}"
        if message.expires_at is not None:
            # From when it was let go, within the last minute: no clock of this machine comes into it.
            seconds = int((message.expires_at - message.at).total_seconds())
            if seconds <= 0:
                return Rejected("message.expired", provider=self._name)
            values["validity_period"] = max(_VALIDITY[0], min(_VALIDITY[1], seconds))
        try:
            taken = await api.create_async(**values)
        except Refusal as said:
            return refused(said.status, said.code, after=said.after, provider=self._name)
        except (ClientConnectorError, ConnectionTimeoutError) as error:
            # No connection, no TLS: not a byte of the request has left.
            return Retry(f"connection.{type(error).__name__}", provider=self._name)
        except (ClientError, TimeoutError, Unreadable, OSError) as error:
            return Unknown(f"answer.{type(error).__name__}", provider=self._name)
        return Accepted(taken.sid, provider=self._name)

    async def _ask(self, api: Any, message: Outgoing) -> Answer:
        number = e164(message.address, region=self._settings.default_region)
        if number is None:
            # Such a message never leaves.
            return NotTaken()
        if not message.text:
            return Unknown("list.words_lost", provider=self._name)
        since = message.at - (_DOUBT if message.in_doubt else _SKEW)
        try:
            return await self._found(api, number, self._body(message), since) or self._missing(message)
        except (Refusal, Unreadable, ClientError, TimeoutError, OSError, ValueError) as error:
            return Unknown(f"list.{type(error).__name__}", provider=self._name)

    async def _found(self, api: Any, number: str, body: str, since: datetime) -> Answer | None:
        """The message in the list; Unknown where what is there might be it; None where it is not there.

        The list is not asked by date: Twilio filters by when it *sent* a message, and what it has taken and
        not yet sent has no such date.
        """
        page = await api.page_async(to=number, page_size=_PAGE)
        doubtful = False
        for _ in range(_PAGES):
            for listed in page:
                # What says neither whence nor when it is might be ours.
                at = listed.date_created
                if listed.direction == "inbound" or (isinstance(at, datetime) and at < since):
                    continue
                if listed.body == body:
                    return Accepted(listed.sid, provider=self._name)
                # Twilio can be told to keep no texts, and to write typographic characters plainly.
                doubtful |= not listed.body or _bare(listed.body) == _bare(body)
            if not page.next_page_url:
                return Unknown("list.doubtful", provider=self._name) if doubtful else None
            page = await page.next_page_async()
        return Unknown("list.too_long", provider=self._name)

    def _missing(self, message: Outgoing) -> Answer:
        waited = datetime.now(UTC) - message.at
        if waited < _SKEW + timedelta(seconds=self._settings.timeout_seconds):
            return Unknown("list.too_early", provider=self._name)
        return NotTaken()


def _bare(text: str) -> str:
    """Letters and digits alone, which no rewriting of punctuation changes."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text))).casefold()
