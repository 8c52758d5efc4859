"""A way out that lets go of its connections after each call, as one does whose loop ends then."""

from collections.abc import Sequence

from channels.base import Answer, Channel, Outcome, Outgoing


class OneCall:
    """For tests that call ``asyncio.run`` for each call: the next one is made by another loop."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """As the channel does."""
        try:
            return await self._channel.send(messages)
        finally:
            await self._channel.close()

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """As the channel does."""
        try:
            return await self._channel.ask(messages)
        finally:
            await self._channel.close()

    async def close(self) -> None:
        """It is closed already."""
