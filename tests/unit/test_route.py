"""A route never lets two providers have one message, whatever they answer and wherever it crashes."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.base import Accepted, Answer, NotTaken, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.route import Route
from domain.catalogue import Purpose
from domain.events import MessagePostponed
from support.channel_contract import NOW, ChannelContract, outgoing
from tidings.sending import hand_over, outcome_event, settle

Act = Literal["accept", "lose_the_answer", "drop", "refuse_for_now", "reject", "paced"]


class Fake:
    """A provider that does what its script says, else takes it; it can be asked or it cannot."""

    def __init__(self, name: str, script: Sequence[Act] = (), *, can_be_asked: bool = True) -> None:
        self.name = name
        self.script = list(script)
        self.can_be_asked = can_be_asked
        self.has: dict[str, Accepted] = {}
        self.calls: list[list[str]] = []
        self.open: timedelta | None = None
        self.closed = False

    def open_for(self) -> timedelta | None:
        return self.open

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        self.calls.append([message.id for message in messages])
        return [self._one(message) for message in messages]

    def _one(self, message: Outgoing) -> Outcome:
        match self.script.pop(0) if self.script else "accept":
            case "accept":
                return self.has.setdefault(message.id, Accepted(f"{self.name}/{message.id}", self.name))
            case "lose_the_answer":
                self.has[message.id] = Accepted(f"{self.name}/{message.id}", self.name)
                return Unknown("timeout")
            case "drop":
                return Unknown("timeout", provider=self.name)
            case "refuse_for_now":
                return Retry("http_503", after=timedelta(minutes=1), provider=self.name)
            case "paced":
                return Retry("paced", after=timedelta(minutes=1))
            case "reject":
                return Rejected("no", provider=self.name)
        raise AssertionError

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        if not self.can_be_asked:
            return [Unknown("cannot_be_asked") for _ in messages]
        return [self.has.get(message.id, NotTaken()) for message in messages]

    async def close(self) -> None:
        self.closed = True


class TestRoute(ChannelContract):
    """The contract, with two providers that are well."""

    @pytest.fixture
    def channel(self) -> Route:
        return Route([Fake("a"), Fake("b")])


def one(route: Route, *, refused_by: Sequence[str] = (), in_doubt: str = "") -> Outcome:
    message = outgoing(refused_by=tuple(refused_by), in_doubt=in_doubt)
    return asyncio.run(route.send([message]))[0]


def test_the_first_is_preferred_and_the_one_that_refused_least_is_next() -> None:
    a, b, c = Fake("a"), Fake("b"), Fake("c")
    route = Route([a, b, c])
    told = [
        one(route, refused_by=refused)
        for refused in ((), ("a",), ("a", "b"), ("a", "b", "c"), ("b",), ("a", "a", "b", "b", "c"))
    ]
    assert [outcome.provider for outcome in told] == ["a", "b", "c", "a", "a", "c"]


def test_who_may_have_it_keeps_it_whoever_refused_before() -> None:
    a, b = Fake("a"), Fake("b")
    route = Route([a, b])
    assert one(route, in_doubt="a", refused_by=("a", "a")).provider == "a"
    assert b.calls == []


def test_nobody_gets_what_a_provider_may_have_that_is_no_more() -> None:
    a = Fake("a")
    message = outgoing(in_doubt="gone")
    route = Route([a])
    assert asyncio.run(route.send([message])) == [Unknown("provider_gone", provider="gone")]
    assert asyncio.run(route.ask([message])) == [Unknown("provider_gone", provider="gone")]
    assert a.calls == []


def test_an_unknown_outcome_has_the_name_of_who_may_have_it() -> None:
    assert one(Route([Fake("a", ["lose_the_answer"]), Fake("b")])) == Unknown("timeout", provider="a")


def test_an_open_circuit_is_a_refusal_where_another_can_take_the_message() -> None:
    a, b = Fake("a"), Fake("b")
    a.open = timedelta(seconds=30)
    route = Route([a, b])
    told = one(route)
    assert told == Retry("circuit_open", after=timedelta(0), provider="a")
    assert one(route, refused_by=("a",)).provider == "b"
    assert (a.calls, len(b.calls)) == ([], 1)


def test_where_all_circuits_are_open_nobody_is_asked_till_the_first_may_close() -> None:
    a, b = Fake("a"), Fake("b")
    a.open, b.open = timedelta(seconds=30), timedelta(seconds=20)
    assert one(Route([a, b])) == Retry("circuit_open", after=timedelta(seconds=20))
    assert a.calls == b.calls == []


def test_an_open_circuit_does_not_part_a_message_from_who_may_have_it() -> None:
    a, b = Fake("a"), Fake("b")
    a.open = timedelta(seconds=30)
    assert one(Route([a, b]), in_doubt="a") == Retry("circuit_open", after=timedelta(seconds=30))
    assert b.calls == []


def test_after_a_refusal_the_next_provider_has_its_turn_at_once_and_then_all_rest() -> None:
    a, b = Fake("a", ["refuse_for_now"]), Fake("b", ["refuse_for_now"])
    route = Route([a, b])
    assert one(route) == Retry("http_503", after=timedelta(0), provider="a")
    assert one(route, refused_by=("a",)) == Retry("http_503", after=timedelta(minutes=1), provider="b")


def test_a_refusal_is_as_it_was_where_no_other_can_take_the_message() -> None:
    a, b = Fake("a", ["refuse_for_now"]), Fake("b")
    b.open = timedelta(minutes=5)
    assert one(Route([a, b])) == Retry("http_503", after=timedelta(minutes=1), provider="a")


def test_being_paced_is_no_refusal() -> None:
    assert one(Route([Fake("a", ["paced"]), Fake("b")])) == Retry("paced", after=timedelta(minutes=1))


def test_providers_work_at_once_and_the_order_is_kept() -> None:
    met = asyncio.Barrier(2)

    class Meeting(Fake):
        async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
            await met.wait()
            return await super().send(messages)

    a, b = Meeting("a"), Meeting("b")
    messages = [outgoing(number, refused_by=("a",) if number % 2 else ()) for number in range(1, 7)]
    outcomes = asyncio.run(Route([a, b]).send(messages))
    assert [outcome.provider for outcome in outcomes] == ["b", "a"] * 3
    assert (len(a.calls), len(b.calls)) == (1, 1)


def test_closing_closes_all() -> None:
    a, b = Fake("a"), Fake("b")
    asyncio.run(Route([a, b]).close())
    assert a.closed
    assert b.closed


def test_a_route_of_nobody_or_of_namesakes_is_a_mistake() -> None:
    for providers in ([], [Fake("a"), Fake("a")]):
        with pytest.raises(ValueError, match="name of its own"):
            Route(providers)


ACTS: tuple[Act, ...] = ("accept", "lose_the_answer", "drop", "refuse_for_now", "reject", "paced")
SCRIPTS = st.lists(st.lists(st.sampled_from(ACTS), max_size=6), min_size=1, max_size=3)
# Where the process dies: before anything is handed over, or before what became of it is recorded.
CRASHES = st.lists(st.sampled_from(["no", "no", "before", "after"]), max_size=10)


@settings(max_examples=300, deadline=None)
@given(
    SCRIPTS,
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), max_size=10),
    CRASHES,
    st.sampled_from(["marketing", "service"]),
)
def test_no_two_providers_ever_have_one_message(
    scripts: list[list[Act]],
    asked: list[bool],
    circuits: list[list[bool]],
    crashes: list[str],
    purpose: Purpose,
) -> None:
    fakes = [
        Fake(name, script, can_be_asked=can)
        for name, script, can in zip(("a", "b", "c"), scripts, asked, strict=False)
    ]
    message: Outgoing | None = outgoing(purpose=purpose)
    tries = 0
    while message is not None and tries < 40:
        for fake, is_open in zip(fakes, circuits.pop() if circuits else [False] * 3, strict=False):
            fake.open = timedelta(seconds=30) if is_open else None
        crash = crashes.pop() if crashes else "no"
        message = after_a_try(fakes, message, crash, tries)
        tries += 1
        assert sum(len(fake.has) for fake in fakes) <= 1
    assert sum(len(fake.has) for fake in fakes) <= 1


def after_a_try(fakes: Sequence[Fake], message: Outgoing, crash: str, tries: int) -> Outgoing | None:
    """The message as it is given to the next try; None where it has ended.

    A process that begins anew has a route of its own and asks before it hands over, as the worker does.
    """
    if crash != "no":
        if crash == "after":
            asyncio.run(hand_over({"email": Route(fakes)}, [message], is_stale=lambda _: False))
        answer = asyncio.run(settle({"email": Route(fakes)}, [message]))[0]
        if isinstance(answer, NotTaken):
            return message
        outcome: Outcome = answer
    else:
        outcome = asyncio.run(hand_over({"email": Route(fakes)}, [message], is_stale=lambda _: False))[0]
    event = outcome_event(message, outcome, at=NOW, tries=tries)
    if not isinstance(event, MessagePostponed):
        return None
    if event.in_doubt:
        assert event.provider
        return msgspec.structs.replace(message, in_doubt=event.provider)
    refused = (event.provider,) if event.provider else ()
    return msgspec.structs.replace(message, refused_by=message.refused_by + refused)
