"""A route: several providers for one channel, one of which each message is given to.

Which one follows from the message's history alone, never from what this process remembers: a crash must not
make a second provider get what the first may have. Whoever may have it keeps it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from channels.base import Answer, Channel, Outcome, Outgoing, Retry, Unknown
from channels.breaker import CIRCUIT_OPEN

PROVIDER_GONE = "provider_gone"
A = TypeVar("A")


class Way(Channel, Protocol):
    """A provider whose circuit can be looked at."""

    @property
    def name(self) -> str:
        """The name that its outcomes carry."""

    def open_for(self) -> timedelta | None:
        """How long it turns messages away; None where it takes them."""


class Route:
    """The ``providers`` in the order in which they are preferred, each under a name of its own."""

    def __init__(self, providers: Sequence[Way]) -> None:
        self._providers = {provider.name: provider for provider in providers}
        if not providers or len(self._providers) < len(providers):
            raise ValueError("a route needs providers, each under a name of its own")

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Give each message to its provider, all providers at once."""
        picked = [self._pick(message) for message in messages]
        gone: Callable[[Outgoing], Outcome] = _gone
        answers = await _each(messages, picked, lambda way, group: self._send(way, group), gone)
        return answers

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """What the provider knows to whom each message was given last, or would be given now."""
        picked = [self._pick(message) for message in messages]
        gone: Callable[[Outgoing], Answer] = _gone
        return await _each(messages, picked, lambda way, group: self._ask(way, group), gone)

    async def close(self) -> None:
        """Close all providers."""
        await asyncio.gather(*(provider.close() for provider in self._providers.values()))

    def _pick(self, message: Outgoing) -> Way | None:
        """Who may have it, else who has refused it least; None where the former is no more."""
        if message.in_doubt:
            return self._providers.get(message.in_doubt)
        return self._next(message.refused_by)

    def _next(self, refused_by: Sequence[str]) -> Way:
        return min(self._providers.values(), key=lambda provider: refused_by.count(provider.name))

    async def _send(self, way: Way, messages: Sequence[Outgoing]) -> list[Outcome]:
        if way.open_for() is None:
            outcomes = await way.send(messages)
        else:
            outcomes = [Retry(CIRCUIT_OPEN, after=way.open_for()) for _ in messages]
        return [self._told(way, *pair) for pair in zip(messages, outcomes, strict=True)]

    async def _ask(self, way: Way, messages: Sequence[Outgoing]) -> list[Answer]:
        answers = await way.ask(messages)
        return [_named(answer, way) if isinstance(answer, Unknown) else answer for answer in answers]

    def _told(self, way: Way, message: Outgoing, outcome: Outcome) -> Outcome:
        """The answer, with another provider's turn at once where there is a better one."""
        match outcome:
            case Unknown():
                # Without a name nobody would know afterwards who may have it.
                return _named(outcome, way)
            case Retry() if message.in_doubt:
                return outcome
            case Retry(reason=reason, provider="") if reason == CIRCUIT_OPEN:
                return self._turned_away(way, outcome)
            case Retry(provider=provider) if provider:
                refused_by = (*message.refused_by, way.name)
                better = self._next(refused_by)
                fewer = refused_by.count(better.name) < refused_by.count(way.name)
                if fewer and better.open_for() is None:
                    return Retry(outcome.reason, after=timedelta(0), provider=provider)
        return outcome

    def _turned_away(self, way: Way, outcome: Retry) -> Retry:
        """The circuit is open: the refusal counts if another provider may take the message instead."""
        waits = [provider.open_for() for provider in self._providers.values() if provider is not way]
        if None in waits:
            return Retry(CIRCUIT_OPEN, after=timedelta(0), provider=way.name)
        known = [wait for wait in (*waits, outcome.after) if wait is not None]
        return Retry(CIRCUIT_OPEN, after=min(known, default=None))


def _named(answer: Unknown, way: Way) -> Unknown:
    return answer if answer.provider else Unknown(answer.reason, provider=way.name)


def _gone(message: Outgoing) -> Unknown:
    """Nobody can be asked, and nobody else must have it."""
    return Unknown(PROVIDER_GONE, provider=message.in_doubt)


async def _each(
    messages: Sequence[Outgoing],
    picked: Sequence[Way | None],
    call: Callable[[Way, Sequence[Outgoing]], Awaitable[list[A]]],
    gone: Callable[[Outgoing], A],
) -> list[A]:
    """What the call gives for the messages of each provider, in the order of the messages."""
    groups: dict[str, tuple[Way, list[int]]] = {}
    for place, way in enumerate(picked):
        if way is not None:
            groups.setdefault(way.name, (way, []))[1].append(place)
    answers = await asyncio.gather(
        *(call(way, [messages[place] for place in places]) for way, places in groups.values())
    )
    found = {
        place: answer
        for (_, places), said in zip(groups.values(), answers, strict=True)
        for place, answer in zip(places, said, strict=True)
    }
    return [found[place] if place in found else gone(message) for place, message in enumerate(messages)]
