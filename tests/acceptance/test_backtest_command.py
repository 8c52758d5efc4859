"""The command: the same by any number of workers and from any source, nothing written, clear lines."""

import csv
import json
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from stores.archive.writing import write_archive
from stores.vault import vault_of
from support.bank import Bank, copy_store
from support.facts import at
from support.postgres import fresh_database
from tidings import cli
from tidings.synthetic import synthetic_bank

UNTIL = at("2026-07-01 00:00")
PERIOD = ("--from", "2026-02-01T00:00:00Z", "--to", "2026-06-01T00:00:00Z")
SEND = "{step: one, do: send, template: win-back-offer, channels: [sms, email], next: end}"
DRAFT = (
    "{journey: own, version: 1, title: {en: Own}, purpose: marketing, topic: offers, priority: 90,"
    " enter: {by: silence, of: transaction.posted/1, days: 20, at: '12:00'},"
    f" steps: [{SEND}, {{step: end, do: end}}]}}"
)


def filled(bank: Bank) -> Bank:
    assert (
        bank.take(list(synthetic_bank(customers=60, days=181, start=date(2026, 1, 1), seed=3))).refused == []
    )
    bank.run(at("2026-04-01 00:00"))
    bank.run(UNTIL)
    return bank


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A store of 60 made-up customers who lived half a year."""
    return filled(Bank(tmp_path_factory.mktemp("bank"), partitions=3))


@pytest.fixture
def draft(tmp_path: Path) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(DRAFT)
    return str(path)


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """What the command prints on stdout and stderr; it must end with this exit code."""
    found = cli.run(["journeys", "backtest", *arguments])
    out, err = capsys.readouterr()
    assert found == code, (out, err)
    return out, err


def of(bank: Bank) -> tuple[str, str]:
    return ("--store", bank.settings.store)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm") and path.stat().st_size
    }


@pytest.mark.long
@pytest.mark.slow
def test_workers_change_nothing_in_what_is_told(
    lived_in: Bank, draft: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for workers in ("1", "2"):
        file = tmp_path / f"{workers}.csv"
        arguments = (draft, *PERIOD, *of(lived_in), "--csv", str(file), "--show", "7", "--workers", workers)
        out, _ = told(capsys, *arguments, "--json")
        found.append((out, file.read_bytes()))
    assert found[0] == found[1]
    result = json.loads(found[0][0])
    assert result["check"] == {
        "ok": True,
        "events": result["check"]["events"],
        "compared": result["check"]["events"],
        "recorded_sent": result["sent"]["was"],
        "astray": {},
        "unlike": [],
    }
    rows = list(csv.DictReader(found[0][1].decode().splitlines()))
    assert result["shown"] == rows[:7]
    assert len(rows) == sum(one["number"] for one in result["differences"])
    more = [row for row in rows if row["what"] == "more"]
    fewer = [row for row in rows if row["what"] == "fewer"]
    assert result["sent"]["now"] - result["sent"]["was"] == len(more) - len(fewer) > 0


@pytest.mark.long
@pytest.mark.slow
def test_an_archive_tells_what_the_store_tells(
    lived_in: Bank,
    draft: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tidings = lived_in.tidings
    # An archive alone is opened with the keys of its store, which is not there.
    monkeypatch.setenv("TIDINGS_KEYS", vault_of(tidings.engine).place.url)
    monkeypatch.setenv("TIDINGS_MASTER_KEY_FILE", str(lived_in.path.with_suffix(".master-key")))
    write_archive(tidings.history, tmp_path / "archive", before=None, progress=lambda _: None)
    tidings.engine.dispose()
    whole, _ = told(capsys, draft, *PERIOD, *of(lived_in), "--json")
    before = digests(tmp_path / "archive")
    for arguments in (
        ("--archive", str(tmp_path / "archive")),
        ("--archive", str(tmp_path / "archive"), *of(lived_in)),
        ("--archive", str(tmp_path / "archive"), "--workers", "2"),
    ):
        found = told(capsys, draft, *PERIOD, *arguments, "--json")[0]
        assert json.loads(found) == json.loads(whole)
    assert digests(tmp_path / "archive") == before


@pytest.mark.long
@pytest.mark.slow
def test_postgresql_tells_what_sqlite_tells(
    lived_in: Bank, draft: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = filled(Bank(tmp_path, partitions=3, url=fresh_database()))
    here, there = (told(capsys, draft, *PERIOD, *of(bank), "--json")[0] for bank in (lived_in, other))
    assert json.loads(here) == json.loads(there)


@pytest.mark.parametrize("unfolded", [False, True])
def test_not_a_byte_of_the_store_changes(
    lived_in: Bank, draft: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], unfolded: bool
) -> None:
    """Nor is an outbox made; not even what a killed writer left beside the file is folded in."""
    folder = tmp_path / "bytes"
    folder.mkdir()
    bank = Bank(folder)
    copy_store(lived_in, bank)
    if unfolded:
        tidings = bank.tidings
        with tidings.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
            connection.exec_driver_sql("UPDATE partitions SET lease_until = 7")
            connection.commit()
            kept = {suffix: Path(f"{bank.path}{suffix}").read_bytes() for suffix in ("", "-wal")}
        tidings.engine.dispose()
        for suffix, content in kept.items():
            Path(f"{bank.path}{suffix}").write_bytes(content)
        assert kept["-wal"]
    before = digests(folder)
    outbox = tmp_path / "none"
    arguments = (draft, *PERIOD, *of(bank), "--outbox", str(outbox), "--customers", "20")
    out, _ = told(capsys, *arguments)
    assert "messages would have been sent instead of" in out
    assert digests(folder) == before
    assert not outbox.exists()


def test_the_marketers_summary_in_both_languages(
    lived_in: Bank, draft: str, capsys: pytest.CaptureFixture[str]
) -> None:
    english, _ = told(capsys, draft, *PERIOD, *of(lived_in), "--sample", "0.5")
    chinese, _ = told(capsys, draft, *PERIOD, *of(lived_in), "--sample", "0.5", "--lang", "zh-CN")
    data = json.loads(told(capsys, draft, *PERIOD, *of(lived_in), "--sample", "0.5", "--json")[0])
    now, was = data["sent"]["now"], data["sent"]["was"]
    assert f"{now:,} messages would have been sent instead of {was:,} ({now - was:+,})." in english
    assert f"将发送 {now:,} 条消息，而当时为 {was:,} 条" in chinese
    assert f"{data['customers_with']['more']:,} customers would have got more messages" in english
    assert "came out as they were recorded, byte for byte" in english
    assert "逐字节重现" in chinese


def test_one_customers_differences_are_told_one_by_one(
    lived_in: Bank, draft: str, capsys: pytest.CaptureFixture[str]
) -> None:
    everybody = json.loads(told(capsys, draft, *PERIOD, *of(lived_in), "--json", "--show", "9999")[0])
    name = everybody["shown"][0]["customer"]
    one = json.loads(told(capsys, draft, *PERIOD, *of(lived_in), "--json", "--customer", name)[0])
    assert one["shown"] == [row for row in everybody["shown"] if row["customer"] == name]
    assert one["customers"] == 1
    out, _ = told(capsys, draft, *PERIOD, *of(lived_in), "--customer", name)
    assert one["shown"][0]["message"] in out


def test_prices_make_an_estimate(
    lived_in: Bank,
    draft: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TWILIO_TOKEN", "LINK_KEY"):
        monkeypatch.setenv(name, "0123456789abcdef" * 2)
    settings = tmp_path / "channels.toml"
    settings.write_text(CHANNELS)
    out, _ = told(capsys, draft, *PERIOD, *of(lived_in), "--channels", str(settings), "--json")
    cost = json.loads(out)["cost"]
    assert cost["now"]["segments"] > cost["was"]["segments"]
    assert float(cost["now"]["amounts"]["CNY"]) == pytest.approx(0.5 * cost["now"]["segments"])
    assert cost["now"]["unpriced"] == 0


CHANNELS = """
public_url = "https://care.bank.example"
link_keys = [{ env = "LINK_KEY" }]
[routes]
sms = ["twilio"]
[providers.twilio]
kind = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = { env = "TWILIO_TOKEN" }
sender = "+15005550006"
[providers.twilio.prices]
currency = "CNY"
elsewhere = "0.5"
"""


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (
            ("PATH", "--from", "2026-06-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z"),
            2,
            "--from lies after --to",
        ),
        (("PATH", "--from", "2026-06-01T00:00:00Z", "--to", "2027-02-01T00:00:00Z"), 1, "lies ahead"),
        (
            ("PATH", "--from", "1990-06-01T00:00:00Z", "--to", "1991-02-01T00:00:00Z"),
            1,
            "nothing was recorded",
        ),
        (("PATH", "--from", "2026-06-01", "--to", "2021-02-01T00:00:00Z"), 2, "has no offset"),
        (("PATH", *PERIOD, "--customer", "C00O001"), 1, "C00O001"),
        (("PATH", *PERIOD, "--customer", "C000001", "--sample", "0.5"), 2, "exclude each other"),
        (("PATH", *PERIOD, "--sample", "0"), 2, "0"),
        (PERIOD, 2, "name a PATH"),
        (("--without", "birthdya", *PERIOD), 1, "birthday"),
        (("nowhere.yaml", *PERIOD), 1, "nowhere.yaml"),
        (("PATH", *PERIOD, "--csv", "nowhere/out.csv"), 1, "nowhere/out.csv"),
        (("PATH", *PERIOD, "--archive", "nowhere"), 1, "nowhere"),
        (("PATH", "PATH", *PERIOD, "--to", "x"), 2, "ISO 8601"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    lived_in: Bank,
    draft: str,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    expected: str,
) -> None:
    given = [draft if argument == "PATH" else argument for argument in arguments]
    store = () if "--archive" in arguments else of(lived_in)
    out, err = told(capsys, *given, *store, code=code)
    assert expected in err
    assert out == ""
    assert "Traceback" not in err


def test_faults_of_a_document_are_told_with_their_places(
    lived_in: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(DRAFT.replace("win-back-offer", "win-back-ofer").replace("next: end", "next: nowhere"))
    _, err = told(capsys, str(path), *PERIOD, *of(lived_in), code=1)
    assert f"{path}:1:" in err
    assert "nowhere" in err
    policies = [tmp_path / f"policy-{number}.yaml" for number in (1, 2)]
    for policy in policies:
        policy.write_text((Path("journeys/library/policies/standard.yaml")).read_text())
    _, err = told(capsys, *map(str, policies), *PERIOD, *of(lived_in), code=1)
    assert "policy-2.yaml" in err


def test_a_store_that_never_ran_says_so(
    tmp_path: Path, draft: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = told(capsys, draft, *PERIOD, *of(Bank(tmp_path)), code=1)
    assert "nothing has been recorded yet" in err


def test_where_the_beginning_was_removed_the_archive_is_asked_for(
    lived_in: Bank, tmp_path: Path, draft: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = Bank(tmp_path, name="removed")
    copy_store(lived_in, bank)
    archive = tmp_path / "archive"
    removing = ["archive", str(archive), "--before", "2026-03-01T00:00:00Z", "--remove", *of(bank)]
    assert cli.run(removing) == 0
    capsys.readouterr()
    _, err = told(capsys, draft, *PERIOD, *of(bank), code=1)
    assert "name both (--store and --archive)" in err
    whole, _ = told(capsys, draft, *PERIOD, *of(lived_in), "--json")
    assert told(capsys, draft, *PERIOD, *of(bank), "--archive", str(archive), "--json")[0] == whole
