"""A constant stream of facts, and worker processes that live through it and can be killed at any moment.

Facts come stretch by stretch of business time, always one stretch ahead of the workers: a fact that came in
after its time would be decided on as of its coming, and that is another history.
"""

import os
from collections.abc import Sequence
from ctypes import c_int
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from time import sleep

from channels.base import Accepted, Answer, Channel, NotTaken, Outcome, Outgoing, everywhere
from domain.catalogue import ChannelName
from stores.adoption import behind
from tidings.bootstrap import bootstrap
from tidings.cli.running import live
from tidings.settings import Settings

LOOK_AGAIN_SECONDS = 0.005


class Provider:
    """A way out that processes share: each message it takes is one line of a file, there or not there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def channels(self) -> dict[ChannelName, Channel]:
        """This provider as every way out."""
        return everywhere(self)

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            for message in messages:
                os.write(file, f"{line_of(message)}\n".encode())
        finally:
            os.close(file)
        return [Accepted(message.id) for message in messages]

    async def close(self) -> None:
        pass

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        known = {line.split()[0] for line in self.taken()}
        return [Accepted(message.id) if message.id in known else NotTaken() for message in messages]

    def taken(self) -> list[str]:
        """Everything that was ever taken, as ``line_of`` tells it, in order."""
        return self._path.read_text().splitlines() if self._path.exists() else []


def line_of(message: Outgoing) -> str:
    """A message as the provider notes it: id, channel, instant, and a digest of the rest."""
    rest = "\x00".join((message.address, message.language, message.heading, message.text, message.purpose))
    return f"{message.id} {message.channel} {message.at.isoformat()} {sha256(rest.encode()).hexdigest()}"


def work(settings: Settings, record: Path, stretches: Sequence[datetime], told: c_int, *, join: bool) -> None:
    """One worker process: lives through each stretch as soon as its facts are told.

    ``told`` is how many stretches have been told; it is shared without a lock, which a killed process
    would keep.
    """
    tidings = bootstrap(settings, channels=Provider(record).channels)
    partitions = list(tidings.history.customer_partitions())
    for number, until in enumerate(stretches, 1):
        while told.value < number:
            sleep(LOOK_AGAIN_SECONDS)
        if behind(tidings.engine, partitions, until=until, rulebook=1):
            live(tidings, until=until, advance=lambda _: None, join=join)
