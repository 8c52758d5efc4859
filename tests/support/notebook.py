"""A channel that notes each message it takes, and when asked says what it has noted."""

from collections.abc import Callable, Sequence

from channels.base import Accepted, Answer, Channel, NotTaken, Outcome, Outgoing, everywhere
from domain.catalogue import ChannelName


class Notebook:
    """``taken`` holds every message in the order of taking; ``before_each`` may fail, as a provider may."""

    def __init__(self, before_each: Callable[[], None] = lambda: None) -> None:
        self.taken: list[Outgoing] = []
        self._before_each = before_each

    @property
    def channels(self) -> dict[ChannelName, Channel]:
        """This notebook as every way out."""
        return everywhere(self)

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for message in messages:
            self._before_each()
            self.taken.append(message)
            outcomes.append(Accepted(message.id))
        return outcomes

    async def close(self) -> None:
        pass

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        known = {message.id for message in self.taken}
        return [Accepted(message.id) if message.id in known else NotTaken() for message in messages]
