"""How often a customer is written to: counts by day, kept in the customer's own history and so exact."""

from datetime import date, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from domain.catalogue import ChannelName, Purpose

DAYS_KEPT = 366
# By day of the customer's calendar, purpose and channel: how many messages were handed over.
Counts = dict[str, int]


class Cap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """At most so many messages of these purposes and channels in ``in_days`` days of the customer's calendar.

    Today is the last of these days: 1 means today alone, 7 today and the six days before. No channels means
    all. What a provider refused does not count; what nobody knows the outcome of does.
    """

    name: str
    purposes: Annotated[tuple[Purpose, ...], Meta(min_length=1)]
    channels: tuple[ChannelName, ...] = ()
    at_most: Annotated[int, Meta(ge=0, le=1000)]
    in_days: Annotated[int, Meta(ge=1, le=DAYS_KEPT)]

    def concerns(self, *, purpose: Purpose, channel: ChannelName) -> bool:
        """Whether such a message counts and is counted."""
        return purpose in self.purposes and (not self.channels or channel in self.channels)

    def days_of(self, counts: Counts, today: date) -> list[tuple[date, int]]:
        """The days that still count, with what was handed over on each, the first day first."""
        first = today - timedelta(days=self.in_days - 1)
        days: dict[date, int] = {}
        for key, number in counts.items():
            day, purpose, channel = _parts(key)
            if first <= day and self.concerns(purpose=purpose, channel=channel):
                days[day] = days.get(day, 0) + number
        return sorted(days.items())

    def free_from(self, counts: Counts, today: date, *, ahead: tuple[date, int] | None = None) -> date | None:
        """The first day, ``today`` or later, on which one more may be handed over; None for never.

        ``ahead`` is a day and how many others are going first on it: they are counted as if they had.
        """
        days = dict(self.days_of(counts, today))
        first = today - timedelta(days=self.in_days - 1)
        if ahead is not None and ahead[0] >= first:
            days[ahead[0]] = days.get(ahead[0], 0) + ahead[1]
        over = sum(days.values()) + 1 - self.at_most
        if over <= 0:
            return today
        for day, number in sorted(days.items()):
            over -= number
            if over <= 0:
                return day + timedelta(days=self.in_days)
        return None


def key_of(day: date, *, purpose: Purpose, channel: ChannelName) -> str:
    """What a message handed over on this day of the customer's calendar is counted under."""
    return f"{day.isoformat()}/{purpose}/{channel}"


def counted(counts: Counts, key: str) -> Counts:
    """The counts with one more, without days that no cap can look at any more."""
    oldest = (_parts(key)[0] - timedelta(days=DAYS_KEPT)).isoformat()
    kept = {known: number for known, number in counts.items() if known[:10] > oldest}
    return {**kept, key: kept.get(key, 0) + 1}


def uncounted(counts: Counts, key: str) -> Counts:
    """The counts with one less: it was not sent after all."""
    rest = counts.get(key, 0) - 1
    return {**{k: n for k, n in counts.items() if k != key}, **({key: rest} if rest > 0 else {})}


def _parts(key: str) -> tuple[date, Purpose, ChannelName]:
    day, purpose, channel = key.split("/")
    return date.fromisoformat(day), purpose, channel  # type: ignore[return-value]
