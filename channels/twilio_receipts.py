"""What Twilio reports: what became of a text, and what customers write back. Signed, or not believed.

Sources: twilio.com/docs/usage/webhooks/webhooks-security and
twilio.com/docs/messaging/guides/track-outbound-message-status (November 2026).
"""

from collections.abc import Mapping
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
from twilio.request_validator import (  # type: ignore[import-untyped]
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from channels.phone_numbers import e164
from channels.provider import Callback, Receipt, Told
from channels.replies import Words, meaning
from channels.twilio_outcomes import ADDRESS, OPTED_OUT
from domain.errors import InputRefused

_LONGEST = 64 << 10
_MOST_FIELDS = 200
# The number is not in use, or is a landline. Switched off (30003) and blocked (30004) may pass.
_GONE = ADDRESS | {30005, 30006}
_BY_STATUS: Mapping[str, Told] = {
    "delivered": "delivered",
    "partially_delivered": "delivered",
    "read": "opened",
    "undelivered": "undelivered",
    "failed": "undelivered",
    "canceled": "undelivered",
}
_BY_OPT_OUT_TYPE: Mapping[str, Told] = {"STOP": "opted_out", "START": "opted_in", "HELP": "replied"}


class Fields(dict[str, list[str]]):
    """Form fields with all their values, as the validator takes them."""

    def getlist(self, name: str) -> list[str]:
        """All values of the field."""
        return self[name]

    def one(self, name: str) -> str:
        """The first value, "" for none."""
        return self.get(name, [""])[0]


class Receiver:
    """Reads callbacks that were signed with the account's token, or with a webhook setting's key."""

    def __init__(self, token: str, key: str | None, words: Words, region: str | None) -> None:
        self._validator = RequestValidator(token)
        self._keyed = RequestValidator(key) if key else None
        self._words = words
        self._region = region

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What it says; nothing of a status that settles nothing. Raises InputRefused."""
        if len(callback.body) > _LONGEST:
            raise InputRefused("callback.unreadable", reason="too long")
        fields = self._signed(callback)
        if fields.one("MessageStatus"):
            return _of_status(fields, _message(callback.url))
        if fields.one("From") and "Body" in fields:
            return [self._of_text(fields)]
        raise InputRefused("callback.unreadable", reason="neither a status nor a text")

    def _signed(self, callback: Callback) -> Fields:
        try:
            text = callback.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputRefused("callback.unreadable", reason="not UTF-8") from error
        media = callback.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media == "application/json":
            # Without the hash in the signed URL nothing would bind the body to the signature.
            if "bodySHA256" not in parse_qs(urlsplit(callback.url).query):
                raise InputRefused("callback.forged", reason="the body is not signed")
            self._verify(callback, text)
            return _fields_of_json(callback.body)
        fields = _fields_of_form(text)
        self._verify(callback, fields)
        return fields

    def _verify(self, callback: Callback, signed: Fields | str) -> None:
        signature = callback.headers.get(SIGNATURE_HEADER.lower(), "")
        if not signature:
            raise InputRefused("callback.forged", reason="no signature")
        by = callback.headers.get(SIGNATURE_SETTINGS_HEADER.lower())
        validator = self._keyed if by else self._validator
        if validator is None:
            raise InputRefused("callback.forged", reason="signed by a key that the settings do not have")
        algorithm = get_signature_algorithm(by)
        if not validator.validate(callback.url, signed, signature, algorithm):
            raise InputRefused("callback.forged", reason="the signature does not fit")

    def _of_text(self, fields: Fields) -> Receipt:
        sender = fields.one("From")
        text = fields.one("Body")
        told = _BY_OPT_OUT_TYPE.get(fields.one("OptOutType").upper())
        if told is None:
            said = meaning(text, self._words)
            told = "replied" if said == "help" else said
        return Receipt(
            told=told,
            key=f"{_sid(fields)}:received",
            channel="sms",
            address=e164(sender, region=self._region) or sender,
            text=text,
        )


def _of_status(fields: Fields, message: str) -> list[Receipt]:
    status = fields.one("MessageStatus").lower()
    told = _BY_STATUS.get(status)
    if told is None:
        return []
    code = fields.one("ErrorCode")
    reason = ""
    if told == "undelivered":
        reason = f"twilio.{code}" if code.isascii() and code.isdigit() else f"twilio.{status}"
        if reason == f"twilio.{OPTED_OUT}":
            told = "opted_out"
        elif code.isascii() and code.isdigit() and int(code[:9]) in _GONE:
            told = "bounced"
    return [
        Receipt(
            told=told,
            key=f"{_sid(fields)}:{status}",
            channel="sms",
            message=message,
            address=fields.one("To"),
            reason=reason,
        )
    ]


def _sid(fields: Fields) -> str:
    sid = fields.one("MessageSid") or fields.one("SmsSid")
    if not sid:
        raise InputRefused("callback.unreadable", reason="no MessageSid")
    return sid


def _message(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("message", [""])[0]


def _fields_of_form(text: str) -> Fields:
    fields = Fields()
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InputRefused("callback.unreadable", reason="not a form") from error
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _fields_of_json(body: bytes) -> Fields:
    try:
        found = msgspec.json.decode(body, type=dict[str, str | int | float | bool | None])
    except msgspec.DecodeError as error:
        raise InputRefused("callback.unreadable", reason="not a flat JSON object") from error
    return Fields({name: [str(value)] for name, value in found.items() if value is not None})
