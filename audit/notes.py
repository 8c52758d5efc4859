"""Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), by Ed25519 keys.

A note is a text with the signatures of one or more keys; a checkpoint is a note that says of a log how many
leaves its tree has and what its root is. Signatures of unknown keys are passed over, so that a key can be
changed: for a while the old one and the new one sign side by side.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from domain.errors import InputRefused

_ED25519 = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 4
_HASH_BYTES = 32
_MOST_SIGNATURES = 64
_MOST_DIGITS = 19
_SIGNATURE = re.compile("— ([^\\s+]+) ([A-Za-z0-9+/=]+)")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_PRIVATE = "PRIVATE+KEY+"


class VerifierKey(Struct, frozen=True):
    """Whose signature counts: a key's name and its public half (32 bytes)."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that stand before its signatures."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """The key as it is given to others: name, id and public half."""
        return f"{self.name}+{self.id.hex()}+{_base64(_ED25519 + self.public)}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over ``text``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


class SignerKey:
    """A key that signs; never shown but by ``text``, which belongs into a file that nobody else reads."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(name, self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @property
    def text(self) -> str:
        """The secret key in the form that Go's note package gave it."""
        verifier = self.verifier
        return f"{_PRIVATE}{verifier.name}+{verifier.id.hex()}+{_base64(_ED25519 + self._seed)}"

    def sign(self, text: str) -> str:
        """The line of this key's signature over ``text``, with its newline."""
        return f"— {self.verifier.name} {_base64(self.verifier.id + self._key.sign(text.encode()))}\n"


class Note(Struct, frozen=True):
    """A text (it ends in a newline) and its signatures: key's name, key's id, signature."""

    text: str
    signatures: Sequence[tuple[str, bytes, bytes]]


class Checkpoint(Struct, frozen=True):
    """A log's tree: whose it is, how many leaves it has, its root; ``note`` is the whole signed text."""

    origin: str
    size: int
    root: bytes
    note: str


def read_verifier_key(text: str) -> VerifierKey:
    """The key in ``text``. Raises InputRefused where it is none, or not one of Ed25519."""
    name, _, rest = text.strip().partition("+")
    given_id, _, data = rest.partition("+")
    key = VerifierKey(name, _key_bytes(data, text))
    if not is_key_name(name) or key.id.hex() != given_id.lower():
        raise InputRefused("note.bad_key", key=text.strip())
    return key


def read_signer_key(text: str) -> SignerKey:
    """The secret key in ``text``. Raises InputRefused where it is none; the text is never repeated."""
    hidden = "PRIVATE+KEY+…"
    given = text.strip()
    name, _, rest = given.removeprefix(_PRIVATE).partition("+")
    given_id, _, data = rest.partition("+")
    if not given.startswith(_PRIVATE) or not is_key_name(name):
        raise InputRefused("note.bad_key", key=hidden)
    key = SignerKey(name, _key_bytes(data, hidden))
    if key.verifier.id.hex() != given_id.lower():
        raise InputRefused("note.bad_key", key=hidden)
    return key


def is_key_name(name: str) -> bool:
    """Whether a key may have this name: not empty, without spaces, control characters and plus signs."""
    return bool(name) and not re.search(r"[\s+\x00-\x1f]", name)


def sign_checkpoint(origin: str, *, size: int, root: bytes, keys: Sequence[SignerKey]) -> Checkpoint:
    """A checkpoint with a signature of each key, in their order."""
    text = f"{origin}\n{size}\n{_base64(root)}\n"
    return Checkpoint(origin, size, root, text + "\n" + "".join(key.sign(text) for key in keys))


def read_note(note: str) -> Note:
    """A note, whose signatures nobody has looked at yet. Raises InputRefused where it is none."""
    text, found, tail = note.rpartition("\n\n")
    lines = tail.removesuffix("\n").split("\n")
    if not found or not tail.endswith("\n") or _CONTROL.search(note) or len(lines) > _MOST_SIGNATURES:
        raise InputRefused("note.malformed")
    return Note(text + "\n", [_signature(line) for line in lines])


def check_note(note: Note, keys: Sequence[VerifierKey]) -> list[VerifierKey]:
    """The keys among ``keys`` that have signed.

    Raises InputRefused where a signature of one of them is false, or none has signed.
    """
    known = {(key.name, key.id): key for key in keys}
    signed: list[VerifierKey] = []
    for name, key_id, signature in note.signatures:
        key = known.get((name, key_id))
        if key is None:
            continue
        if not key.verifies(note.text, signature):
            raise InputRefused("note.bad_signature", name=name, id=key_id.hex())
        signed.append(key)
    if not signed:
        found = ", ".join(f"{name}+{key_id.hex()}" for name, key_id, _ in note.signatures)
        expected = ", ".join(f"{name}+{key_id.hex()}" for name, key_id in known)
        raise InputRefused("note.unknown_key", found=found, expected=expected or "-")
    return signed


def read_checkpoint(note: str) -> Checkpoint:
    """What a checkpoint says; its signatures are not looked at. Raises InputRefused where it is none."""
    lines = read_note(note).text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines):
        raise InputRefused("note.no_checkpoint")
    origin, size, root = lines[:3]
    if not re.fullmatch("0|[1-9][0-9]*", size, re.ASCII) or len(size) > _MOST_DIGITS:
        raise InputRefused("note.no_checkpoint")
    return Checkpoint(origin, int(size), _bytes(root, _HASH_BYTES), note)


def open_checkpoint(note: str, *, origin: str | None, keys: Sequence[VerifierKey]) -> Checkpoint:
    """A checkpoint of ``origin`` (None for any) that one of ``keys`` has signed. Raises InputRefused."""
    found = read_checkpoint(note)
    if origin is not None and found.origin != origin:
        raise InputRefused("note.other_origin", found=found.origin, expected=origin)
    check_note(read_note(note), keys)
    return found


def _signature(line: str) -> tuple[str, bytes, bytes]:
    found = _SIGNATURE.fullmatch(line)
    if found is None:
        raise InputRefused("note.malformed")
    data = _decoded(found[2])
    if data is None or len(data) <= _ID_BYTES:
        raise InputRefused("note.malformed")
    return found[1], data[:_ID_BYTES], data[_ID_BYTES:]


def _key_bytes(data: str, shown: str) -> bytes:
    key = _decoded(data)
    if key is None or len(key) != 1 + _KEY_BYTES or key[:1] != _ED25519:
        raise InputRefused("note.bad_key", key=shown.strip())
    return key[1:]


def _bytes(text: str, length: int) -> bytes:
    data = _decoded(text)
    if data is None or len(data) != length:
        raise InputRefused("note.no_checkpoint")
    return data


def _decoded(text: str) -> bytes | None:
    """The bytes of a base64 text in its one canonical form; None for any other text."""
    try:
        data = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _base64(data) == text else None


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
