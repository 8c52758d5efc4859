"""AES-256-GCM opened in integers only (FIPS 197, NIST SP 800-38D), for who has the customer's key."""

from __future__ import annotations

from hmac import compare_digest

_TAG_BYTES = 16
_ROUNDS = 14


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def _mixed(one: bytes, other: bytes) -> bytes:
    mixed = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return mixed.to_bytes(len(one), "big")


def _doubled(byte: int) -> int:
    return byte << 1 ^ (0x11B if byte & 0x80 else 0)


def _substitutions() -> list[int]:
    """The S-box: the inverse of each byte in the field, then the affine map."""
    powers = [1]
    for _ in range(255):
        powers.append(powers[-1] ^ _doubled(powers[-1]))
    logarithms = {power: number for number, power in enumerate(powers[:255])}
    box = []
    for byte in range(256):
        inverse = powers[-logarithms[byte] % 255] if byte else 0
        rotated = inverse * 0x101
        box.append(0x63 ^ inverse ^ (rotated >> 7 ^ rotated >> 6 ^ rotated >> 5 ^ rotated >> 4) & 0xFF)
    return box


_BOX = _substitutions()
# A column of the state after SubBytes and MixColumns, for a byte in the first row.
_COLUMNS = [_doubled(s) << 24 | s << 16 | s << 8 | (_doubled(s) ^ s) for s in _BOX]
_TABLES = [[(c >> 8 * row | c << 32 - 8 * row) & 0xFFFFFFFF for c in _COLUMNS] for row in range(4)]


class CustomersKey:
    """A key made ready: its round keys, and the powers that the hash multiplies by."""

    def __init__(self, key: bytes) -> None:
        """Raises ValueError for a key that has not 32 bytes."""
        if len(key) != 32:
            raise ValueError("a key has 32 bytes")
        words = [int.from_bytes(key[at : at + 4], "big") for at in range(0, 32, 4)]
        constant = 1
        while len(words) < 4 * (_ROUNDS + 1):
            word = words[-1]
            if len(words) % 8 == 0:
                word = _boxed((word << 8 | word >> 24) & 0xFFFFFFFF) ^ constant << 24
                constant = _doubled(constant)
            elif len(words) % 8 == 4:
                word = _boxed(word)
            words.append(words[-8] ^ word)
        self._words = words
        power = int.from_bytes(self.block(bytes(16)), "big")
        self._powers = []
        for _ in range(128):
            self._powers.append(power)
            power = power >> 1 ^ (0xE1 << 120 if power & 1 else 0)

    def opened(self, nonce: bytes, sealed: bytes, *, place: bytes) -> bytes | None:
        """What was sealed under a nonce of 12 bytes with ``place`` as associated data; None if not so."""
        if len(nonce) != 12 or len(sealed) < _TAG_BYTES:
            return None
        said = sealed[:-_TAG_BYTES]
        lengths = (8 * len(place)).to_bytes(8, "big") + (8 * len(said)).to_bytes(8, "big")
        hashed = self.hashed(_padded(place) + _padded(said) + lengths)
        tag = _mixed(hashed.to_bytes(16, "big"), self.block(nonce + b"\x00\x00\x00\x01"))
        if not compare_digest(tag, sealed[-_TAG_BYTES:]):
            return None
        blocks = range(0, len(said), 16)
        stream = [self.block(nonce + (2 + at // 16).to_bytes(4, "big")) for at in blocks]
        return _mixed(said, b"".join(stream)[: len(said)])

    def block(self, data: bytes) -> bytes:
        """A block of 16 bytes, encrypted."""
        keys = self._words
        state = [int.from_bytes(data[4 * n : 4 * n + 4], "big") ^ keys[n] for n in range(4)]
        for at in range(4, 4 * _ROUNDS, 4):
            state = [
                _TABLES[0][state[n] >> 24]
                ^ _TABLES[1][state[(n + 1) % 4] >> 16 & 0xFF]
                ^ _TABLES[2][state[(n + 2) % 4] >> 8 & 0xFF]
                ^ _TABLES[3][state[(n + 3) % 4] & 0xFF]
                ^ keys[at + n]
                for n in range(4)
            ]
        last = [
            _BOX[state[n] >> 24] << 24
            ^ _BOX[state[(n + 1) % 4] >> 16 & 0xFF] << 16
            ^ _BOX[state[(n + 2) % 4] >> 8 & 0xFF] << 8
            ^ _BOX[state[(n + 3) % 4] & 0xFF]
            ^ keys[4 * _ROUNDS + n]
            for n in range(4)
        ]
        return b"".join(word.to_bytes(4, "big") for word in last)

    def hashed(self, data: bytes) -> int:
        """GHASH over whole blocks."""
        total = 0
        for at in range(0, len(data), 16):
            total ^= int.from_bytes(data[at : at + 16], "big")
            product = 0
            for number, power in enumerate(self._powers):
                if total >> 127 - number & 1:
                    product ^= power
            total = product
        return total


def _boxed(word: int) -> int:
    return int.from_bytes(bytes(_BOX[byte] for byte in word.to_bytes(4, "big")), "big")
