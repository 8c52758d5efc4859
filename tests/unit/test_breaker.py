"""A circuit opens when its provider is down, tries it with one message, and asks nobody meanwhile."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channels.base import Accepted, Answer, NotTaken, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.breaker import Breaking, Guarded, failed
from channels.provider import Callback, Receipt
from support.channel_contract import ChannelContract, outgoing
from support.moved_time import Clock

BREAKING = Breaking(failures_in_a_row=3, share=0.5, window_seconds=60, least_answers=10, rest_seconds=10)
DOWN = Retry("connection_refused", provider="p")
OPEN_10 = Retry("circuit_open", after=timedelta(seconds=10))


class Scripted:
    """A provider that answers as it is told to, and counts how often it is called."""

    name = "p"

    def __init__(self) -> None:
        self.answer: Outcome | None = None
        self.answers: list[Outcome] = []
        self.asked = 0
        self.sizes: list[int] = []
        self.known: dict[str, Accepted] = {}

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        self.sizes.append(len(messages))
        return [self._one(message) for message in messages]

    def _one(self, message: Outgoing) -> Outcome:
        if self.answers:
            return self.answers.pop(0)
        if self.answer is not None:
            return self.answer
        return self.known.setdefault(message.id, Accepted(f"p/{message.id}", "p"))

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        self.asked += 1
        return [self.known.get(message.id, NotTaken()) for message in messages]

    async def close(self) -> None:
        return None

    def receipts(self, callback: Callback) -> list[Receipt]:
        return []


class TestGuarded(ChannelContract):
    """The contract, with a circuit that is closed."""

    @pytest.fixture
    def channel(self) -> Guarded:
        return Guarded(Scripted())


def guarded() -> tuple[Guarded, Scripted, Clock]:
    clock, provider = Clock(), Scripted()
    return Guarded(provider, BREAKING, clock=clock), provider, clock


def send(channel: Guarded, count: int = 1) -> list[Outcome]:
    return asyncio.run(channel.send([outgoing(number) for number in range(1, count + 1)]))


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Accepted("1", "p"), False),
        (Rejected("no_such_user", provider="p"), False),
        (Retry("paced"), False),
        (Retry("http_429", provider="p"), False),
        (Retry("rate_limited", provider="p"), False),
        (Retry("twilio.20429", provider="p"), False),
        (Retry("twilio.20503", provider="p"), True),
        (Retry("smtp 450 4.2.1", provider="p"), False),
        (Retry("smtp_451 4.7.1 greylisted", provider="p"), False),
        (Retry("smtp_421", provider="p"), True),
        (Retry("http_503", provider="p"), True),
        (Retry("connection_refused", provider="p"), True),
        (Unknown("timeout", provider="p"), True),
    ],
)
def test_what_tells_of_the_providers_health(outcome: Outcome, told: bool) -> None:
    assert failed(outcome) is told


def test_failures_in_a_row_open_it_and_then_nobody_is_asked() -> None:
    channel, provider, _clock = guarded()
    provider.answer = DOWN
    assert [send(channel)[0] for _ in range(5)] == [DOWN, DOWN, DOWN, OPEN_10, OPEN_10]
    assert provider.sizes == [1, 1, 1]
    assert channel.open_for() == timedelta(seconds=10)


def test_a_share_of_failures_opens_it_too() -> None:
    channel, provider, _clock = guarded()
    provider.answers = [Accepted("1", "p"), DOWN] * 5
    send(channel, 10)
    assert channel.open_for() is not None


def test_failures_of_another_hour_do_not_count() -> None:
    channel, provider, clock = guarded()
    days: list[list[Outcome]] = [[DOWN, DOWN, Accepted("1", "p"), DOWN, DOWN], [Accepted("1", "p")] * 5]
    for answers in days:
        provider.answers = list(answers)
        send(channel, 5)
        clock.now += 3600
    assert channel.open_for() is None


def test_an_open_circuit_is_met_in_the_middle_of_a_large_call() -> None:
    channel, provider, _clock = guarded()
    provider.answer = DOWN
    outcomes = send(channel, 2500)
    assert provider.sizes == [1000]
    assert outcomes == [DOWN] * 1000 + [OPEN_10] * 1500


def test_after_the_rest_one_message_tries_and_the_others_follow() -> None:
    channel, provider, clock = guarded()
    provider.answer = DOWN
    send(channel, 3)
    clock.now += 10
    provider.answer, provider.sizes = None, []
    assert all(isinstance(outcome, Accepted) for outcome in send(channel, 50))
    assert provider.sizes == [1, 49]
    assert channel.open_for() is None


def test_a_trial_in_vain_costs_one_message_and_doubles_the_rest() -> None:
    channel, provider, clock = guarded()
    provider.answer = DOWN
    send(channel, 3)
    clock.now += 10
    assert send(channel, 3) == [DOWN, *[Retry("circuit_open", after=timedelta(seconds=20))] * 2]


def test_the_others_do_not_follow_while_one_tries() -> None:
    channel, provider, clock = guarded()
    provider.answer = DOWN
    send(channel, 3)
    clock.now += 10
    held = asyncio.Event()

    class Slow(Scripted):
        async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
            await held.wait()
            return await super().send(messages)

    slow = Slow()
    channel._channel = slow

    async def both() -> tuple[list[Outcome], list[Outcome]]:
        trial = asyncio.ensure_future(channel.send([outgoing(1)]))
        await asyncio.sleep(0)
        other = await channel.send([outgoing(2)])
        held.set()
        return await trial, other

    trial, other = asyncio.run(both())
    assert isinstance(trial[0], Accepted)
    assert [type(outcome) for outcome in other] == [Retry]
    assert slow.sizes == [1]


def test_a_trial_that_breaks_off_opens_it_again() -> None:
    channel, provider, clock = guarded()
    provider.answer = DOWN
    send(channel, 3)
    clock.now += 10

    class Broken(Scripted):
        async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
            raise asyncio.CancelledError

    channel._channel = Broken()
    with pytest.raises(asyncio.CancelledError):
        send(channel)
    assert channel.open_for() == timedelta(seconds=20)


def test_a_provider_that_raises_may_have_what_it_was_given_and_is_not_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel, _provider, _clock = guarded()

    class Broken(Scripted):
        async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
            raise RuntimeError("a bug")

        async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
            return []

    channel._channel = Broken()
    assert send(channel, 3) == [Unknown("adapter_failed RuntimeError", provider="p")] * 3
    assert asyncio.run(channel.ask([outgoing()])) == [Unknown("adapter_failed ValueError", provider="p")]
    assert channel.open_for() == timedelta(seconds=10)
    assert "a bug" in caplog.text


def test_a_provider_can_be_asked_while_the_circuit_is_open() -> None:
    channel, provider, _clock = guarded()
    provider.answer = DOWN
    send(channel, 3)
    assert asyncio.run(channel.ask([outgoing()])) == [NotTaken()]


class Circuit(RuleBasedStateMachine):
    """Whatever happens: an open circuit lets nothing through, and one that may close comes to do so."""

    def __init__(self) -> None:
        super().__init__()
        self.channel, self.provider, self.clock = guarded()
        self.number = 0

    @rule(down=st.booleans(), count=st.integers(min_value=1, max_value=30), limited=st.booleans())
    def send(self, down: bool, count: int, limited: bool) -> None:
        fine: Outcome = Retry("http_429", provider="p") if limited else Accepted("x", "p")
        self.provider.answer = DOWN if down else fine
        was, trial = self.channel.open_for(), self.channel._opened_till is not None
        self.provider.sizes = []
        outcomes = send(self.channel, count)
        assert len(outcomes) == count
        if was is not None:
            assert self.provider.sizes == []
            assert set(map(type, outcomes)) == {Retry}
        elif trial and down:
            assert self.provider.sizes == [1]
            assert self.channel.open_for() is not None
        elif trial:
            assert self.provider.sizes == ([1] if count == 1 else [1, count - 1])
            assert self.channel.open_for() is None
        else:
            assert self.provider.sizes == [count]

    @rule(seconds=st.floats(min_value=0, max_value=400))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def rest(self) -> None:
        self.clock.now += 301
        assert self.channel.open_for() is None

    @invariant()
    def it_never_rests_longer_than_the_longest(self) -> None:
        wait = self.channel.open_for()
        assert wait is None or timedelta(0) < wait <= timedelta(seconds=BREAKING.longest_rest_seconds)


TestCircuit = Circuit.TestCase
TestCircuit.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
