"""What comes back by mail: reports of delivery (RFC 3464), of abuse (RFC 5965), and webhooks about them.

Whatever the mail is, reading it ends with receipts or with InputRefused. Anybody can write to the address
that mails return to: only what names one of our messages says anything, and never another address.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email import message_from_bytes, message_from_string
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from channels.provider import Callback, Receipt, Told
from channels.smtp_replies import no_such_address
from channels.webhook_signature import check_signature, signing_key
from domain.errors import InputRefused

# Reports stand before the mail that they return, so what is beyond this is of no interest.
_LONGEST_MAIL = 1_048_576
_LONGEST_WEBHOOK = 65_536
_MOST_PARTS = 200
_MOST_RECIPIENTS = 50
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_STATUS = re.compile(r"\b([245])\.\d{1,3}\.\d{1,3}\b")
_ANY_STATUS = re.compile(r"[245]\.0\.0")
_ENVELOPE_FIELDS = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Original-Mail-From")
_WEBHOOK_TELLS: dict[str, Told] = {"complaint": "complained", "delivery": "delivered"}


class _Webhook(Struct, frozen=True):
    """A mail server's webhook; ``message`` is our id, ``message_id`` the mail's Message-ID."""

    type: Literal["bounce", "complaint", "delivery"]
    id: str = ""
    message: str = ""
    message_id: str = ""
    recipient: str = ""
    status: str = ""
    time: Annotated[datetime, Meta(tz=True)] | None = None


class Bounces:
    """Reads what comes back to ``domain``, the end of our message ids, and to ``bounce``, where each
    message has an address of its own ("" for none). ``secret`` of None believes nobody."""

    def __init__(self, *, domain: str, bounce: str = "", secret: str | None = None) -> None:
        ours = re.escape(domain)
        self._message_id = re.compile(rf"<?({_UUID})@{ours}>?", re.IGNORECASE)
        local, _, host = bounce.rpartition("@")
        pattern = rf"\b{re.escape(local)}\+({_UUID})@{re.escape(host)}(?![\w.-])"
        self._returned_to = re.compile(pattern, re.IGNORECASE) if bounce else None
        self._key = signing_key(secret) if secret else None

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What a signed webhook says: a mail as such, or JSON. Raises InputRefused."""
        if self._key is None:
            raise InputRefused("callback.forged", reason="no secret is set")
        identity = check_signature(callback, self._key)
        if callback.headers.get("content-type", "").partition(";")[0].strip().lower() == "message/rfc822":
            return self.read(callback.body)
        return self._webhook(callback.body, identity)

    def read(self, mail: bytes) -> list[Receipt]:
        """What a mail says that came back; nothing where it is no report of a message of ours."""
        if not mail.strip():
            raise InputRefused("callback.unreadable", reason="empty")
        key = hashlib.sha256(mail).hexdigest()[:32]
        try:
            parsed = message_from_bytes(mail[:_LONGEST_MAIL])
            return list(self._told(parsed, key))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            # The parser promises to take any bytes, and yet some make it stumble.
            raise InputRefused("callback.unreadable", reason=type(error).__name__) from error

    def _webhook(self, body: bytes, identity: str) -> list[Receipt]:
        if len(body) > _LONGEST_WEBHOOK:
            raise InputRefused("callback.unreadable", reason="too long")
        try:
            said = msgspec.json.decode(body, type=_Webhook)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputRefused("callback.unreadable", reason=str(error)) from error
        message = said.message or self._ours(said.message_id)
        if not message and not said.recipient:
            raise InputRefused("callback.unreadable", reason="neither message nor recipient")
        bounced: Told = "bounced" if no_such_address(said.status) else "undelivered"
        return [
            Receipt(
                told=_WEBHOOK_TELLS.get(said.type, bounced),
                key=said.id or identity,
                channel="email",
                message=message,
                address=said.recipient,
                at=said.time.astimezone(UTC) if said.time else None,
                reason=_reason(said.status),
            )
        ]

    def _told(self, mail: Message, key: str) -> Iterator[Receipt]:
        parts = _parts(mail)
        kinds = {part.get_content_type() for part in parts}
        if not kinds & {
            "message/delivery-status",
            "message/global-delivery-status",
            "message/feedback-report",
        }:
            return
        message = self._message(mail, parts)
        if not message:
            return
        for part in parts:
            if part.get_content_type() == "message/feedback-report":
                yield from _complaint(part, key, message)
            elif part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
                yield from _reports(part, key, message, at=_date(mail))

    def _message(self, mail: Message, parts: Sequence[Message]) -> str:
        """Our id of the message that is spoken of: by envelope, by the address it came to, by its header."""
        blocks = [block for part in parts for block in _blocks(part)]
        for block in blocks:
            envelope = re.fullmatch(_UUID, str(block.get("Original-Envelope-Id", "")).strip())
            if envelope:
                return envelope[0].lower()
        if self._returned_to is not None:
            for block in (mail, *blocks):
                for field in _ENVELOPE_FIELDS:
                    for value in block.get_all(field, []):
                        found = self._returned_to.search(str(value))
                        if found:
                            return found[1].lower()
        for block in blocks:
            for field in ("Original-Message-ID", "Message-ID"):
                if ours := self._ours(str(block.get(field, ""))):
                    return ours
        return ""

    def _ours(self, message_id: str) -> str:
        found = self._message_id.fullmatch(message_id.strip())
        return found[1].lower() if found else ""


def _parts(mail: Message) -> list[Message]:
    parts = []
    for part in mail.walk():
        parts.append(part)
        if len(parts) == _MOST_PARTS:
            break
    return parts


def _blocks(part: Message) -> list[Message]:
    """The groups of fields in a report, or the header of the mail that it returns."""
    payload: object = part.get_payload()
    parts = [block for block in payload if isinstance(block, Message)] if isinstance(payload, list) else []
    match part.get_content_type():
        case "message/delivery-status" | "message/feedback-report" | "message/rfc822" | "message/global":
            return parts
        case "message/global-delivery-status":
            # The parser takes this newer kind for a mail: one group is its header, the rest its body.
            groups = [text for first in parts for text in str(first.get_payload()).split("\n\n")]
            return [*parts, *map(message_from_string, groups[:_MOST_RECIPIENTS])]
        case "text/rfc822-headers" | "message/rfc822-headers" | "message/global-headers":
            return parts or [message_from_string(str(payload))]
    return []


def _reports(part: Message, key: str, message: str, *, at: datetime | None) -> Iterator[Receipt]:
    recipients = [block for block in _blocks(part) if block.get("Action")][:_MOST_RECIPIENTS]
    for number, block in enumerate(recipients):
        status = _status(block)
        told = _outcome(str(block["Action"]).strip().lower(), status)
        if told is None:
            continue
        yield Receipt(
            told=told,
            key=key if number == 0 else f"{key}-{number}",
            channel="email",
            message=message,
            at=_date(block, "Last-Attempt-Date") or at,
            reason=_reason(status),
        )


def _outcome(action: str, status: str) -> Told | None:
    match action.partition(" ")[0]:
        case "delivered":
            return "delivered"
        case "failed":
            return "bounced" if no_such_address(status) else "undelivered"
    # Delayed is no end, relayed and expanded leave it to others to tell.
    return None


def _status(block: Message) -> str:
    """The status, the remote server's own where the report only says that it failed."""
    found = _STATUS.search(str(block.get("Status", "")))
    status = found[0] if found else ""
    if not status or _ANY_STATUS.fullmatch(status):
        closer = _STATUS.search(str(block.get("Diagnostic-Code", "")))
        if closer and (not status or closer[1] == status[0]):
            return closer[0]
    return status


def _complaint(part: Message, key: str, message: str) -> Iterator[Receipt]:
    for block in _blocks(part):
        kind = str(block.get("Feedback-Type", "")).strip().lower()
        if kind in ("abuse", "fraud"):
            yield Receipt(
                told="complained",
                key=key,
                channel="email",
                message=message,
                at=_date(block, "Arrival-Date") or _date(block, "Received-Date"),
                reason=f"feedback {kind}",
            )
            return


def _reason(status: str) -> str:
    found = _STATUS.fullmatch(status)
    return f"smtp {found[0]}" if found else ""


def _date(block: Message, field: str = "Date") -> datetime | None:
    try:
        found = parsedate_to_datetime(str(block[field]))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
