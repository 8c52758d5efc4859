"""The mail channel as tests set it up, and what became of messages that it was given."""

import asyncio
from typing import Any

from channels.base import Outcome, Outgoing
from channels.mime import Sender
from channels.smtp import Smtp, SmtpSettings

BANK = Sender(address="care@bank.example", names={"en": "Example Bank"})
MANY = 60
PLAIN = (b"8BITMIME",)


def smtp(port: int, **given: Any) -> Smtp:
    """A channel to this port of the loopback interface, in clear text unless it is said otherwise."""
    values = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": BANK, **given}
    return Smtp("post", SmtpSettings(**values))


def sent(channel: Smtp, *messages: Outgoing) -> list[Outcome]:
    """What became of these, each after the other's answer where the channel has one connection."""

    async def handed_over() -> list[Outcome]:
        outcomes = await channel.send(messages)
        await channel.close()
        return outcomes

    return asyncio.run(handed_over())


def one_by_one(port: int, *messages: Outgoing, **given: Any) -> list[Outcome]:
    """What became of these over one connection."""
    return sent(smtp(port, connections=1, **given), *messages)
