"""Devices that push messages go to, by their addresses: ``<platform>:<token>``."""

from typing import Literal, get_args

from msgspec import Struct

from channels.base import Outgoing, Rejected
from channels.calling import decoded

Platform = Literal["fcm", "apns", "web"]
# FCM and Web Push keep a message for four weeks at most.
LONGEST_LIFE_SECONDS = 28 * 24 * 3600


class WebKeys(Struct, frozen=True):
    """What a browser lets its messages be encrypted with, in URL-safe base64."""

    p256dh: str
    auth: str


class Subscription(Struct, frozen=True):
    """A browser's push subscription (W3C Push API, ``PushSubscription.toJSON``)."""

    endpoint: str
    keys: WebKeys


def platform_of(address: str) -> Platform | None:
    """The platform that the address names; None where it is no device's."""
    for platform in get_args(Platform):
        if address.startswith(f"{platform}:") and len(address) > len(platform) + 1:
            return platform  # type: ignore[no-any-return]
    return None


def token_of(address: str, platform: Platform) -> str:
    """The token of a device of this platform; "" where the address is not of it."""
    return address[len(platform) + 1 :] if platform_of(address) == platform else ""


def subscription_of(address: str) -> Subscription | None:
    """The subscription of a browser's address; None where it cannot be read."""
    return decoded(token_of(address, "web"), Subscription)


def no_device(provider: str) -> Rejected:
    """The answer to an address that is no device of this platform."""
    return Rejected("address: no device of this platform", refused="address", provider=provider)


def life_seconds(message: Outgoing) -> int | None:
    """For how long from its leaving the message makes sense, four weeks at most; None where it has no end."""
    if message.expires_at is None:
        return None
    left = int((message.expires_at - message.at).total_seconds())
    return min(max(left, 0), LONGEST_LIFE_SECONDS)
