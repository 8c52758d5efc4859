"""What a text gateway reports, signed with a shared secret: what became of texts, and replies."""

import hmac
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl

from msgspec import Struct

from channels.gateway_answer import Values, at, decoded, reason_of, said
from channels.gateway_call import Encoding, digest
from channels.phone_numbers import e164
from channels.provider import Callback, Receipt, Told
from channels.replies import Words, meaning
from channels.secret import Secret
from domain.errors import InputRefused

_LONGEST = 256 << 10
_MOST_FIELDS = 200


class StatusFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a report says which message it is about and what became of it; values in no list say nothing."""

    message: str
    status: str
    delivered: Values
    undelivered: Values = ()
    bounced: Values = ()
    opted_out: Values = ()
    address: str | None = None
    reason: str | None = None


class ReplyFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a reply says from whom it came, what it says, and which reply it is."""

    id: str
    address: str
    text: str


class Reporting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the gateway calls back. ``header`` holds a digest of the body under ``secret``.

    ``items`` is the path of a list where several come at once; "" is the body itself, one or a list.
    """

    secret: Secret
    header: str
    algorithm: Literal["hmac-sha256", "hmac-sha1"] = "hmac-sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    body: Literal["json", "form"] = "json"
    items: str = ""
    status: StatusFields | None = None
    reply: ReplyFields | None = None


class Reports:
    """Reads the gateway's callbacks."""

    def __init__(self, reporting: Reporting, words: Words, region: str | None) -> None:
        self._reporting = reporting
        self._key = reporting.secret.reveal()
        self._words = words
        self._region = region

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What it says. Raises InputRefused: ``callback.forged``, ``callback.unreadable``."""
        if len(callback.body) > _LONGEST:
            raise InputRefused("callback.unreadable", reason="too long")
        self._verify(callback)
        found = at(self._content(callback.body), self._reporting.items)
        items = found if isinstance(found, list) else [found]
        return [receipt for item in items for receipt in self._of(item)]

    def _verify(self, callback: Callback) -> None:
        reporting = self._reporting
        given = callback.headers.get(reporting.header.lower(), "")
        if not given:
            raise InputRefused("callback.forged", reason="no signature")
        due = reporting.prefix + digest(reporting.algorithm, self._key, callback.body, reporting.encoding)
        if not hmac.compare_digest(given.encode(), due.encode()):
            raise InputRefused("callback.forged", reason="the signature does not fit")

    def _content(self, body: bytes) -> Any:
        if self._reporting.body == "json":
            return decoded(body)
        try:
            pairs = parse_qsl(
                body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
            )
        except ValueError as error:
            raise InputRefused("callback.unreadable", reason="not a form") from error
        return dict(pairs)

    def _of(self, item: Any) -> list[Receipt]:
        if not isinstance(item, Mapping):
            raise InputRefused("callback.unreadable", reason="not an object")
        reply, status = self._reporting.reply, self._reporting.status
        if reply and at(item, reply.text) is not None:
            return [self._of_reply(item, reply)]
        if status and at(item, status.status) is not None:
            return self._of_status(item, status)
        raise InputRefused("callback.unreadable", reason="neither a status nor a reply")

    def _of_reply(self, item: Any, fields: ReplyFields) -> Receipt:
        key, sender, text = (_needed(item, path) for path in (fields.id, fields.address, fields.text))
        told = meaning(text, self._words)
        return Receipt(
            told="replied" if told == "help" else told,
            key=f"reply:{key}",
            channel="sms",
            address=self._number(sender),
            text=text,
        )

    def _of_status(self, item: Any, fields: StatusFields) -> list[Receipt]:
        message, status = _needed(item, fields.message), _needed(item, fields.status)
        told = _told(fields, status)
        if told is None:
            return []
        reason = (said(item, fields.reason) if fields.reason else None) or status
        return [
            Receipt(
                told=told,
                key=f"{message}:{status}",
                channel="sms",
                message=message,
                address=self._number((said(item, fields.address) if fields.address else None) or ""),
                reason="" if told == "delivered" else reason_of(reason),
            )
        ]

    def _number(self, address: str) -> str:
        return e164(address, region=self._region) or address


def _told(fields: StatusFields, status: str) -> Told | None:
    known: tuple[tuple[Told, Values], ...] = (
        ("delivered", fields.delivered),
        ("undelivered", fields.undelivered),
        ("bounced", fields.bounced),
        ("opted_out", fields.opted_out),
    )
    return next((told for told, values in known if status in values), None)


def _needed(item: Any, path: str) -> str:
    found = said(item, path)
    if found is None:
        raise InputRefused("callback.unreadable", reason=f"nothing at {path}")
    return found
