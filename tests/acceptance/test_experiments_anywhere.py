"""Splits, holdouts and goals over any lives, on real stores, held against counts from the facts alone."""

import json
import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from domain import catalogue as facts
from domain.catalogue import Envelope
from domain.clock import to_micros
from journeys import engine
from journeys.definition import Journey, Split
from journeys.experiments import way_of
from stores.experiments import Count
from support.bank import Bank, Line
from support.documents import journey_of
from support.postgres import fresh_database
from support.scenario import envelope
from support.strategies import END, START, ZONES
from tidings import process
from tidings.cli.running import live_together

pytestmark = [pytest.mark.slow, pytest.mark.long]

TRIAL = journey_of("""
journey: trial
version: 1
title: {en: Trial}
purpose: marketing
topic: offers
enter: {by: fact, fact: transaction.posted/1}
reentry: {after_days: 3}
goal:
  fact: holding.changed/1
  within_days: 40
  ends: false
  when: {is: attribute, name: zone, one_of: [Europe/Prague, Asia/Shanghai, UTC]}
holdout: {percent: 40}
steps:
  - {step: pause, do: wait, days: 20, at: "12:00", next: which}
  - {step: which, do: split, experiment: colours, ways: [
      {way: red, percent: 50, next: red},
      {way: blue, percent: 50, next: end}]}
  - {step: red, do: send, template: tier-course, channels: [email, sms], next: end}
  - {step: end, do: end}
""")
LAST_DAY = journey_of("""
journey: last-day
version: 1
title: {en: Last day}
purpose: service
topic: contracts
enter: {by: maturity, kinds: [term_deposit], offsets: [-30, -1, 2], at: "09:00"}
goal: {fact: session.started/1, within_days: 7}
holdout: {percent: 30, salt: spring}
steps:
  - {step: which, do: split, experiment: colours, ways: [
      {way: red, percent: 50, next: pause},
      {way: blue, percent: 50, next: pause}]}
  - {step: pause, do: wait, days: 60, at: "12:00", next: end}
  - {step: end, do: end}
""")
NEWER = replace(TRIAL, version=2, title={"en": "Trial, other words"})
GOALS: dict[str, tuple[str, int, set[str]]] = {
    "trial": ("holding.changed/1", 40, {"Europe/Prague", "Asia/Shanghai", "UTC"}),
    "last-day": (
        "session.started/1",
        7,
        {"Europe/Prague", "Asia/Shanghai", "UTC", "America/New_York", "Australia/Lord_Howe"},
    ),
}


def share(*parts: str) -> float:
    """Of a hundred; worked out here once more, so that nobody is drawn anew by accident."""
    return 100 * int(sha256("\x1f".join(parts).encode()).hexdigest()[:16], 16) / 2**64


def bank(folder: Path, name: str, *, partitions: int = 2, url: str | None = None) -> Bank:
    made = Bank(folder, partitions=partitions, name=name, url=url)
    made.publish(TRIAL, LAST_DAY)
    return made


def lived(made: Bank, told: list[Envelope], *, batch: int = 2_000, until: datetime = END) -> Bank:
    """The first half of the facts first, so that some of the others are told late; a new version between."""
    half = len(told) // 2
    made.take(told[:half])
    made.run(START + timedelta(days=300), batch=batch)
    made.publish(NEWER)
    made.take(told[half:])
    made.run(until, batch=batch)
    return made


def counted(history: list[Line]) -> dict[str, int]:
    """By enrolment, on which day after the entry its goal was reached, from entries and facts alone."""
    zone, entries, found = "UTC", dict[str, tuple[str, int]](), dict[str, int]()
    for kind, occurred_at, recorded_at, cause, stored, _ in history:
        body = json.loads(stored)
        if kind in ("customer.registered/1", "customer.changed/1"):
            zone = body.get("zone") or zone
        if cause:
            if kind in ("enrolment.started/1", "enrolment.held_out/1"):
                entries[body["enrolment"]] = (body["journey"], recorded_at)
            continue
        for enrolment, (journey, since) in entries.items():
            fact, within, zones = GOALS.get(journey, ("", 0, set[str]()))
            days = (day(occurred_at, zone) - day(since, zone)).days
            late = recorded_at - occurred_at > 31 * 86_400_000_000
            if kind == fact and zone in zones and occurred_at >= since and days <= within and not late:
                found.setdefault(enrolment, days)
        if kind in ("customer.erased/1", "customer.merged/1"):
            break
    return found


def day(micros: int, zone: str) -> datetime:
    """Midnight, without a zone, of the day that the wall clock shows."""
    shown = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).astimezone(ZoneInfo(zone))
    return datetime(shown.year, shown.month, shown.day)  # noqa: DTZ001 - a day, not an instant


def bodies(history: list[Line], kind: str) -> list[Mapping[str, object]]:
    return [json.loads(line[4]) for line in history if line[0] == kind]


def of(history: list[Line], journey: str) -> list[str]:
    """The kinds of the events that name the journey."""
    return [kind for kind, *_, stored, _ in history if json.loads(stored).get("journey") == journey]


def busy(seed: int, *, customers: int = 80) -> list[Envelope]:
    """Facts that lead into both journeys and to their goals, in no order, for a year of made-up lives."""
    chance = random.Random(seed)
    told: list[Envelope] = []
    for number in range(customers):
        subject = f"c-{number}"
        zone = chance.choice(ZONES)
        person = facts.CustomerRegistered(source="/busy", id=subject, zone=zone, email="a@example.com")
        yes = facts.ConsentGranted(source="/busy", id=f"{subject} yes", provenance="made up")
        told += [envelope(subject, START, person), envelope(subject, START, yes)]
        for index in range(chance.randint(4, 40)):
            identity: dict[str, Any] = {"source": "/busy", "id": f"{number}-{index}"}
            holding, matures_on = f"h-{index % 2}", date(2026, 1, 20) + timedelta(chance.randrange(330))
            at = START + timedelta(hours=chance.randrange(24 * 330), microseconds=chance.randrange(3))
            fact = chance.choices(
                [
                    facts.TransactionPosted(**identity, account="a", amount=Decimal(1)),
                    facts.HoldingOpened(
                        **identity, holding=holding, kind="term_deposit", matures_on=matures_on
                    ),
                    facts.HoldingChanged(**identity, holding=holding, matures_on=matures_on),
                    facts.CustomerChanged(**identity, zone=chance.choice(ZONES)),
                    facts.CustomerErased(**identity),
                    # Leads nowhere but to a goal: a worker must not let it pass by unread for who is watched.
                    facts.SessionStarted(**identity, channel="app"),
                ],
                weights=[6, 3, 4, 2, 0.1, 6],
            )
            told.append(envelope(subject, at, fact[0]))
    registered, rest = [e for e in told if e.occurred_at == START], [e for e in told if e.occurred_at > START]
    chance.shuffle(rest)
    return registered + rest


@pytest.mark.parametrize("seed", range(4))
def test_conversions_holdouts_and_ways_are_what_the_facts_and_ids_alone_say(
    tmp_path: Path, seed: int
) -> None:
    made = lived(bank(tmp_path, "one"), busy(seed, customers=160))
    assert made.verify().findings == []
    seen = Counter[str]()
    for subject, history in made.histories().items():
        reached = bodies(history, "goal.reached/1")
        own = {str(body["enrolment"]): body["days"] for body in reached if body["journey"] in GOALS}
        assert own == counted(history)
        assert len(own) == sum(body["journey"] in GOALS for body in reached)
        for journey, salt, percent in (("trial", "trial", 40), ("last-day", "spring", 30)):
            out = share("holdout", salt, subject) < percent
            kinds = set(of(history, journey)) - {"admission.refused/1"}
            nothing = {"enrolment.held_out/1", "goal.reached/1"}
            assert kinds <= nothing if out else "enrolment.held_out/1" not in kinds
            seen[f"{journey} held out"] += out and bool(kinds)
            seen[f"{journey} held out, reached"] += out and "goal.reached/1" in kinds
            seen[f"{journey} inside, reached"] += not out and "goal.reached/1" in kinds
        way = "red" if share("split", "colours", subject) < 50 else "blue"
        taken = bodies(history, "split.taken/1")
        assert {body["way"] for body in taken} <= {way}
        seen["split"] += len(taken)
    assert len(seen) == 7
    assert min(seen.values()) > 0, seen


@pytest.mark.parametrize(("seed", "batch", "commits"), [(10, 1, 40), (11, 3, 11), (12, 7, 2), (13, 2_000, 1)])
def test_they_are_the_same_in_any_partitions_and_batches_and_after_kills(
    tmp_path: Path, seed: int, batch: int, commits: int
) -> None:
    whole, parts = bank(tmp_path, "whole", partitions=1), bank(tmp_path, "parts", partitions=5)
    for made in (whole, parts):
        made.take(busy(seed, customers=12))
    whole.run(END)
    # Each run gets further than the one before it was killed.
    kills = next(n for n in count() if not parts.run_killed(END, commits=commits + 5 * n, batch=batch))
    assert kills > 1
    assert parts.histories() == whole.histories()
    assert parts.verify().findings == []


def groups(
    histories: Mapping[str, list[Line]], journey: str, versions: list[int], since: int, until: int, now: int
) -> list[Count]:
    """The counts that a report begins with, once more from each customer's whole history."""
    found: dict[tuple[str, bool, str], list[int]] = {}
    for history in histories.values():
        began = [
            (line[2], json.loads(line[4]), line[0] == "enrolment.held_out/1")
            for line in history
            if line[0] in ("enrolment.started/1", "enrolment.held_out/1")
        ]
        entries = [
            (at, body["enrolment"], out)
            for at, body, out in began
            if body["journey"] == journey and body["version"] in versions and since <= at < until
        ]
        if not entries:
            continue
        entered_at, enrolment, out = min(entries)
        over = entered_at + (GOALS[journey][1] + 2) * 86_400_000_000 <= now
        asked = {body["message"]: body["enrolment"] for body in bodies(history, "message.requested/1")}
        written = enrolment in {asked[body["message"]] for body in bodies(history, "message.accepted/1")}
        ways = [b for b in bodies(history, "split.taken/1") if b["enrolment"] == enrolment]
        for place in {("", out, "")} | {(str(body["step"]), out, str(body["way"])) for body in ways}:
            numbers = found.setdefault(place, [0, 0, 0, 0])
            for index, yes in enumerate((True, written, over, over and enrolment in counted(history))):
                numbers[index] += yes
    return [Count(step, way, out, *numbers) for (step, out, way), numbers in sorted(found.items())]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_counts_of_a_report_are_those_of_the_histories(tmp_path: Path, kind: str) -> None:
    made = bank(tmp_path, kind, partitions=3, url=fresh_database() if kind == "postgresql" else None)
    lived(made, busy(40), until=START + timedelta(days=345))
    histories, experiments = made.histories(), made.tidings.experiments
    micros = [to_micros(START + timedelta(days=days)) for days in (0, 90, 250, 400)]
    seen: list[Count] = []
    for journey, versions in (("trial", [1]), ("trial", [2]), ("trial", [1, 2]), ("last-day", [1])):
        for since, until in ((micros[0], micros[3]), (micros[1], micros[2])):
            now, counts = experiments.counts(journey, versions, since=since, until=until)
            assert counts == groups(histories, journey, versions, since, until, now)
            seen += counts
    assert now == to_micros(START + timedelta(days=345))
    assert {(count.way, count.held_out) for count in seen} == {
        ("", False),
        ("", True),
        ("red", False),
        ("blue", False),
    }
    assert any(count.counted < count.customers for count in seen)
    assert all(any(getattr(count, name) for count in seen) for name in ("written_to", "counted", "reached"))
    assert experiments.versions("trial") == [1, 2]


@pytest.mark.long
@pytest.mark.slow
def test_they_are_the_same_on_postgresql_and_by_several_workers(tmp_path: Path) -> None:
    files = lived(bank(tmp_path, "files", partitions=1), busy(20, customers=24))
    server = lived(
        bank(tmp_path, "server", partitions=3, url=fresh_database()), busy(20, customers=24), batch=5
    )
    assert server.histories() == files.histories()
    alone, together = bank(tmp_path, "alone"), bank(tmp_path, "together", partitions=4)
    for made in (alone, together):
        made.take(busy(21, customers=24))
    alone.run(END)
    live_together(together.tidings, until=END, advance=lambda _: None, workers=3)
    assert together.histories() == alone.histories()


@pytest.mark.parametrize("seed", [30, 31])
def test_what_passes_by_unread_would_have_changed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    short = lived(bank(tmp_path, "short"), busy(seed, customers=40))
    monkeypatch.setattr(engine, "nothing_follows", lambda *_: False)
    monkeypatch.setattr(process, "passes_by", lambda *_: False)
    long = lived(bank(tmp_path, "long"), busy(seed, customers=40))
    assert long.histories() == short.histories()


@pytest.mark.parametrize("other", [NEWER, replace(NEWER, journey="elsewhere", holdout=None)])
def test_another_version_or_journey_of_the_same_experiment_gives_the_same_ways(other: Journey) -> None:
    """Each customer's way is looked up where it is used, and comes out the same."""
    (split,) = (step for step in other.steps if isinstance(step, Split))
    for number in range(2_000):
        drawn = "red" if share("split", "colours", f"c-{number}") < 50 else "blue"
        assert way_of(other, split, f"c-{number}").way == drawn
