"""Facts and wake-ups in the order of business time."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from scheduler.agenda import Agenda


class Told(NamedTuple):
    occurred_at: int
    name: str


pairs = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=12)


@given(pairs, pairs, st.integers(0, 20))
def test_everything_up_to_the_horizon_comes_once_in_order_facts_first(
    facts: list[tuple[int, int]], timers: list[tuple[int, int]], horizon: int
) -> None:
    told = sorted(Told(at, f"{number}") for number, (at, _) in enumerate(facts))
    agenda = Agenda(told, timers, horizon=horizon)
    seen = [(item[0], 0 if isinstance(item, Told) else 1) for item in agenda]
    assert seen == sorted(seen)
    assert len(seen) == len(facts) + sum(due <= horizon for due, _ in timers)


def test_a_wake_up_that_comes_up_on_the_way_takes_its_place() -> None:
    first, second = Told(1, "a"), Told(5, "b")
    agenda = Agenda([first, second], [], horizon=10)
    coming = iter(agenda)
    assert next(coming) == first
    agenda.wake(7, 3)
    agenda.wake(7, 11)
    assert list(coming) == [(3, 7), second]
