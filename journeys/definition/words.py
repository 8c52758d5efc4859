"""The words that every part of a journey document is written with."""

from datetime import time
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Days = Annotated[int, Meta(ge=0, le=3660)]
ValueName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
MonthDay = Annotated[str, Meta(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
LocalTime = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Languages = Annotated[dict[str, str], Meta(min_length=1)]
Amount = Annotated[str, Meta(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$")]


@lru_cache(maxsize=24 * 60)
def time_of(text: LocalTime) -> time:
    """The time of day that ``HH:MM`` writes."""
    return time(int(text[:2]), int(text[3:]))


def month_day_of(text: MonthDay) -> tuple[int, int]:
    """The month and the day that ``MM-DD`` writes."""
    return int(text[:2]), int(text[3:])
