"""Waits between tries: longer each time, bounded, and not the same for everybody."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduler.backoff import delay

FIRST, LONGEST = timedelta(seconds=30), timedelta(hours=9)


@given(st.integers(1, 10_000), st.text(max_size=40))
def test_the_same_question_has_the_same_answer_within_bounds(tries: int, key: str) -> None:
    assert delay(tries, key=key) == delay(tries, key=key)
    assert FIRST <= delay(tries, key=key) <= LONGEST


@given(st.integers(1, 4), st.text(max_size=40))
def test_until_the_longest_each_wait_is_more_than_twice_the_one_before(tries: int, key: str) -> None:
    assert delay(tries + 1, key=key) > 2 * delay(tries, key=key)


def test_what_failed_together_does_not_come_back_together() -> None:
    waits = {delay(1, key=f"message-{number}") for number in range(1_000)}
    assert len(waits) > 900
    assert min(waits) < FIRST * 1.1
    assert max(waits) > FIRST * 1.4
    assert max(waits) <= FIRST * 1.5


def test_what_came_back_together_does_not_do_so_again() -> None:
    """Who had the same wait once has another one the next time."""
    shares = {round(delay(2, key=f"m-{n}") / delay(1, key=f"m-{n}"), 3) for n in range(1_000)}
    assert len(shares) > 500
