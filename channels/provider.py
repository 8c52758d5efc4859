"""What all providers have in common: a name, settings with a pace, and callbacks that become receipts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

from channels.base import Channel
from domain.catalogue import ChannelName

Rate = Annotated[float, Meta(gt=0)]
# What a receipt tells: what became of a message, or what the owner of an address said.
Told = Literal[
    "delivered", "undelivered", "bounced", "complained", "opened", "clicked",
    "replied", "opted_out", "opted_in",
]  # fmt: skip


class Pace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that a provider is given: messages a second, in all and for each domain of addresses."""

    per_second: Rate | None = None
    domains: dict[str, Rate] = {}
    burst: Annotated[int, Meta(ge=1)] = 1


class ProviderSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """One provider of the settings file. ``timeout_seconds`` is how long an answer is waited for."""

    pace: Pace = Pace()
    timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 20.0


class Callback(Struct, frozen=True):
    """A request that a provider made to us. ``url`` is the one it was told to call, header names are in
    lower case, ``at`` is when it came (aware UTC)."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime


class Receipt(Struct, frozen=True, kw_only=True):
    """What a callback says. ``key`` names this telling: the same one again says nothing new.

    ``message`` is our id, "" where the provider speaks of an address only; ``at`` is when it happened (aware
    UTC), None where the provider does not say.
    """

    told: Told
    key: str
    channel: ChannelName
    message: str = ""
    address: str = ""
    at: datetime | None = None
    reason: str = ""
    text: str = ""
    link: str = ""


class Provider(Channel, Protocol):
    """A way out that calls back."""

    @property
    def name(self) -> str:
        """The name that the settings give it; outcomes carry it."""

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What the callback says. Raises InputRefused: ``callback.forged`` where it is not the provider's
        own, ``callback.unreadable`` where it cannot be understood."""
