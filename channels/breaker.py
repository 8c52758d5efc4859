"""A circuit breaker: a provider that is down is left alone for a while, and then tried with one message.

A message that meets an open circuit is given to nobody: the answer is "retry", under no provider's name.
"""

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from channels.base import Answer, Outcome, Outgoing, Retry, Unknown
from channels.provider import Callback, Provider, Receipt

log = logging.getLogger("tidings.channels")
A = TypeVar("A")
CIRCUIT_OPEN = "circuit_open"
# Refusals of a provider that is well: it is given too much (HTTP 429, Twilio 20429 and others, WeChat
# 45009 and 45011), or one mailbox is busy (RFC 5321, 450 to 452).
_WELL = re.compile(
    r"(?<!\d)(408|409|425|429|20429|14107|21611|30001|63017|63038|45009|45011|45[0-2])(?!\d)"
    r"|paced|rate.?limit|too.?many|quota|throttl|greylist",
    re.IGNORECASE,
)
# Between two looks at the circuit no more than this is handed over.
_AT_ONCE = 1000
_SLICES = 10
# While one message tries the provider, the others are to come back after this.
_TRIAL = timedelta(seconds=5)

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class Breaking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a circuit opens: after so many failures in a row, or at this share of the answers of a window.

    The share counts from ``least_answers`` on. It rests for ``rest_seconds``, twice as long after each trial
    in vain, ``longest_rest_seconds`` at most.
    """

    failures_in_a_row: Count = 10
    share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    window_seconds: Seconds = 60.0
    least_answers: Count = 20
    rest_seconds: Seconds = 15.0
    longest_rest_seconds: Seconds = 300.0


def failed(outcome: Outcome) -> bool:
    """Whether the answer says that the provider itself is not well: no connection, no answer in time, 5xx.

    What it refuses or puts off for a reason of the message, the address or the pace says nothing of it.
    """
    match outcome:
        case Unknown():
            return True
        case Retry(reason=reason, provider=provider):
            return bool(provider) and _WELL.search(reason) is None
    return False


class Guarded:
    """``channel`` behind a circuit. ``clock`` counts seconds and never goes back."""

    def __init__(
        self,
        channel: Provider,
        breaking: Breaking | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._breaking = breaking or Breaking()
        self._clock = clock
        self._in_a_row = 0
        # Answers and failures among them by slices of the window, the oldest first.
        self._counts: deque[tuple[int, list[int]]] = deque()
        self._opened_till: float | None = None
        self._rest = self._breaking.rest_seconds
        self._on_trial = False

    @property
    def name(self) -> str:
        """The name of the provider behind."""
        return self._channel.name

    def open_for(self) -> timedelta | None:
        """How long messages are turned away; None where one is handed over, be it as a trial."""
        if self._on_trial:
            return _TRIAL
        if self._opened_till is None or self._opened_till <= self._clock():
            return None
        return timedelta(seconds=self._opened_till - self._clock())

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Hand over while the circuit is closed; the first after a rest goes alone."""
        outcomes: list[Outcome] = []
        while len(outcomes) < len(messages):
            rest = messages[len(outcomes) :]
            wait = self.open_for()
            if wait is not None:
                outcomes += [Retry(CIRCUIT_OPEN, after=wait) for _ in rest]
            elif self._opened_till is not None:
                outcomes += await self._try(rest[0])
            else:
                answers = await self._given(rest[:_AT_ONCE])
                self._note(answers)
                outcomes += answers
        return outcomes

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        """What the provider behind knows; an open circuit does not keep from asking."""
        try:
            return _one_each(await self._channel.ask(messages), messages)
        except Exception as error:
            return [self._broken(error)] * len(messages)

    async def close(self) -> None:
        """Close the provider behind; what is known of its health stays."""
        await self._channel.close()

    def receipts(self, callback: Callback) -> list[Receipt]:
        """What the provider behind reads in the callback."""
        return self._channel.receipts(callback)

    async def _given(self, messages: Sequence[Outgoing]) -> Sequence[Outcome]:
        """What the provider behind answers. One that breaks its promise not to raise may have them all."""
        try:
            return _one_each(await self._channel.send(messages), messages)
        except Exception as error:
            return [self._broken(error)] * len(messages)

    def _broken(self, error: Exception) -> Unknown:
        # A bug, told as loudly as one: but it must not stop the other providers, nor stop this one for ever.
        log.error("provider %s failed", self.name, exc_info=error)
        return Unknown(f"adapter_failed {type(error).__name__}", provider=self.name)

    async def _try(self, message: Outgoing) -> Sequence[Outcome]:
        """Hand over one message, on which it depends whether the circuit closes."""
        self._on_trial = True
        well = False
        try:
            answers = await self._given([message])
            # Who is told to wait by a pace of our own has tried nothing.
            asked = [answer for answer in answers if not (isinstance(answer, Retry) and not answer.provider)]
            if not asked:
                well = True
                return answers
            well = not any(map(failed, asked))
            if well:
                self._close_circuit()
            return answers
        finally:
            self._on_trial = False
            if not well:
                self._open(min(self._rest * 2, self._breaking.longest_rest_seconds))

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        """Count the answers, and open the circuit if they are too bad."""
        now = self._clock()
        for outcome in outcomes:
            if isinstance(outcome, Retry) and not outcome.provider:
                continue
            bad = failed(outcome)
            self._in_a_row = self._in_a_row + 1 if bad else 0
            self._count(bad, now)
            if bad and self._opened_till is None and self._is_too_bad():
                self._open(self._breaking.rest_seconds)

    def _count(self, bad: bool, now: float) -> None:
        slice_now = int(now / self._breaking.window_seconds * _SLICES)
        while self._counts and self._counts[0][0] <= slice_now - _SLICES:
            self._counts.popleft()
        if not self._counts or self._counts[-1][0] != slice_now:
            self._counts.append((slice_now, [0, 0]))
        count = self._counts[-1][1]
        count[0] += 1
        count[1] += bad

    def _is_too_bad(self) -> bool:
        if self._in_a_row >= self._breaking.failures_in_a_row:
            return True
        answers = sum(count[0] for _, count in self._counts)
        failures = sum(count[1] for _, count in self._counts)
        return answers >= self._breaking.least_answers and failures >= self._breaking.share * answers

    def _open(self, rest: float) -> None:
        self._rest = rest
        self._opened_till = self._clock() + rest

    def _close_circuit(self) -> None:
        self._opened_till = None
        self._in_a_row = 0
        self._counts.clear()
        self._rest = self._breaking.rest_seconds


def _one_each(answers: Sequence[A], messages: Sequence[Outgoing]) -> list[A]:
    if len(answers) != len(messages):
        raise ValueError(f"{len(answers)} answers to {len(messages)} messages")
    return list(answers)
