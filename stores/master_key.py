"""The key above all keys: from a file, the environment, or a key service behind a port."""

import base64
import binascii
import os
from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import StoreUnusable

KEY_BYTES = 32
_NONCE_BYTES = 12


class KeyService(Protocol):
    """Wraps keys under one that never leaves it. A bank's own key service (KMS, HSM) goes behind this."""

    @property
    def name(self) -> str:
        """Names the key that wraps now; what it wrapped is told apart by it."""

    def wrap(self, key: bytes, *, purpose: str) -> bytes:
        """The key as it may lie on a disk; ``purpose`` must be told again when it is unwrapped."""

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """The key again. Raises StoreUnusable where it was not wrapped by this service, or was altered."""


class LocalMaster:
    """A master key of 32 bytes that this process holds. Implements ``KeyService``."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._name = "local-" + sha256(b"tidings/master/1\x00" + key).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Follows from the key and does not tell it."""
        return self._name

    def wrap(self, key: bytes, *, purpose: str) -> bytes:
        """AES-256-GCM under a random nonce, which leads."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, purpose.encode())

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """The key again. Raises StoreUnusable for what another master key wrapped."""
        try:
            return self._cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], purpose.encode())
        except InvalidTag:
            raise StoreUnusable("key.wrong_master", name=self._name) from None


def local_master(environment: Mapping[str, str], default: Path, *, make: bool = False) -> LocalMaster:
    """The master key: TIDINGS_MASTER_KEY (base64), else the file TIDINGS_MASTER_KEY_FILE, else ``default``.

    With ``make`` a default file that is missing is made, readable by its owner alone. Raises StoreUnusable
    where there is none, or where it is no key.
    """
    if given := environment.get("TIDINGS_MASTER_KEY"):
        return LocalMaster(decoded(given, place="TIDINGS_MASTER_KEY"))
    named = environment.get("TIDINGS_MASTER_KEY_FILE")
    path = Path(named) if named else default
    if make and not named and not path.exists():
        write_master(path)
    return LocalMaster(read_master(path))


def named_service(name: str) -> KeyService:
    """The key service that ``module:function`` makes, called without arguments. Raises StoreUnusable."""
    module, _, function = name.partition(":")
    try:
        made = getattr(import_module(module), function)()
    except Exception as error:
        # Whatever a bank's own code raises, the line must say whose it is.
        reason = f"{type(error).__name__}: {error}"
        raise StoreUnusable("key.no_service", name=name, reason=reason) from error
    if not all(hasattr(made, needed) for needed in ("name", "wrap", "unwrap")):
        raise StoreUnusable("key.no_service", name=name, reason=f"{type(made).__name__} is no key service")
    service: KeyService = made
    return service


def read_master(path: Path) -> bytes:
    """The key in a file. Raises StoreUnusable where it cannot be read or is none."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        raise StoreUnusable("key.no_master", file=path) from None
    except OSError as error:
        raise StoreUnusable("key.unreadable_master", file=path, reason=error.strerror or error) from error
    return decoded(text, place=str(path))


def write_master(path: Path) -> None:
    """A new random key in a file of its own, unless there is one. Raises StoreUnusable."""
    text = base64.b64encode(os.urandom(KEY_BYTES)) + b"\n"
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            # Of two who do this at once, one key stays, and it is whole.
            os.link(part, path)
        except FileExistsError:
            pass
        finally:
            part.unlink()
    except OSError as error:
        raise StoreUnusable("key.unwritable_master", file=path, reason=error.strerror or error) from error


def decoded(text: str, *, place: str) -> bytes:
    """The 32 bytes that a text says in base64. Raises StoreUnusable where it does not."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StoreUnusable("key.no_key", place=place, bytes=KEY_BYTES)
    return key
