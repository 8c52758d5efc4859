"""One connection to an SMTP server, carrying one mail after the other.

Where the server offers PIPELINING (RFC 2920), a mail's end and the next one's beginning leave in one write.

A mail counts as sent with the write that holds its closing dot. Whatever ends before that is certainly not
taken, whatever ends between that and the reply is unknown.
"""

from typing import Protocol

import aiosmtplib

from channels.mime import Envelope
from channels.smtp_replies import Phase, Reply
from channels.smtp_wire import Broken, Wire

_EXPECTED: dict[Phase, tuple[int, ...]] = {"mail": (250,), "rcpt": (250, 251), "data": (354,)}
_GO_AHEAD = 354
_YES = 2
# After these a reply may have been one of another command.
_OUT_OF_STEP = ("garbled reply", "timeout")
_NO = (4, 5)
_DONE = b".\r\n"
_RESET = b"RSET\r\n"
# Larger mails are written to their end before the dot is, so that a break amid them is no riddle.
_LARGE = 65_536


class Job(Protocol):
    """A mail that is to be delivered."""

    @property
    def envelope(self) -> Envelope:
        """The mail."""

    def taken(self, reply: Reply) -> None:
        """It was taken."""

    def refused(self, phase: Phase, reply: Reply) -> None:
        """It was not, by this reply."""

    def too_large(self) -> None:
        """It is larger than the server takes."""

    def needs_utf8(self) -> None:
        """Its address is one that the server does not understand."""

    def not_taken(self, reason: str) -> None:
        """The connection ended before it was sent."""

    def unknown(self, reason: str) -> None:
        """The connection ended after it was sent."""


class Queue(Protocol):
    """Where the next mail comes from."""

    def take(self) -> Job | None:
        """The next one; None where there is none for this connection."""


class Connection(Wire):
    """For ``most`` mails. ``used_at`` is when it was last used, in the loop's time."""

    def __init__(
        self, client: aiosmtplib.SMTP, *, timeout: float, most: int, pipelining: bool = True
    ) -> None:
        super().__init__(client, timeout=timeout)
        offers = client.esmtp_extensions
        self._left = most
        self._carried = 0
        self._pipelining = pipelining and "pipelining" in offers
        self._dsn = "dsn" in offers
        self._utf8 = "smtputf8" in offers
        self._sized = "size" in offers
        self._largest = int(offers["size"]) if offers.get("size", "").isdecimal() else 0
        self._reset = False
        self._held: tuple[Job, Reply] | None = None
        self.used_at = self._loop.time()

    @property
    def usable(self) -> bool:
        """Whether another mail can go over it, as far as can be told without asking the server."""
        return self.sound and self._left > 0 and not self._replies

    async def carry(self, first: Job, queue: Queue) -> Job | None:
        """Deliver this mail and what the queue gives, and tell each job what became of it.

        A job that is given back was not begun: the server had closed a connection that worked before, so
        it may be tried on another one.
        """
        self._busy = True
        try:
            job = first if self._fits(first) else self._next(queue)
            self._open(job)
            while job is not None:
                try:
                    rest = await self._all_but_its_end(job)
                except Broken as broken:
                    self.abort()
                    self._let_go(in_step=broken.reason not in _OUT_OF_STEP)
                    if self._carried:
                        return job
                    job.not_taken(f"smtp {broken.reason}")
                    return None
                self._carried += 1
                if rest is None:
                    job = self._next(queue)
                    self._open(job)
                else:
                    job = await self._ended(job, rest, queue)
            return None
        except BaseException:
            self.abort()  # whatever comes next would take the wrong replies for its own
            raise
        finally:
            self._busy = False
            self.used_at = self._loop.time()

    def _next(self, queue: Queue) -> Job | None:
        while self.usable and (job := queue.take()) is not None:
            if self._fits(job):
                return job
        return None

    def _fits(self, job: Job) -> bool:
        if job.envelope.utf8 and not self._utf8:
            job.needs_utf8()
            return False
        if self._largest and len(job.envelope.content) > self._largest:
            job.too_large()
            return False
        return True

    def _commands(self, envelope: Envelope) -> list[tuple[Phase, bytes]]:
        more = f" SIZE={len(envelope.content)}" if self._sized else ""
        if self._dsn:
            more += f" RET=HDRS ENVID={envelope.id}"
        if envelope.utf8:
            more += " SMTPUTF8 BODY=8BITMIME"
        return [
            ("mail", f"MAIL FROM:<{envelope.sender}>{more}\r\n".encode()),
            ("rcpt", f"RCPT TO:<{envelope.recipient}>\r\n".encode()),
            ("data", b"DATA\r\n"),
        ]

    def _head(self, job: Job | None) -> bytes:
        """What opens a mail: all of it where the server takes that, else nothing yet."""
        if job is None:
            return b""
        self._left -= 1
        if not self._pipelining:
            return b""
        reset = _RESET if self._reset else b""
        return reset + b"".join(command for _, command in self._commands(job.envelope))

    def _open(self, job: Job | None) -> None:
        self._write(self._head(job))

    async def _all_but_its_end(self, job: Job) -> bytes | None:
        """Send the mail as far as it can be taken back, and give the rest; None where it was refused.

        Raises Broken where the connection is, and then nothing was taken.
        """
        refusal = await self._refusal(job)
        self._let_go(in_step=True)
        if refusal is None:
            content = job.envelope.content.replace(b"\r\n.", b"\r\n..")
            if len(content) > _LARGE:
                self._write(content)
                await self._drained()
                content = b""
            refusal = self._early_word()
            if refusal is None:
                return content + _DONE
        job.refused(*refusal)
        return None

    async def _refusal(self, job: Job) -> tuple[Phase, Reply] | None:
        """What the server has against this mail before it has seen it."""
        if self._reset:
            if not self._pipelining:
                self._write(_RESET)
            if (await self._reply()).code != _EXPECTED["mail"][0]:
                raise Broken("connection closed")
            self._reset = False
        refusal: tuple[Phase, Reply] | None = None
        for phase, command in self._commands(job.envelope):
            if not self._pipelining:
                if refusal:
                    break
                self._write(command)
            reply = await self._reply()
            if reply.closing and self._carried:
                raise Broken("connection closed")
            if refusal and reply.code == _GO_AHEAD:
                # It would take a mail for nobody. No empty one is given to it: the connection goes instead.
                self.abort()
                break
            if refusal is None and reply.code not in _EXPECTED[phase]:
                if reply.code // 100 not in _NO:
                    raise Broken("garbled reply")
                refusal = phase, reply
                self._reset = True
            if reply.closing:
                self._fail("connection closed")
                break
        return refusal

    def _early_word(self) -> tuple[Phase, Reply] | None:
        """A refusal that came before the mail's end. Raises Broken for anything else that keeps it back."""
        if self._replies:
            # Were it left, it would be taken for the reply to the mail.
            reply = self._replies.popleft()
            self.abort()
            if reply.code // 100 in _NO:
                return "content", reply
            raise Broken("garbled reply")
        if self._broken or self._transport.is_closing():
            raise Broken(self._broken or "connection lost")
        return None

    async def _ended(self, job: Job, rest: bytes, queue: Queue) -> Job | None:
        """Send the mail's end and hear what became of it; the next mail goes out with it and comes back."""
        following = self._next(queue) if self._pipelining else None
        self._write(rest + self._head(following))
        try:
            reply = await self._reply()
        except Broken as broken:
            self.abort()
            job.unknown(f"smtp {broken.reason} after data")
            return following
        # Had the server left this reply out, the next mail's would have come in its place.
        self._held = job, reply
        if following is None:
            self._let_go(in_step=True)
        if reply.closing or reply.code // 100 not in (_YES, *_NO):
            self.abort()
        elif following is None:
            following = self._next(queue)
            self._open(following)
        return following

    def _let_go(self, *, in_step: bool) -> None:
        """Tell the mail before this one what the server said, if that was said of it."""
        held, self._held = self._held, None
        if held is None:
            return
        job, reply = held
        if not in_step:
            job.unknown("smtp replies out of step")
        elif reply.code // 100 == _YES:
            job.taken(reply)
        else:
            job.refused("content", reply)
