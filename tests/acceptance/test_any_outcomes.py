"""Any answers of two providers, any crashes, any jumps of the clock: every promise about sending holds."""

import json
import tempfile
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.breaker import Breaking, Guarded
from domain.events import status_of
from stores.journal import Journal
from support.bank import Bank
from support.facts import PRAGUE
from support.outcomes import (
    CUSTOMERS,
    DEATHS,
    MUTES,
    STEPS,
    Act,
    Entrance,
    Life,
    Provider,
    Step,
    World,
    acts,
    dying,
)
from support.promises import check_consent_and_holds_kept
from tidings.memory import state_of

AGAIN = ("service", "regulatory")
# What may follow upon what in the life of one message; "" is its beginning.
MAY_FOLLOW = {
    "": {"requested"},
    "requested": {"deferred", "suppressed", "sending"},
    "deferred": {"deferred", "suppressed", "sending"},
    "sending": {"postponed", "accepted", "rejected", "unknown"},
    "postponed": {"sending", "deferred", "suppressed"},
}
ENDS = {"accepted", "rejected", "unknown", "suppressed"}


def is_night(moment: datetime) -> bool:
    return not 8 <= moment.astimezone(ZoneInfo(PRAGUE)).hour < 21


def check_takings(world: World) -> None:
    """At most once, or the same again by the one who may have it."""
    by: dict[str, list[str]] = {}
    for provider, message in world.taken:
        by.setdefault(message.id, []).append(provider)
        if message.purpose not in AGAIN:
            assert len(by[message.id]) == 1, "taken twice"
        assert len(set(by[message.id])) == 1, "taken by two providers"


def check_leaving(world: World) -> None:
    """When, to whom and how often."""
    for provider, begun, message in world.given:
        assert message.in_doubt in ("", provider), "given to another than who may have it"
        assert begun - message.at <= timedelta(seconds=60)
        if message.purpose != "regulatory":
            assert not is_night(message.at)
    weeks = Counter[tuple[str, int]]()
    for message in {m.id: m for _, m in world.taken if m.purpose == "marketing"}.values():
        day = message.at.astimezone(ZoneInfo(PRAGUE)).date().toordinal()
        weeks.update((message.customer, since) for since in range(day - 6, day + 1))
    assert max(weeks.values(), default=0) <= 3


def check_histories(bank: Bank, world: World) -> None:
    """Each message lives as it may, ends once, and the ledger says the same."""
    lives: dict[str, str] = {}
    purposes: dict[str, str] = {}
    refusals: dict[str, set[str]] = {name: set() for name in CUSTOMERS}
    for name, history in bank.histories().items():
        check_consent_and_holds_kept(history)
        for kind, _, _, _, stored, _ in history:
            if not kind.startswith("message.") or "message" not in (body := json.loads(stored)):
                continue
            message, became = body["message"], status_of(kind)
            assert became in MAY_FOLLOW[lives.get(message, "")], (lives.get(message), became)
            lives[message] = became
            if became == "requested":
                purposes[message] = body["purpose"]
            if became == "suppressed" and body["rule"] in ("suppressed_address", "opted_out"):
                refusals[name].add(body["rule"])
    assert set(lives.values()) <= ENDS, lives
    assert {entry.id: entry.status for entry in bank.ledger()} == lives
    for name, rules in refusals.items():
        assert not rules or any(address.startswith(name) for address in world.refused)
    accepted = {message for message, became in lives.items() if became == "accepted"}
    assert accepted <= {message.id for _, message in world.taken}
    certain = {message for message, became in lives.items() if became == "rejected"}
    assert not certain & {m.id for _, m in world.taken if m.purpose not in AGAIN}


def check_addresses(bank: Bank, world: World) -> None:
    """An address counts as dead, or its owner as opted out, where a provider has said so of it."""
    streams = [row[0] for row in bank.sql("SELECT stream FROM streams WHERE partition = 1")]
    tidings = bank.tidings
    with Journal(tidings.engine, 1) as journal:
        customers = [state_of(stored) for stored in journal.load(streams).values()]
    tidings.engine.dispose()
    for customer in customers:
        assert {*customer.dead_addresses, *customer.opted_out} <= world.refused


def check(
    steps: list[Step], scripts: tuple[list[Act], list[Act]], mute: list[bool], deaths: frozenset[int]
) -> None:
    world = World(deaths)
    ways = [
        Guarded(
            Provider(name, world, script, mute),
            Breaking(failures_in_a_row=3),
            clock=lambda: world.now.timestamp(),
        )
        for name, script in zip(("one", "two"), scripts, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder, dying(world):
        life = Life(Path(folder), world, Entrance(world, ways))
        for step in steps:
            life.step(step)
        life.end()
        life.tidings.engine.dispose()
        check_takings(world)
        check_leaving(world)
        check_histories(life.bank, world)
        check_addresses(life.bank, world)
        assert life.bank.sql("SELECT * FROM outbox") == []
        assert life.bank.verify().findings == []


TOLD = (
    STEPS,
    st.tuples(st.lists(acts("one"), max_size=12), st.lists(acts("two"), max_size=8)),
    MUTES,
    DEATHS,
)
WITHOUT_HASTE: Any = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=40, **WITHOUT_HASTE)
@given(*TOLD)
def test_every_promise_holds(
    steps: list[Step], scripts: tuple[list[Act], list[Act]], mute: list[bool], deaths: frozenset[int]
) -> None:
    check(steps, scripts, mute, deaths)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=2000, **WITHOUT_HASTE)
@given(*TOLD)
def test_every_promise_holds_over_and_over(
    steps: list[Step], scripts: tuple[list[Act], list[Act]], mute: list[bool], deaths: frozenset[int]
) -> None:
    check(steps, scripts, mute, deaths)
