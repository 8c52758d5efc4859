"""How long to wait before something is tried again: longer each time, and not everybody at once."""

from datetime import timedelta
from hashlib import sha256

_FIRST = timedelta(seconds=30)
LONGEST = timedelta(hours=6)
_GROWTH = 4
_SPREAD = 0.5


def delay(tries: int, *, key: str) -> timedelta:
    """The wait after so many tries in vain: 30 seconds, fourfold each time, six hours at most.

    It is up to half as long again, as ``key`` and the number of tries say, so that what failed together does
    not come back together; the same question has the same answer for ever.
    """
    whole = min(LONGEST, _FIRST * _GROWTH ** min(max(tries - 1, 0), 8))
    digest = sha256(f"{key}\x00{tries}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return timedelta(seconds=round((whole * (1 + _SPREAD * share)).total_seconds(), 3))
