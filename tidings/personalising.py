"""Links of a customer's own, filled in when a message leaves: what is recorded has placeholders.

So the words can be proved without the keys that sign links, and a simulation needs none.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from channels.base import Answer, Channel, Outcome, Outgoing
from domain.catalogue import Purpose
from templates.links import personalised
from tidings.links import Links

# What may be unsubscribed from by one click: what must be said cannot.
_CAN_BE_LEFT: tuple[Purpose, ...] = ("marketing", "care")


class Personal:
    """A way out behind which every message has its customer's own links."""

    def __init__(self, channel: Channel, links: Links) -> None:
        self._channel = channel
        self._links = links

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        return await self._channel.send([with_links(message, self._links) for message in messages])

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """The same words as they left: some providers are asked by them."""
        return await self._channel.ask([with_links(message, self._links) for message in messages])

    async def close(self) -> None:
        await self._channel.close()


def with_links(message: Outgoing, links: Links) -> Outgoing:
    """The message with its customer's own links, and the address to unsubscribe where it can be left."""
    maker = links.for_message(message.id, message.customer, message.channel)
    text, html = personalised(message.text, message.html, maker)
    can_be_left = message.purpose in _CAN_BE_LEFT
    return replace(message, text=text, html=html, unsubscribe=maker.unsubscribe if can_be_left else "")
