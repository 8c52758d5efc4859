"""Text messages by any gateway that takes HTTP requests, as its settings describe them."""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import httpx2
import phonenumbers
from msgspec import Meta

from channels.at_once import at_once
from channels.base import Accepted, Answer, NotTaken, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.gateway_answer import Reading, read
from channels.gateway_call import Call, Caller
from channels.gateway_callbacks import Reporting, Reports
from channels.phone_numbers import bad_number, e164
from channels.provider import Callback, ProviderSettings, Receipt
from channels.replies import Words
from channels.retry_after import retry_after
from channels.segments import Cost, Prices, cost
from channels.signature import Signature, signed
from domain.errors import InputRefused

_LONGEST_ANSWER = 1 << 20
_TO_CONNECT_SECONDS = 10.0
# Shorter than servers keep them: a request on a connection that is just being closed has an unknown outcome.
_IDLE_SECONDS = 10.0
# A gateway that knows nothing of a message so long after its judgement will not get it any more.
_SETTLED = timedelta(minutes=5)


class HttpSmsSettings(ProviderSettings, frozen=True, kw_only=True, tag="http_sms"):
    """A gateway: how a message is handed over, how its answer is read, and what else it can do.

    ``enquiry`` asks for one message by our id, and ``enquiry_answer`` reads what it says. ``signature`` is
    put in front of texts, unless a field takes it by ``{signature}``. ``ca_file`` holds the certificates
    of the bank's own authority, for gateways inside its walls.
    """

    send: Call
    answer: Reading
    enquiry: Call | None = None
    enquiry_answer: Reading | None = None
    reporting: Reporting | None = None
    sender: str = ""
    signature: Signature = ""
    default_region: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None = None
    words: Words = Words()
    prices: Prices = Prices()
    concurrency: Annotated[int, Meta(ge=1, le=100)] = 16
    ca_file: str | None = None


class HttpSms:
    """Sends texts, asks where the gateway can be asked, and reads what it reports."""

    def __init__(self, name: str, settings: HttpSmsSettings) -> None:
        """Reads the secrets. Raises InputRefused where one is missing or a gap of a template is unknown."""
        if (settings.enquiry is None) != (settings.enquiry_answer is None):
            raise InputRefused("sms.enquiry", provider=name)
        self._name = name
        self._settings = settings
        self._sending = Caller(name, settings.send)
        self._asking = Caller(name, settings.enquiry) if settings.enquiry else None
        reporting = settings.reporting
        self._reports = Reports(reporting, settings.words, settings.default_region) if reporting else None
        self._apart = self._sending.uses("signature")
        self._trust = _trust(name, settings.ca_file)
        self._client: tuple[asyncio.AbstractEventLoop, httpx2.AsyncClient] | None = None

    @property
    def name(self) -> str:
        """The name that the settings give it."""
        return self._name

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand them over, up to ``concurrency`` at once, and say what became of each."""
        if not messages:
            return []
        call = partial(self._send, self._open())
        return await at_once(call, messages, limit=self._settings.concurrency)

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """What the gateway knows of each; Unknown where the settings name no enquiry."""
        if self._asking is None or self._settings.enquiry_answer is None:
            return [Unknown("enquiry.none", provider=self._name) for _ in messages]
        if not messages:
            return []
        call = partial(self._ask, self._open(), self._asking, self._settings.enquiry_answer)
        return await at_once(call, messages, limit=self._settings.concurrency)

    async def close(self) -> None:
        """Let go of the connections; the next call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client[1].aclose()

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What a status report or a reply says. Raises InputRefused: ``callback.forged``, also where the
        settings know of no callbacks, ``callback.unreadable``."""
        if self._reports is None:
            raise InputRefused("callback.forged", reason="the settings have no `reporting`")
        return self._reports.receipts(callback)

    def estimate(self, message: Outgoing) -> Cost:
        """How many segments the message would take and what they would cost, without sending it."""
        number = e164(message.address, region=self._settings.default_region)
        text = signed(message.text, message.language, self._settings.signature)
        return cost(text, number or "", self._settings.prices)

    def _open(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        # Connections belong to the loop that opened them.
        if self._client is None or self._client[0] is not loop:
            seconds, most = self._settings.timeout_seconds, self._settings.concurrency
            self._client = (
                loop,
                httpx2.AsyncClient(
                    timeout=httpx2.Timeout(seconds, connect=min(_TO_CONNECT_SECONDS, seconds / 2)),
                    limits=httpx2.Limits(
                        max_connections=most, max_keepalive_connections=most, keepalive_expiry=_IDLE_SECONDS
                    ),
                    verify=self._trust,
                    trust_env=False,
                ),
            )
        return self._client[1]

    async def _send(self, client: httpx2.AsyncClient, message: Outgoing) -> Outcome:
        number = e164(message.address, region=self._settings.default_region)
        if number is None:
            return bad_number(self._name)
        values = self._values(message, number)
        if not values["text"]:
            return Rejected("text.empty", provider=self._name)
        outcome = await self._called(client, self._sending, self._settings.answer, message, values)
        # Whatever a gateway says instead of an answer to what it was just given proves nothing.
        return Unknown("gateway.not_taken", provider=self._name) if isinstance(outcome, NotTaken) else outcome

    async def _ask(
        self, client: httpx2.AsyncClient, caller: Caller, reading: Reading, message: Outgoing
    ) -> Answer:
        number = e164(message.address, region=self._settings.default_region)
        if number is None:
            # Such a message never leaves.
            return NotTaken()
        values = self._values(message, number)
        answer = await self._called(client, caller, reading, message, values)
        if isinstance(answer, Retry):
            return Unknown(answer.reason, provider=self._name)
        waited = datetime.now(UTC) - message.at
        early = waited < _SETTLED + timedelta(seconds=self._settings.timeout_seconds)
        if isinstance(answer, NotTaken) and early:
            return Unknown("enquiry.too_early", provider=self._name)
        return answer

    async def _called(
        self,
        client: httpx2.AsyncClient,
        caller: Caller,
        reading: Reading,
        message: Outgoing,
        values: dict[str, str],
    ) -> Accepted | Rejected | Retry | Unknown | NotTaken:
        now = datetime.now(UTC)
        ready = caller.ready(values, now)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                response, body = await _answered(client, ready.method, ready.url, ready.headers, ready.body)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            # No connection, no TLS: not a byte of the request has left.
            return Retry(f"connection.{type(error).__name__}", provider=self._name)
        except (httpx2.HTTPError, TimeoutError) as error:
            return Unknown(f"answer.{type(error).__name__}", provider=self._name)
        if body is None:
            return Unknown("answer.too_long", provider=self._name)
        after = retry_after(response.headers.get("retry-after"), now)
        return read(reading, response.status_code, body, message=message.id, after=after, provider=self._name)

    def _values(self, message: Outgoing, number: str) -> dict[str, str]:
        text = message.text.strip()
        mark = signed("x", message.language, self._settings.signature).removesuffix("x")
        return {
            "to": number,
            "to_digits": number.removeprefix("+"),
            "to_national": phonenumbers.national_significant_number(phonenumbers.parse(number)),
            "text": text if self._apart else signed(text, message.language, self._settings.signature),
            "id": message.id,
            "sender": self._settings.sender,
            "signature": mark,
        }


def _trust(provider: str, ca_file: str | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise InputRefused("sms.authority", provider=provider, found=ca_file, reason=reason) from error


async def _answered(
    client: httpx2.AsyncClient, method: str, url: str, headers: dict[str, str], body: bytes
) -> tuple[httpx2.Response, bytes | None]:
    """The answer and its body, None where that is too long."""
    async with client.stream(method, url, headers=headers, content=body or None) as response:
        read_so_far = bytearray()
        async for part in response.aiter_bytes():
            read_so_far += part
            if len(read_so_far) > _LONGEST_ANSWER:
                return response, None
        return response, bytes(read_so_far)
