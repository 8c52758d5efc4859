"""The worker by the clock on the wall: what was missed is decided as of now, crashes leave nothing open."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from audit.replay import replay
from channels.base import Outcome, Outgoing, Unknown, everywhere
from domain.catalogue import Purpose
from domain.clock import to_micros
from domain.events import status_of
from support.bank import Bank
from support.facts import at, registered
from support.scenario import envelope
from support.scripted import Scripted
from support.wall import MORNING, Killed, Service, Wall
from templates.model import Template
from tidings.sending import again, is_lost
from tidings.serving import Serving

EVENING = at("2026-01-05 20:59")
NIGHT = at("2026-01-05 23:30")
NEXT_MORNING = at("2026-01-06 08:00")


class Dying(Scripted):
    """It takes what it is given, or not, and then its caller dies."""

    def __init__(self, *, takes: bool) -> None:
        super().__init__()
        self._takes = takes
        self.dies = True

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        if not self.dies:
            return await super().send(messages)
        if self._takes:
            await super().send(messages)
        raise Killed


def test_what_should_have_left_in_the_evening_does_not_leave_at_night(tmp_path: Path) -> None:
    service = Service(tmp_path, Scripted()).ask(EVENING)
    service.step(NIGHT)
    assert service.channel.given == []
    assert service.statuses() == ["deferred"]
    # It is judged by what the clock shows now, and not let go first.
    assert "message.sending/1" not in {line[0] for line in service.bank.histories()["c-0"]}
    service.step(NEXT_MORNING)
    assert service.channel.moments == [NEXT_MORNING]
    assert service.statuses() == ["accepted"]


def test_a_fact_of_the_future_waits_for_its_time(tmp_path: Path) -> None:
    service = Service(tmp_path, Scripted()).ask(MORNING + timedelta(hours=2)).step(MORNING)
    assert service.statuses() == []
    assert service.step(MORNING + timedelta(hours=2)).statuses() == ["accepted"]


@pytest.mark.parametrize("purpose", ["marketing", "care", "service", "regulatory"])
def test_after_a_crash_what_was_certainly_not_taken_is_judged_anew(purpose: Purpose, tmp_path: Path) -> None:
    service = Service(tmp_path, Dying(takes=False), purpose=purpose).ask(EVENING)
    service.killed(EVENING)
    service.channel.dies = False  # type: ignore[attr-defined]
    service.step(NIGHT)
    assert len(service.channel.given) == (1 if purpose == "regulatory" else 0)
    service.step(NEXT_MORNING)
    assert service.statuses() == ["accepted"]
    assert len(service.channel.given) == 1


@pytest.mark.parametrize("purpose", ["marketing", "service"])
def test_after_a_crash_what_was_taken_is_not_sent_again(purpose: Purpose, tmp_path: Path) -> None:
    service = Service(tmp_path, Dying(takes=True), purpose=purpose).ask(MORNING)
    service.killed(MORNING)
    service.channel.dies = False  # type: ignore[attr-defined]
    assert service.step(MORNING + timedelta(minutes=5)).statuses() == ["accepted"]
    assert len(service.channel.given) == 1


@pytest.mark.parametrize(
    ("purpose", "times"), [("marketing", 1), ("care", 1), ("service", 2), ("regulatory", 2)]
)
def test_after_a_crash_where_nobody_can_tell_the_purpose_decides(
    purpose: Purpose, times: int, tmp_path: Path
) -> None:
    service = Service(tmp_path, Dying(takes=True), purpose=purpose).ask(MORNING)
    service.killed(MORNING)
    service.channel.dies = False  # type: ignore[attr-defined]
    service.channel.answers = [Unknown("cannot be asked", provider="one")] * 5
    service.step(MORNING + timedelta(minutes=1)).step(MORNING + timedelta(hours=1))
    assert len(service.channel.given) == times
    assert len({message.id for message in service.channel.given}) == 1
    assert service.statuses() == ["unknown" if times == 1 else "accepted"]


def test_after_a_crash_no_other_words_leave_than_were_recorded(tmp_path: Path) -> None:
    service = Service(tmp_path, Dying(takes=False)).ask(MORNING).killed(MORNING)
    tidings = service.bank.tidings
    customer, current = replay(tidings.history, "c-0").customer, tidings.in_force()
    (message,) = customer.messages
    same = again(customer, message, rules=current.rules, templates=current.templates)
    assert (same.id, same.customer) == (message, "c-0")

    def said_otherwise(template: Template) -> Template:
        languages = {name: replace(it, subject="Other") for name, it in template.languages.items()}
        return replace(template, languages=languages)

    others = {key: said_otherwise(template) for key, template in current.templates.items()}
    assert is_lost(again(customer, message, rules=current.rules, templates=others))
    tidings.engine.dispose()


class Slow(Scripted):
    """Time passes on the wall while it takes a message."""

    def __init__(self, wall: Wall, each: timedelta) -> None:
        super().__init__()
        self._wall = wall
        self._each = each

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for message in messages:
            outcomes += await super().send([message])
            self._wall.now += self._each
        return outcomes


def test_what_waits_too_long_behind_a_slow_provider_is_judged_again(tmp_path: Path) -> None:
    """Two customers in two slices: when the second one's turn comes, it is night."""
    service = Service(tmp_path, Scripted(), customers=40).ask(EVENING)
    service.channel = Slow(service.wall, timedelta(minutes=10))
    service.bank.channels = everywhere(service.channel)
    tidings = service.bank.tidings
    service.wall.now = EVENING
    serving = Serving(tidings, clock=service.wall)
    serving._worker = replace(tidings.worker(serving.tally), batch=20)
    with asyncio.Runner() as runner:
        while serving.step(runner):
            pass
    assert all(message.at == EVENING for message in service.channel.given)
    # A slice is one customer: the first left in time, whoever came after it waits for the morning.
    assert 1 <= len(service.channel.given) <= 2
    assert sorted(set(service.statuses())) == ["accepted", "deferred"]
    kinds = {line[0] for name in service.names for line in service.bank.histories()[name]}
    assert "message.postponed/1" in kinds
    assert status_of("message.postponed/1") == "postponed"


def test_an_answer_is_dated_when_it_came(tmp_path: Path) -> None:
    service = Service(tmp_path, Scripted()).ask(MORNING)
    service.channel = Slow(service.wall, timedelta(seconds=7))
    service.bank.channels = everywhere(service.channel)
    service.step(MORNING)
    dated = {line[0]: (line[1], line[2]) for line in service.bank.histories()["c-0"]}
    begun, came = to_micros(MORNING), to_micros(MORNING + timedelta(seconds=7))
    assert dated["message.sending/1"] == (begun, begun)
    assert dated["message.accepted/1"] == (came, came)


class Watching(Scripted):
    """It looks into the store while it has messages in its hands."""

    def __init__(self) -> None:
        super().__init__()
        self.bank: Bank | None = None
        self.seen: list[tuple[int, int, bool]] = []

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Notes how many intents wait, how many of them have begun, and whether all that are here have."""
        assert self.bank is not None
        outbox = dict(self.bank.sql("SELECT message, begun FROM outbox"))
        self.seen.append((len(outbox), sum(outbox.values()), all(outbox[m.id] for m in messages)))
        return await super().send(messages)


def test_little_is_under_way_at_a_time_and_noted_before_it_is(tmp_path: Path) -> None:
    """After a crash nobody can tell of no more than these whether they left."""
    channel = Watching()
    service = Service(tmp_path, channel, customers=500)
    channel.bank = service.bank
    later = MORNING + timedelta(hours=1)
    service.step(MORNING).ask(later).step(later)
    assert set(service.statuses()) == {"accepted"}
    assert len(channel.given) == 500
    assert all(noted for _, _, noted in channel.seen)
    assert max(begun for _, begun, _ in channel.seen) <= 100
    # Nor are many judged that do not leave while the judgement is fresh: it grows as they do.
    assert channel.seen[0][0] <= 100


def test_after_its_second_a_partition_begins_nothing_and_records_the_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path, Dying(takes=True)).ask(MORNING).killed(MORNING)
    service.channel.dies = False  # type: ignore[attr-defined]
    later = MORNING + timedelta(hours=2)
    service.ask(later)
    service.wall.now = later
    tidings = service.bank.tidings
    with asyncio.Runner() as runner:
        monkeypatch.setattr("tidings.process._LIVE_SECONDS", -1.0)
        assert Serving(tidings, clock=service.wall).step(runner)
        assert service.statuses() == ["accepted"]
        monkeypatch.undo()
        assert Serving(tidings, clock=service.wall).step(runner)
    assert service.statuses() == ["accepted", "accepted"]
    tidings.engine.dispose()


def test_after_its_second_a_partition_hands_nothing_over_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path, Dying(takes=False)).ask(MORNING).killed(MORNING)
    service.channel.dies = False  # type: ignore[attr-defined]
    tidings = service.bank.tidings
    with asyncio.Runner() as runner:
        monkeypatch.setattr("tidings.process._LIVE_SECONDS", -1.0)
        Serving(tidings, clock=service.wall).step(runner)
        assert service.channel.given == []
        monkeypatch.undo()
        Serving(tidings, clock=service.wall).step(runner)
    tidings.engine.dispose()
    assert service.statuses() == ["accepted"]


def test_a_clock_that_is_set_back_takes_nobody_back(tmp_path: Path) -> None:
    """What is recorded of a new customer comes no earlier than what was recorded before of others."""
    service = Service(tmp_path, Scripted(), customers=8)
    service.step(MORNING)
    told = envelope("new", MORNING - timedelta(hours=2), registered())
    assert service.bank.take([told]).refused == []
    service.step(MORNING - timedelta(hours=1))
    (line,) = service.bank.histories()["new"][:1]
    assert line[1:3] == (to_micros(MORNING - timedelta(hours=2)), to_micros(MORNING))
    assert service.bank.verify().findings == []


def test_an_idle_look_changes_nothing(tmp_path: Path) -> None:
    service = Service(tmp_path, Scripted()).ask(MORNING).step(MORNING)
    before = service.bank.histories()
    tidings = service.bank.tidings
    with asyncio.Runner() as runner:
        assert Serving(tidings, clock=Wall(MORNING + timedelta(minutes=1))).step(runner) is False
    assert service.bank.histories() == before
