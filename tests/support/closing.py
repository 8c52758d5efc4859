"""A channel that lets go of its connections after each call, as tests with a loop for each call need it."""

from collections.abc import Sequence

from channels.base import Answer, Channel, Outcome, Outgoing


class ClosedAfterwards:
    """The same channel, closed in the loop that used it."""

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
