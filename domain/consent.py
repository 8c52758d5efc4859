"""The customer's word on being written to: what was said, for what, and how it was given."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from domain.catalogue import ChannelName, Purpose

ANY = "*"


class Word(Struct, frozen=True, gc=False):
    """One grant or withdrawal; ``version`` cites the event in the customer's history (aware UTC)."""

    purpose: Purpose
    channel: str
    topic: str
    granted: bool
    said_at: datetime
    provenance: str
    version: int

    def covers(self, purpose: Purpose, channel: ChannelName, topic: str) -> bool:
        """Whether this word speaks about such a message; ``*`` speaks about every channel or topic."""
        return self.purpose == purpose and self.channel in (ANY, channel) and self.topic in (ANY, topic)


def latest_word(words: Sequence[Word], *, purpose: Purpose, channel: ChannelName, topic: str) -> Word | None:
    """The customer's last word on such a message; None where they never said any.

    Later business time counts, at equal times the later recorded one.
    Source: GDPR art. 7(1), consent must be demonstrable; 7(3), it may be withdrawn at any time.
    """
    said = [word for word in words if word.covers(purpose, channel, topic)]
    return max(said, key=lambda word: (word.said_at, word.version), default=None)


def remember(words: tuple[Word, ...], word: Word) -> tuple[Word, ...]:
    """The words with a new one; an earlier word on exactly the same thing has had its time.

    The whole ledger stays in the events; the state keeps what can still decide.
    """
    same = (word.purpose, word.channel, word.topic)
    older = [w for w in words if (w.purpose, w.channel, w.topic) == same]
    if any(w.said_at > word.said_at for w in older):
        return words
    return (*(w for w in words if (w.purpose, w.channel, w.topic) != same), word)
