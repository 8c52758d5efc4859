"""What an SMTP server's reply means for a message; never its free text, which may hold an address."""

import re
from typing import Literal, NamedTuple

from channels.base import Accepted, Rejected, Retry, Unknown

Phase = Literal["mail", "rcpt", "data", "content"]

_CLOSING = 421
_LONGEST_ID = 200
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_QUEUED = re.compile(r"\bqueued as:? <?([\w.-]+)", re.IGNORECASE)
# Ours to mend, not the message's fault: it wants to know who we are, or that we encrypt.
_OURS = {503, 530, 534, 535, 538}
# Without a status these say at RCPT that there is no such mailbox (RFC 5321 section 4.2.2).
_NO_MAILBOX = {550, 551, 553}
# Of class 5.1 these two are about the sender's address (RFC 3463 section 3.2).
_OF_THE_SENDER = ("5.1.7", "5.1.8")


class Reply(NamedTuple):
    """A whole reply: its code, and its lines without it."""

    code: int
    text: str

    @property
    def closing(self) -> bool:
        """Whether the server says that it closes the connection."""
        return self.code == _CLOSING

    @property
    def status(self) -> str:
        """The enhanced status code (RFC 3463), "" where there is none that fits the reply's class."""
        found = _STATUS.match(self.text)
        return found[1] if found and found[1][0] == str(self.code)[0] else ""

    @property
    def told(self) -> str:
        """The codes as reasons record them."""
        return f"smtp {self.code} {self.status}".rstrip()


def no_such_address(status: str) -> bool:
    """Whether a status says for good that the recipient's address takes no mail.

    5.1.x speaks of addresses; 5.2.1 of a mailbox that will never be opened again (RFC 3463 section 3.3).
    """
    return (status.startswith("5.1.") and status not in _OF_THE_SENDER) or status == "5.2.1"


def taken(reply: Reply, *, otherwise: str, provider: str) -> Accepted:
    """The mail is the server's now, under its queue's name or, where it says none, under ``otherwise``."""
    queued = _QUEUED.search(reply.text)
    if queued:
        return Accepted(queued[1], provider)
    said = _STATUS.sub("", reply.text, count=1).strip()
    plain = said.isascii() and said.isprintable() and "@" not in said
    # One word is the same for all, "OK" for one.
    if plain and any(letter.isdigit() for letter in said) and len(said) <= _LONGEST_ID:
        return Accepted(said, provider)
    return Accepted(otherwise, provider)


def refused(phase: Phase, reply: Reply, *, provider: str) -> Retry | Rejected | Unknown:
    """What a reply that does not take the message makes of it."""
    kind = reply.code // 100
    if kind == 5 and reply.code not in _OURS:
        gone = phase == "rcpt" and not reply.status and reply.code in _NO_MAILBOX
        if phase != "mail" and (gone or no_such_address(reply.status)):
            return Rejected(reply.told, "address", provider)
        return Rejected(reply.told, "message", provider)
    if kind not in (4, 5) and phase == "content":
        # Neither yes nor no, after everything was sent.
        return Unknown(reply.told, provider)
    return Retry(reply.told, provider=provider)
