"""E-mail over SMTP: pooled connections, each message handed over at most once as far as can be told.

SMTP cannot be asked what became of a mail, so what was sent without an answer stays unknown.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from channels.base import Answer, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.bounces import Bounces
from channels.mail_signing import Dkim, DkimSigner
from channels.mime import Composer, Envelope, Sender
from channels.provider import Callback, ProviderSettings, Receipt
from channels.secret import Secret
from channels.smtp_connection import Job
from channels.smtp_pool import Pool, Unreachable, Way
from channels.smtp_replies import Phase, Reply, refused, taken
from domain.errors import InputRefused

HostName = Annotated[str, Meta(pattern=r"^[^\s\x00-\x20\x7f<>@]+$")]

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
# After so many of one call's mails another call gets its turn.
_TURN = 16
_HERE = {"localhost", "127.0.0.1", "::1"}


class Returns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where mails come back to that cannot be delivered: the sender of the envelope.

    With ``each`` every message has an address of its own, ``bounces+<id>@bank.example``, so that what comes
    back names it whatever else it says; the mailbox must take such addresses.
    """

    address: str
    each: bool = True


class SmtpSettings(ProviderSettings, frozen=True, kw_only=True, tag="smtp"):
    """A mail server and how mails to it look.

    ``port`` is 587, 465 or 25 by ``tls`` where it is not given. ``ca_file`` holds the only authorities
    that the server's certificate may be from; without it they are the system's. ``pipelining`` of false keeps
    from a server what it offers and cannot do. ``own_name`` is what the
    server is greeted with, ``message_id_domain`` what message ids end with; both are the domain of the
    sender's address where they are not given. ``callback_secret`` is the one of Standard Webhooks
    (``whsec_...``), without it no callback is believed.
    """

    host: HostName
    sender: Sender
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str | None = None
    username: str | None = None
    password: Secret | None = None
    own_name: HostName | None = None
    pipelining: bool = True
    connections: Annotated[int, Meta(ge=1, le=100)] = 4
    messages_per_connection: Annotated[int, Meta(ge=1)] = 500
    idle_seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 60.0
    reply_to: str = ""
    returns: Returns | None = None
    message_id_domain: HostName | None = None
    dkim: tuple[Dkim, ...] = ()
    unsubscribe_mailto: str = ""
    callback_secret: Secret | None = None


class Smtp:
    """Hands mails to one server. Raises InputRefused where the settings or their secrets will not do."""

    def __init__(self, name: str, settings: SmtpSettings) -> None:
        self._name = name
        self._connections = settings.connections
        domain = settings.message_id_domain or settings.sender.address.rpartition("@")[2]
        returns = settings.returns or Returns(address="", each=False)
        self._composer = Composer(
            settings.sender,
            domain=domain,
            reply_to=settings.reply_to,
            bounce=returns.address,
            verp=returns.each,
            mailto=settings.unsubscribe_mailto,
            signers=[DkimSigner(key) for key in settings.dkim],
        )
        self._pool = Pool(
            _way(settings, domain),
            size=settings.connections,
            most=settings.messages_per_connection,
            idle_seconds=settings.idle_seconds,
        )
        secret = settings.callback_secret
        self._bounces = Bounces(
            domain=self._composer.domain,
            bounce=returns.address if returns.each else "",
            secret=secret.reveal() if secret else None,
        )

    @property
    def name(self) -> str:
        """The name that the settings give it."""
        return self._name

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand them over on as many connections as there may be, and say what became of each."""
        batch = _Batch(messages, self._composer, self._pool, self._name)
        carriers = min(self._connections, len(messages))
        if carriers == 1:
            await self._carry(batch)
        elif carriers:
            await asyncio.gather(*(self._carry(batch) for _ in range(carriers)))
        return batch.outcomes()

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Unknown for all: SMTP has no such question."""
        return [Unknown("smtp cannot be asked", self._name) for _ in messages]

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What a returned mail, or a webhook about one, says."""
        return self._bounces.receipts(callback)

    async def close(self) -> None:
        """Close all connections, politely where the server lets us."""
        await self._pool.close()

    async def _carry(self, batch: "_Batch") -> None:
        """Deliver what the batch has, over one connection after the other, one at a time."""
        job = batch.first()
        fresh = False
        while job is not None:
            try:
                connection = await self._pool.take(fresh=fresh)
            except Unreachable as error:
                # Another carrier may have a connection and take it.
                batch.put_back(job, error.reason)
                return
            try:
                left = await connection.carry(job, batch)
            finally:
                self._pool.give_back(connection)
            fresh = left is not None
            job = left or batch.first()


class _Batch:
    """The messages of one call: made into mails one by one, when a connection is ready for them."""

    def __init__(self, messages: Sequence[Outgoing], composer: Composer, pool: Pool, provider: str) -> None:
        self.provider = provider
        self._messages = messages
        self._composer = composer
        self._pool = pool
        self._begun = 0
        self._put_back: list[Job] = []
        self._outcomes: list[Outcome | None] = [None] * len(messages)
        self._reason = ""

    def first(self) -> Job | None:
        """The next mail; messages that can be no mail are settled on the way."""
        if self._put_back:
            return self._put_back.pop()
        while self._begun < len(self._messages):
            place = self._begun
            self._begun += 1
            envelope = self._composer.envelope(self._messages[place])
            if envelope is not None:
                return _Job(self, place, envelope)
            self.settle(place, Rejected("smtp bad address", "address", self.provider))
        return None

    def take(self) -> Job | None:
        """The next mail for a connection in use; none where it is the turn of another call."""
        if self._pool.wanted and self._begun % _TURN == 0:
            return None
        return self.first()

    def put_back(self, job: Job, reason: str) -> None:
        """Nobody could be reached for this mail; where that remains so, all that are left wait."""
        self._put_back.append(job)
        self._reason = reason

    def settle(self, place: int, outcome: Outcome) -> None:
        """This became of the message at this place."""
        self._outcomes[place] = outcome

    def outcomes(self) -> list[Outcome]:
        """What became of all, in their order. What nobody took up was not sent."""
        untouched = Retry(self._reason or "smtp connect", provider=self.provider)
        return [outcome or untouched for outcome in self._outcomes]


class _Job:
    """One mail of a batch; told what becomes of it, it writes that down."""

    __slots__ = ("_batch", "_place", "envelope")

    def __init__(self, batch: _Batch, place: int, envelope: Envelope) -> None:
        self._batch = batch
        self._place = place
        self.envelope = envelope

    def taken(self, reply: Reply) -> None:
        self._settle(taken(reply, otherwise=self.envelope.message_id, provider=self._batch.provider))

    def refused(self, phase: Phase, reply: Reply) -> None:
        self._settle(refused(phase, reply, provider=self._batch.provider))

    def too_large(self) -> None:
        self._settle(Rejected("smtp message too large", provider=self._batch.provider))

    def needs_utf8(self) -> None:
        self._settle(Rejected("smtp smtputf8 not offered", provider=self._batch.provider))

    def not_taken(self, reason: str) -> None:
        self._settle(Retry(reason, provider=self._batch.provider))

    def unknown(self, reason: str) -> None:
        self._settle(Unknown(reason, self._batch.provider))

    def _settle(self, outcome: Outcome) -> None:
        self._batch.settle(self._place, outcome)


def _way(settings: SmtpSettings, domain: str) -> Way:
    password = settings.password.reveal() if settings.password else ""
    if (settings.username is None) != (settings.password is None):
        raise InputRefused("smtp.half_a_login")
    if password and settings.tls == "none" and settings.host not in _HERE:
        raise InputRefused("smtp.password_in_clear", host=settings.host)
    return Way(
        host=settings.host,
        port=settings.port or _PORTS[settings.tls],
        own_name=settings.own_name or domain,
        timeout=settings.timeout_seconds,
        tls=settings.tls == "tls",
        starttls=settings.tls == "starttls",
        pipelining=settings.pipelining,
        context=None if settings.tls == "none" else _context(settings.ca_file),
        username=settings.username,
        password=password,
    )


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise InputRefused("smtp.ca_file", file=ca_file, reason=str(error)) from error
