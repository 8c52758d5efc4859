"""A bank's own policy comes into force or is refused with its place; verdicts cite the consent."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.errors import InputRefused
from domain.policy import Policy
from support.bank import PUBLISHED_AT, Bank
from support.facts import at, granted, paid, registered, withdrawn
from support.scenario import envelope
from tidings import cli
from tidings.authoring import publish
from tidings.documents import Documents, decode, read_document

MORNING = at("2026-01-05 10:00")
POLICY = """\
policy: own
version: 2
consent: {marketing: granted, care: not_withdrawn, service: not_needed, regulatory: not_needed}
care_hold_stops: [marketing, care]
quiet_hours:
  - name: public holidays
    purposes: [marketing, care]
    holidays: {calendar: cz}
  - {name: night, purposes: [marketing], from: "21:00", to: "08:00"}
valid_hours: {marketing: 240}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path)


def tidings(
    bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    """What a command prints on stdout and stderr; it must end with this exit code."""
    found = cli.run([*arguments, "--store", bank.settings.store, "--outbox", str(bank.outbox)])
    out, err = capsys.readouterr()
    assert found == code, (out, err)
    return out, err


def message(bank: Bank, capsys: pytest.CaptureFixture[str], journey: str) -> dict[str, Any]:
    out, _ = tidings(bank, capsys, "messages", "--journey", journey, "--json")
    (found,) = json.loads(out)
    return dict(found)


class TestPublishing:
    def test_holidays_of_its_calendar_put_off_what_the_shipped_policy_would_send(
        self, bank: Bank, own: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Easter Monday of 2026 is 6 April: a survey that is due then leaves on the morning of the 7th."""
        out, _ = tidings(bank, capsys, "journeys", "publish", "--policy", str(own), "--json")
        assert json.loads(out)["published"] == [{"kind": "policy", "name": "own", "version": 2}]
        told = [registered(), granted()]
        bank.take([envelope("c-1", at("2026-02-01 12:00"), fact) for fact in told])
        bank.take([envelope("c-1", at("2026-02-05 12:00"), paid())])
        bank.run(at("2026-04-10 12:00"))
        found = message(bank, capsys, "win-back")
        assert (found["requested_at"], found["sent_at"]) == ("2026-04-06T10:00:00Z", "2026-04-07T06:00:00Z")
        out, _ = tidings(bank, capsys, "why", found["id"])
        assert "the message was put off until 2026-04-07 06:00 UTC (quiet hours)." in out
        assert bank.verify().findings == []

    @pytest.mark.parametrize("name", ["nowhere", "lunar"])
    def test_a_calendar_without_working_days_is_refused_with_its_place(
        self, bank: Bank, own: Path, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own.write_text(POLICY.replace("cz", name))
        _, err = tidings(bank, capsys, "journeys", "publish", "--policy", str(own), code=1)
        told = f"there is no calendar {name} with working days; expected one of cn, cz, gb-eng"
        assert err.strip() == f"{own}:8:16: {told}"
        assert bank.sql("SELECT name FROM documents WHERE kind = 'policy'") == [("standard",)]

    def test_a_calendar_that_comes_with_it_may_be_named(
        self, bank: Bank, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own.write_text(POLICY.replace("cz", "branch"))
        days = tmp_path / "branch.yaml"
        days.write_text(
            "calendar: branch\nversion: 1\ntitle: {en: Branch}\n"
            "working: {first_year: 2026, last_year: 2026, holidays: []}\n"
        )
        tidings(bank, capsys, "journeys", "publish", "--policy", str(own), "--calendar", str(days))

    def test_a_version_that_would_not_come_into_force_is_refused(
        self, bank: Bank, own: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own.write_text(POLICY.replace("version: 2", "version: 1"))
        _, err = tidings(bank, capsys, "journeys", "publish", "--policy", str(own), code=1)
        assert err.startswith(f"{own}:2:1: version 1 of own would never be in force")

    def test_a_window_without_times_and_holidays_is_refused_with_its_place(
        self, bank: Bank, own: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own.write_text(POLICY.replace('from: "21:00", to: "08:00"', 'to: "08:00"'))
        _, err = tidings(bank, capsys, "journeys", "publish", "--policy", str(own), code=1)
        assert err.startswith(f"{own}:9:5: a window has both `from` and `to`, or neither")

    def test_the_library_refuses_what_the_command_refuses(self, bank: Bank, own: Path) -> None:
        own.write_text(POLICY.replace("cz", "nowhere"))
        documents = Documents([], [], decode(read_document(own), Policy))
        with pytest.raises(InputRefused, match=r"policy\.invalid"):
            publish(bank.tidings.engine, documents, at=PUBLISHED_AT)


TOLD = {
    "text_version": "2026-01",
    "captured_through": "branch",
    "captured_by": "officer 17",
    "captured_from": "Prague 1, counter 3",
}


class TestConsent:
    def test_a_message_that_was_sent_names_the_yes_it_rests_on_and_how_it_was_given(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = [registered(), granted(**TOLD), paid()]
        bank.take([envelope("c-1", MORNING, fact) for fact in told])
        bank.run(at("2026-03-10 12:00"))
        found = message(bank, capsys, "win-back")
        out, _ = tidings(bank, capsys, "why", found["id"])
        assert (
            "It rests on the customer's yes of 2026-01-05 09:00 UTC (event 3 of their history): "
            "branch form 7, to the text 2026-01, given through branch, taken down by officer 17."
        ) in out.replace("\n", " ")
        out, _ = tidings(bank, capsys, "why", found["id"], "--lang", "zh-CN")
        assert (
            "依据是客户于 2026-01-05 09:00 UTC 作出的同意（其历史第 3 条事件）："
            "branch form 7，文本版本 2026-01，通过 branch 作出，由 officer 17 受理。" in out
        )
        out, _ = tidings(bank, capsys, "why", found["id"], "--json")
        assert json.loads(out)["consent"]["values"]["captured_by"] == "officer 17"
        assert "counter 3" not in out
        out, _ = tidings(bank, capsys, "replay", "c-1", "--json")
        (yes,) = [e["body"] for e in json.loads(out)["events"] if e["kind"] == "consent.granted/1"]
        assert {name: yes[name] for name in TOLD} == TOLD
        assert "+marketing/*/* (branch form 7, " in tidings(bank, capsys, "replay", "c-1")[0]
        assert bank.verify().findings == []

    def test_a_message_that_was_not_sent_names_the_no(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        no = withdrawn(captured_through="app")
        bank.take([envelope("c-1", MORNING, fact) for fact in (registered(), granted(), paid(), no)])
        bank.run(at("2026-03-10 12:00"))
        out, _ = tidings(bank, capsys, "why", message(bank, capsys, "win-back")["id"])
        assert (
            "The customer's no is of 2026-01-05 09:00 UTC (event 4 of their history): preference page, given"
            in (out.replace("\n", " "))
        )

    def test_what_is_not_told_leaves_no_trace_in_the_stored_fact(self, bank: Bank) -> None:
        bank.take([envelope("c-1", MORNING, fact) for fact in (registered(), granted())])
        bank.run(MORNING)
        (body,) = [line[4] for line in bank.histories()["c-1"] if line[0] == "consent.granted/1"]
        assert b"captured" not in body
