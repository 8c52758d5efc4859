"""Pacing keeps an exact bound, sends the urgent first, and gives who is too many a place in a queue."""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta
from heapq import heappop, heappush

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.base import Accepted, Answer, NotTaken, Outcome, Outgoing, Retry
from channels.pacing import Paced
from channels.provider import Callback, Pace, Receipt
from support.channel_contract import ChannelContract, outgoing
from support.moved_time import Clock


class Notebook:
    """A provider that takes everything and notes when."""

    name = "notebook"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.taken: dict[str, float] = {}
        self.order: list[str] = []
        self.closed = 0

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        for message in messages:
            self.taken.setdefault(message.id, self.clock.now)
            self.order.append(message.id)
        return [Accepted(f"n/{message.id}", "notebook") for message in messages]

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        return [
            Accepted(f"n/{message.id}", "notebook") if message.id in self.taken else NotTaken()
            for message in messages
        ]

    async def close(self) -> None:
        self.closed += 1

    def receipts(self, callback: Callback) -> list[Receipt]:
        return [Receipt(told="opened", key=callback.url, channel="email")]


def paced(pace: Pace) -> tuple[Paced, Notebook, Clock]:
    clock = Clock()
    notebook = Notebook(clock)
    return Paced(notebook, pace, clock=clock), notebook, clock


def many(first: int, count: int, **given: object) -> list[Outgoing]:
    return [outgoing(number, **given) for number in range(first, first + count)]


def after(outcome: Outcome) -> timedelta:
    assert isinstance(outcome, Retry), outcome
    assert outcome.after is not None
    assert (outcome.reason, outcome.provider) == ("paced", "")
    return outcome.after


class TestPaced(ChannelContract):
    """The contract, with a pace that is no hindrance to so few."""

    @pytest.fixture
    def channel(self) -> Paced:
        return Paced(Notebook(Clock()), Pace(per_second=1000, domains={"example.com": 1000}, burst=10))


def test_no_pace_is_no_hindrance() -> None:
    channel, _notebook, clock = paced(Pace())
    assert all(isinstance(o, Accepted) for o in clock.run(channel.send(many(1, 5000))))
    assert clock.now == 0


def test_a_burst_leaves_at_once_some_wait_a_second_and_the_rest_is_told_when_to_come() -> None:
    channel, notebook, clock = paced(Pace(per_second=10, burst=5))
    outcomes = clock.run(channel.send(many(1, 30)))
    assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True] * 14 + [False] * 16
    assert [notebook.taken[message.id] for message in many(1, 5)] == [0.0] * 5
    assert 0.9 <= clock.now <= 1.25
    waits = [after(outcome) for outcome in outcomes[14:]]
    assert waits == sorted(waits)
    assert timedelta(seconds=1) < waits[0] < timedelta(seconds=1.2)
    assert timedelta(seconds=0.1) <= waits[1] - waits[0] < timedelta(seconds=0.11)


def test_a_slow_domain_does_not_hold_up_the_others() -> None:
    channel, notebook, clock = paced(Pace(per_second=100, domains={"slow.example": 1}, burst=10))
    slow = many(1, 20, address="one@SLOW.example")
    fast = many(101, 20)
    outcomes = clock.run(channel.send([*slow, *fast]))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes[20:])
    assert max(notebook.taken[message.id] for message in fast) < 0.5
    assert [isinstance(outcome, Accepted) for outcome in outcomes[:20]] == [True] * 10 + [False] * 10
    assert after(outcomes[19]) > timedelta(seconds=10)


def test_a_hundred_thousand_are_each_told_once_when_to_come() -> None:
    channel, notebook, clock = paced(Pace(per_second=1000, burst=50))

    async def a_whole_campaign() -> int:
        due = [(0.0, message.id, message) for message in many(1, 100_000, purpose="marketing")]
        postponed = 0
        while due:
            now = []
            while due and due[0][0] <= clock.now:
                now.append(heappop(due)[2])
            for message, outcome in zip(now, await channel.send(now), strict=True):
                if isinstance(outcome, Retry):
                    postponed += 1
                    at = clock.now + after(outcome).total_seconds()
                    heappush(due, (at, message.id, message))
            clock.now = max(clock.now + 0.02, due[0][0] if due else 0.0)
        return postponed

    assert clock.run(a_whole_campaign()) < 100_000
    assert len(notebook.order) == len(notebook.taken) == 100_000
    assert clock.now < 115


def test_what_is_urgent_does_not_queue_behind_what_is_reserved() -> None:
    channel, _notebook, clock = paced(Pace(per_second=10, burst=1))
    clock.run(channel.send(many(1, 1000, purpose="marketing")))
    clock.now += 5
    urgent = many(2001, 5, purpose="service")
    assert all(isinstance(outcome, Accepted) for outcome in clock.run(channel.send(urgent)))
    newcomer = clock.run(channel.send([outgoing(3001, purpose="marketing")]))[0]
    assert after(newcomer) > timedelta(seconds=90)


def test_within_one_call_the_urgent_go_first_and_outcomes_keep_their_order() -> None:
    channel, notebook, clock = paced(Pace(per_second=10, burst=1))
    messages = [*many(1, 20, purpose="marketing"), *many(101, 5, purpose="regulatory")]
    outcomes = clock.run(channel.send(messages))
    assert notebook.order[:5] == [message.id for message in messages[20:]]
    assert [o.provider_id for o in outcomes if isinstance(o, Accepted)][-5:] == [
        f"n/{message.id}" for message in messages[20:]
    ]


def test_who_comes_in_time_and_finds_no_token_is_sent_away_only_shortly() -> None:
    channel, _notebook, clock = paced(Pace(per_second=10, burst=1))
    marketing = many(1, 1000, purpose="marketing")
    outcomes = clock.run(channel.send(marketing))
    clock.now += after(outcomes[530]).total_seconds()
    away = marketing[500:530]
    again = clock.run(channel.send(away))
    assert [isinstance(outcome, Accepted) for outcome in again] == [True] * 13 + [False] * 17
    assert timedelta(seconds=0.9) < after(again[13]) < timedelta(seconds=1.2)
    assert timedelta(seconds=2.4) < after(again[29]) < timedelta(seconds=3)
    clock.now += after(again[13]).total_seconds()
    assert isinstance(clock.run(channel.send([away[13]]))[0], Accepted)


def test_the_urgent_go_first_also_where_others_wait_already() -> None:
    channel, notebook, clock = paced(Pace(per_second=10, burst=1))

    async def both() -> None:
        waiting = asyncio.ensure_future(channel.send(many(1, 10, purpose="marketing")))
        await asyncio.sleep(0)
        await asyncio.gather(waiting, channel.send(many(101, 5, purpose="service")))

    clock.run(both())
    assert notebook.order[1:6] == [message.id for message in many(101, 5)]


def test_a_clock_that_goes_on_between_two_looks_at_it_makes_no_difference() -> None:
    clock = Clock()
    notebook = Notebook(clock)

    def going_on() -> float:
        clock.now += 0.0007
        return clock.now

    channel = Paced(notebook, Pace(per_second=1000, burst=50), clock=going_on)
    outcomes = clock.run(channel.send(many(1, 300)))
    assert len(notebook.taken) == sum(isinstance(outcome, Accepted) for outcome in outcomes) > 100
    assert {type(outcome) for outcome in outcomes} <= {Accepted, Retry}


def test_the_rest_is_the_providers_own() -> None:
    channel, notebook, clock = paced(Pace(per_second=1))
    assert channel.name == "notebook"
    (receipt,) = channel.receipts(Callback("u", {}, b"", outgoing().at))
    assert receipt.key == "u"
    clock.run(channel.close())
    assert notebook.closed == 1


def test_when_it_is_broken_off_nothing_more_leaves() -> None:
    """One is being handed over and another naps till its turn: nobody would hear what becomes of them."""
    ended: list[str] = []

    class Slow(Notebook):
        async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return []

    async def broken_off() -> None:
        napping = asyncio.Event()

        async def nap(_: float) -> None:
            napping.set()
            await asyncio.Event().wait()

        channel = Paced(Slow(Clock()), Pace(per_second=1), clock=Clock(), sleep=nap)
        sending = asyncio.create_task(channel.send(many(1, 2)))
        await napping.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    asyncio.run(broken_off())
    assert ended == ["cancelled"]


CALLS = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=3),
        st.integers(min_value=0, max_value=40),
        st.sampled_from(["marketing", "service"]),
        st.sampled_from(["one@a.example", "one@b.example"]),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(
    st.floats(min_value=0.5, max_value=200),
    st.floats(min_value=0.5, max_value=50),
    st.integers(min_value=1, max_value=20),
    CALLS,
)
def test_never_more_than_the_burst_and_the_rate(
    rate: float, slow: float, burst: int, calls: list[tuple[float, int, str, str]]
) -> None:
    channel, notebook, clock = paced(Pace(per_second=rate, domains={"a.example": slow}, burst=burst))
    addresses: dict[str, str] = {}

    async def run() -> None:
        number = 0
        waiting = []
        for pause, count, purpose, address in calls:
            messages = many(number + 1, count, purpose=purpose, address=address)
            addresses.update({message.id: address for message in messages})
            number += count
            # Some calls overlap, as those of several batches do.
            waiting.append(asyncio.ensure_future(channel.send(messages)))
            if pause < 1:
                await waiting[-1]
            await asyncio.sleep(pause)
        await asyncio.gather(*waiting)

    clock.run(run())
    kept(sorted(notebook.taken.values()), rate, burst)
    kept(sorted(at for id_, at in notebook.taken.items() if "@a." in addresses[id_]), slow, burst)


def kept(times: list[float], rate: float, burst: int) -> None:
    for place, start in enumerate(times):
        for end in times[place:]:
            count = bisect_left(times, end + 1e-12) - place
            assert count <= burst + rate * (end - start) + 1e-6
