"""Messages on their way out: who goes first, how many at once, how long the policy's word holds."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from channels.base import Accepted, Answer, NotTaken, Outcome, Outgoing, Retry, Unknown, everywhere
from domain.catalogue import Purpose
from domain.errors import LeaseLost
from stores.batch import Changes
from support.channel_contract import NOW, outgoing
from support.scripted import Scripted
from tidings import leaving
from tidings.leaving import Leaving, Present

FOR_EVER = 1_000_000.0
ALL = 1_000_000


class Lease:
    """The lease of a partition, as far as it is looked after here."""

    def __init__(self, *, holds: float = FOR_EVER) -> None:
        self.looks = 0
        self.looked: Callable[[], object] = lambda: None
        self._holds = holds

    def commit(self, changes: Changes) -> None:
        """What is begun is noted."""

    def assure(self) -> None:
        self.looks += 1
        if self.looks > self._holds:
            raise LeaseLost("lease.lost", partition=1)
        self.looked()


class Wall:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def made(
    runner: asyncio.Runner, channel: Any, *, lease: Lease | None = None, wall: Wall | None = None
) -> Leaving:
    """By the live clock where a wall is given."""
    present = Present(wall or Wall(), wall is not None)
    return Leaving(everywhere(channel), lease or Lease(), runner, present)  # type: ignore[arg-type]


def message(number: int, purpose: Purpose = "care", *, at: datetime = NOW) -> Outgoing:
    return outgoing(number, purpose=purpose, at=at)


def ids(*numbers: int) -> list[str]:
    return [message(number).id for number in numbers]


def given(channel: Scripted) -> list[str]:
    return [message.id for message in channel.given]


class TestChoosing:
    def test_who_has_the_most_urgent_message_goes_first_with_all_of_theirs(
        self, runner: asyncio.Runner
    ) -> None:
        group = made(runner, Scripted())
        for stream, number, purpose in (
            (1, 1, "care"),
            (2, 2, "marketing"),
            (2, 3, "regulatory"),
            (3, 4, "service"),
            (4, 5, "care"),
        ):
            group.add(stream, message(number, purpose))  # type: ignore[arg-type]
        assert group.choose(size=10, messages=ALL) == ids(2, 3, 4, 1, 5)

    def test_no_more_are_chosen_than_asked_for_but_a_customers_stay_together(
        self, runner: asyncio.Runner
    ) -> None:
        channel = Scripted()
        group = made(runner, channel)
        for stream in range(5):
            group.add(stream, message(2 * stream))
            group.add(stream, message(2 * stream + 1))
        assert group.choose(size=2, messages=5) == ids(*range(6))
        answers = group.hand_over(turn=FOR_EVER, all_of_them=True)
        assert given(channel) == ids(*range(6)) == [answer.message.id for answer in answers]
        assert [stream in group for stream in range(5)] == [False, False, False, True, True]
        assert group.choose(size=2, messages=0) == []
        assert group.hand_over(turn=FOR_EVER, all_of_them=True) == []

    @pytest.mark.parametrize(("all_of_them", "slices"), [(True, 3), (False, 1)])
    def test_when_its_turn_is_over_the_rest_waits_unless_all_have_to_go(
        self, all_of_them: bool, slices: int, runner: asyncio.Runner
    ) -> None:
        channel = Scripted()
        group = made(runner, channel)
        for stream in range(3):
            group.add(stream, message(stream))
        group.choose(size=1, messages=ALL)
        group.hand_over(turn=0.0, all_of_them=all_of_them)
        assert given(channel) == ids(*range(slices))
        assert len(group) == 3 - slices


class TestFresh:
    def test_what_was_judged_too_long_ago_is_given_to_nobody_and_judged_again_at_once(
        self, runner: asyncio.Runner
    ) -> None:
        channel, wall = Scripted(), Wall()
        group = made(runner, channel, wall=wall)
        wall.now = NOW + timedelta(seconds=61)
        group.add(1, message(1))
        group.add(2, message(2, at=NOW + timedelta(seconds=1)))
        group.choose(size=10, messages=ALL)
        old, new = group.hand_over(turn=FOR_EVER, all_of_them=True)
        assert given(channel) == ids(2)
        assert old.outcome == Retry("judged_too_long_ago", after=timedelta(0))
        assert isinstance(new.outcome, Accepted)
        # By a live clock the answer came now, by a virtual one when the message left.
        assert {old.at, new.at} == {wall.now}

    def test_by_a_virtual_clock_no_time_passes(self, runner: asyncio.Runner) -> None:
        channel = Scripted()
        group = made(runner, channel)
        group.add(1, message(1, at=NOW - timedelta(days=1)))
        group.choose(size=10, messages=ALL)
        (answer,) = group.hand_over(turn=FOR_EVER, all_of_them=True)
        assert isinstance(answer.outcome, Accepted)
        assert answer.at == NOW - timedelta(days=1)

    def test_no_answer_came_before_its_message_was_judged(self, runner: asyncio.Runner) -> None:
        wall = Wall()
        group = made(runner, Scripted(), wall=wall)
        group.add(1, message(1, at=NOW + timedelta(seconds=2)))
        group.choose(size=1, messages=ALL)
        (answer,) = group.hand_over(turn=FOR_EVER, all_of_them=True)
        assert answer.at == NOW + timedelta(seconds=2)

    def test_as_many_are_judged_ahead_as_leave_in_time(self, runner: asyncio.Runner) -> None:
        wall = Wall()
        group = made(runner, Scripted(), wall=wall)

        numbers = count()

        def room(*moments: datetime, purpose: Purpose = "service") -> int:
            for moment in moments:
                number = next(numbers)
                group.add(number, message(number, purpose, at=moment))
            group.choose(size=ALL, messages=1)
            group.hand_over(turn=FOR_EVER, all_of_them=True)
            return group.room

        assert group.room == 100
        assert [room(NOW) for _ in range(4)] == [200, 400, 500, 500]
        # While somebody waits it does not grow, and by each who was too late it is halved, down to a few.
        group.add(-1, message(99, "marketing"))
        assert room(NOW) == 500
        stale = NOW - timedelta(hours=1)
        assert [room(stale) for _ in range(6)] == [250, 125, 62, 31, 20, 20]
        assert room() == 40


class Knowing(Scripted):
    """It has what it is said to have."""

    def __init__(self, has: Sequence[str]) -> None:
        super().__init__()
        self._has = set(has)

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        self.asked += [message.id for message in messages]
        return [Accepted(m.id) if m.id in self._has else NotTaken() for m in messages]


class TestAfterACrash:
    def lost(self) -> list[tuple[int, Outgoing, bool]]:
        return [(1, message(1), True), (2, message(2), True), (3, message(3), False)]

    def test_only_what_may_have_been_given_is_asked_about(self, runner: asyncio.Runner) -> None:
        channel = Knowing(ids(1))
        group = made(runner, channel, wall=Wall())
        answers = group.settle(self.lost())
        assert channel.asked == ids(1, 2)
        assert [(a.stream, a.outcome) for a in answers] == [(1, Accepted(message(1).id))]
        # The rest leaves when its turn comes, if its judgement still holds.
        assert channel.given == []
        assert [stream in group for stream in (1, 2, 3)] == [False, True, True]

    def test_by_a_virtual_clock_the_rest_goes_at_once_and_answers_keep_their_order(
        self, runner: asyncio.Runner
    ) -> None:
        channel = Knowing(ids(2))
        answers = made(runner, channel).settle(self.lost())
        assert given(channel) == ids(1, 3)
        assert [answer.stream for answer in answers] == [1, 2, 3]

    def test_what_nobody_can_tell_is_not_sent_again(self, runner: asyncio.Runner) -> None:
        channel = Scripted(answers=[Unknown("cannot be asked")] * 2)
        group = made(runner, channel)
        assert [type(answer.outcome) for answer in group.settle(self.lost())] == [Unknown, Unknown, Accepted]
        assert given(channel) == ids(3)


class Waiting(Scripted):
    """It answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()
        self.broken_off = False

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.broken_off = True
            raise
        return await super().send(messages)


class TestLease:
    def test_it_is_made_sure_of_before_each_slice(self, runner: asyncio.Runner) -> None:
        channel = Scripted()
        group = made(runner, channel, lease=Lease(holds=2))
        for stream in range(4):
            group.add(stream, message(stream))
        group.choose(size=1, messages=ALL)
        with pytest.raises(LeaseLost):
            group.hand_over(turn=FOR_EVER, all_of_them=True)
        assert given(channel) == ids(0, 1)

    def test_it_is_kept_while_a_provider_takes_its_time(
        self, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(leaving, "_LOOK_SECONDS", 0.001)
        channel, lease = Waiting(), Lease()
        lease.looked = lambda: channel.may_answer.set() if lease.looks == 4 else None
        group = made(runner, channel, lease=lease)
        group.add(1, message(1))
        group.choose(size=1, messages=ALL)
        (answer,) = group.hand_over(turn=FOR_EVER, all_of_them=True)
        assert isinstance(answer.outcome, Accepted)
        assert lease.looks >= 4

    def test_where_it_is_lost_meanwhile_the_hand_over_is_broken_off(
        self, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(leaving, "_LOOK_SECONDS", 0.001)
        channel = Waiting()
        group = made(runner, channel, lease=Lease(holds=2))
        group.add(1, message(1))
        group.choose(size=1, messages=ALL)
        with pytest.raises(LeaseLost):
            group.hand_over(turn=FOR_EVER, all_of_them=True)
        runner.run(asyncio.sleep(0))
        assert channel.broken_off
        assert channel.given == []


def test_as_many_go_together_as_a_provider_takes_in_seconds() -> None:
    """What leaves was judged a moment ago: a slow provider is given few at a time, a quick one many."""
    wall = Wall()

    class Taking(Scripted):
        each = timedelta(seconds=1)

        async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
            wall.now += self.each * len(messages)
            return await super().send(messages)

    channel = Taking()
    with asyncio.Runner() as runner:
        ours = Leaving(everywhere(channel), Lease(), runner, Present(wall, live=True))  # type: ignore[arg-type]
        sizes: list[int] = []
        for number in range(12):
            # A second each at first, then as good as none.
            channel.each = timedelta(seconds=1 if number < 6 else 0)
            for stream in range(200):
                if stream not in ours:
                    ours.add(stream, outgoing(stream, at=wall.now))
            sizes.append(len(ours.choose(size=200, messages=ours.at_once)))
            ours.hand_over(turn=0, all_of_them=True)
    assert sizes[:6] == [25, 12, 6, 6, 6, 6]
    assert sizes[6:] == [6, 12, 24, 48, 96, 100]
