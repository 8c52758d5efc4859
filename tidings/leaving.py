"""Messages whose intent is committed, on their way out: handed over slice by slice, answers gathered.

What is handed over was judged a moment ago, or it stays here and is judged again: nothing leaves at night
because it was let go in the evening.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple

from channels.base import Channel, NotTaken, Outcome, Outgoing, Retry
from domain.catalogue import ChannelName
from stores.batch import Changes
from stores.journal import Journal
from tidings import sending

# How long the policy's word holds until a message leaves, and how often a lease is looked after meanwhile.
_FRESH = timedelta(seconds=60)
_LOOK_SECONDS = 5.0
_AT_ONCE = timedelta(0)
_WORDS_LOST = Retry("words_lost", after=_AT_ONCE)
# How many customers may wait with messages that are judged: as many as leave while the judgement is fresh.
_LEAST_ROOM, _FIRST_ROOM, _MOST_ROOM = 20, 100, 500
# How many messages go together, between two looks at the clock: as many as take a provider a few seconds.
_LEAST_AT_ONCE, _FIRST_AT_ONCE, _MOST_AT_ONCE = 4, 25, 100
_LONG, _SHORT = timedelta(seconds=10), timedelta(seconds=2)


class Answered(NamedTuple):
    """What became of a customer's message, and when that was known (aware UTC)."""

    stream: int
    message: Outgoing
    outcome: Outcome
    at: datetime


class Present(NamedTuple):
    """The clock that messages leave by. A ``live`` one goes on while a provider takes its time."""

    now: Callable[[], datetime]
    live: bool

    def is_stale(self, message: Outgoing) -> bool:
        """Whether too much time has passed since the message was judged."""
        return self.live and message.at < self.now() - _FRESH

    def answered(self, message: Outgoing) -> datetime:
        """When an answer came: by a virtual clock no time has passed."""
        return max(self.now(), message.at) if self.live else message.at


class Leaving:
    """The messages of one partition that wait to be handed over, by customer."""

    def __init__(
        self,
        channels: Mapping[ChannelName, Channel],
        journal: Journal,
        runner: asyncio.Runner,
        present: Present,
    ) -> None:
        self._channels = channels
        self._journal = journal
        self._runner = runner
        self._present = present
        self._waiting: dict[int, list[Outgoing]] = {}
        self._chosen: list[list[int]] = []
        self.room = _FIRST_ROOM
        self.at_once = _FIRST_AT_ONCE

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, stream: int) -> bool:
        return stream in self._waiting

    def add(self, stream: int, message: Outgoing) -> None:
        """One more; a customer who has any sits out until all are answered."""
        self._waiting.setdefault(stream, []).append(message)

    def choose(self, *, size: int, messages: float) -> list[str]:
        """Choose who goes next: slices of ``size`` customers, up to so many messages in all; gives their ids.

        The customers with the most urgent messages come first, and urgent messages of the next batch
        overtake. All of a customer's messages go together: their answers belong in the order of the intents.
        """
        group = self._waiting
        streams = sorted(group, key=lambda stream: min(map(sending.urgency, group[stream])))
        chosen: list[int] = []
        counted = 0
        for stream in streams:
            if counted >= messages:
                break
            counted += len(group[stream])
            chosen.append(stream)
        self._chosen = [chosen[start : start + size] for start in range(0, len(chosen), size)]
        return [message.id for stream in chosen for message in group[stream]]

    def hand_over(self, *, turn: float, all_of_them: bool) -> list[Answered]:
        """Hand over what was chosen, slice by slice; what is left after ``turn`` seconds waits."""
        over, began = monotonic() + turn, self._present.now()
        answers: list[Answered] = []
        for streams in self._chosen:
            leaving = [(stream, message) for stream in streams for message in self._waiting.pop(stream)]
            self._journal.assure()
            outcomes = self._runner.run(self._hand_over([message for _, message in leaving]))
            answers += self._answered(leaving, outcomes)
            if monotonic() >= over and not all_of_them:
                break
        took = self._present.now() - began
        if took > _LONG:
            self.at_once = max(self.at_once // 2, _LEAST_AT_ONCE)
        elif took < _SHORT:
            self.at_once = min(self.at_once * 2, _MOST_AT_ONCE)
        if not self._waiting:
            self.room = min(self.room * 2, _MOST_ROOM)
        return answers

    def settle(self, lost: Sequence[tuple[int, Outgoing, bool]]) -> list[Answered]:
        """What became of messages that a crash left without an answer, in this order.

        The last word says whether a message may have been given to its channel, which then is asked. What
        it certainly does not have waits to be handed over, or by a virtual clock goes at once; where its
        words cannot be made any more, it is judged again.
        """
        begun = [message for _, message, has_begun in lost if has_begun]
        told = self._runner.run(sending.settle(self._channels, begun))
        pairs = zip(begun, told, strict=True)
        answers: dict[str, Outcome] = {m.id: said for m, said in pairs if not isinstance(said, NotTaken)}
        answers |= {m.id: _WORDS_LOST for _, m, _ in lost if m.id not in answers and sending.is_lost(m)}
        due = [(stream, message) for stream, message, _ in lost if message.id not in answers]
        if self._present.live:
            for stream, message in due:
                self.add(stream, message)
        else:
            messages = [message for _, message in due]
            if len(begun) < len(lost):
                self._journal.commit(Changes(outbox_begun={message.id for message in messages}))
            handed_over = self._runner.run(self._hand_over(messages))
            answers |= {m.id: outcome for m, outcome in zip(messages, handed_over, strict=True)}
        answered = [(stream, message) for stream, message, _ in lost if message.id in answers]
        return self._answered(answered, [answers[message.id] for _, message in answered])

    def _answered(
        self, leaving: Sequence[tuple[int, Outgoing]], outcomes: Sequence[Outcome]
    ) -> list[Answered]:
        return [
            Answered(stream, message, outcome, self._present.answered(message))
            for (stream, message), outcome in zip(leaving, outcomes, strict=True)
        ]

    async def _hand_over(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Give messages to their channels, and keep the lease meanwhile: providers may take their time."""
        fresh = [message for message in messages if not self._present.is_stale(message)]
        if len(fresh) < len(messages):
            # A slow provider: what is judged ahead of it is judged for nothing.
            self.room = max(self.room // 2, _LEAST_ROOM)
        handing_over = asyncio.create_task(
            sending.hand_over(self._channels, fresh, is_stale=self._present.is_stale)
        )
        try:
            while not (await asyncio.wait({handing_over}, timeout=_LOOK_SECONDS))[0]:
                self._journal.assure()
        except BaseException:
            # Nothing more may leave for this partition: it may be another worker's.
            handing_over.cancel()
            await asyncio.gather(handing_over, return_exceptions=True)
            raise
        answers = dict(zip((message.id for message in fresh), handing_over.result(), strict=True))
        return [answers.get(message.id, sending.TOO_LATE) for message in messages]
