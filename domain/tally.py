"""How often something happened by day of the customer's calendar: exact, small, and cheap to count on."""

from datetime import date
from struct import Struct as Packed

from msgspec import Struct

DAYS_COUNTED = 366
# A day's count stops here: no condition can ask for more, so none can tell the difference.
MOST_A_DAY = 1023
# The local day can fall back by two when a customer changes zones; what was counted then must still be there.
_DAYS_KEPT = DAYS_COUNTED + 2
_BITS = 10
_pack = Packed(">I").pack
_each = Packed(">I").iter_unpack
_ENTRY = 4
# Days that nothing can ask for any more are dropped when so many bytes have come together, not each time.
_MOST_BYTES = (_DAYS_KEPT + 32) * _ENTRY


class Tally(Struct, frozen=True, array_like=True, gc=False):
    """``count`` on the last day, ``day`` (``date.toordinal``), and what was before, packed.

    ``before`` holds four bytes for each earlier day on which anything happened, the first day first: the
    day's number and its count.
    """

    day: int
    count: int
    before: bytes = b""


def one_more(tally: Tally | None, day: int) -> Tally:
    """The tally with one more on a day (``date.toordinal``)."""
    if tally is None:
        return Tally(day, 1)
    last, count, before = tally.day, tally.count, tally.before
    if day == last:
        return Tally(day, count + 1, before)
    if day < last:
        return _told_late(tally, day)
    before += _pack(last << _BITS | (count if count < MOST_A_DAY else MOST_A_DAY))
    return Tally(day, 1, before if len(before) < _MOST_BYTES else _without_old(before, day))


def by_day(tally: Tally) -> dict[date, int]:
    """The days with their counts, the first day first."""
    return {date.fromordinal(day): count for day, count in entries(tally)}


def entries(tally: Tally) -> list[tuple[int, int]]:
    """The days (``date.toordinal``) with their counts, the first day first."""
    packed = [(entry >> _BITS, entry & MOST_A_DAY) for (entry,) in _each(tally.before)]
    return [*packed, (tally.day, tally.count)]


def count_since(tally: Tally | None, day: int) -> int:
    """How often it happened on this day (``date.toordinal``) or later."""
    if tally is None or tally.day < day:
        return 0
    return sum(count for known, count in entries(tally) if known >= day)


def is_over(tally: Tally, day: int) -> bool:
    """Whether nothing on ``day`` or later can ask for any of its days."""
    return tally.day <= day - _DAYS_KEPT


def _told_late(tally: Tally, day: int) -> Tally:
    if day <= tally.day - _DAYS_KEPT:
        return tally
    days = dict(entries(tally)[:-1])
    days[day] = min(days.get(day, 0) + 1, MOST_A_DAY)
    before = b"".join(_pack(known << _BITS | count) for known, count in sorted(days.items()))
    return Tally(tally.day, tally.count, before)


def _without_old(before: bytes, day: int) -> bytes:
    gone = 0
    for (entry,) in _each(before):
        if entry >> _BITS > day - _DAYS_KEPT:
            break
        gone += _ENTRY
    return before[gone:]
