"""A token bucket: the exact bound on how many messages a provider is given, and the places in its queue.

A bucket knows no clock: ``now`` is given, in seconds that only ever grow.
"""

# What is promised to those who wait in the queue: the rest of the rate is left to what is urgent and to what
# comes late, so that a place in the queue is worth something when its time comes.
_PROMISED = 0.95


class Bucket:
    """Holds up to ``burst`` tokens and gains ``rate`` of them a second; each message takes one.

    In any time t no more than ``burst + rate * t`` are taken.
    """

    def __init__(self, rate: float, burst: int, *, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._at = now
        self._queues: dict[bool, float] = {False: now, True: now}
        self._late = now
        self.waiting = 0

    def tokens(self, now: float) -> float:
        """How many tokens there are."""
        if now > self._at:
            self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.rate)
            self._at = now
        return self._tokens

    def take(self) -> None:
        """Take the token that ``tokens`` has just shown to be there."""
        self._tokens -= 1

    def until(self, wanted: int, *, now: float) -> float:
        """In how many seconds there are so many tokens, if nobody takes any."""
        return max(0.0, (min(wanted, self.burst) - self.tokens(now)) / self.rate)

    def place(self, *, urgent: bool, now: float) -> float:
        """When a newcomer's turn is, who has taken the place at the end of the queue only by ``book``.

        It is now where nobody queues and a token is left over by those who wait for one here.
        """
        end = self._queues[True] if urgent else max(self._queues.values())
        if end <= now and self.tokens(now) - self.waiting >= 1:
            return now
        return max(end, now) + 1 / (self.rate * _PROMISED)

    def book(self, at: float, *, urgent: bool) -> None:
        """Give away the place that ``place`` has shown."""
        self._queues[urgent] = max(self._queues[urgent], at)

    def place_for_the_late(self, soonest: float) -> float:
        """A turn shortly, and not at the queue's end, for who came at their time and found no token."""
        self._late = max(self._late + 1 / self.rate, soonest)
        return self._late
