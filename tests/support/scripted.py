"""A way out that answers as it is told, and notes what it was given and asked."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from channels.base import Accepted, Answer, Channel, NotTaken, Outcome, Outgoing, everywhere
from domain.catalogue import ChannelName


class Scripted:
    """Answers with the next outcome of its script, and with Accepted when there is none any more.

    Asked, it gives the next of ``answers``, else what it knows: what it has accepted, and nothing else.
    """

    def __init__(self, *script: Outcome, answers: Iterable[Answer] = ()) -> None:
        self.script = list(script)
        self.answers = list(answers)
        self.given: list[Outgoing] = []
        self.asked: list[str] = []
        self._accepted: set[str] = set()

    @property
    def channels(self) -> dict[ChannelName, Channel]:
        """This one as every way out."""
        return everywhere(self)

    @property
    def moments(self) -> list[datetime]:
        """When the policy had let leave what was given, in order."""
        return [message.at for message in self.given]

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        return [self._send(message) for message in messages]

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        self.asked += [message.id for message in messages]
        return [self.answers.pop(0) if self.answers else self._known(message) for message in messages]

    async def close(self) -> None:
        pass

    def _send(self, message: Outgoing) -> Outcome:
        self.given.append(message)
        outcome: Outcome = self.script.pop(0) if self.script else Accepted(message.id, provider="one")
        if isinstance(outcome, Accepted):
            self._accepted.add(message.id)
        return outcome

    def _known(self, message: Outgoing) -> Answer:
        return Accepted(message.id) if message.id in self._accepted else NotTaken()
