"""The default way out: what would be sent is written to a folder, nothing leaves the machine.

One file for each message: ``<channel>/<day>/<id>.eml`` for e-mail, ``.json`` for the others. A file is
there as a whole or not at all, so after a crash the folder answers whether a message was taken. It can
fail on request: an address with ``+rejected`` before the @, or at its end, is rejected, one with
``+unknown`` is written and yet answered with "unknown".
"""

from collections.abc import Sequence
from datetime import UTC
from email.header import Header
from email.message import Message
from email.utils import format_datetime, parseaddr
from functools import cache
from pathlib import Path

import msgspec

from channels.base import Accepted, Answer, NotTaken, Outcome, Outgoing, Rejected, Unknown
from channels.mime import Composer, Sender
from channels.provider import Callback, Receipt
from domain.errors import InputRefused, StoreUnusable

SENDER = "Your bank <care@bank.example>"


class Sandbox:
    """Writes messages below ``folder``, which is made when the first one comes."""

    def __init__(self, folder: Path, *, name: str = "sandbox") -> None:
        self._folder = folder
        self._name = name

    @property
    def name(self) -> str:
        """The name that settings give it."""
        return self._name

    def receipts(self, callback: Callback) -> list[Receipt]:
        """Nobody calls back for a folder. Raises InputRefused."""
        raise InputRefused("callback.forged", reason="sandbox")

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Write each message and say so. Raises StoreUnusable where the folder cannot be written."""
        return [self._send(message) for message in messages]

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Whether each message is in the folder."""
        return [self._known(message) for message in messages]

    def path_of(self, message: Outgoing) -> Path:
        """Where the message is, or would be, written."""
        suffix = ".eml" if message.channel == "email" else ".json"
        day = message.at.astimezone(UTC).date().isoformat()
        return self._folder / message.channel / day / f"{message.id}{suffix}"

    def _known(self, message: Outgoing) -> Answer:
        if not self.path_of(message).exists():
            return NotTaken()
        return answer(message)

    def _send(self, message: Outgoing) -> Outcome:
        outcome = answer(message)
        if isinstance(outcome, Rejected):
            return outcome
        content = _email(message) if message.channel == "email" else _json(message)
        path = self.path_of(message)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            raise StoreUnusable("outbox.unwritable", folder=str(self._folder), reason=str(error)) from error
        return outcome


def answer(message: Outgoing) -> Accepted | Rejected | Unknown:
    """What the sandbox says of a message, which is all that a simulation asks: nothing is written."""
    if "+rejected" in message.address:
        return Rejected("sandbox: asked to reject")
    if not message.address.isprintable():
        return Rejected("sandbox: the address holds a line break or another control character")
    if "+unknown" in message.address:
        return Unknown("sandbox: asked to give no answer")
    return Accepted(f"sandbox/{message.id}")


def _email(message: Outgoing) -> bytes:
    """The mail with its own id as Message-ID, and its text readable as it lies in the folder."""
    if message.html and (envelope := _composer().envelope(message)) is not None:
        return envelope.content
    mail = Message()
    mail["MIME-Version"] = "1.0"
    mail["Content-Type"] = 'text/plain; charset="utf-8"'
    mail["Content-Transfer-Encoding"] = "8bit"
    mail["From"] = SENDER
    mail["To"] = message.address
    mail["Subject"] = _header(message.heading)
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message.id}@bank.example>"
    mail["Content-Language"] = message.language
    return mail.as_bytes() + message.text.encode()


@cache
def _composer() -> Composer:
    name, address = parseaddr(SENDER)
    return Composer(Sender(address=address, names={"en": name}), domain=address.rpartition("@")[2])


def _header(text: str) -> str:
    """The text on one line, as a header must be: a line break would begin another header."""
    text = " ".join(text.split())
    return text if text.isascii() else Header(text, "utf-8", header_name="Subject").encode()


def _json(message: Outgoing) -> bytes:
    return msgspec.json.format(msgspec.json.encode(message), indent=2) + b"\n"
