"""A journey whose messages come back too often is paused by itself, once, with the figures as reason."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from channels.base import Outcome, Rejected, Retry, Unknown
from domain.catalogue import ContactBounced, ContactComplained, Envelope
from journeys.definition import State
from stores.returns import Returned
from support.bank import Bank
from support.postgres import fresh_database
from support.scenario import envelope
from support.sends import NOON, Scripted, asked, bank_of, people
from tidings.changing import control_of, set_state
from tidings.guarding import Alarm, Guarding, Limit, judged, watch

HOUR = timedelta(hours=1)
FEW = Guarding(
    limits=(
        Limit(word="complained", hours=1, percent=20, least_sends=10, least=2),
        Limit(word="bounced", hours=24, percent=30, least_sends=10, least=3),
    )
)
EVERYBODY = [f"c-{number:02}" for number in range(12)]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.long])])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    url = fresh_database() if request.param == "postgresql" else None
    bank = bank_of(tmp_path, Scripted(), url=url, partitions=2)
    bank.take([*people(*EVERYBODY), *asked("care", *EVERYBODY)])
    bank.run(NOON)
    return bank


def came_back(
    bank: Bank, kind: type[ContactBounced] | type[ContactComplained], customers: Sequence[str], at: datetime
) -> None:
    messages = {entry.customer: entry.id for entry in bank.ledger()}
    told: list[Envelope] = [
        envelope(
            customer,
            at,
            kind(
                source="p",
                id=f"{kind.__name__}/{customer}",
                channel="email",
                address=f"{customer}@example.com",
                message=messages[customer],
            ),
        )
        for customer in customers
    ]
    assert bank.take(told).refused == []
    bank.run(at)


def watched(bank: Bank, at: datetime) -> list[Alarm]:
    tidings = bank.tidings
    alarms = watch(tidings, at, FEW)
    tidings.engine.dispose()
    return alarms


def ordered(bank: Bank) -> tuple[str, str, str]:
    tidings = bank.tidings
    control = control_of(tidings.in_force().rules, "care")
    tidings.engine.dispose()
    return ("running", "", "") if control is None else (control.state, control.by, control.reason)


def resume(bank: Bank, at: datetime) -> None:
    tidings = bank.tidings
    assert set_state(tidings.engine, "care", "running", at=at)
    tidings.engine.dispose()


def test_all_is_well_as_long_as_nothing_comes_back(bank: Bank) -> None:
    assert watched(bank, NOON + HOUR / 2) == []
    assert ordered(bank) == ("running", "", "")


def test_half_way_is_a_warning_and_the_journey_runs_on(bank: Bank) -> None:
    came_back(bank, ContactComplained, EVERYBODY[:2], NOON + HOUR / 4)
    (alarm,) = watched(bank, NOON + HOUR / 2)
    assert (alarm.journey, alarm.level, alarm.sends, alarm.count) == ("care", "warning", 12, 2)
    assert ordered(bank)[0] == "running"


def test_at_the_limit_it_is_paused_once_with_the_figures(bank: Bank) -> None:
    came_back(bank, ContactComplained, EVERYBODY[:3], NOON + HOUR / 4)
    (alarm,) = watched(bank, NOON + HOUR / 2)
    assert (alarm.level, alarm.percent) == ("paused", 25.0)
    assert ordered(bank) == ("paused", "guard", "complained: 3 of 12 (25.0 %) in 1 h; limit 20 %")
    assert watched(bank, NOON + HOUR / 2) == []
    late = [f"d-{number}" for number in range(3)]
    bank.take([*people(*late), *asked("care", *late, moment=NOON + HOUR)])
    bank.run(NOON + 2 * HOUR)
    assert [e for e in bank.ledger() if e.customer in late and e.status == "accepted"] == []


def test_who_lets_it_run_again_is_not_overruled_by_what_was_before(bank: Bank) -> None:
    came_back(bank, ContactComplained, EVERYBODY[:3], NOON + HOUR / 4)
    assert len(watched(bank, NOON + HOUR / 2)) == 1
    resume(bank, NOON + HOUR / 2)
    assert watched(bank, NOON + HOUR / 2 + timedelta(minutes=1)) == []
    again = [f"d-{number:02}" for number in range(10)]
    bank.take([*people(*again), *asked("care", *again, moment=NOON + HOUR)])
    bank.run(NOON + HOUR)
    came_back(bank, ContactComplained, again[:4], NOON + HOUR)
    (alarm,) = watched(bank, NOON + HOUR + timedelta(minutes=5))
    assert (alarm.level, alarm.sends, alarm.count) == ("paused", 10, 4)


@pytest.mark.parametrize("state", ["paused", "ended"])
@pytest.mark.parametrize("complaints", [2, 3])
def test_of_a_journey_that_does_not_run_nothing_is_said_and_nothing_ordered(
    tmp_path: Path, state: State, complaints: int
) -> None:
    bank = bank_of(tmp_path, Scripted())
    bank.take([*people(*EVERYBODY), *asked("care", *EVERYBODY)])
    bank.run(NOON)
    came_back(bank, ContactComplained, EVERYBODY[:complaints], NOON + HOUR / 4)
    tidings = bank.tidings
    assert set_state(tidings.engine, "care", state, at=NOON + HOUR / 4)
    tidings.engine.dispose()
    assert watched(bank, NOON + HOUR / 2) == []
    assert ordered(bank)[:2] == (state, "")


@pytest.mark.parametrize(("complaints", "bounces"), [(2, 5), (3, 2)])
def test_one_limit_that_is_reached_pauses_it_though_another_is_only_half_way(
    tmp_path: Path, complaints: int, bounces: int
) -> None:
    bank = bank_of(tmp_path, Scripted())
    bank.take([*people(*EVERYBODY), *asked("care", *EVERYBODY)])
    bank.run(NOON)
    came_back(bank, ContactComplained, EVERYBODY[:complaints], NOON + HOUR / 4)
    came_back(bank, ContactBounced, EVERYBODY[-bounces:], NOON + HOUR / 4)
    (alarm,) = watched(bank, NOON + HOUR / 2)
    assert (alarm.level, ordered(bank)[:2]) == ("paused", ("paused", "guard"))


def test_what_never_came_to_an_address_does_not_count_as_sent(tmp_path: Path) -> None:
    """Half of it is put off or refused for its own sake: too little is left to say anything."""
    script: dict[str, Sequence[Outcome]] = {name: [Retry("busy", after=9 * HOUR)] for name in EVERYBODY[:4]}
    script |= {name: [Rejected("too long")] for name in EVERYBODY[4:6]}
    bank = bank_of(tmp_path, Scripted(script))
    bank.take([*people(*EVERYBODY), *asked("care", *EVERYBODY)])
    bank.run(NOON)
    came_back(bank, ContactComplained, EVERYBODY[-3:], NOON + HOUR / 4)
    assert watched(bank, NOON + HOUR / 2) == []


def test_what_nobody_knows_counts_as_sent(tmp_path: Path) -> None:
    script = {name: [Unknown("time_out", "p")] for name in EVERYBODY[:6]}
    bank = bank_of(tmp_path, Scripted(script))
    bank.take([*people(*EVERYBODY), *asked("care", *EVERYBODY)])
    bank.run(NOON)
    came_back(bank, ContactComplained, EVERYBODY[-3:], NOON + HOUR / 4)
    (alarm,) = watched(bank, NOON + HOUR / 2)
    assert (alarm.sends, alarm.count) == (12, 3)


def test_what_left_exactly_when_the_window_began_does_not_count(bank: Bank) -> None:
    """So that each message counts in one of two windows that follow each other."""
    came_back(bank, ContactComplained, EVERYBODY[:3], NOON + HOUR / 4)
    assert watched(bank, NOON + HOUR) == []
    assert len(watched(bank, NOON + HOUR - timedelta(microseconds=1))) == 1


def test_another_window_does_not_count(bank: Bank) -> None:
    came_back(bank, ContactComplained, EVERYBODY[:3], NOON + HOUR / 4)
    assert watched(bank, NOON + 2 * HOUR) == []


def test_bounces_of_a_day_count_however_they_are_told(tmp_path: Path) -> None:
    nowhere = Rejected("550", refused="address", provider="p")
    script = {customer: [nowhere] for customer in EVERYBODY[:3]}
    bank = bank_of(tmp_path, Scripted(script))
    bank.take([*people(*EVERYBODY), *asked("care", *EVERYBODY)])
    bank.run(NOON)
    came_back(bank, ContactBounced, EVERYBODY[3:5], NOON + 20 * HOUR)
    (alarm,) = watched(bank, NOON + 20 * HOUR)
    assert (alarm.level, alarm.limit.word, alarm.sends, alarm.count) == ("paused", "bounced", 12, 5)


@pytest.mark.parametrize(
    ("sends", "bounced", "complained", "level"),
    [
        (1000, 0, 3, None),
        (1000, 0, 9, "warning"),
        (1000, 0, 10, "paused"),
        (199, 100, 100, None),
        (200, 0, 5, "paused"),
        (500, 0, 4, "warning"),
        (200, 20, 0, "paused"),
        (200, 19, 0, "warning"),
        (1000, 50, 0, "paused"),
        (10_000, 0, 29, "warning"),
        (10_000, 0, 30, "paused"),
    ],
)
def test_the_limits_are_as_documented(sends: int, bounced: int, complained: int, level: str | None) -> None:
    found = Returned(sends, bounced, complained)
    levels: list[str] = [alarm.level for limit in Guarding().limits if (alarm := judged("j", limit, found))]
    assert (max(levels, key=["warning", "paused"].index) if levels else None) == level
