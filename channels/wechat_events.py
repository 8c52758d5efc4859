"""What WeChat tells the message server of an official account: signed, in XML, perhaps encrypted."""

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import NoReturn
from urllib.parse import parse_qs, urlsplit
from xml.parsers import expat

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from channels.provider import Callback, Receipt, Told
from domain.errors import InputRefused

_LONGEST = 64 * 1024
_DEEPEST = 8
_MOST_FIELDS = 500
_SKEW = timedelta(minutes=5)


class Events:
    """Reads callbacks of the account ``appid``; without ``token`` none is believed."""

    def __init__(self, provider: str, *, appid: str, token: str | None, aes_key: str | None) -> None:
        self._provider = provider
        self._appid = appid
        self._token = token
        self._key = _aes_key(aes_key) if aes_key else None

    def receipts(self, callback: Callback, numbers: Mapping[str, str]) -> list[Receipt]:
        """What the callback says; ``numbers`` are our ids by WeChat's numbers of messages.

        Raises InputRefused: ``callback.forged``, also for one that is more than five minutes old or ahead,
        or ``callback.unreadable``.
        """
        if len(callback.body) > _LONGEST:
            self._unreadable()
        query = _query(callback)
        said = self._opened(callback, query)
        match said.get("MsgType"), said.get("Event", "").lower():
            case "event", "templatesendjobfinish":
                return self._finished(
                    said, numbers, number=said.get("MsgID", ""), status=said.get("Status", "")
                )
            case "event", "subscribe_msg_sent_event":
                status = "success" if said.get("ErrorCode") == "0" else said.get("ErrorStatus", "failed")
                return self._finished(said, numbers, number=said.get("MsgID", ""), status=status)
            case "event", "unsubscribe":
                return [_receipt(said, "opted_out", key="unsubscribe", text="unsubscribe")]
            case "event", "subscribe":
                return [_receipt(said, "opted_in", key="subscribe", text="subscribe")]
            case "text", _:
                text = said.get("Content", "")
                return [_receipt(said, "replied", key=said.get("MsgId", ""), text=text)]
            case _:
                return []

    def echo(self, callback: Callback) -> str:
        """What WeChat wants to hear again when it first calls the address (GET). Raises InputRefused."""
        query = _query(callback)
        self._check(query, query.get("signature", ""), callback.at)
        return query.get("echostr", "")

    def _opened(self, callback: Callback, query: Mapping[str, str]) -> Mapping[str, str]:
        if query.get("encrypt_type", "raw") == "raw":
            self._check(query, query.get("signature", ""), callback.at)
            return self._read(callback.body)
        sealed = self._read(callback.body).get("Encrypt", "")
        self._check(query, query.get("msg_signature", ""), callback.at, sealed)
        return self._read(self._decrypted(sealed))

    def _check(self, query: Mapping[str, str], signature: str, at: datetime, *more: str) -> None:
        timestamp = query.get("timestamp", "")
        signed = sorted([self._token or "", timestamp, query.get("nonce", ""), *more])
        # The scheme is WeChat's; the token is the secret in it.
        due = sha1("".join(signed).encode()).hexdigest()  # noqa: S324
        if self._token is None or not hmac.compare_digest(due.encode(), signature.encode()):
            raise InputRefused("callback.forged", provider=self._provider)
        told_at = _instant(timestamp)
        if told_at is None or abs(at - told_at) > _SKEW:
            raise InputRefused("callback.forged", provider=self._provider)

    def _decrypted(self, sealed: str) -> bytes:
        """AES-256-CBC over 16 random octets, four of length, the message and the account's appid."""
        if self._key is None:
            self._unreadable()
        try:
            decryptor = Cipher(algorithms.AES(self._key), modes.CBC(self._key[:16])).decryptor()
            plain = decryptor.update(b64decode(sealed, validate=True)) + decryptor.finalize()
        except (ValueError, binascii.Error):
            self._unreadable()
        plain = plain[: -plain[-1]] if plain else b""
        end = 20 + int.from_bytes(plain[16:20], "big")
        if plain[end:] != self._appid.encode():
            self._unreadable()
        return plain[20:end]

    def _read(self, document: bytes) -> dict[str, str]:
        """The document's fields by their own names, the first of each."""
        try:
            return _Fields(document).found
        except (expat.ExpatError, ValueError):
            self._unreadable()

    def _finished(
        self, said: Mapping[str, str], numbers: Mapping[str, str], *, number: str, status: str
    ) -> list[Receipt]:
        message, key = numbers.get(number, ""), f"{number}:{status}"
        if status == "success":
            return [_receipt(said, "delivered", key=key, message=message)]
        reason = f"wechat: {status}"[:100]
        told = [_receipt(said, "undelivered", key=key, message=message, reason=reason)]
        if status == "failed:user block":
            # They have set the account to say nothing more.
            told.append(_receipt(said, "opted_out", key=f"{key}:out", text=status))
        return told

    def _unreadable(self) -> NoReturn:
        raise InputRefused("callback.unreadable", provider=self._provider)


class _Fields:
    """The texts of a document's elements. Nothing is defined, expanded or fetched: a DOCTYPE is refused."""

    def __init__(self, document: bytes) -> None:
        self.found: dict[str, str] = {}
        self._open: list[str] = []
        self._text: list[str] = []
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.Parse(document, True)

    def _refuse(self, *_: object) -> None:
        raise ValueError("a DOCTYPE")

    def _start(self, name: str, _: object) -> None:
        self._open.append(name)
        self._text.clear()
        if len(self._open) > _DEEPEST or len(self.found) > _MOST_FIELDS:
            raise ValueError("too deep or too much")

    def _end(self, name: str) -> None:
        self._open.pop()
        self.found.setdefault(name, "".join(self._text).strip())
        self._text.clear()


def _query(callback: Callback) -> dict[str, str]:
    return {name: found[0] for name, found in parse_qs(urlsplit(callback.url).query).items()}


def _aes_key(text: str) -> bytes:
    try:
        key = b64decode(f"{text}=", validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != 32:
        raise InputRefused("wechat.aes_key")
    return key


def _receipt(
    said: Mapping[str, str], told: Told, *, key: str, message: str = "", text: str = "", reason: str = ""
) -> Receipt:
    sender, created = said.get("FromUserName", ""), said.get("CreateTime", "")
    return Receipt(
        told=told,
        key=f"wechat:{sender}:{created}:{key}",
        channel="wechat",
        message=message,
        address=sender,
        at=_instant(created),
        text=text,
        reason=reason,
    )


def _instant(seconds: str) -> datetime | None:
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 10):
        return None
    return datetime.fromtimestamp(int(seconds), UTC)
