"""Facts and wake-ups in the order of business time."""

from hypothesis import given
from hypothesis import strategies as st

from scheduler.agenda import Agenda

pairs = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=12)


@given(pairs, pairs, st.integers(0, 20))
def test_everything_up_to_the_horizon_comes_once_in_order_facts_first(
    facts: list[tuple[int, int]], timers: list[tuple[int, int]], horizon: int
) -> None:
    told = sorted((at, f"{number}") for number, (at, _) in enumerate(facts))
    agenda: Agenda[str] = Agenda(told, timers, horizon=horizon)
    times = dict(zip((name for _, name in told), (at for at, _ in told), strict=True))
    seen: list[tuple[int, int]] = []
    while (item := agenda.next()) is not None:
        seen.append((times[item], 0) if isinstance(item, str) else (item[0], 1))
    assert seen == sorted(seen)
    assert len(seen) == len(facts) + sum(due <= horizon for due, _ in timers)


def test_a_wake_up_that_comes_up_on_the_way_takes_its_place() -> None:
    agenda: Agenda[str] = Agenda([(1, "a"), (5, "b")], [], horizon=10)
    assert agenda.next() == "a"
    agenda.wake(7, 3)
    agenda.wake(7, 11)
    assert [agenda.next(), agenda.next(), agenda.next()] == [(3, 7), "b", None]
