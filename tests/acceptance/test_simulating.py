"""What is simulated is what a store records: the same events, byte for byte, and none is written."""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import Envelope
from domain.clock import EPOCH
from domain.customer import Customer
from journeys.rulebook import Rulebook, Rules
from support.bank import Bank, Line
from support.documents import first_programmes
from support.facts import at, granted, paid, registered, withdrawn
from support.lives import chained
from support.scenario import envelope
from support.strategies import END, lives
from tidings import cli
from tidings.cli.running import live
from tidings.documents import mark_of, shipped
from tidings.synthetic import synthetic_bank
from tidings.trying.book import Book, shipped_book
from tidings.trying.passages import Watch
from tidings.trying.simulation import Subject, end_of, lived, made_up, traced

START = date(2026, 1, 1)
_FIRST = first_programmes()
# In the order of a store's rulebook, whose digest is in every hash.
BOOK = Book(
    Rules(
        Rulebook(
            journeys=tuple(_FIRST.journeys),
            templates=tuple(map(mark_of, _FIRST.templates)),
            policy=_FIRST.policy or shipped().policy,
            calendars=_FIRST.calendars,
        )
    ),
    {(template.template, template.version): template for template in _FIRST.templates},
)
OWN = """\
journey: name-day
version: 1
title: {en: Name day}
purpose: care
topic: greetings
enter: {by: birthday, at: "18:00"}
steps:
  - {step: greet, do: send, template: hello, channels: [email], next: pause}
  - {step: pause, do: wait, days: 2, at: "10:00", next: done}
  - {step: done, do: end}
"""
HELLO = """\
template: hello
version: 1
variables: [given_name]
promotional: false
languages:
  en: {subject: "Hello {{ given_name }}", email: "All the best.", sms: Best., push: {title: Hi, body: Best.}}
"""
some = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def subjects_of(told: Sequence[Envelope]) -> list[Subject]:
    names = sorted({fact.subject for fact in told})
    return [
        Subject(Customer(name), EPOCH, tuple(fact for fact in told if fact.subject == name)) for name in names
    ]


def simulated(subjects: Sequence[Subject], *, until: datetime) -> dict[str, list[Line]]:
    """The histories that a store would have, lived through in memory."""
    digest = BOOK.rules.digest
    return {
        one.customer.subject: chained(traced(one, BOOK, until=until), rulebook=digest) for one in subjects
    }


@some
@given(told=lives())
def test_a_simulation_comes_to_what_a_store_records(told: list[Envelope]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        bank.take(told)
        bank.run(END, batch=7)
        assert simulated(subjects_of(told), until=END) == bank.histories()


@pytest.mark.slow
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000))
def test_the_synthetic_bank_lives_in_memory_as_in_a_store(seed: int) -> None:
    customers, days = 20, 150
    until = end_of(START, days)
    told = list(synthetic_bank(customers=customers, days=days, start=START, seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        bank.take(told)
        tidings = bank.tidings
        live(tidings, until=until, since=datetime(2026, 1, 1, tzinfo=UTC), advance=lambda _: None)
        tidings.engine.dispose()
        stored, ledger = bank.histories(), bank.ledger()
    subjects = list(made_up(customers=customers, days=days, start=START, seed=seed))
    assert simulated(subjects, until=until) == stored
    watch = Watch()
    for subject in subjects:
        lived(subject, BOOK, watch, until=until)
    sent = Counter({name: passages.messages for name, passages in watch.journeys.items()})
    assert +sent == Counter(entry.journey for entry in ledger if entry.status == "accepted")
    kept = sum((passages.suppressed for passages in watch.journeys.values()), Counter[str]())
    reasons = Counter(entry.reason for entry in ledger if entry.status == "suppressed")
    assert Counter({name.partition(":")[0]: number for name, number in kept.items()}) == reasons


def test_facts_of_the_instant_of_a_wake_up_come_first_and_those_on_the_person_before_others(
    tmp_path: Path,
) -> None:
    """In Prague the birthday's wake-up is at 09:00, which is 07:00 UTC in May."""
    told = [
        envelope("c-1", at("2026-01-01 12:00"), registered()),
        envelope("c-1", at("2026-05-03 09:00"), paid()),
        envelope("c-1", at("2026-05-03 09:00"), granted()),
        envelope("c-1", at("2026-05-03 09:00"), withdrawn(purpose="care")),
        envelope("c-1", at("2026-05-03 09:00"), registered(language="zh-CN")),
    ]
    bank = Bank(tmp_path)
    bank.take(told)
    for until in (at("2026-05-03 09:00"), at("2026-06-01 12:00")):
        bank.run(until)
        lives = simulated(subjects_of(told), until=until)
        assert lives == bank.histories()
        assert "timer.fired/1" in [line[0] for line in lives["c-1"]]
    kinds = [line[0] for line in lives["c-1"]]
    assert kinds.index("consent.withdrawn/1") < kinds.index("timer.fired/1")
    assert kinds.count("customer.registered/1") == 2
    assert kinds.index("consent.granted/1") < kinds.index("transaction.posted/1")


def test_the_shipped_library_is_the_rulebook_that_init_puts_in_force(tmp_path: Path) -> None:
    tidings = Bank(tmp_path, documents=shipped()).tidings
    assert shipped_book().rules.digest == tidings.in_force().rules.digest
    tidings.engine.dispose()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a journey and its template, and no store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDINGS_STORE", raising=False)
    (tmp_path / "own.yaml").write_text(OWN)
    (tmp_path / "hello.yaml").write_text(HELLO)
    return tmp_path


def simulate(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """What the command prints on stdout and stderr; it must end with this exit code."""
    found = cli.run(["journeys", "simulate", *arguments])
    out, err = capsys.readouterr()
    assert found == code, (out, err)
    return out, err


def test_a_draft_is_simulated_without_a_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = simulate(capsys, "own.yaml", "--template", "hello.yaml", "--customers", "40", "--json")
    told = json.loads(out)
    assert (told["journey"], told["customers"]) == ("name-day", 40)
    assert 20 < told["entered"] <= told["visits"]["greet"] <= 41
    assert (
        sum(n for day in told["sent"].values() for n in day.values()) + sum(told["suppressed"].values())
        == told["entered"]
    )
    assert told["entered"] == told["ended"]["end"] + told["inside"].get("pause", 0)
    assert sorted(path.name for path in folder.iterdir()) == ["hello.yaml", "own.yaml"]


def test_the_same_seed_is_the_same_simulation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["maturity", "--customers", "15", "--days", "120", "--from", "2027-03-01", "--json"]
    first, again, other = (simulate(capsys, *few, "--seed", seed)[0] for seed in ("5", "5", "6"))
    assert first == again != other
    assert min(json.loads(first)["sent"]) >= "2027-03-01"


def test_the_text_tells_steps_reasons_and_days(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = simulate(capsys, "win-back", "--customers", "100")
    assert "win-back 1, simulated with 100 customers from 2026-01-01 to 2027-01-01 (UTC)." in out
    (survey,) = [line.split() for line in out.splitlines() if line.startswith("survey")]
    assert survey[:2] == ["survey", "send"]
    assert "not sent because" in out
    assert "no consent" in out
    assert "█" in out


def test_a_trace_tells_one_way_from_its_first_cause_to_its_end(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = ["win-back", "--customers", "60", "--trace"]
    out, _ = simulate(capsys, *trace, "--json")
    told = json.loads(out)
    kinds = [event["kind"] for event in told["events"]]
    assert kinds[:2] == ["transaction.posted/1", "timers.planned/1"]
    assert kinds.count("enrolment.started/1") == 1
    assert "not_silent" not in [event["body"].get("reason") for event in told["events"]]
    assert all(event["cause"] == 0 or event["cause"] < event["version"] for event in told["events"])
    text, _ = simulate(capsys, *trace, "--customer", told["customer"])
    assert text.splitlines()[1:] == told["sentences"]
    assert f"win-back 1: {told['customer']}" in text
    assert any("began to wait at step first-pause" in line for line in told["sentences"])
    chinese, _ = simulate(capsys, *trace, "--customer", told["customer"], "--lang", "zh-CN")
    assert len(chinese.splitlines()) == len(text.splitlines())
    assert "开始等待" in chinese


def test_who_never_comes_to_the_journey_is_told_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none = ["tier-upgrade", "--customers", "1", "--days", "5", "--trace"]
    assert "None of the customers enters tier-upgrade." in simulate(capsys, *none)[0]
    assert json.loads(simulate(capsys, *none, "--json")[0]) is None
    out, _ = simulate(capsys, *none, "--customer", "C000001")
    assert "This customer never comes to tier-upgrade." in out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("bithday",), 1, "Did you mean"),
        (("missing.yaml",), 1, "missing.yaml: no such file"),
        (("own.yaml",), 1, "own.yaml:8:29: there is no template hello"),
        (("birthday", "--customer", "C000001"), 2, "--customer belongs to --trace"),
        (("birthday", "--trace", "--customers", "3", "--customer", "C000004"), 1, "C000004"),
        (("birthday", "--sample", "3", "--from", "2026-01-01"), 2, "with --sample the store's clock tells"),
        (("birthday", "--sample", "3"), 1, "there is no store here"),
        (("birthday", "--days", "0"), 2, "--days"),
        (("birthday", "--from", "yesterday"), 2, "--from"),
    ],
)
def test_what_cannot_be_simulated_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, told: str
) -> None:
    _, err = simulate(capsys, *arguments, code=code)
    assert told in err
    assert "Traceback" not in err


def test_a_draft_of_a_version_in_force_is_simulated_in_its_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = shipped_book().rules.journeys["birthday"].version
    draft = OWN.replace("name-day", "birthday").replace("hello", "birthday-greeting")
    (folder / "changed.yaml").write_text(draft.replace("version: 1", f"version: {newest}"))
    out, _ = simulate(capsys, "changed.yaml", "--customers", "10", "--json")
    assert "pause" in json.loads(out)["visits"]
    _, err = simulate(capsys, "changed.yaml", "--beside", "--customers", "10", code=1)
    assert f"birthday: version {newest} is already published with other content" in err


def test_the_store_in_the_usual_place_is_asked_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "name-day" in simulate(capsys, "name-day", code=1)[1]
    assert cli.run(["init", "--alone"]) == 0
    assert cli.run(["journeys", "publish", "own.yaml", "--template", "hello.yaml"]) == 0
    capsys.readouterr()
    out, _ = simulate(capsys, "name-day", "--customers", "5", "--json")
    assert json.loads(out)["entered"] > 0
    _, err = simulate(capsys, "name-day", "--store", "sqlite:///other.db", code=1)
    assert "other.db: there is no store here" in err


def test_another_policy_is_tried_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = Path(__file__).resolve().parents[2] / "journeys" / "library" / "policies" / "standard.yaml"
    strict = (
        shipped.read_text()
        .replace("version: 1", "version: 2")
        .replace("care: not_withdrawn", "care: granted")
    )
    (folder / "strict.yaml").write_text(strict)
    birthday = ["birthday", "--customers", "20", "--json"]
    usual, tried = (
        json.loads(simulate(capsys, *birthday, *more)[0]) for more in ([], ["--policy", "strict.yaml"])
    )
    assert usual["sent"]
    assert not usual["suppressed"].get("no_consent")
    assert tried["sent"] == {}
    assert tried["suppressed"]["no_consent"] > 10


def test_beside_the_others_a_journey_competes_for_the_cap(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "loud.yaml").write_text(
        "{journey: x-loud, version: 1, title: {en: Loud}, purpose: marketing, topic: offers, priority: 1,"
        " enter: {by: silence, of: transaction.posted/1, days: 60, at: '11:00'}, steps: ["
        + ", ".join(
            f"{{step: s{n}, do: send, template: win-back-offer, channels: [email], next: s{n + 1}}}"
            for n in range(3)
        )
        + ", {step: s3, do: end}]}"
    )
    loud = ["loud.yaml", "--customers", "150", "--json"]
    by_itself, among = (json.loads(simulate(capsys, *loud, *more)[0]) for more in ([], ["--beside"]))
    assert "cap:marketing-week" not in by_itself["suppressed"]
    assert among["suppressed"]["cap:marketing-week"] > 0
    assert by_itself["entered"] == among["entered"] > 0
