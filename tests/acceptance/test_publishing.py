"""tidings journeys publish: a bank's own journeys come into force, all or none, and reach who is there."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from domain.catalogue import ComplaintResolved, Fact, SessionStarted
from support.bank import Bank
from support.facts import at, registered
from support.scenario import envelope
from tidings import cli

NEW_YEAR = at("2026-01-01 12:00")
JOURNEY = """\
journey: name-day
version: 1
title: {en: Name day}
purpose: care
topic: greetings
enter: {by: birthday, at: "18:00"}
steps:
  - {step: greet, do: send, template: hello, channels: [email], next: done}
  - {step: done, do: end}
"""
TEMPLATE = """\
template: hello
version: 1
variables: [given_name]
promotional: false
languages:
  en:
    subject: "Hello {{ given_name }}"
    email: "All the best."
    sms: "All the best."
    push: {title: Hello, body: "All the best."}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "name-day.yaml").write_text(JOURNEY)
    (tmp_path / "hello.yaml").write_text(TEMPLATE)
    return tmp_path


@pytest.fixture
def bank(folder: Path) -> Bank:
    return Bank(folder)


def tidings(
    bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    """What a command prints on stdout and stderr; it must end with this exit code."""
    where = ["--store", bank.settings.store, "--outbox", str(bank.outbox)]
    found = cli.run([*arguments, *where])
    out, err = capsys.readouterr()
    assert found == code, (out, err)
    return out, err


def published(bank: Bank) -> list[tuple[Any, ...]]:
    return bank.sql("SELECT kind, name, version FROM documents WHERE name IN ('name-day', 'hello')")


def rulebooks(bank: Bank) -> int:
    return int(bank.sql("SELECT max(number) FROM rulebooks WHERE partition = 0")[0][0])


def test_a_bank_publishes_its_own_journey_with_its_template(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [str(folder / "name-day.yaml"), "--template", str(folder / "hello.yaml")]
    bank.take([envelope("c-1", NEW_YEAR, registered(given_name="Jana"))])
    bank.run(at("2026-02-01 12:00"))
    out, _ = tidings(bank, capsys, "journeys", "publish", *own, "--json")
    new = [
        {"kind": "template", "name": "hello", "version": 1},
        {"kind": "journey", "name": "name-day", "version": 1},
    ]
    assert json.loads(out) == {"ok": True, "published": new, "problems": []}
    out, _ = tidings(bank, capsys, "run", "--until", "2026-02-01T12:00:00+01:00", "--json")
    assert json.loads(out)["planned"] == 1
    tidings(bank, capsys, "run", "--until", "2026-12-31T00:00:00Z")
    out, _ = tidings(bank, capsys, "messages", "--journey", "name-day", "--json")
    (message,) = json.loads(out)
    assert (message["status"], message["requested_at"]) == ("accepted", "2026-05-03T16:00:00Z")
    out, _ = tidings(bank, capsys, "why", message["id"])
    assert "other rules came into force for the customer (rulebook " in out
    out, _ = tidings(bank, capsys, "why", message["id"], "--lang", "zh-CN")
    assert "新的规则对该客户生效" in out
    out, _ = tidings(bank, capsys, "replay", "c-1")
    assert "rulebook.adopted/1" in out


def test_the_same_again_is_nothing_new_and_changes_nothing(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "own").mkdir()
    (folder / "name-day.yaml").rename(folder / "own" / "name-day.yaml")
    own = [str(folder / "own"), "--template", str(folder / "hello.yaml")]
    assert "Published and put in force" in tidings(bank, capsys, "journeys", "publish", *own)[0]
    assert rulebooks(bank) == 2
    assert "published already" in tidings(bank, capsys, "journeys", "publish", *own)[0]
    assert rulebooks(bank) == 2
    # The template need not be given again.
    out, _ = tidings(bank, capsys, "journeys", "publish", str(folder / "own"), "--json")
    assert json.loads(out)["published"] == []


def test_a_version_that_is_taken_is_refused_with_all_that_came_with_it(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [str(folder / "name-day.yaml"), "--template", str(folder / "hello.yaml")]
    tidings(bank, capsys, "journeys", "publish", *own)
    (folder / "name-day.yaml").write_text(JOURNEY.replace("18:00", "19:00"))
    (folder / "hello.yaml").write_text(TEMPLATE.replace("version: 1", "version: 2"))
    _, err = tidings(bank, capsys, "journeys", "publish", *own, code=1)
    assert err.strip() == (
        "tidings: journey name-day: version 1 is already published with other content; give it a new version"
    )
    assert sorted(published(bank)) == [("journey", "name-day", 1), ("template", "hello", 1)]
    assert rulebooks(bank) == 2


def test_every_problem_of_every_file_is_told_and_nothing_is_published(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "lost.yaml").write_text(JOURNEY.replace("next: done", "next: nowhere"))
    (folder / "odd.yaml").write_text(JOURNEY.replace("care", "fun"))
    files = [str(folder / name) for name in ("name-day.yaml", "lost.yaml", "odd.yaml")]
    out, err = tidings(bank, capsys, "journeys", "publish", *files, "--json", code=1)
    told = json.loads(out)
    assert (told["ok"], told["published"]) == (False, [])
    assert [(Path(p["path"]).name, p["line"], p["code"]) for p in told["problems"]] == [
        ("name-day.yaml", 8, "journey.unknown_template"),
        ("lost.yaml", 8, "journey.dangling"),
        ("lost.yaml", 8, "journey.unknown_template"),
        ("lost.yaml", 9, "journey.unreachable"),
        ("odd.yaml", 4, "document.unfit"),
    ]
    lines = err.strip().splitlines()
    assert [line.count(".yaml:") for line in lines] == [1] * 5
    assert published(bank) == []
    assert rulebooks(bank) == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("variables: [given_name]", "variables: []", "does not declare"),
        ("email: ", "words: ", "hello.yaml:8:5:"),
    ],
)
def test_a_template_with_a_problem_is_told_with_its_file(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str], old: str, new: str, told: str
) -> None:
    (folder / "hello.yaml").write_text(TEMPLATE.replace(old, new))
    own = [str(folder / "name-day.yaml"), "--template", str(folder / "hello.yaml")]
    _, err = tidings(bank, capsys, "journeys", "publish", *own, code=1)
    assert len(err.strip().splitlines()) == 1
    assert told in err
    assert "hello.yaml" in err
    assert published(bank) == []


def test_a_version_below_the_one_in_force_is_refused(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "name-day.yaml"
    path.write_text(JOURNEY.replace("version: 1", "version: 3"))
    tidings(bank, capsys, "journeys", "publish", str(path), "--template", str(folder / "hello.yaml"))
    path.write_text(JOURNEY.replace("version: 1", "version: 2"))
    _, err = tidings(bank, capsys, "journeys", "publish", str(path), code=1)
    assert "name-day.yaml:2:1: version 2 of name-day would never be in force, since version 3 is" in err


@pytest.mark.parametrize("missing", ["nowhere.yaml", "empty"])
def test_nothing_to_publish_is_one_line(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    (folder / "empty").mkdir()
    _, err = tidings(bank, capsys, "journeys", "publish", str(folder / missing), code=1)
    assert len(err.strip().splitlines()) == 1
    assert missing in err


OWN_DAYS = """\
calendar: bank
version: 2
title: {en: Days of the bank}
working:
  first_year: 2026
  last_year: 2026
  holidays:
    - name: {en: Day of the bank}
      days: ["2026-05-04"]
"""


def test_a_calendar_comes_into_force_with_a_journey_or_alone(
    bank: Bank, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bank.yaml").write_text(OWN_DAYS)
    (folder / "ends.yaml").write_text(
        JOURNEY.replace(
            "birthday", "maturity, kinds: [loan], offsets: [0], moved: {calendar: bank, to: after}"
        )
        .replace("name-day", "ends")
        .replace("hello", "birthday-greeting")
    )
    ends, days = str(folder / "ends.yaml"), str(folder / "bank.yaml")
    _, err = tidings(bank, capsys, "journeys", "publish", ends, code=1)
    assert "ends.yaml:6:" in err
    assert "there is no such calendar bank" in err
    out, _ = tidings(bank, capsys, "journeys", "publish", ends, "--calendar", days, "--json")
    assert [new["name"] for new in json.loads(out)["published"]] == ["bank", "ends"]
    (folder / "bank.yaml").write_text(OWN_DAYS.replace("version: 2", "version: 3"))
    out, _ = tidings(bank, capsys, "journeys", "publish", "--calendar", days, "--json")
    assert json.loads(out)["published"] == [{"kind": "calendar", "name": "bank", "version": 3}]


def test_a_calendar_that_is_wrong_or_too_old_is_told_with_its_place(
    bank: Bank, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = folder / "bank.yaml"
    days.write_text(OWN_DAYS.replace("2026-05-04", "2026-05-40"))
    _, err = tidings(bank, capsys, "journeys", "publish", "--calendar", str(days), code=1)
    assert "bank.yaml:4:1: " in err
    days.write_text(OWN_DAYS)
    tidings(bank, capsys, "journeys", "publish", "--calendar", str(days))
    days.write_text(OWN_DAYS.replace("version: 2", "version: 1"))
    _, err = tidings(bank, capsys, "journeys", "publish", "--calendar", str(days), code=1)
    assert "bank.yaml:2:1: version 1 of bank would never be in force, since version 2 is" in err


def test_nothing_to_publish_is_a_wrong_use(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    tidings(bank, capsys, "journeys", "publish", code=2)


CHOOSY = """\
journey: choosy
version: 1
title: {en: Choosy}
purpose: care
topic: greetings
enter:
  by: fact
  fact: complaint.resolved/1
  when:
    is: all
    of:
      - {is: not, of: {is: entered, journey: name-day, within_days: 30}}
      - is: any
        of:
          - {is: attribute, name: age, at_least: 60}
          - {is: holds, kinds: [loan], matures_within_days: 90}
steps:
  - step: choose
    do: branch
    cases:
      - when: {is: days_since, fact: session.started/1, at_most: 29}
        next: call
    otherwise: done
  - step: call
    do: task
    role: operator
    title: {en: Call}
    due_days: 3
    next: done
  - {step: done, do: end}
"""


def test_a_condition_may_name_a_journey_that_comes_with_it_and_no_unknown_one(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "choosy.yaml").write_text(CHOOSY)
    alone = [str(folder / "choosy.yaml")]
    _, err = tidings(bank, capsys, "journeys", "publish", *alone, code=1)
    assert f"{alone[0]}:12:37: there is no journey name-day; expected one of birthday, choosy" in err
    with_it = [*alone, str(folder / "name-day.yaml"), "--template", str(folder / "hello.yaml")]
    tidings(bank, capsys, "journeys", "publish", *with_it)


def test_a_journey_is_shown_with_its_conditions_as_sentences(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "choosy.yaml").write_text(CHOOSY)
    own = [str(folder / name) for name in ("choosy.yaml", "name-day.yaml")]
    tidings(bank, capsys, "journeys", "publish", *own, "--template", str(folder / "hello.yaml"))
    english, _ = tidings(bank, capsys, "journeys", "show", "choosy")
    assert (
        "Enter: When complaint.resolved/1 arrives, if the customer's last entry into the journey name-day, "
        "if any, was more than 30 days ago, and (the customer is at least 60 years old, or the customer "
        "holds at least 1 contract of the kind loan with the last day today or in the next 90 days).\n"
    ) in english
    assert (
        "Step choose:\nIf the last session.started/1 was at most 29 days ago: call.\nOtherwise: done.\n"
    ) in english
    chinese, _ = tidings(bank, capsys, "journeys", "show", "choosy", "--lang", "zh-CN")
    assert "如果最近一次 session.started/1 距今至多 29 天：call。\n否则：done。\n" in chinese


def test_a_condition_decides_in_a_run_and_the_record_can_be_checked(
    folder: Path, bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "choosy.yaml").write_text(CHOOSY)
    own = [str(folder / name) for name in ("choosy.yaml", "name-day.yaml")]
    tidings(bank, capsys, "journeys", "publish", *own, "--template", str(folder / "hello.yaml"))
    told = [
        ("old", date(1960, 1, 1), True),
        ("quiet", date(1960, 1, 1), False),
        ("young", date(2000, 1, 1), True),
    ]
    for subject, birth_date, signed_in in told:
        facts: list[Fact] = [registered(birth_date=birth_date)]
        if signed_in:
            facts.append(SessionStarted(source="/test", id=f"{subject}-session", channel="app"))
        facts.append(ComplaintResolved(source="/test", id=f"{subject}-complaint", complaint="c"))
        bank.take([envelope(subject, NEW_YEAR, fact) for fact in facts])
    bank.run(NEW_YEAR)
    out, _ = tidings(bank, capsys, "tasks", "--json")
    assert [task["customer"] for task in json.loads(out)] == ["old"]
    assert bank.verify().findings == []
