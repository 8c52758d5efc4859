"""Pacing: a provider is given no more messages than agreed, and what is too many gets a place in a queue.

The queue holds no messages. What is over the rate is answered "retry" with the time at which its turn will
be, and comes back then by itself, so that a hundred thousand wait as wake-ups in the store and not here. All
that is remembered is who was promised which time; whoever is forgotten queues again at the end.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta

from channels.base import Answer, Outcome, Outgoing, Retry
from channels.bucket import Bucket
from channels.provider import Callback, Pace, Provider, Receipt

PACED = "paced"
_URGENT = ("regulatory", "service")
# So long a message waits for its turn here; who would wait longer comes back.
_PATIENCE = 1.0
# Clocks wake late: whose turn is at the end of the patience is not sent away for that.
_GRACE = 0.25
# Tokens are waited for this long at least, so that a high rate is not paid for with as many wake-ups.
_NAP = 0.01
_SHORTEST_NAP = 0.001
# A promise this old is not kept for who does not come.
_FORGOTTEN_AFTER = 900.0
_MOST_PROMISES = 250_000


class Paced:
    """``channel``, given no more than ``pace`` allows.

    What the purposes service and regulatory ask for takes its token first and never waits behind marketing
    and care. ``clock`` counts seconds and never goes back. It is for one event loop at a time.
    """

    def __init__(
        self,
        channel: Provider,
        pace: Pace,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._channel = channel
        self._clock = clock
        self._sleep = sleep
        now = clock()
        self._whole = None if pace.per_second is None else Bucket(pace.per_second, pace.burst, now=now)
        self._domains = {
            domain.lower(): Bucket(rate, pace.burst, now=now) for domain, rate in pace.domains.items()
        }
        # In the order in which they were promised, which is nearly that of their times.
        self._promised: dict[str, float] = {}
        self._urgent_waiting = 0

    @property
    def name(self) -> str:
        """The name of the provider behind."""
        return self._channel.name

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand over what is due within about a second, as it becomes due; the rest is to come back."""
        if self._whole is None and not self._domains:
            return await self._channel.send(messages)
        outcomes: list[Outcome | None] = [None] * len(messages)
        turns = self._turns(messages, outcomes)
        waves: list[asyncio.Task[None]] = []
        try:
            await self._release(messages, turns, outcomes, waves)
            ends = await asyncio.gather(*waves, return_exceptions=True)
        except BaseException:
            # Broken off: nobody hears what becomes of the rest, so it must not go on leaving.
            for wave in waves:
                wave.cancel()
            await asyncio.gather(*waves, return_exceptions=True)
            raise
        for end in ends:
            if end is not None:
                raise end
        now = self._clock()
        return [
            self._late(message, now) if outcome is None else outcome
            for message, outcome in zip(messages, outcomes, strict=True)
        ]

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """What the provider behind knows; asking is not paced."""
        return await self._channel.ask(messages)

    async def close(self) -> None:
        """Close the provider behind."""
        await self._channel.close()

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What the provider behind reads in the callback."""
        return self._channel.receipts(callback)

    def _turns(self, messages: Sequence[Outgoing], outcomes: list[Outcome | None]) -> deque[int]:
        """Whose turn is now or soon, by their places, the urgent first; the others are told when to come."""
        now = self._clock()
        self._forget(now)
        soon = now + _PATIENCE
        turns: deque[int] = deque()
        waiting: list[Bucket] = []
        for place in sorted(range(len(messages)), key=lambda place: not _is_urgent(messages[place])):
            message = messages[place]
            promised = self._promised.get(message.id)
            at = self._place(message, now) if promised is None else promised
            if at <= soon:
                turns.append(place)
                for bucket in self._buckets(message):
                    # So the next of this call does not count on the same token.
                    bucket.waiting += 1
                    waiting.append(bucket)
            else:
                outcomes[place] = self._come_back(message, at, now)
        for bucket in waiting:
            bucket.waiting -= 1
        return turns

    async def _release(
        self,
        messages: Sequence[Outgoing],
        turns: deque[int],
        outcomes: list[Outcome | None],
        waves: list[asyncio.Task[None]],
    ) -> None:
        """Hand over, each as soon as there is a token, until all are or patience is at its end."""
        deadline = self._clock() + _PATIENCE + _GRACE
        self._urgent_waiting += _urgent_among(messages, turns)
        try:
            while turns:
                waves.append(asyncio.ensure_future(self._wave(messages, turns, outcomes)))
                # The wave takes its tokens when it begins, which is now: they are of no other moment.
                await asyncio.sleep(0)
                now = self._clock()
                nap = self._nap([messages[place] for place in turns], now)
                if now + nap > deadline:
                    return
                await self._sleep(nap)
        finally:
            self._urgent_waiting -= _urgent_among(messages, turns)

    async def _wave(
        self, messages: Sequence[Outgoing], turns: deque[int], outcomes: list[Outcome | None]
    ) -> None:
        """Hand over those for whom there are tokens now."""
        places = self._take(messages, turns, self._clock())
        if places:
            answers = await self._channel.send([messages[place] for place in places])
            for place, outcome in zip(places, answers, strict=True):
                outcomes[place] = outcome

    def _take(self, messages: Sequence[Outgoing], turns: deque[int], now: float) -> list[int]:
        """Take a token for as many as there are tokens for, in their order, and out of ``turns``."""
        going: list[int] = []
        blocked: list[int] = []
        while turns:
            message = messages[turns[0]]
            if self._whole is not None and self._whole.tokens(now) < 1 + self._spared(message):
                break
            place = turns.popleft()
            buckets = self._buckets(message)
            if all(bucket.tokens(now) >= 1 for bucket in buckets):
                for bucket in buckets:
                    bucket.take()
                self._promised.pop(message.id, None)
                self._urgent_waiting -= _is_urgent(message)
                going.append(place)
            else:
                blocked.append(place)
        turns.extendleft(reversed(blocked))
        return going

    def _nap(self, waiting: Sequence[Outgoing], now: float) -> float:
        """How long until one of these can go, or until some can where tokens come fast."""
        if not waiting:
            return 0.0
        if self._whole is not None and self._whole.tokens(now) < 1 + self._spared(waiting[0]):
            wanted = max(1, min(len(waiting), int(self._whole.rate * _NAP)))
            return max(self._whole.until(wanted, now=now), _SHORTEST_NAP)
        domains = {bucket for message in waiting for bucket in self._buckets(message)} - {self._whole}
        # With none, a token has come since somebody looked for it.
        return max(min((bucket.until(1, now=now) for bucket in domains), default=0.0), _SHORTEST_NAP)

    def _spared(self, message: Outgoing) -> int:
        """How many tokens this one leaves to urgent ones that wait in other calls."""
        return 0 if _is_urgent(message) else self._urgent_waiting

    def _place(self, message: Outgoing, now: float) -> float:
        """When a newcomer's turn is; its place in the queue is taken."""
        urgent = _is_urgent(message)
        places = {bucket: bucket.place(urgent=urgent, now=now) for bucket in self._buckets(message)}
        at = max(places.values(), default=now)
        for bucket, place in places.items():
            # Who waits for a slow domain does not hold up the others.
            if place > now and place >= at:
                bucket.book(place, urgent=urgent)
        return at

    def _buckets(self, message: Outgoing) -> list[Bucket]:
        domain = self._domains.get(message.address.rpartition("@")[2].lower())
        return [bucket for bucket in (self._whole, domain) if bucket is not None]

    def _come_back(self, message: Outgoing, at: float, now: float) -> Retry:
        if len(self._promised) < _MOST_PROMISES:
            self._promised[message.id] = at
        # Not a moment early: it would find that its token is not there yet.
        return Retry(PACED, after=timedelta(milliseconds=int((at - now) * 1000) + 1))

    def _late(self, message: Outgoing, now: float) -> Retry:
        """Its turn had come and others took the tokens: it comes back shortly."""
        soonest = now + _PATIENCE
        at = max((b.place_for_the_late(soonest) for b in self._buckets(message)), default=soonest)
        self._promised.pop(message.id, None)
        return self._come_back(message, at, now)

    def _forget(self, now: float) -> None:
        """Drop promises that nobody came for."""
        while self._promised:
            oldest = next(iter(self._promised))
            if self._promised[oldest] + _FORGOTTEN_AFTER > now:
                return
            del self._promised[oldest]


def _urgent_among(messages: Sequence[Outgoing], places: Iterable[int]) -> int:
    return sum(_is_urgent(messages[place]) for place in places)


def _is_urgent(message: Outgoing) -> bool:
    return message.purpose in _URGENT
