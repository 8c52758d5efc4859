"""The inbox in the bank's own app: what is sent lies in a mailbox, and the app asks for it.

There is no provider that could be slow or silent: a message is in the mailbox or it is not.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from channels.base import Accepted, Answer, NotTaken, Outcome, Outgoing, Rejected, Unknown
from channels.provider import Callback, Receipt
from domain.errors import InputRefused, StoreUnusable


class Mailbox(Protocol):
    """Where messages lie until they are read or over."""

    def put(self, messages: Sequence[Outgoing]) -> set[str]:
        """Keep these in one transaction, each once under its id; gives the ids of those that lie there now.

        A message for nobody who is known is not kept. Raises StoreUnusable.
        """

    def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these lie there. Raises StoreUnusable."""


class InAppInbox:
    """Puts messages into ``mailbox``; its answers are certain as long as the mailbox can be used."""

    def __init__(self, name: str, mailbox: Mailbox) -> None:
        self.name = name
        self._mailbox = mailbox

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Put them there, all or none; where the store fails, it alone can tell later whether it has them."""
        if not messages:
            return []
        try:
            # A store that is held up must not hold up the other channels.
            kept = await asyncio.to_thread(self._mailbox.put, messages)
        except StoreUnusable as error:
            return [Unknown(error.code, provider=self.name) for _ in messages]
        return [self._outcome(message, kept) for message in messages]

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """Whether each lies there; unknown only where the store cannot be used."""
        if not messages:
            return []
        try:
            known = await asyncio.to_thread(self._mailbox.known, [message.id for message in messages])
        except StoreUnusable as error:
            return [Unknown(error.code, provider=self.name) for _ in messages]
        return [self._accepted(m) if m.id in known else NotTaken() for m in messages]

    async def close(self) -> None:
        """There is nothing to let go of; the store is whose it is."""

    def receipts(self, callback: Callback) -> list[Receipt]:
        """Nobody calls back: the app tells that a message was read. Raises InputRefused always."""
        raise InputRefused("callback.unreadable", provider=self.name, reason="the inbox has no callbacks")

    def _outcome(self, message: Outgoing, kept: set[str]) -> Outcome:
        if message.id in kept:
            return self._accepted(message)
        return Rejected("unknown_customer", provider=self.name)

    def _accepted(self, message: Outgoing) -> Accepted:
        return Accepted(f"{self.name}/{message.id}", provider=self.name)
