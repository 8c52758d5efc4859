"""Seals what identifies a person with that customer's own key, and opens it while there is the key.

What is sealed is AES-256-GCM under a random nonce, and bound to where it belongs: an event's personal part to
the event's name and public part, which hold the fact's own id. Whoever destroys the key has erased the person
from every copy of the store.
"""

import binascii
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from time import monotonic

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from domain.codec import state_form
from domain.errors import StoreCorrupt, StoreUnusable
from domain.personal import personal_fields, put_together, taken_apart
from domain.ports import StoredEvent
from stores.database import engine_of, parsed_url
from stores.key_place import KeyPlace
from stores.keyring import NONCE_BYTES, SCHEMA, Keyring

VAULT = "tidings_vault"
# What is sealed begins with the number of the way in which it is.
_WAY = b"1."
_SEALED = re.compile(rb',"sealed":"1\.([A-Za-z0-9+/=]+)"\}\Z')
_KEPT = 100_000
# So long another process may go on with a key that was destroyed meanwhile.
_KEPT_SECONDS = 60.0
Keys = Mapping[int, "Key | None"]


class Key:
    """One customer's key."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, clear: bytes, *, place: bytes) -> bytes:
        """The bytes sealed; ``place`` must be told again when they are opened."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, clear, place)

    def open(self, sealed: bytes, *, place: bytes) -> bytes | None:
        """The bytes again; None where they were sealed by another key, for another place, or altered."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            return None

    def seal_body(self, kind: str, body: bytes) -> bytes:
        """An event's body with its personal part sealed; itself where it has none."""
        parts = taken_apart(kind, body)
        if parts is None:
            return body
        public, personal = parts
        sealed = binascii.b2a_base64(self.seal(personal, place=_event(kind, public)), newline=False)
        return b'%b,"sealed":"%b%b"}' % (public[:-1], _WAY, sealed)

    def open_body(self, kind: str, body: bytes) -> bytes | None:
        """The body as it was before; None where it is not sealed, or not by this key for this event."""
        found = _SEALED.search(body)
        if found is None:
            return None
        public = body[: found.start()] + b"}"
        personal = self.open(binascii.a2b_base64(found[1]), place=_event(kind, public))
        return None if personal is None else put_together(kind, public, personal)

    def seal_text(self, clear: str, *, place: str) -> str:
        """A text for a column of texts."""
        return binascii.b2a_base64(self.seal(clear.encode(), place=place.encode()), newline=False).decode()

    def open_text(self, sealed: str, *, place: str) -> str | None:
        """The text again; None as for ``open``."""
        try:
            opened = self.open(binascii.a2b_base64(sealed), place=place.encode())
        except (binascii.Error, ValueError):
            return None
        return None if opened is None else opened.decode()


class Vault:
    """The keys of one store, kept for a while as they are asked for. Several threads may use it."""

    def __init__(self, place: KeyPlace, *, read_only: bool = False) -> None:
        self._place = place
        self._read_only = read_only
        self._lock = Lock()
        self._ring: Keyring | None = None
        self._keys: dict[tuple[int, int], Key | None] = {}
        self._kept_since = monotonic()
        self._digests = b""
        self._letters: dict[int, Key] = {}

    @property
    def place(self) -> KeyPlace:
        """Where the keys are."""
        return self._place

    def ring(self, *, make: bool = False) -> Keyring:
        """The keys themselves. Raises StoreUnusable where the master key is missing or no key."""
        with self._lock:
            if self._ring is None:
                check_there(self._place.url, read_only=self._read_only)
                engine = engine_of(self._place.url, read_only=self._read_only, wiping=True, schema=SCHEMA)
                self._ring = Keyring(engine, self._place.service(make=make), renewed=self._place.service)
            return self._ring

    def close(self, _store: Engine) -> None:
        """Close the database of the keys, as the store's own is; it opens again when it is needed."""
        with self._lock:
            if self._ring is not None:
                self._ring.engine.dispose()

    def set_up(self) -> None:
        """Make the keys of a new store, the master key's file too if need be.

        Raises StoreUnusable where there are keys of customers already: they are of another store.
        """
        self.ring(make=True).set_up()

    def keys(self, partition: int, streams: Iterable[int]) -> Keys:
        """The keys of these customers, by stream; None for one that was destroyed or is not there."""
        wanted = set(streams)
        with self._lock:
            self._forget_old()
            found = {s: self._keys[partition, s] for s in wanted if (partition, s) in self._keys}
        missing = wanted - found.keys()
        return {**found, **self._kept(partition, self.ring().find(partition, sorted(missing)), missing)}

    def make(self, partition: int, streams: Sequence[int]) -> Keys:
        """Keys for new customers."""
        return self._kept(partition, self.ring().make(partition, streams), set(streams))

    def destroy(self, partition: int, stream: int) -> bool:
        """Destroy a customer's key for good; False where it was destroyed before."""
        with self._lock:
            self._keys.pop((partition, stream), None)
        return self.ring().destroy(partition, stream)

    def kept(self, partition: int) -> set[int]:
        """The customers of a partition who have a key, by stream."""
        return self.ring().kept(partition)

    def opened(
        self, partition: int, bodies: Iterable[tuple[int, str, bytes]], *, strict: bool = True
    ) -> Sequence[bytes | None]:
        """The clear bodies of these events (stream, kind, stored body), in their order.

        None where nothing is sealed or the key is gone. One that its customer's key does not open raises
        StoreCorrupt, or is None where this is not ``strict``.
        """
        told = [(stream, kind, body if is_sealed(kind, body) else None) for stream, kind, body in bodies]
        streams = {stream for stream, _, body in told if body is not None}
        keys = self.keys(partition, streams) if streams else {}
        return [
            None if body is None or (key := keys[stream]) is None else _open(key, kind, body, strict=strict)
            for stream, kind, body in told
        ]

    def with_clear(
        self, partition: int, events: Sequence[StoredEvent], *, strict: bool = True
    ) -> list[StoredEvent]:
        """These events, each with its clear body where it is sealed and there is the key; else as above."""
        clear = self.opened(partition, ((e.stream, e.kind, e.body) for e in events), strict=strict)
        return [
            event if body is None else replace(event, clear=body)
            for event, body in zip(events, clear, strict=True)
        ]

    @property
    def digests(self) -> bytes:
        """The key of all digests that stand in tables."""
        if not self._digests:
            self._digests = self.ring().store_key("digests")[1]
        return self._digests

    def letters(self, number: int | None = None) -> tuple[int, Key]:
        """The key that seals what was refused, the newest unless it is named, and its number."""
        if number is None or number not in self._letters:
            number, key = self.ring().store_key("letters", number)
            self._letters[number] = Key(key)
        return number, self._letters[number]

    def forget_letters(self, numbers: Iterable[int]) -> None:
        """Keep none of these keys, which were destroyed."""
        for number in numbers:
            self._letters.pop(number, None)

    def _kept(self, partition: int, found: Mapping[int, bytes | None], wanted: set[int]) -> Keys:
        made = {stream: Key(key) if (key := found.get(stream)) else None for stream in wanted}
        with self._lock:
            if len(self._keys) + len(made) > _KEPT:
                self._keys.clear()
            self._keys |= {(partition, stream): key for stream, key in made.items()}
        return made

    def _forget_old(self) -> None:
        if monotonic() - self._kept_since > _KEPT_SECONDS:
            self._keys.clear()
            self._kept_since = monotonic()


def vault_at(store: str) -> Vault:
    """The vault of the store at this URL, which itself need not be there; nothing is made in it."""
    return Vault(KeyPlace.of(parsed_url(store), os.environ), read_only=True)


def vault_of(source: Engine | Connection) -> Vault:
    """The vault of a store that ``stores.database.connect`` opened."""
    vault = source.get_execution_options()[VAULT]
    assert isinstance(vault, Vault)  # noqa: S101 - connect has put it there
    return vault


def check_there(url: str, *, read_only: bool) -> None:
    """Raises StoreUnusable where the keys' file is missing and must not be made."""
    parsed = parsed_url(url)
    if read_only and parsed.drivername == "sqlite" and not Path(str(parsed.database)).exists():
        raise StoreUnusable("key.no_keys", keys=parsed.database)


def is_sealed(kind: str, body: bytes) -> bool:
    """Whether some of the body is sealed. Of rows that nobody of ours has written nothing is."""
    return (
        isinstance(kind, str)
        and isinstance(body, bytes)
        and bool(personal_fields(kind))
        and _SEALED.search(body) is not None
    )


def sealed(key: Key | None, kind: str, body: bytes) -> bytes:
    """A body as it is stored; without a key, what is personal is left out."""
    if not personal_fields(kind):
        return body
    if key is not None:
        return key.seal_body(kind, body)
    parts = taken_apart(kind, body)
    return body if parts is None else parts[0]


def seal_state(key: Key, state: bytes, *, version: int) -> bytes:
    """A customer's state as a snapshot keeps it."""
    return key.seal(state, place=_state_place(version))


def open_state(key: Key, state: bytes, *, version: int) -> bytes:
    """The state that a snapshot keeps. Raises StoreCorrupt where the customer's key does not open it."""
    opened = key.open(state, place=_state_place(version))
    if opened is None:
        raise StoreCorrupt("store.unreadable_snapshot", reason="sealed otherwise")
    return opened


def _state_place(version: int) -> bytes:
    return b"tidings/state/1\x00%b\x00%d" % (state_form().encode(), version)


def _open(key: Key, kind: str, body: bytes, *, strict: bool) -> bytes | None:
    opened = key.open_body(kind, body)
    if opened is None and strict:
        raise StoreCorrupt("key.does_not_open", kind=kind)
    return opened


def _event(kind: str, public: bytes) -> bytes:
    return b"tidings/event/1\x00%b\x00%b" % (kind.encode(), public)
