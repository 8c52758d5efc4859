"""Links in messages: addresses on the bank's own pages that cannot be made up or altered.

A link says by itself what it is for, so that nothing has to be kept for it, and it works for years: people
unsubscribe from old messages. Whoever has one can do what it says and nothing else.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Literal, get_args
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_encode
from msgspec import Struct

from domain.errors import InputRefused

Kind = Literal["unsubscribe", "preferences", "tracked", "view", "undo"]
# Where each kind leads; an undo is a button of a page and never an address.
PATHS: dict[Kind, str] = {"unsubscribe": "u", "preferences": "p", "tracked": "l", "view": "view", "undo": "u"}
_SHORTEST_KEY = 32
_LONGEST_TOKEN = 4_096
_SIGNATURE = 43


class Opened(Struct, frozen=True):
    """What a link says. Fields that its kind does not have are empty."""

    message: str = ""
    customer: str = ""
    channel: str = ""
    number: int = 0
    target: str = ""
    at: int = 0
    plan: tuple[tuple[str, str, bool], ...] = ()


_FIELDS: dict[Kind, tuple[str, ...]] = {
    "unsubscribe": ("message", "customer", "channel"),
    "preferences": ("customer",),
    "tracked": ("message", "number", "target"),
    "view": ("message",),
    "undo": ("message", "customer", "channel", "at", "plan"),
}


class LinkKeys:
    """The secrets that sign links, newest first: the first signs, all of them are believed."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises InputRefused where there is none or one is short enough to be guessed."""
        if not keys:
            raise InputRefused("link.no_key")
        if any(len(key) < _SHORTEST_KEY for key in keys):
            raise InputRefused("link.short_key", shortest=_SHORTEST_KEY)
        newest_last = list(reversed(keys))
        self._by_kind = {
            kind: _Serializer(
                newest_last,
                salt=f"tidings.link.{kind}",
                serializer=_Packed,
                signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
            )
            for kind in get_args(Kind)
        }

    def signed(self, kind: Kind, said: Sequence[object]) -> str:
        """A token that says this, good for its kind alone."""
        token: str | bytes = self._by_kind[kind].dumps(said)
        return token.decode() if isinstance(token, bytes) else token

    def said(self, kind: Kind, token: str) -> list[Any]:
        """What a token says. Raises InputRefused for one that is not exactly as it was signed."""
        try:
            if len(token) > _LONGEST_TOKEN or not _is_canonical(token):
                raise InputRefused("link.forged")
            said: list[Any] = self._by_kind[kind].loads(token)
        except (BadData, msgspec.DecodeError, ValueError) as error:
            raise InputRefused("link.forged") from error
        return said


class Links:
    """Makes the addresses that messages lead to, below ``public_url``, and reads them back."""

    def __init__(self, public_url: str, keys: LinkKeys) -> None:
        """Raises InputRefused for an address that is not https; only this machine itself may do without."""
        parts = urlsplit(public_url)
        local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
        if not parts.hostname or parts.query or parts.fragment or not (parts.scheme == "https" or local):
            raise InputRefused("link.bad_public_url", found=public_url)
        self.public_url = public_url.rstrip("/")
        self._keys = keys

    def unsubscribe(self, message: str, customer: str, channel: str) -> str:
        """Where the customer says no to messages such as this one by this channel."""
        return self._address("unsubscribe", (message, customer, channel))

    def preferences(self, customer: str) -> str:
        """Where the customer chooses what they get."""
        return self._address("preferences", (customer,))

    def tracked(self, message: str, number: int, target: str) -> str:
        """The way to ``target``, the message's link of this number, that tells us when it is followed.

        What is not on the web (a telephone number, an app's own address) is given back as it is.
        """
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return target
        return self._address("tracked", (message, number, target))

    def view(self, message: str) -> str:
        """Where the message can be read in a browser."""
        return self._address("view", (message,))

    def undo(self, said: Opened) -> str:
        """What the button of a page carries that takes a withdrawal back; no address."""
        return self._keys.signed("undo", [getattr(said, name) for name in _FIELDS["undo"]])

    def opened(self, kind: Kind, token: str) -> Opened:
        """What a link of this kind says. Raises InputRefused (``link.forged``) for any that is not ours."""
        said = self._keys.said(kind, token)
        try:
            return msgspec.convert(dict(zip(_FIELDS[kind], said, strict=True)), Opened)
        except (ValueError, msgspec.ValidationError) as error:
            raise InputRefused("link.forged") from error

    def for_message(self, message: str, customer: str, channel: str) -> "LinksOfMessage":
        """All links of one message, each signed when it is asked for."""
        return LinksOfMessage(self, message, customer, channel)

    def _address(self, kind: Kind, said: Sequence[object]) -> str:
        return f"{self.public_url}/{PATHS[kind]}/{self._keys.signed(kind, said)}"


class LinksOfMessage:
    """What a template's placeholders become: where the customer says no to messages such as this one, where
    they choose what they get, and where it can be read in a browser."""

    unsubscribe: str
    preferences: str
    view: str

    def __init__(self, links: Links, message: str, customer: str, channel: str) -> None:
        self._links = links
        self._message = message
        self._customer = customer
        self._channel = channel

    def __getattr__(self, name: str) -> str:
        # Most messages have one link or two: each is signed when it is asked for, and then kept.
        match name:
            case "unsubscribe":
                link = self._links.unsubscribe(self._message, self._customer, self._channel)
            case "preferences":
                link = self._links.preferences(self._customer)
            case "view":
                link = self._links.view(self._message)
            case _:
                raise AttributeError(name)
        setattr(self, name, link)
        return link

    def tracked(self, target: str, number: int) -> str:
        """The way to ``target``, the message's link of this number."""
        return self._links.tracked(self._message, number, target)


class _Serializer(URLSafeSerializer):
    """Never compressed: what links say is too short to gain by it, and trying costs most of the time."""

    def dump_payload(self, obj: Any) -> bytes:
        return base64_encode(_Packed.dumps(obj))


class _Packed:
    """Values as MessagePack, where a UUID takes 16 bytes in place of 36: every character costs in an SMS."""

    _encoder = msgspec.msgpack.Encoder(uuid_format="bytes")

    @classmethod
    def dumps(cls, said: Sequence[object]) -> bytes:
        return cls._encoder.encode([_short(value) for value in said])

    @classmethod
    def loads(cls, packed: bytes) -> list[object]:
        return [str(UUID(bytes=v)) if isinstance(v, bytes) else v for v in msgspec.msgpack.decode(packed)]


def _short(value: object) -> object:
    if isinstance(value, str) and len(value) == 36:
        try:
            found = UUID(value)
        except ValueError:
            return value
        return found if str(found) == value else value
    return value


def _is_canonical(token: str) -> bool:
    """Whether the token is written as it was signed: base64 has several ways to write the same bytes."""
    body, _, signature = token.rpartition(".")
    return (
        bool(body)
        and token.isascii()
        and len(signature) == _SIGNATURE
        # 32 bytes fill 42 characters and four of the six bits of the last one.
        and signature[-1] in "AEIMQUYcgkosw048"
        and all(character.isalnum() or character in "-_." for character in token)
    )
