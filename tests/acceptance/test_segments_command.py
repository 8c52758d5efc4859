"""tidings segments: the five that come along, a bank's own, and what is refused with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.catalogue import CustomerMerged
from support.bank import Bank
from support.facts import at, balance, paid, registered
from support.scenario import envelope
from tidings import cli

NEW_YEAR = at("2026-01-01 12:00")
OWN = """\
segment: tiers
version: 1
title: {en: Tiers, zh-CN: 等级}
classes:
  - name: large
    title: {en: Large}
    when: {is: assets, at_least: "1000"}
  - name: small
    title: {en: Small, zh-CN: 小额}
    when: {is: assets, at_most: "999.9999"}
"""
JOURNEY = """\
journey: welcome
version: 1
title: {en: Welcome}
purpose: service
topic: tiers
enter: {by: segment, segment: tiers, on: entered, classes: [large]}
steps:
  - {step: greet, do: send, template: tier-hello, channels: [email], next: done}
  - {step: done, do: end}
"""
TEMPLATE = """\
template: tier-hello
version: 1
variables: [class, before]
promotional: false
languages:
  en:
    subject: "{{ class }} after {{ before }}"
    email: "All the best."
    sms: "All the best."
    push: {title: Hello, body: "All the best."}
"""
BAD = """\
segment: bad
version: 1
title: {en: Bad}
classes:
  - name: one
    title: {en: One}
    when:
      is: all
      of:
        - {is: in_segment, segment: nowhere}
        - {is: in_segment, segment: asset-tier, classes: [wealth, none]}
        - {is: in_segment, segment: bad}
        - {is: entry_value, name: age, at_least: 3}
        - {is: days_since, fact: nothing.happened/1, at_most: 3}
  - name: one
    title: {en: One again}
    when: {is: not, of: {is: assets}}
"""


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    for name, text in (("own", OWN), ("welcome", JOURNEY), ("hello", TEMPLATE), ("bad", BAD)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return Bank(tmp_path)


def tidings(
    bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    """What a command prints on stdout and stderr; it must end with this exit code."""
    where = ["--store", bank.settings.store, "--outbox", str(bank.outbox)]
    found = cli.run([*arguments, *where])
    out, err = capsys.readouterr()
    assert found == code, (out, err)
    return out, err


def as_json(bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    return json.loads(tidings(bank, capsys, *arguments, "--json", code=code)[0])


def test_the_five_that_come_along_are_published_by_a_command(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "tidings segments publish" in tidings(bank, capsys, "segments", "list")[0]
    bank.take([envelope("c-1", NEW_YEAR, fact) for fact in (registered(), balance("600000"), paid())])
    published = as_json(bank, capsys, "segments", "publish")["published"]
    names = ["asset-tier", "behaviour", "investment-need", "life-cycle", "risk-level"]
    assert [(one["kind"], one["name"]) for one in published] == [("segment", name) for name in names]
    assert as_json(bank, capsys, "segments", "publish")["published"] == []
    tidings(bank, capsys, "run", "--until", "2026-01-05T12:00:00Z")
    listed = as_json(bank, capsys, "segments", "list")
    assert [one["segment"] for one in listed] == names
    sizes = {(s["segment"], c["class"]): c["customers"] for s in listed for c in s["classes"]}
    assert {key for key, number in sizes.items() if number} == {
        ("asset-tier", "wealth"),
        ("behaviour", "active-affluent"),
        ("life-cycle", "new"),
    }
    assert len(sizes) == 18
    assert "active-affluent" in tidings(bank, capsys, "segments", "list")[0]


def test_who_was_in_a_class_on_a_day(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    tidings(bank, capsys, "segments", "publish", str(bank.path.parent / "own.yaml"))
    bank.take([envelope(f"c-{n}", NEW_YEAR, registered()) for n in (1, 2)])
    bank.take(
        [
            envelope("c-1", at("2026-02-10 00:30"), balance("5000")),
            envelope("c-2", at("2026-02-12 12:00"), balance("50")),
            envelope("c-1", at("2026-03-10 12:00"), balance("1")),
            envelope("c-2", at("2026-04-10 12:00"), CustomerMerged(source="/test", id="m", into="c-1")),
        ]
    )
    tidings(bank, capsys, "run", "--until", "2026-05-05T12:00:00Z")
    who = ("segments", "who", "tiers")
    assert as_json(bank, capsys, *who) == [
        {"customer": "c-1", "class": "small", "since": "2026-03-10T11:00:00Z"}
    ]
    # 00:30 in Prague is still the day before in UTC.
    assert as_json(bank, capsys, *who, "--on", "2026-02-08") == []
    (first,) = as_json(bank, capsys, *who, "--on", "2026-02-09")
    assert (first["customer"], first["class"]) == ("c-1", "large")
    on = as_json(bank, capsys, *who, "--on", "2026-03-01")
    assert [(one["customer"], one["class"]) for one in on] == [("c-1", "large"), ("c-2", "small")]
    assert [
        one["customer"] for one in as_json(bank, capsys, *who, "--on", "2026-03-01", "--class", "small")
    ] == ["c-2"]
    assert "1 in all" in tidings(bank, capsys, *who, "--class", "small")[0]
    for wrong, told in (
        (["segments", "who", "tier"], "Did you mean"),
        (["segments", "show", "tier"], "there is no segment tier"),
        ([*who, "--class", "tiny"], "no class tiny"),
    ):
        assert told in tidings(bank, capsys, *wrong, code=1)[1]
    assert "does not match" in tidings(bank, capsys, *who, "--on", "yesterday", code=2)[1]


def test_a_segment_is_told_in_both_languages(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    tidings(bank, capsys, "journeys", "publish", "--segment", str(bank.path.parent / "own.yaml"))
    assert tidings(bank, capsys, "segments", "show", "tiers")[0].splitlines() == [
        "tiers 1: Tiers",
        "large (Large): if the customer's recorded assets are at least 1000.",
        "small (Small): otherwise, if the customer's recorded assets are at most 999.9999.",
        "Otherwise in no class.",
    ]
    assert tidings(bank, capsys, "segments", "show", "tiers", "--lang", "zh-CN")[0].splitlines()[2] == (
        "small（小额）：否则，如果客户有记录的资产为至多 999.9999。"
    )
    assert as_json(bank, capsys, "segments", "show", "tiers")["classes"][0]["when"] == {
        "is": "assets",
        "at_least": "1000",
    }


def test_all_that_is_wrong_is_told_at_once_with_its_place(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(bank.path.parent / "bad.yaml")
    found = as_json(bank, capsys, "segments", "validate", path, code=1)
    places = [(p["line"], p["column"], p["code"]) for p in found["problems"]]
    assert places == [
        (10, 28, "journey.unknown_segment"),
        (11, 67, "journey.unknown_class"),
        (12, 28, "segment.circle"),
        (13, 11, "condition.inside_only"),
        (14, 28, "journey.unknown_fact"),
        (15, 5, "segment.class_twice"),
        (17, 21, "journey.no_bounds"),
    ]
    tidings(bank, capsys, "segments", "publish")
    refused = as_json(bank, capsys, "segments", "publish", path, code=1)
    assert [(p["line"], p["column"], p["code"]) for p in refused["problems"]] == places
    assert as_json(bank, capsys, "segments", "validate", str(bank.path.parent / "own.yaml")) == {
        "segment": "tiers",
        "ok": True,
        "problems": [],
    }


def test_a_circle_of_two_documents_is_refused_by_both(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bank.path.parent / "circle"
    folder.mkdir()
    for name, other in (("here", "there"), ("there", "here")):
        text = OWN.replace("tiers", name).replace(
            '{is: assets, at_least: "1000"}', f"{{is: in_segment, segment: {other}}}"
        )
        (folder / f"{name}.yaml").write_text(text)
    _, err = tidings(bank, capsys, "segments", "publish", str(folder), code=1)
    assert [line.partition(": ")[2] for line in err.splitlines()] == [
        "the segments refer to each other in a circle: here > there > here",
        "the segments refer to each other in a circle: there > here > there",
    ]
    assert bank.sql("SELECT count(*) FROM documents WHERE kind = 'segment'") == [(0,)]


def test_a_journey_by_class_is_published_with_its_segment_and_explained(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bank.path.parent
    journey = ["journeys", "publish", str(folder / "welcome.yaml"), "--template", str(folder / "hello.yaml")]
    assert "there is no segment tiers" in tidings(bank, capsys, *journey, code=1)[1]
    own = str(folder / "own.yaml")
    (folder / "own.yaml").write_text(OWN.replace("large", "huge"))
    assert "has no class large" in tidings(bank, capsys, *journey, "--segment", own, code=1)[1]
    (folder / "own.yaml").write_text(OWN)
    tidings(bank, capsys, *journey, "--segment", own)
    bank.take([envelope("c-1", NEW_YEAR, fact) for fact in (registered(), balance("5"))])
    bank.take([envelope("c-1", at("2026-02-01 12:00"), balance("5000"))])
    tidings(bank, capsys, "run", "--until", "2026-03-05T12:00:00Z")
    (message,) = as_json(bank, capsys, "messages", "--journey", "welcome")
    assert message["status"] == "accepted"
    told, _ = tidings(bank, capsys, "why", message["id"])
    assert "the customer came into the class large of the segment tiers, version 1 (assets=5000)" in told
    assert (
        "客户进入客群 tiers（版本 1）的 large 类"
        in tidings(bank, capsys, "why", message["id"], "--lang", "zh-CN")[0]
    )
    assert (
        "When the customer comes into the class large"
        in tidings(bank, capsys, "journeys", "show", "welcome")[0]
    )
    # The journey in force needs the class, unless a version of it comes along that does not.
    (folder / "own.yaml").write_text(OWN.replace("large", "huge").replace("version: 1", "version: 2"))
    assert (
        "welcome, which is in force, refers to the class large"
        in tidings(bank, capsys, "segments", "publish", own, code=1)[1]
    )
    (folder / "welcome.yaml").write_text(JOURNEY.replace("large", "huge").replace("version: 1", "version: 2"))
    tidings(bank, capsys, *journey, "--segment", own)
    assert as_json(bank, capsys, "audit", "verify")["ok"] is True


def test_a_version_below_the_one_in_force_is_refused(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    own = bank.path.parent / "own.yaml"
    own.write_text(OWN.replace("version: 1", "version: 3"))
    tidings(bank, capsys, "segments", "publish", str(own))
    own.write_text(OWN)
    _, err = tidings(bank, capsys, "segments", "publish", str(own), code=1)
    assert f"{own}:2:1: version 1 of tiers would never be in force" in err


def test_a_day_of_which_events_are_archived_is_refused(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    tidings(bank, capsys, "segments", "publish", str(bank.path.parent / "own.yaml"))
    bank.sql("UPDATE partitions SET removed_seq = 7 WHERE partition = 2")
    _, err = tidings(bank, capsys, "segments", "who", "tiers", "--on", "2026-02-02", code=1)
    assert err.startswith("tidings: partition 2: its events before number 8 were moved to an archive")
