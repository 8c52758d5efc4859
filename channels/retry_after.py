"""What ``Retry-After`` says (RFC 9110 section 10.2.3): seconds, or an instant of HTTP."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(hours=6)


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long to wait from ``now`` (aware UTC), six hours at most; None where the header says nothing."""
    said = (value or "").strip()
    if said.isascii() and said.isdigit():
        # Whatever has more digits is longer than the longest anyway.
        return min(LONGEST, timedelta(seconds=int(said[:9])))
    at = date_of(said)
    return None if at is None else max(timedelta(), min(LONGEST, at - now))


def date_of(text: str) -> datetime | None:
    """An instant as HTTP writes it (aware UTC); None for anything else."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError, TypeError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
