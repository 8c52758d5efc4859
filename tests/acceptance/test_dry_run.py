"""A dry run on a store's own customers foretells what publishing and running record, and writes nothing."""

import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.catalogue import BalanceRecorded, Envelope
from domain.clock import to_micros
from domain.errors import StoreUnusable
from journeys.definition import (
    Await,
    Delay,
    Emit,
    End,
    Enter,
    EnterOnBirthday,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnSilence,
    Journey,
    Jump,
    Send,
    Step,
    Task,
    Update,
    Wait,
)
from stores.batch import Stored
from stores.database import writing
from stores.journal import Journal
from support.bank import Bank, copy_store
from support.facts import at, granted, registered
from support.lives import line_of
from support.postgres import fresh_database
from support.scenario import envelope
from support.strategies import START, lives
from tidings import adopting, cli
from tidings.bootstrap import bootstrap
from tidings.documents import Documents
from tidings.synthetic import synthetic_bank
from tidings.trying import audience as audience_module
from tidings.trying.audience import Audience
from tidings.trying.book import beside, book_of
from tidings.trying.dry_run import Trial, Tried, dry_run
from tidings.trying.simulation import traced

MIDDLE = START + timedelta(days=400)
LATER = START + timedelta(days=520)
STEPS = (
    Send(step="one", template="win-back-offer", channels=("sms", "email"), next="pause"),
    Wait(step="pause", days=3, at="07:00", next="two"),
    Send(step="two", template="win-back-offer", channels=("email",), next="end"),
    End(step="end"),
)
ROUND = (
    Delay(step="rest", hours=5, next="hear"),
    Await(
        step="hear",
        fact="transaction.posted/1",
        within_days=9,
        at="10:00",
        next="note",
        otherwise="again",
    ),
    Update(step="note", set={"heard": True}, next="tell"),
    Emit(step="tell", fact="x.heard/1", next="again"),
    Jump(step="again", to="rest", at_most=2, otherwise="work"),
    Task(
        step="work", role="operator", title={"en": "Work"}, due_days=2, escalate_to="call_centre", next="end"
    ),
    End(step="end"),
)
OWN = Journey(
    journey="own",
    version=1,
    title={"en": "Own"},
    purpose="marketing",
    topic="offers",
    priority=90,
    enter=EnterOnSilence(of="transaction.posted/1", days=20, at="06:30"),
    steps=STEPS,
)
ENTRIES = (
    OWN.enter,
    EnterOnBirthday(at="06:00"),
    EnterOnMaturity(kinds=("term_deposit",), offsets=(-3, 2), at="12:00"),
    EnterOnFact(fact="transaction.posted/1"),
)
some = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


def copied(bank: Bank, name: str) -> Bank:
    """The same store once more."""
    other = Bank(bank.path.parent, name=name)
    copy_store(bank, other)
    return other


def foretold(bank: Bank, journey: Journey, *, until: datetime, replayed: int | None = None) -> Tried:
    tidings = bootstrap(bank.settings, read_only=True)
    current = tidings.in_force()
    book = book_of(current)
    audience = Audience(tidings.engine, current)
    trial = Trial(journey.journey, book, beside(book, Documents([journey], [])), until, replayed)
    found = dry_run(trial, audience, audience.partitions, progress=lambda _: None)
    tidings.engine.dispose()
    return found


@pytest.mark.slow
@some
@given(
    told=lives(),
    enter=st.sampled_from(ENTRIES),
    steps=st.sampled_from([STEPS, ROUND]),
    name=st.sampled_from(["own", "win-back", "other", None]),
    commits=st.just(0) | st.integers(2, 12),
)
def test_what_is_foretold_is_what_publishing_and_running_record(
    told: list[Envelope], enter: Enter, steps: tuple[Step, ...], name: str | None, commits: int
) -> None:
    """Also where the last run was killed, and a rulebook before it had yet to come to everybody."""
    known = [fact for fact in told if fact.occurred_at <= MIDDLE]
    version = 1 if name == "own" else 2
    drafts = [replace(OWN, enter=enter, steps=steps, journey=name, version=version)] if name else []
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        bank.take(known)
        bank.run(MIDDLE - timedelta(days=100) if commits else MIDDLE)
        bank.publish(replace(OWN, journey="other", enter=EnterOnBirthday(at="20:00")))
        with patch.object(adopting, "SLICE", 1):
            # Or the rulebook has come to nobody yet.
            killed = commits > 0 and bank.run_killed(MIDDLE, commits=commits)
        if killed:
            # Facts that no run has taken are not foretold.
            assume(not bank.sql("SELECT count(*) FROM inbox")[0][0])
        tidings = bootstrap(bank.settings, read_only=True)
        current = tidings.in_force()
        book = beside(book_of(current), Documents(drafts, []))
        audience = Audience(tidings.engine, current)
        foreseen: dict[str, list[object]] = {}
        for partition in audience.partitions:
            under = audience.under(partition, book)
            for found in audience.slices(partition):
                for _, subject in found:
                    ahead = traced(under(subject), book, until=LATER)
                    foreseen[ahead.customer] = [line_of(event) for event in ahead.events]
        tidings.engine.dispose()
        before = bank.histories()
        bank.publish(*drafts)
        bank.run(LATER)
        recorded = {
            name: [line[:-1] for line in lines[len(before.get(name, [])) :]]
            for name, lines in bank.histories().items()
        }
        assert foreseen == recorded
        tidings = bank.tidings
        assert tidings.in_force().rules.digest == book.rules.digest
        tidings.engine.dispose()


def test_rules_that_no_run_has_brought_yet_come_first_in_both_lives(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.take([envelope("c-1", at("2026-01-01 12:00"), registered())])
    bank.run(at("2026-02-01 12:00"))
    bank.publish(replace(OWN, journey="other", enter=EnterOnBirthday(at="20:00")))
    found = foretold(bank, OWN, until=at("2026-06-01 12:00"))
    assert found.without["other"].entered == found.beside["other"].entered == 1
    bank.run(at("2026-02-01 12:00"))
    again = foretold(bank, OWN, until=at("2026-06-01 12:00"))
    assert again == found


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A store of 90 made-up customers who lived a hundred days."""
    bank = Bank(tmp_path_factory.mktemp("bank"))
    bank.take(list(synthetic_bank(customers=90, days=100, start=date(2026, 1, 1), seed=2)))
    bank.run(at("2026-04-11 00:00"))
    return bank


UNTIL = datetime(2026, 6, 20, tzinfo=UTC)


@pytest.mark.slow
def test_its_figures_are_those_of_the_ledger_with_and_without_the_journey(lived_in: Bank) -> None:
    tried = foretold(lived_in, OWN, until=UNTIL)
    for name, journeys, found in (("with", [OWN], tried.beside), ("without", [], tried.without)):
        bank = copied(lived_in, name)
        before = {entry.id for entry in bank.ledger() if entry.status != "deferred"}
        bank.publish(*journeys)
        bank.run(UNTIL)
        ledger = [entry for entry in bank.ledger() if entry.id not in before]
        sent = Counter((e.journey, e.channel) for e in ledger if e.status == "accepted")
        assert sent == {
            (journey, channel): number
            for journey, passages in found.items()
            for channel, number in passages.by_channel().items()
        }
        kept = Counter((e.journey, e.reason) for e in ledger if e.status == "suppressed")
        assert kept == Counter(
            {
                (journey, rule.partition(":")[0]): number
                for journey, passages in found.items()
                for rule, number in passages.suppressed.items()
            }
        )
        entries = bank.sql(
            "SELECT json_extract(body, '$.journey'), count(*) FROM events WHERE kind = 'enrolment.started/1'"
            " AND recorded_at > ? GROUP BY 1",
            to_micros(at("2026-04-11 00:00")),
        )
        assert dict(entries) == {name: p.entered for name, p in found.items() if p.entered}
    assert tried.customers == 90


def loud(days: int) -> Journey:
    """Three messages at once after so many days of silence; win-back's come after 60."""
    sends = tuple(
        Send(step=f"s{n}", template="win-back-offer", channels=("sms", "email", "push"), next=f"s{n + 1}")
        for n in range(3)
    )
    enter = EnterOnSilence(of="transaction.posted/1", days=days, at="06:30")
    return replace(OWN, enter=enter, steps=(*sends, End(step="s3")))


@pytest.mark.slow
@pytest.mark.parametrize(("days", "lost", "later"), [(59, True, False), (54, False, True)])
def test_the_messages_that_lose_their_slot_are_told_by_journey_and_rule(
    lived_in: Bank, days: int, lost: bool, later: bool
) -> None:
    tried = foretold(lived_in, loud(days), until=UNTIL)
    ledgers = []
    for name, journeys in ((f"slot-{days}", [loud(days)]), ("slot", [])):
        bank = copied(lived_in, name)
        bank.publish(*journeys)
        bank.run(UNTIL)
        ledgers.append({entry.id: entry for entry in bank.ledger() if entry.journey == "win-back"})
    now, was = ledgers
    both = [(was[name], now[name]) for name in was if was[name].status == "accepted"]
    clash = tried.clashes["win-back"]
    not_sent = Counter(after.reason for _, after in both if after.status != "accepted")
    assert Counter({rule.partition(":")[0]: n for rule, n in clash.lost.items()}) == not_sent
    delayed = [before for before, after in both if after.sent_at and after.sent_at > (before.sent_at or 0)]
    assert clash.later == len(delayed)
    gained = [n for n in was if was[n].status != "accepted" and now[n].status == "accepted"]
    assert clash.gained == len(gained)
    assert ("cap:marketing-week" in clash.lost, clash.later > 0) == (lost, later)
    assert "own" not in tried.clashes


def command(
    bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    """What the command prints on stdout and stderr; it must end with this exit code."""
    found = cli.run(["journeys", *arguments, "--store", bank.settings.store])
    out, err = capsys.readouterr()
    assert found == code, (out, err)
    return out, err


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.yaml"
    send = "{step: one, do: send, template: win-back-offer, channels: [sms, email], next: end}"
    path.write_text(
        "{journey: own, version: 1, title: {en: Own}, purpose: marketing, topic: offers, priority: 90,"
        f" enter: {{by: birthday, at: '12:00'}}, steps: [{send}, {{step: end, do: end}}]}}"
    )
    return str(path)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm") and path.stat().st_size
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("dry-run", "PATH"),
        pytest.param(("dry-run", "PATH", "--workers", "2", "--replay-last", "20"), marks=pytest.mark.slow),
        ("simulate", "PATH", "--sample", "30"),
        ("simulate", "birthday", "--customers", "5"),
    ],
)
@pytest.mark.parametrize("unfolded", [False, True])
def test_not_a_byte_of_the_store_changes(
    lived_in: Bank,
    tmp_path: Path,
    own: str,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    unfolded: bool,
) -> None:
    """Not even by a checkpoint of what a killed writer left beside the file."""
    bank = copied(lived_in, "bytes")
    folder = tmp_path / "bytes"
    folder.mkdir()
    moved = Bank(folder)
    copy_store(bank, moved)
    if unfolded:
        tidings = moved.tidings
        with tidings.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
            connection.exec_driver_sql("UPDATE partitions SET lease_until = 7")
            connection.commit()
            # What a kill would leave: the file, and what was written beside it.
            kept = {suffix: Path(f"{moved.path}{suffix}").read_bytes() for suffix in ("", "-wal")}
        tidings.engine.dispose()
        for suffix, content in kept.items():
            Path(f"{moved.path}{suffix}").write_bytes(content)
        assert kept["-wal"]
    before = digests(folder)
    command(moved, capsys, *(own if argument == "PATH" else argument for argument in arguments))
    assert digests(folder) == before


def test_a_store_opened_to_be_read_cannot_be_written(tmp_path: Path) -> None:
    """By nothing: neither by a statement nor by folding in what a killed writer left."""
    bank = Bank(tmp_path)
    writer = sqlite3.connect(bank.path, isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("UPDATE partitions SET lease_until = 7")
    kept = {suffix: Path(f"{bank.path}{suffix}").read_bytes() for suffix in ("", "-wal")}
    writer.close()
    for suffix, content in kept.items():
        Path(f"{bank.path}{suffix}").write_bytes(content)
    tidings = bootstrap(bank.settings, read_only=True)
    assert tidings.in_force().number == 1
    with pytest.raises(StoreUnusable), writing(tidings.engine) as connection:
        connection.exec_driver_sql("DELETE FROM partitions")
    tidings.engine.dispose()
    assert bank.path.read_bytes() == kept[""]
    assert Path(f"{bank.path}-wal").read_bytes() == kept["-wal"]


def test_the_text_says_what_is_not_known(
    lived_in: Bank, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = command(lived_in, capsys, "dry-run", own)
    assert "own 1 beside all published journeys, tried on 90 customers from 2026-04-10 22:00" in out
    assert "Entered by facts, of which none are known ahead: tier-upgrade. Nobody enters there;" in out
    assert "Entered after silence: win-back." in out
    assert "facts wait in the store" not in out
    assert "█" in out
    chinese, _ = command(lived_in, capsys, "dry-run", own, "--lang", "zh-CN")
    assert "由事实触发的旅程：tier-upgrade" in chinese
    replayed, _ = command(lived_in, capsys, "dry-run", own, "--replay-last", "30")
    assert "Entered by facts" not in replayed
    assert "The facts of the last 30 days happened again" in replayed


def test_facts_that_wait_are_told(own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bank = Bank(tmp_path)
    bank.take([envelope("c-1", at("2026-01-01 12:00"), registered())])
    _, err = command(bank, capsys, "dry-run", own, code=1)
    assert "no run has started the store's clock" in err
    bank.run(at("2026-01-02 12:00"))
    bank.take([envelope("c-1", at("2026-01-20 12:00"), granted())])
    out, _ = command(bank, capsys, "dry-run", own, "--json")
    assert json.loads(out)["facts_waiting"] == 1
    out, _ = command(bank, capsys, "dry-run", own)
    assert "1 facts wait in the store" in out


@pytest.mark.slow
def test_several_processes_find_what_one_finds(
    lived_in: Bank, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = (
        command(lived_in, capsys, "dry-run", own, "--days", "60", "--json", *more)[0]
        for more in ([], ["--workers", "2"])
    )
    assert one == two
    assert json.loads(one)["customers"] == 90


def test_a_version_in_force_makes_no_difference_and_is_told(
    lived_in: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = Path(__file__).resolve().parents[1] / "golden" / "first-programmes" / "birthday.yaml"
    out, _ = command(lived_in, capsys, "dry-run", str(shipped))
    assert "This version is in force already" in out
    told = json.loads(command(lived_in, capsys, "dry-run", str(shipped), "--json")[0])
    assert told["with"] == told["without"]
    assert told["in_force"] is True
    changed = tmp_path / "changed.yaml"
    changed.write_text(shipped.read_text().replace("purpose: care", "purpose: service"))
    _, err = command(lived_in, capsys, "dry-run", str(changed), code=1)
    assert "birthday: version 1 is already published with other content" in err


def test_facts_that_happen_again_lead_in_and_are_other_facts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = Bank(tmp_path)
    salary = BalanceRecorded(source="core", id="b-1", account="A", amount=Decimal(7))
    late = BalanceRecorded(source="core", id="b-2", account="A", amount=Decimal(8))
    bank.take(
        [
            envelope("c-1", at("2026-01-01 12:00"), registered()),
            envelope("c-1", at("2026-03-01 12:00"), salary),
            envelope("c-1", at("2026-03-08 12:00"), late),
        ]
    )
    bank.run(at("2026-03-10 12:00"))
    journey = replace(OWN, enter=EnterOnFact(fact="balance.recorded/1"), purpose="service")
    day = timedelta(days=1)
    entered = [
        foretold(bank, journey, until=at("2026-03-10 12:00") + days * day, replayed=5).beside.get("own")
        for days in (2, 3, 8, 13)
    ]
    assert [passages and passages.entered for passages in entered] == [None, 1, 2, 3]
    assert foretold(bank, journey, until=at("2026-03-20 12:00")).beside == {}
    for replayed, entries in ((9, 1), (10, 2)):
        found = foretold(bank, journey, until=at("2026-03-19 12:00"), replayed=replayed).beside
        assert found["own"].entered == entries


def test_a_sample_is_the_same_whatever_the_partitions_and_part_of_a_larger_one(
    lived_in: Bank, tmp_path: Path
) -> None:
    told = list(synthetic_bank(customers=60, days=30, start=date(2026, 1, 1), seed=2))
    drawn: dict[tuple[int, int, int], list[str]] = {}
    for partitions in (1, 3):
        bank = Bank(tmp_path, partitions=partitions, name=f"p{partitions}")
        bank.take(told)
        bank.run(at("2026-02-01 00:00"))
        tidings = bootstrap(bank.settings, read_only=True)
        audience = Audience(tidings.engine, tidings.in_force())
        for number, seed in ((5, 1), (20, 1), (20, 2), (500, 1)):
            sample = audience.sampled(number, seed=seed)
            drawn[partitions, number, seed] = [one.customer.subject for _, one in sample]
        tidings.engine.dispose()
    assert drawn[1, 20, 1] == drawn[3, 20, 1] != drawn[1, 20, 2]
    assert drawn[1, 20, 1][:5] == drawn[1, 5, 1]
    assert len(set(drawn[1, 500, 1])) == 60


@pytest.mark.slow
def test_a_postgresql_store_is_told_the_same(tmp_path: Path) -> None:
    told = list(synthetic_bank(customers=25, days=80, start=date(2026, 1, 1), seed=4))
    files, server = Bank(tmp_path, partitions=3), Bank(tmp_path, name="pg", url=fresh_database())
    found = []
    for bank in (files, server):
        bank.take(told)
        bank.run(at("2026-03-20 00:00"))
        events = bank.committed()
        found.append(foretold(bank, loud(54), until=UNTIL))
        assert bank.committed() == events
    assert found[0] == found[1]
    assert found[0].beside["own"].entered > 0


def test_no_more_customers_than_a_slice_are_in_memory(
    lived_in: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []
    load = Journal.load

    def counted(journal: Journal, streams: Iterable[int]) -> dict[int, Stored]:
        wanted = list(streams)
        loaded.append(len(wanted))
        return load(journal, wanted)

    monkeypatch.setattr(Journal, "load", counted)
    monkeypatch.setattr(audience_module, "SLICE", 20)
    assert foretold(lived_in, OWN, until=UNTIL).customers == sum(loaded) == 90
    assert max(loaded) == 20
