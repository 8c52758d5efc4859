"""One provider for all devices: it sorts messages by their platform to FCM, APNs and the browsers."""

import asyncio
from collections.abc import Iterator, Sequence

from channels.apns import Apns, ApnsSettings
from channels.base import Answer, Channel, Outcome, Outgoing, Rejected, Unknown
from channels.calling import Clock, wall_clock
from channels.device import Platform, no_device, platform_of
from channels.fcm import Fcm, FcmSettings
from channels.provider import Callback, ProviderSettings, Receipt
from channels.webpush import WebPush, WebPushSettings
from domain.errors import InputRefused


class PushSettings(ProviderSettings, tag="push", frozen=True, kw_only=True):
    """The platforms that there are; their own ``timeout_seconds`` count, and the ``pace`` of this."""

    fcm: FcmSettings | None = None
    apns: ApnsSettings | None = None
    web: WebPushSettings | None = None


class Push:
    """Hands each message to its device's platform; all of them are the provider of this name."""

    def __init__(self, name: str, settings: PushSettings, *, clock: Clock = wall_clock) -> None:
        self._name = name
        self._platforms: dict[Platform, Channel] = {}
        if settings.fcm is not None:
            self._platforms["fcm"] = Fcm(name, settings.fcm, clock=clock)
        if settings.apns is not None:
            self._platforms["apns"] = Apns(name, settings.apns, clock=clock)
        if settings.web is not None:
            self._platforms["web"] = WebPush(name, settings.web, clock=clock)

    @property
    def name(self) -> str:
        """The name that the settings give it."""
        return self._name

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand these over, to all platforms at once; outcomes come in the order given."""
        groups: dict[Platform, list[Outgoing]] = {}
        for message in messages:
            platform = platform_of(message.address)
            if platform in self._platforms:
                groups.setdefault(platform, []).append(message)
        given = await asyncio.gather(*(self._platforms[name].send(group) for name, group in groups.items()))
        queues = {name: iter(outcomes) for name, outcomes in zip(groups, given, strict=True)}
        return [self._next(message, queues) for message in messages]

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Unknown: no platform tells of a message afterwards."""
        return [Unknown("push: cannot be asked", provider=self._name) for _ in messages]

    async def close(self) -> None:
        """Let go of all connections."""
        for platform in self._platforms.values():
            await platform.close()

    def receipts(self, callback: Callback) -> list[Receipt]:
        """No platform calls back. Raises InputRefused."""
        raise InputRefused("callback.forged", provider=self._name)

    def _next(self, message: Outgoing, queues: dict[Platform, Iterator[Outcome]]) -> Outcome:
        platform = platform_of(message.address)
        if platform is None:
            return no_device(self._name)
        if platform not in queues:
            # The device may be good: it is we who cannot reach it.
            return Rejected(f"push: {platform} is not set up", provider=self._name)
        return next(queues[platform])
