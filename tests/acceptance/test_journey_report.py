"""tidings journeys report: what it says of a journey that works, and of one that does nothing."""

import json
import random
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from journeys.definition import Split
from journeys.experiments import is_held_out, way_of
from support.bank import Bank
from support.documents import journey_of
from support.facts import at, granted, opened, paid, registered
from support.scenario import envelope
from tidings import cli, effects
from tidings.effects import difference
from tidings.synthetic import synthetic_bank

NEW_YEAR = at("2026-01-01 12:00")
OFFER = journey_of("""
journey: offer
version: 1
title: {en: Offer}
purpose: marketing
topic: offers
enter: {by: fact, fact: transaction.posted/1}
goal: {fact: holding.opened/1, within_days: 20}
holdout: {percent: 30}
steps:
  - {step: which, do: split, ways: [
      {way: course, percent: 50, next: course},
      {way: quiet, percent: 50, next: end}]}
  - {step: course, do: send, template: tier-course, channels: [email], next: end}
  - {step: end, do: end}
""")
(SPLIT,) = (step for step in OFFER.steps if isinstance(step, Split))


def tidings(
    bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    """What a command prints on stdout and stderr; it must end with this exit code."""
    where = ["--store", bank.settings.store, "--outbox", str(bank.outbox)]
    found = cli.run(["journeys", "report", *arguments, *where])
    out, err = capsys.readouterr()
    assert found == code, (out, err)
    return out, err


def reported(bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(tidings(bank, capsys, *arguments, "--json")[0])
    return told


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """600 customers; of who gets the course 60 in a hundred open something, of the others 30."""
    made, chance = Bank(tmp_path_factory.mktemp("report")), random.Random(5)
    made.publish(OFFER)
    told = []
    for subject in SUBJECTS:
        told += [envelope(subject, NEW_YEAR, registered()), envelope(subject, NEW_YEAR, granted())]
        told.append(envelope(subject, ENTERED, paid()))
        if chance.random() < (0.6 if group(subject) == "course" else 0.3):
            day = timedelta(days=chance.randrange(1, 20))
            told.append(envelope(subject, ENTERED + day, opened()))
            REACHED.add(subject)
    made.take(
        [*told, envelope("late", NEW_YEAR, registered()), envelope("late", at("2026-03-25 12:00"), paid())]
    )
    made.run(at("2026-04-01 12:00"))
    return made


SUBJECTS = [f"c-{number}" for number in range(600)]
REACHED: set[str] = set()
ENTERED = at("2026-02-01 12:00")


def group(subject: str) -> str:
    """Who gets what, from the ids alone."""
    return "held_out" if is_held_out(OFFER, subject) else way_of(OFFER, SPLIT, subject).way


def numbers(name: str) -> tuple[int, int]:
    """How many of a group reached the goal, and of how many."""
    members = [s for s in SUBJECTS if group(s) == name or (name == "enrolled" and group(s) != "held_out")]
    return len(REACHED & set(members)), len(members)


def test_the_report_counts_and_compares(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    told = reported(bank, capsys, "offer")
    assert (told["journey"], told["versions"], told["confidence"]) == ("offer", [1], 0.95)
    found = {group["way"] or group["group"]: group for group in told["groups"]}
    assert list(found) == ["enrolled", "held_out", "course", "quiet"]
    for name, group in found.items():
        assert (group["reached"], group["counted"]) == numbers(name)
    assert found["held_out"]["written_to"] == found["quiet"]["written_to"] == 0
    assert found["course"]["written_to"] == numbers("course")[1] == found["enrolled"]["written_to"]
    beside = {(c["way"], c["over"]): c for c in told["comparisons"]}
    assert list(beside) == [
        (None, "held_out"),
        ("quiet", "course"),
        ("course", "held_out"),
        ("quiet", "held_out"),
    ]
    course, quiet = beside["course", "held_out"], beside["quiet", "held_out"]
    expected = difference(numbers("course"), numbers("held_out"), confidence=0.95)
    assert course["difference"] == {"value": expected.value, "low": expected.low, "high": expected.high}
    assert 0.1 < course["difference"]["low"] < 0.3 < course["difference"]["high"] < 0.5
    assert (course["shown"], quiet["shown"]) == (True, False)
    assert course["p_value"] < 0.001 < 0.05 < quiet["p_value"]
    assert {note["code"] for note in told["notes"]} == {
        "report.still_open",
        "report.reading",
        "report.not_shown",
        "report.several",
    }


def test_people_read_it_in_both_languages(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    english = tidings(bank, capsys, "offer")[0]
    assert "which: course" in english
    assert "not over for them: 1." in english
    reached, of = numbers("course")
    assert f"{100 * reached / of:.1f} % (" in english
    chinese = tidings(bank, capsys, "offer", "--lang", "zh-CN")[0]
    assert "留出" in chinese
    assert "每 100 个这样的区间约有 95 个包含真实值" in chinese
    assert "?" not in english + chinese


def test_a_period_takes_who_entered_in_it(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    def customers(*period: str) -> int:
        return sum(
            g["customers"] for g in reported(bank, capsys, "offer", *period)["groups"] if not g["step"]
        )

    entered, moment = ENTERED.isoformat(), (ENTERED + timedelta(microseconds=1)).isoformat()
    assert customers() == 601
    assert customers("--from", entered, "--until", moment) == 600
    assert customers("--from", moment) == 1
    assert customers("--until", entered) == 0
    nobody = tidings(bank, capsys, "offer", "--until", entered)[0]
    assert nobody == "\nNobody has entered offer in this period and version, or was held out.\n"


def test_only_the_version_in_force_is_told_unless_others_are_named(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reported(bank, capsys, "win-back")["groups"] == []
    told = tidings(bank, capsys, "offer", "--version", "7", code=1)[1]
    assert told == "tidings: offer has no version 7; expected one of 1.\n"
    bank.publish(replace(OFFER, version=2))
    newest = reported(bank, capsys, "offer")
    assert newest["groups"] == []
    assert "entries by version 1;" in newest["notes"][-1]["message"]
    both = reported(bank, capsys, "offer", "--version", "2", "--version", "1")
    assert both["versions"] == [1, 2]
    assert [group["customers"] for group in both["groups"]][:2] == [
        numbers("enrolled")[1] + (group_of_late := not is_held_out(OFFER, "late")),
        numbers("held_out")[1] + (not group_of_late),
    ]


def test_what_is_not_there_is_one_line(
    bank: Bank, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = tidings(bank, capsys, "ofer", code=1)[1]
    assert unknown.startswith("tidings: no journey ofer is in force.")
    effects._library.cache_clear()
    monkeypatch.setitem(sys.modules, "statsmodels.stats", None)
    missing = tidings(bank, capsys, "offer", "--version", "1", code=1)[1]
    assert missing.startswith("tidings: the statistics library is not installed; install it with `pip ")
    assert missing.count("\n") == 1


@pytest.mark.parametrize("confidence", ["1", "0.2", "much"])
def test_a_confidence_that_is_none_is_refused(
    bank: Bank, capsys: pytest.CaptureFixture[str], confidence: str
) -> None:
    tidings(bank, capsys, "offer", "--confidence", confidence, code=2)


@pytest.mark.long
@pytest.mark.slow
def test_where_the_ways_are_the_same_few_experiments_show_a_difference(tmp_path: Path) -> None:
    """200 experiments over one bank: of intervals of 95 in a hundred about so many hold 0, of 80 about 80."""
    journey = journey_of("""
        {journey: aa, version: 1, title: {en: A and A}, purpose: service, topic: t,
         enter: {by: fact, fact: balance.recorded/1}, reentry: {after_days: 3660},
         goal: {fact: transaction.posted/1, within_days: 3},
         steps: [{step: end, do: end}]}
    """)
    made = Bank(tmp_path, partitions=1)
    made.publish(journey)
    made.take(list(synthetic_bank(customers=900, days=75, start=date(2026, 1, 1), seed=3)))
    made.run(datetime(2026, 3, 16, tzinfo=UTC))
    assert made.tidings.experiments.versions("aa") == [1]
    reached = dict(
        made.sql(
            "SELECT s.subject, p.reached_days IS NOT NULL FROM passages p "
            "JOIN streams s ON s.partition = p.partition AND s.stream = p.stream WHERE p.journey = 'aa'"
        )
    )
    share = sum(reached.values()) / len(reached)
    assert len(reached) > 600
    assert 0.15 < share < 0.85
    for confidence, least, most in ((0.95, 183, 197), (0.8, 145, 176)):
        held = 0
        for number in range(200):
            drawn = replace(SPLIT, experiment=f"aa-{number}")
            ways = {s: way_of(journey, drawn, s).way for s in reached}
            one, other = (
                (sum(reached[s] for s in ways if ways[s] == way), list(ways.values()).count(way))
                for way in ("course", "quiet")
            )
            found = difference(one, other, confidence=confidence)
            held += found.low <= 0 <= found.high
        assert least <= held <= most
