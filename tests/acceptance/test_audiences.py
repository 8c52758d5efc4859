"""Audiences on the command line: what is asked is told first, what is wrong with its place."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from support.bank import Bank
from support.facts import at, erased, granted, held, opened, paid, registered
from support.scenario import envelope
from tidings.cli import commands
from tidings.cli import run as main

NOON = at("2026-03-10 12:00")
ROOT = Path(__file__).resolve().parents[2]
CARE = "is: not\nof: {is: care_held}\n"


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """Six customers at noon of 10 March 2026: two hold a deposit, one is under a care hold, one is erased."""
    bank = Bank(tmp_path)
    told = [envelope(f"c-{n}", NOON, replace(registered(), id=f"c-{n}")) for n in range(6)]
    told += [envelope(f"c-{n}", NOON, replace(opened(), id=f"d-{n}")) for n in (1, 4)]
    told += [envelope("c-4", NOON, held()), envelope("c-5", NOON, erased()), envelope("c-1", NOON, granted())]
    told += [envelope("c-2", NOON - timedelta(days=3), paid())]
    assert bank.take(told).refused == []
    bank.run(NOON)
    return bank


def asked(
    bank: Bank, capfd: pytest.CaptureFixture[str], what: str, where: str | Path, *more: str
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``tidings audience``."""
    file = where if isinstance(where, Path) else bank.outbox.parent / "where.yaml"
    if isinstance(where, str):
        file.write_text(where, encoding="utf-8")
    capfd.readouterr()
    code = main(["audience", what, "--where", str(file), "--store", bank.settings.store, *more])
    told = capfd.readouterr()
    return code, told.out, told.err


def test_the_condition_is_told_and_then_the_number(bank: Bank, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = asked(bank, capfd, "count", CARE)
    assert code == 0
    assert out.splitlines() == [
        "Customers of whom this is true: the customer is under no care hold.",
        "4 of 5 customers, as of 2026-03-10 11:00Z.",
    ]
    chinese = asked(bank, capfd, "count", CARE, "--lang", "zh-CN")[1]
    assert chinese.splitlines()[0] == "符合以下条件的客户：客户不处于关怀暂停。"


def test_customers_are_listed_by_their_ids(bank: Bank, capfd: pytest.CaptureFixture[str]) -> None:
    assert asked(bank, capfd, "list", CARE)[1].splitlines()[1:] == ["c-0", "c-1", "c-2", "c-3"]
    assert asked(bank, capfd, "list", CARE, "--limit", "2")[1].splitlines()[1:] == ["c-0", "c-1"]


def test_json_is_one_document(bank: Bank, capfd: pytest.CaptureFixture[str]) -> None:
    given = {"as_of": "2026-03-10T11:00:00Z", "sentence": "the customer is under no care hold"}
    assert json.loads(asked(bank, capfd, "count", CARE, "--json")[1]) == {**given, "count": 4, "customers": 5}
    listed = json.loads(asked(bank, capfd, "list", CARE, "--json", "--limit", "1")[1])
    assert listed == {**given, "customers": ["c-0"]}


def test_days_are_counted_from_the_instant_that_is_given(
    bank: Bank, capfd: pytest.CaptureFixture[str]
) -> None:
    where = "{is: fact_count, fact: transaction.posted/1, in_days: 4}"
    assert asked(bank, capfd, "list", where)[1].splitlines()[1:] == ["c-2"]
    assert asked(bank, capfd, "list", where, "--as-of", "2026-03-11T12:00:00+01:00")[1].splitlines()[1:] == []
    code, _, err = asked(bank, capfd, "list", where, "--as-of", "2026-03-10T10:59:59Z")
    assert (code, err.count("\n")) == (1, 1)
    assert "2026-03-10T11:00:00+00:00" in err


BAD = """\
is: all
of:
  - {is: entry_value, name: age, at_least: 18}
  - {is: fact_count, fact: nothing.happened/1, in_days: 3}
  - is: not
    of: {is: step_outcome, step: greet, is_one_of: [accepted]}
  - {is: entered, journey: nowhere}
  - {is: message_count, ended: [accepted], template: nothing, in_days: 3}
"""


def test_all_that_is_wrong_is_told_with_line_and_column(
    bank: Bank, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = asked(bank, capfd, "count", BAD)
    assert (code, out) == (1, "")
    places = [line.split("where.yaml:")[1].split(": ")[0] for line in err.splitlines()]
    assert places == ["3:5", "4:22", "6:5", "7:19", "8:44"]
    told = json.loads(asked(bank, capfd, "list", BAD, "--json")[1])
    assert [problem["code"] for problem in told["problems"]] == [
        "condition.inside_only",
        "journey.unknown_fact",
        "condition.inside_only",
        "journey.unknown_journey",
        "journey.unknown_template",
    ]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("is: magic\n", "where.yaml:1:1: "),
        ("is: all\nof:\n  - {is: holds, kinds: [house]}\n", "where.yaml:3:25: "),
        ("is: [\n", "where.yaml:2:1: "),
        ("- is: care_held\n", "expected a document with keys"),
        (f"is: any\nof: [{', '.join(['{is: care_held}'] * 200)}]\n", "at most 200 parts and 25 levels"),
    ],
)
def test_what_is_no_condition_is_one_line(
    bank: Bank, capfd: pytest.CaptureFixture[str], where: str, told: str
) -> None:
    code, _, err = asked(bank, capfd, "count", where)
    assert (code, err.count("\n")) == (1, 1)
    assert told in err


def test_a_missing_file_is_one_line(bank: Bank, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = asked(bank, capfd, "count", tmp_path / "none.yaml")
    assert (code, err.count("\n")) == (1, 1)


def test_a_rebuild_makes_wrong_tables_right(bank: Bank, capfd: pytest.CaptureFixture[str]) -> None:
    assert asked(bank, capfd, "list", CARE)[1].splitlines()[1:] == ["c-0", "c-1", "c-2", "c-3"]
    bank.sql("DELETE FROM traits")
    assert len(asked(bank, capfd, "list", CARE)[1].splitlines()) == 6
    assert main(["rebuild", "--store", bank.settings.store]) == 0
    assert len(asked(bank, capfd, "list", CARE)[1].splitlines()) == 5


def test_the_example_of_the_how_to_is_the_file(bank: Bank, capfd: pytest.CaptureFixture[str]) -> None:
    example = ROOT / "examples" / "quiet-savers.yaml"
    page = (ROOT / "docs" / "how-to" / "audiences.md").read_text(encoding="utf-8")
    assert example.read_text(encoding="utf-8").split("\n", 1)[1] in page
    assert asked(bank, capfd, "list", example)[1].splitlines()[1:] == ["c-1"]


def test_help_names_the_commands() -> None:
    assert "count" in CliRunner().invoke(commands, ["audience", "--help"]).output
