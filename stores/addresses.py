"""Addresses as the store compares them: written alike, and kept as digests only."""

from collections.abc import Iterator
from hashlib import blake2b

from domain.catalogue import (
    ChannelName,
    CustomerChanged,
    CustomerRegistered,
    DeviceRegistered,
    Fact,
)

_DIGEST_BYTES = 16
# What people write into telephone numbers for the eye.
_NOT_DIALLED = str.maketrans("", "", " \u00a0\t-\u2010\u2011\u2012\u2013().")
Address = tuple[ChannelName, str]


def normalised(channel: ChannelName, address: str) -> str:
    """The address as it is compared: e-mail in lower case, numbers without what only the eye needs."""
    address = address.strip()
    match channel:
        case "email":
            return address.lower()
        case "sms":
            return address.translate(_NOT_DIALLED)
        case _:
            return address


def digest_of(channel: ChannelName, address: str, *, key: bytes) -> bytes:
    """The address as tables hold it: without the ``key``, nobody can try numbers until one fits."""
    told = f"{channel}\x00{normalised(channel, address)}".encode()
    return blake2b(told, key=key, digest_size=_DIGEST_BYTES).digest()


def told_by(fact: Fact) -> Iterator[Address]:
    """The addresses that a fact gives a customer; "" takes the one of the channel away."""
    match fact:
        case CustomerRegistered() | CustomerChanged():
            given: tuple[tuple[ChannelName, object], ...] = (
                ("email", fact.email),
                ("sms", fact.phone),
                ("push", fact.device),
                ("wechat", fact.wechat),
            )
            for channel, address in given:
                if isinstance(address, str):
                    yield channel, address
        case DeviceRegistered():
            yield "push", fact.device
        case _:
            pass
