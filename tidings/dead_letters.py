"""Refusals of what anybody on the network may send: noted, but never so many that they fill the disk."""

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock

from msgspec import Struct

from stores.inbox import Refusal

PER_MINUTE = 60
RAW_BYTES = 4_096


class _Minute(Struct):
    """What was noted of one origin within a minute, and what was only counted."""

    number: int
    noted: int = 0
    left_out: int = 0


class BoundedLetters:
    """Lets at most ``per_minute`` refusals of each origin through and counts the rest.

    Used by several threads. The count becomes one refusal of its own as soon as a later minute asks, or when
    ``rest`` is taken at the end.
    """

    def __init__(self, per_minute: int = PER_MINUTE) -> None:
        self._per_minute = per_minute
        self._minutes: dict[str, _Minute] = {}
        self._lock = Lock()

    def admitted(self, origin: str, refusals: Sequence[Refusal], *, at: datetime) -> list[Refusal]:
        """Those to be noted now (``at`` is aware), their raw bytes cut to what is worth looking at."""
        with self._lock:
            number = int(at.timestamp()) // 60
            minute = self._minutes.setdefault(origin, _Minute(number))
            let_through: list[Refusal] = []
            if minute.number != number:
                let_through = _counted(minute)
                minute = self._minutes[origin] = _Minute(number)
            free = max(0, self._per_minute - minute.noted)
            minute.noted += len(refusals[:free])
            minute.left_out += len(refusals[free:])
        return let_through + [_cut(refusal) for refusal in refusals[:free]]

    def rest(self) -> dict[str, list[Refusal]]:
        """By origin what was counted and not told yet; it is told now."""
        with self._lock:
            told = {origin: counted for origin, m in self._minutes.items() if (counted := _counted(m))}
            self._minutes.clear()
        return told


def _counted(minute: _Minute) -> list[Refusal]:
    if not minute.left_out:
        return []
    since = datetime.fromtimestamp(minute.number * 60, UTC).isoformat()
    return [Refusal(since, "callback.more_refused", {"count": minute.left_out, "since": since})]


def _cut(refusal: Refusal) -> Refusal:
    return Refusal(refusal.place, refusal.code, refusal.values, refusal.raw[:RAW_BYTES])
