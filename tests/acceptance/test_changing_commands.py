"""The commands by which a journey is changed while customers are in the middle of it, as people use them."""

import json
from pathlib import Path
from typing import Any

import pytest

from journeys.definition import Await, Branch, Case, Consented, End, EnterOnFact, Exit, Send, Wait
from support.bank import Bank
from support.changing import asked, own, put_in_force, rulebook_number, said, send
from support.facts import at, registered
from support.scenario import envelope
from tidings import cli

NEW_YEAR = at("2026-01-01 12:00")
MIDDLE = at("2026-01-06 12:00")
FIRST = own(
    send("hello", "t-a", "pause"),
    Wait(step="pause", days=3, at="10:00", next="again"),
    send("again", "t-b", "rest"),
    Wait(step="rest", days=3, at="10:00", next="end"),
    End(step="end"),
)
YES = Consented(purpose="marketing", channel="sms", topic="offers")
SECOND = own(
    send("hello", "t-a", "which"),
    Branch(step="which", cases=(Case(when=YES, next="again"),), otherwise="rest"),
    send("again", "t-c", "rest"),
    Wait(step="rest", days=3, at="10:00", next="last"),
    send("last", "t-a", "end"),
    End(step="end"),
    version=2,
    purpose="care",
    enter=EnterOnFact(fact="x.other/1"),
    goal=None,
)
DRAFT = """\
journey: own
version: 3
title: {en: Own}
purpose: service
topic: greetings
enter: {by: fact, fact: x.ask/1}
goal: {fact: x.done/1}
steps:
  - {step: hello, do: send, template: t-a, channels: [email], next: pause}
  - {step: pause, do: wait, days: 5, at: "10:00", next: end}
  - {step: end, do: end}
"""


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """Two customers wait at the first wait, and a second version is in force."""
    bank = Bank(tmp_path)
    put_in_force(bank, FIRST)
    for number in (1, 2):
        subject = f"c-{number}"
        bank.take(
            [
                envelope(subject, NEW_YEAR, registered()),
                asked(at("2026-01-05 12:00"), subject, subject=subject),
            ]
        )
    bank.run(MIDDLE)
    put_in_force(bank, SECOND)
    return bank


class Commands:
    """Runs commands on the bank's store."""

    def __init__(self, bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
        self._bank = bank
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """What a command prints on stdout and stderr; it must end with this exit code."""
        where = ["--store", self._bank.settings.store, "--outbox", str(self._bank.outbox)]
        found = cli.run([*arguments, *where])
        out, err = self._capsys.readouterr()
        assert found == code, (out, err)
        assert "Traceback" not in err
        return out, err

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json")[0])

    def refused(self, *arguments: str) -> str:
        """The one line of a refusal."""
        out, err = self(*arguments, code=1)
        assert out == ""
        (line,) = err.strip().splitlines()
        return line


@pytest.fixture
def tidings(bank: Bank, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(bank, capsys)


def test_diff_tells_what_differs_and_what_it_means_for_who_is_inside(tidings: Commands) -> None:
    out, _ = tidings("journeys", "diff", "own")
    assert [line.rstrip() for line in out.splitlines()] == [
        "Journey own, version 1 against version 2:",
        "Purpose: service -> care",
        "Entry: When x.ask/1 arrives. -> When x.other/1 arrives.",
        "Goal: no longer: x.done/1",
        "Step hello leads elsewhere.",
        "  - to pause",
        "  + to which",
        "Step pause is gone.",
        "  - Wait for the first 10:00 by which 3 days have passed.",
        "  - to again",
        "Step again does something else.",
        "  - Send t-b by e-mail, the first that may be used.",
        "  + Send t-c by e-mail, the first that may be used.",
        "Step rest leads elsewhere.",
        "  - to end",
        "  + to last",
        "Step which is new.",
        "  + Go the first way whose condition holds.",
        "  + to again if the customer's last word on marketing by SMS on the topic offers is yes",
        "  + else to rest",
        "Step last is new.",
        "  + Send t-a by e-mail, the first that may be used.",
        "  + to end",
        "",
        "version  step   inside  goes on",
        "      1  pause       2  leaves the journey: no such step, and none is named with --map",
    ]


def test_diff_tells_exits_and_awaited_facts_as_sentences(tidings: Commands, bank: Bank) -> None:
    listen = Await(
        step="rest", fact="x.word/1", within_days=3, at="10:00", when=YES, next="last", otherwise="end"
    )
    exits = (
        Exit(exit="gone", fact="x.gone/1"),
        Exit(exit="said", fact="x.said/1", when=YES),
        Exit(exit="yes", when=YES),
    )
    last = send("last", "t-a", "end")
    put_in_force(bank, own(listen, last, End(step="end"), version=3, exits=exits))
    out, _ = tidings("journeys", "diff", "own", "--from", "2")
    yes = "if the customer's last word on marketing by SMS on the topic offers is yes"
    told = (
        f"gone: when x.gone/1 arrives. said: when x.said/1 arrives, {yes}. yes: when a wait is over, {yes}."
    )
    assert f"Exits: - -> {told}" in out
    assert f"  + Wait for x.word/1, {yes}; if it has not come within 3 days, at 10:00, go on to end." in out
    assert "  + else to end\n" in out
    assert "  + to last\n" not in out
    assert "gone：收到 x.gone/1 时" in tidings("journeys", "diff", "own", "--lang", "zh-CN")[0]


def test_what_sentences_do_not_tell_is_told_by_fields(tidings: Commands, bank: Bank) -> None:
    last = Send(step="last", template="t-a", channels=("email",), product_risk=3, next="end")
    put_in_force(bank, own(*(last if s.step == "last" else s for s in SECOND.steps), version=3))
    out, _ = tidings("journeys", "diff", "own", "--from", "2")
    assert "Step last does something else.\n    product_risk: - -> 3\n" in out


def test_diff_in_json(tidings: Commands) -> None:
    told = tidings.json("journeys", "diff", "own", "--from", "1", "--to", "2")
    assert (told["journey"], told["from"], told["to"]) == ("own", 1, 2)
    assert [(d["part"], d["name"], d["sort"]) for d in told["differences"]] == [
        ("journey", "purpose", "changed"),
        ("journey", "enter", "changed"),
        ("journey", "goal", "removed"),
        ("step", "hello", "rewired"),
        ("step", "pause", "removed"),
        ("step", "again", "changed"),
        ("step", "rest", "rewired"),
        ("step", "which", "added"),
        ("step", "last", "added"),
    ]
    assert [(g["step"], g["enrolments"], g["goes"], g["to"]) for g in told["inside"]] == [
        ("pause", 2, "ends", None)
    ]
    assert told["repeats"] == []


def test_diff_with_a_draft_that_is_not_published(tidings: Commands, tmp_path: Path) -> None:
    (tmp_path / "draft.yaml").write_text(DRAFT)
    told = tidings.json("journeys", "diff", "own", "--from", "1", "--to", str(tmp_path / "draft.yaml"))
    names = [(d["name"], d["sort"]) for d in told["differences"]]
    assert names == [("pause", "changed"), ("again", "removed"), ("rest", "removed")]
    assert [(g["goes"], g["next"]) for g in told["inside"]] == [("stays", None)]
    line = tidings.refused("journeys", "diff", "birthday", "--to", str(tmp_path / "draft.yaml"))
    assert line.endswith("this is the journey own; expected birthday")


def test_two_versions_that_are_the_same(tidings: Commands) -> None:
    out, _ = tidings("journeys", "diff", "own", "--from", "2", "--to", "2")
    assert "No difference." in out
    assert "Nobody is inside" in out
    assert "没有差异" in tidings("journeys", "diff", "own", "--from", "2", "--to", "2", "--lang", "zh-CN")[0]


def test_a_migration_is_shown_then_approved_then_done(tidings: Commands, bank: Bank) -> None:
    before = rulebook_number(bank)
    shown = tidings.json("journeys", "migrate", "own", "--to", "2", "--map", "pause=rest")
    assert (shown["from"], shown["to"], shown["published"], shown["new"]) == ([1], 2, False, False)
    assert [(g["step"], g["enrolments"], g["goes"], g["to"], g["next"]) for g in shown["inside"]] == [
        ("pause", 2, "moves", "rest", None)
    ]
    assert shown["repeats"] == [{"step": "last", "template": "t-a", "enrolments": 2}]
    assert rulebook_number(bank) == before
    out, _ = tidings("journeys", "migrate", "own", "--to", "2", "--map", "pause=rest")
    assert f"--approve {shown['digest'][:12]}" in out
    assert "skips them" in out
    done = tidings.json(
        "journeys", "migrate", "own", "--to", "2", "--map", "pause=rest", "--approve", shown["digest"]
    )
    assert (done["published"], done["new"]) == (True, True)
    assert rulebook_number(bank) == before + 1
    bank.run(at("2026-02-01 12:00"))
    assert said(bank) == [("t-a", "accepted", None), ("t-a", "accepted", None)]
    again = ("journeys", "migrate", "own", "--to", "2", "--map", "pause=rest", "--approve", shown["digest"])
    assert "in force already; nothing was changed" in tidings(*again)[0]
    assert tidings.json(*again)["new"] is False
    assert rulebook_number(bank) == before + 1
    assert bank.verify().findings == []


def test_another_plan_than_the_one_that_was_looked_at_is_refused(tidings: Commands, bank: Bank) -> None:
    shown = tidings.json("journeys", "migrate", "own", "--to", "2", "--map", "pause=rest")
    before = rulebook_number(bank)
    line = tidings.refused(
        "journeys", "migrate", "own", "--to", "2", "--end", "pause", "--approve", shown["digest"]
    )
    assert "look at it again" in line
    for short in ("", shown["digest"][:11]):
        assert "look at it again" in tidings.refused(
            "journeys", "migrate", "own", "--to", "2", "--map", "pause=rest", "--approve", short
        )
    assert rulebook_number(bank) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("journeys", "diff", "owm"), "no journey owm is in force. Did you mean"),
        (("journeys", "diff", "own", "--from", "9"), "has no published version 9. Did you mean 1, 2?"),
        (("journeys", "diff", "own", "--to", "1"), "has no published version before 1."),
        (("journeys", "migrate", "owm", "--to", "2"), "no journey owm is in force. Did you mean"),
        (("journeys", "migrate", "own", "--to", "3"), "has no published version 3. Did you mean 1, 2?"),
        (("journeys", "migrate", "own", "--to", "1"), "publish the former content as a new version"),
        (("journeys", "migrate", "own", "--to", "2", "--map", "paus=rest"), "has a step paus. Did you mean"),
        (("journeys", "migrate", "own", "--to", "2", "--map", "pause=res"), "has no step res. Did you mean"),
        (("journeys", "migrate", "own", "--to", "2", "--end", "nowhere"), "has a step nowhere."),
        (
            ("journeys", "migrate", "own", "--to", "2", "--map", "pause=rest", "--end", "pause"),
            "both mapped and ended",
        ),
        (("journeys", "pause", "owm"), "no journey owm is in force. Did you mean"),
        (("journeys", "resume", "owm"), "no journey owm is in force. Did you mean"),
        (("journeys", "stop", "owm"), "no journey owm is in force. Did you mean"),
        (("templates", "withdraw", "t-e"), "no template t-e is published. Did you mean"),
        (("templates", "withdraw", "t-a", "--version", "2"), "has no published version 2. Did you mean 1?"),
    ],
)
def test_what_nobody_knows_is_one_clear_line(
    tidings: Commands, bank: Bank, arguments: tuple[str, ...], told: str
) -> None:
    before = rulebook_number(bank)
    assert told in tidings.refused(*arguments)
    assert rulebook_number(bank) == before


@pytest.mark.parametrize("mapped", ["pause", "=rest", "pause=", "pause=rest=no"])
def test_a_mapping_is_two_names(tidings: Commands, mapped: str) -> None:
    code = 1 if mapped.count("=") == 2 else 2
    _, err = tidings("journeys", "migrate", "own", "--to", "2", "--map", mapped, code=code)
    assert mapped in err or "rest=no" in err


def test_a_step_goes_one_way(tidings: Commands) -> None:
    twice = ("--map", "pause=rest", "--map", "pause=last")
    _, err = tidings("journeys", "migrate", "own", "--to", "2", *twice, code=2)
    assert "'rest' and 'last'" in err


def test_pause_resume_and_stop_say_what_they_did_and_do_it_once(tidings: Commands, bank: Bank) -> None:
    before = rulebook_number(bank)
    steps = (
        (("resume",), "running", "runs already"),
        (("pause",), "paused", "is paused"),
        (("pause",), "paused", "is paused already"),
        (("resume",), "running", "runs again"),
        (("stop",), "stopped", "who is inside finishes"),
        (("stop",), "stopped", "is stopped already"),
        (("stop", "--end-now"), "ended", "who is inside leaves"),
        (("stop", "--end-now"), "ended", "for everybody already"),
    )
    changed = 0
    for (command, *options), state, told in steps:
        known = rulebook_number(bank)
        out, _ = tidings("journeys", command, "own", *options)
        assert told in out
        assert ("already" in out) == (rulebook_number(bank) == known)
        changed += rulebook_number(bank) - known
        again = tidings.json("journeys", command, "own", *options)
        assert again == {"journey": "own", "state": state, "changed": False}
    assert rulebook_number(bank) == before + changed == before + 4
    assert "已暂停" in tidings("journeys", "pause", "own", "--lang", "zh-CN")[0]


def test_a_template_is_withdrawn_once_and_who_uses_it_is_told(tidings: Commands, bank: Bank) -> None:
    out, _ = tidings("templates", "withdraw", "t-a")
    assert "Withdrawn of the template t-a: version 1." in out
    assert "Warning: these journeys send the template t-a" in out
    told = tidings.json("templates", "withdraw", "t-a")
    assert told == {
        "template": "t-a",
        "withdrawn": [],
        "journeys": [{"journey": "own", "version": 1}, {"journey": "own", "version": 2}],
    }
    assert "withdrawn already; nothing was changed" in tidings("templates", "withdraw", "t-a")[0]
    assert tidings.json("templates", "withdraw", "t-d")["journeys"] == []


def test_a_change_that_was_killed_half_way_is_made_good_by_the_next(
    tidings: Commands, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is with the authored documents, the rulebook is not."""
    with monkeypatch.context() as patch:
        patch.setattr("tidings.authoring._put_in_force", lambda *_: None)
        tidings("journeys", "pause", "own")
    before = rulebook_number(bank)
    # Whatever comes next finds the journey paused.
    assert tidings.json("journeys", "resume", "own")["changed"] is True
    assert rulebook_number(bank) == before + 2
