"""A request to a text gateway, written down in the settings: fields with gaps, and a signature over them."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from channels.secret import Secret
from domain.errors import InputRefused

Encoding = Literal["hex", "base64"]
# What fills a gap. A header holds no text of a message: it could not be written there as it is.
GAPS = frozenset(("to", "to_digits", "to_national", "text", "id", "sender", "signature", "timestamp"))
_IN_HEADERS = GAPS - {"text", "signature"}
_IN_SIGNED = GAPS | {"secret", "body"}
_GAP = re.compile(r"\{([^{}]*)\}")


class Signing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A digest of ``of``, written into a field or a header, one of the two.

    ``of`` knows the gaps of fields, ``{secret}``, which md5 needs, and for a header ``{body}``, all of it.
    """

    algorithm: Literal["hmac-sha256", "hmac-sha1", "md5"]
    secret: Secret
    of: str
    field: str | None = None
    header: str | None = None
    encoding: Encoding = "hex"


class Call(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request with gaps such as ``{to}``. ``fields`` may be nested where the body is JSON.

    ``{to}`` is in E.164, ``{to_digits}`` without the plus, ``{to_national}`` without the country code.
    ``timestamp`` is "seconds" or "milliseconds" since 1970, or a pattern of strftime, as of ``zone``.
    """

    url: Annotated[str, Meta(pattern=r"^https?://\S+$")]
    method: Literal["GET", "POST", "PUT"] = "POST"
    headers: dict[str, str | Secret] = {}
    body: Literal["json", "form", "query"] = "json"
    fields: dict[str, Any] = {}
    signing: Signing | None = None
    timestamp: str = "seconds"
    zone: str = "UTC"


class Ready(Struct, frozen=True):
    """A request with nothing missing."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Caller:
    """A call whose secrets are read and whose gaps are known."""

    def __init__(self, provider: str, call: Call) -> None:
        """Raises InputRefused where a secret is missing or a gap is unknown."""
        self._call = call
        try:
            self._zone = ZoneInfo(call.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise InputRefused("sms.zone", provider=provider, found=call.zone) from error
        if not _has_host(call.url):
            raise InputRefused("sms.url", provider=provider, found=call.url)
        # What is secret is sent as it is, whatever gaps it seems to have.
        self._secrets = {name: v.reveal() for name, v in call.headers.items() if isinstance(v, Secret)}
        self._headers = {name: v for name, v in call.headers.items() if isinstance(v, str)}
        self._key = call.signing.secret.reveal() if call.signing else ""
        _check(provider, "headers", self._headers.values(), _IN_HEADERS)
        _check(provider, "url", [call.url], _IN_HEADERS)
        _check(provider, "fields", _texts(call.fields), GAPS)
        if call.signing:
            known = _IN_SIGNED if call.signing.header else _IN_SIGNED - {"body"}
            _check(provider, "signing", [call.signing.of], known)
            if (call.signing.field is None) == (call.signing.header is None):
                raise InputRefused("sms.signing", provider=provider)

    def uses(self, gap: str) -> bool:
        """Whether a field has this gap."""
        return any(f"{{{gap}}}" in text for text in _texts(self._call.fields))

    def ready(self, values: Mapping[str, str], now: datetime) -> Ready:
        """The request for these values, signed as of ``now`` (aware UTC)."""
        call, signing = self._call, self._call.signing
        values = {**values, "timestamp": self._timestamp(now)}
        fields = _filled(call.fields, values)
        if signing and signing.field:
            fields = {**fields, signing.field: self._digest(signing, values)}
        body = b"" if call.body == "query" else _encoded(call.body, fields)
        headers = {name: _fill(text, values) for name, text in self._headers.items()} | self._secrets
        if body:
            media = "application/json" if call.body == "json" else "application/x-www-form-urlencoded"
            headers = {"Content-Type": f"{media}; charset=utf-8", **headers}
        if signing and signing.header:
            headers[signing.header] = self._digest(signing, {**values, "body": body.decode()})
        url = _fill(call.url, {name: quote(value, safe="") for name, value in values.items()})
        if call.body == "query" and fields:
            url += ("&" if "?" in url else "?") + urlencode(fields)
        return Ready(call.method, url, headers, body)

    def _timestamp(self, now: datetime) -> str:
        match self._call.timestamp:
            case "seconds":
                return str(int(now.timestamp()))
            case "milliseconds":
                return str(int(now.timestamp() * 1000))
            case pattern:
                return now.astimezone(self._zone).strftime(pattern)

    def _digest(self, signing: Signing, values: Mapping[str, str]) -> str:
        return digest(
            signing.algorithm, self._key, _fill(signing.of, {**values, "secret": self._key}), signing.encoding
        )


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def digest(algorithm: str, key: str, text: str | bytes, encoding: Encoding) -> str:
    """The digest of the text, keyed unless it is md5, as gateways compare it."""
    data = text.encode() if isinstance(text, str) else text
    if algorithm == "md5":
        # Not by our choice: gateways that sign so accept nothing else.
        found = hashlib.md5(data, usedforsecurity=False).digest()
    else:
        found = hmac.digest(key.encode(), data, algorithm.removeprefix("hmac-"))
    return found.hex() if encoding == "hex" else base64.b64encode(found).decode()


def _check(provider: str, place: str, texts: Iterable[str], known: frozenset[str]) -> None:
    for text in texts:
        for gap in _GAP.findall(text):
            if gap not in known:
                names = ", ".join(sorted(known))
                raise InputRefused("sms.placeholder", provider=provider, place=place, found=gap, known=names)


def _texts(value: object) -> Iterator[str]:
    """All texts inside, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _fill(value, values)
    if isinstance(value, Mapping):
        return {name: _filled(inner, values) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, values) for inner in value]
    return value


def _fill(text: str, values: Mapping[str, str]) -> str:
    # In one pass, so that a text which itself reads {id} stays as it is.
    return _GAP.sub(lambda gap: values.get(gap[1], gap[0]), text)


def _encoded(body: str, fields: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(fields) if body == "json" else urlencode(fields).encode()
