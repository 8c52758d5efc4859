"""What Retry-After says."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.retry_after import LONGEST, retry_after

NOW = datetime(2026, 5, 3, 7, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "", " ", "soon", "-1", "1.5", "٣", "Sun, 99 Nov 1994 08:49:37 GMT"])
def test_what_is_neither_seconds_nor_an_instant_says_nothing(value: str | None) -> None:
    assert retry_after(value, NOW) is None


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**30))
def test_seconds_are_waited_up_to_the_longest(seconds: int) -> None:
    assert retry_after(f" {seconds} ", NOW) == min(LONGEST, timedelta(seconds=min(seconds, 10**6)))


@settings(deadline=None)
@given(st.integers(min_value=-(10**8), max_value=10**8))
def test_an_instant_is_waited_for_up_to_the_longest_and_one_gone_by_not_at_all(seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    due = max(timedelta(), min(LONGEST, timedelta(seconds=seconds)))
    assert retry_after(format_datetime(at, usegmt=True), NOW) == due


@settings(deadline=None)
@given(
    st.text(max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,5} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,9} [-+A-Z0-9]{1,6}")
)
def test_no_text_whatever_makes_it_fail(value: str) -> None:
    waited = retry_after(value, NOW)
    assert waited is None or timedelta() <= waited <= LONGEST
