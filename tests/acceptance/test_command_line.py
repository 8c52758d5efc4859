"""The command line as people use it, awkwardly too: one clear line, the right exit code, no traceback."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from domain.catalogue import FACTS
from stores.database import open_store
from support.bank import Bank
from support.facts import at, registered
from support.scenario import envelope
from support.service import opened_letter
from tidings.cli import COMMANDS
from tidings.documents import shipped

INSTANT = "2026-12-31T00:00:00Z"
ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 9)
)
REGISTERED = {
    "specversion": "1.0",
    "id": "1",
    "source": "/crm",
    "type": "customer.registered/1",
    "subject": "4711",
    "time": "2026-01-01T12:00:00+01:00",
    "data": {"birth_date": "1980-05-03", "zone": "Europe/Prague", "email": "one@example.com"},
}


def tidings(folder: Path, *arguments: str, code: int = 0, **environment: str) -> tuple[str, str]:
    """What the command prints on stdout and stderr; it must end with this exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "tidings", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def one_line(stderr: str) -> str:
    """The only line that was complained."""
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    return lines[0]


def select(folder: Path, statement: str) -> list[tuple[object, ...]]:
    """What the store's file says."""
    connection = sqlite3.connect(folder / "tidings.db")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def lines(*events: Mapping[str, object]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store that ``tidings init`` would make there."""
    Bank(tmp_path, documents=shipped())
    return tmp_path


class TestTheMainPath:
    def test_from_facts_to_a_message_and_its_reason(self, folder: Path) -> None:
        (folder / "facts.jsonl").write_text(lines(REGISTERED))
        counts = json.loads(tidings(folder, "import", "cloudevents", "facts.jsonl", "--json")[0])
        assert counts == {"read": 1, "accepted": 1, "repeated": 0, "refused": 0}
        run = json.loads(tidings(folder, "run", "--until", INSTANT, "--json")[0])
        assert (run["facts"], run["messages"], run["suppressed"]) == (1, {"accepted": 4}, {})
        # A new customer is welcomed, too.
        (message,) = json.loads(tidings(folder, "messages", "--journey", "birthday", "--json")[0])
        assert message == {
            "id": message["id"],
            "customer": "4711",
            "journey": "birthday",
            "version": 2,
            "step": "greet",
            "channel": "email",
            "template": "birthday-greeting",
            "purpose": "care",
            "status": "accepted",
            "reason": None,
            "requested_at": "2026-05-03T07:00:00Z",
            "sent_at": "2026-05-03T07:00:00Z",
            "provider": "",
            "tries": 1,
            "in_doubt": False,
            "delivery": "",
            "handed_at": message["sent_at"],
            "delivered_at": None,
            "opened_at": None,
            "clicked_at": None,
        }
        mail = (folder / "outbox/email/2026-05-03" / f"{message['id']}.eml").read_text()
        assert f"Message-ID: <{message['id']}@bank.example>" in mail
        assert "To: one@example.com" in mail
        why = json.loads(tidings(folder, "why", message["id"], "--json")[0])
        assert [link["kind"] for link in why["chain"]] == [
            "customer.registered/1",
            "timers.planned/1",
            "timer.fired/1",
            "enrolment.started/1",
            "message.requested/1",
            "message.sending/1",
            "message.accepted/1",
        ]
        assert "关怀" in tidings(folder, "why", message["id"], "--lang", "zh-CN")[0]
        assert json.loads(tidings(folder, "audit", "verify", "--json")[0])["ok"] is True
        replayed = json.loads(
            tidings(folder, "replay", "4711", "--as-of", "2026-05-01T00:00:00Z", "--json")[0]
        )
        kinds = [event["kind"] for event in replayed["events"]]
        assert kinds[0] == "customer.registered/1"
        assert "timers.planned/1" in kinds
        # The greeting of 3 May is ahead.
        assert not any(event["recorded_at"] > "2026-05-01" for event in replayed["events"])

    def test_init_again_changes_nothing(self, folder: Path) -> None:
        before = select(folder, "SELECT count(*) FROM events")
        again = json.loads(tidings(folder, "init", "--json")[0])
        assert (again["made"], again["published"]) == (False, [])
        assert select(folder, "SELECT count(*) FROM events") == before

    def test_a_clock_that_starts_later_sends_nothing_of_the_past_and_never_jumps(self, folder: Path) -> None:
        (folder / "facts.jsonl").write_text(lines(REGISTERED))
        tidings(folder, "import", "cloudevents", "facts.jsonl")
        tidings(folder, "run", "--from", "2026-06-01T00:00:00Z", "--until", INSTANT)
        assert json.loads(tidings(folder, "messages", "--json")[0]) == []
        jump = ["run", "--from", "2027-06-01T00:00:00Z", "--until", "2028-01-01T00:00:00Z"]
        assert "cannot jump" in one_line(tidings(folder, *jump, code=1)[1])

    def test_common_options_stand_before_or_after_the_command(self, folder: Path, tmp_path: Path) -> None:
        store = f"sqlite:///{tmp_path / 'other.db'}"
        tidings(folder, "--store", store, "init")
        tidings(folder, "journeys", "list", "--store", store)
        tidings(folder, "journeys", "list", TIDINGS_STORE=store)

    def test_an_import_is_refused_while_too_much_waits_and_taken_later(self, folder: Path) -> None:
        first, second = ({**REGISTERED, "id": subject, "subject": subject} for subject in ("1", "2"))
        (folder / "first.jsonl").write_text(lines(first))
        (folder / "both.jsonl").write_text(lines(first, second))
        tidings(folder, "import", "cloudevents", "first.jsonl", TIDINGS_WAITING_LIMIT="1")
        both = ["import", "cloudevents", "both.jsonl", "--json"]
        for language, told in (
            ("en", "1 facts wait to be decided, and the limit is 1"),
            ("zh-CN", "上限为 1"),
        ):
            stderr = tidings(folder, *both, "--lang", language, code=1, TIDINGS_WAITING_LIMIT="1")[1]
            assert told in one_line(stderr)
        tidings(folder, "run", "--until", INSTANT)
        counts = json.loads(tidings(folder, *both, TIDINGS_WAITING_LIMIT="1")[0])
        assert counts == {"read": 2, "accepted": 1, "repeated": 1, "refused": 0}

    @pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5"])
    def test_a_limit_that_is_no_count_is_one_line(self, folder: Path, limit: str) -> None:
        told = one_line(tidings(folder, "journeys", "list", code=1, TIDINGS_WAITING_LIMIT=limit)[1])
        assert f"TIDINGS_WAITING_LIMIT must be a whole number from 1 on, found {limit}" in told

    @pytest.mark.slow
    def test_the_demo_tells_its_story_in_both_languages(self, tmp_path: Path) -> None:
        english, _ = tidings(tmp_path, "demo", "--customers", "60", "--days", "200")
        assert "What was not sent, and why" in english
        assert "byte for byte" in english
        refused = tidings(tmp_path, "demo", "--customers", "5", code=1)[1]
        assert "the folder is not empty" in one_line(refused)
        chinese, _ = tidings(
            tmp_path, "demo", "--customers", "60", "--days", "200", "--force", "--lang", "zh-CN"
        )
        assert "未发送及原因" in chinese


@pytest.mark.slow
@pytest.mark.long
class TestAwkwardUsers:
    @pytest.mark.long
    @pytest.mark.slow
    def test_names_are_shown_as_they_are_and_never_read_as_markup(self, folder: Path) -> None:
        names = ["a[/b]c", "[bold]x[/bold]", "a:b:c", "left\u202eright", "quote'\"", "名字"]
        told = [{**REGISTERED, "id": str(n), "subject": name} for n, name in enumerate(names)]
        (folder / "facts.jsonl").write_text(lines(*told))
        tidings(folder, "import", "cloudevents", "facts.jsonl")
        tidings(folder, "run", "--until", INSTANT)
        table, _ = tidings(folder, "messages")
        for shown in ["a[/b]c", "[bold]x[/bold]", "a:b:c", "left\\u202eright", "quote'\"", "名字"]:
            assert f" {shown} " in table
        for name in names:
            (greeting,) = [
                message
                for message in json.loads(tidings(folder, "messages", "--customer", name, "--json")[0])
                if message["journey"] == "birthday"
            ]
            assert greeting["customer"] == name

    def test_an_instant_may_have_any_offset(self, folder: Path) -> None:
        amounts = {"01-28": "100", "02-28": "121", "03-28": "146", "04-28": "176"}
        balances = [
            {
                **REGISTERED,
                "id": day,
                "type": "balance.recorded/1",
                "time": f"2026-{day}T12:00:00Z",
                "data": {"account": "a", "amount": amount},
            }
            for day, amount in amounts.items()
        ]
        (folder / "facts.jsonl").write_text(lines(REGISTERED, *balances))
        tidings(folder, "import", "cloudevents", "facts.jsonl")
        tidings(folder, "run", "--from", "2026-04-30T09:00:00+02:00", "--until", "2026-12-31T01:00:00+01:00")
        assert len(json.loads(tidings(folder, "tasks", "--json")[0])) == 1
        assert json.loads(tidings(folder, "audit", "verify", "--json")[0])["ok"] is True

    def test_the_clock_has_bounds(self, folder: Path) -> None:
        told = tidings(folder, "run", "--until", "9999-12-31T23:59:59-01:00", code=2)[1]
        assert "outside the years 1900 to 2200" in told

    def test_an_init_that_was_killed_is_made_good_by_the_next(self, tmp_path: Path) -> None:
        connection = sqlite3.connect(tmp_path / "tidings.db")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (n)")
        connection.execute("DROP TABLE t")
        connection.close()
        assert (tmp_path / "tidings.db").stat().st_size > 0
        assert json.loads(tidings(tmp_path, "init", "--json")[0])["made"] is True

    def test_a_forced_demo_removes_only_what_a_demo_made(self, folder: Path) -> None:
        (folder / "notes.txt").write_text("dear to me")
        refused = tidings(folder, "demo", "--folder", ".", "--force", "--customers", "3", code=1)[1]
        assert "the folder is not empty" in one_line(refused)
        assert (folder / "notes.txt").exists()
        assert (folder / "tidings.db").exists()
        (folder / "file").write_text("no folder")
        assert "cannot be written" in one_line(tidings(folder, "demo", "--folder", "file", code=1)[1])

    @pytest.mark.slow
    def test_an_audit_beside_a_run_sees_a_whole_record(self, tmp_path: Path) -> None:
        bank = Bank(tmp_path)
        bank.take([envelope(f"c-{n}", at("2026-01-01 12:00"), registered()) for n in range(1_500)])
        running = subprocess.Popen(
            [sys.executable, "-m", "tidings", "run", "--until", "2029-01-01T00:00:00Z"], cwd=tmp_path
        )
        checked = 0
        while running.poll() is None:
            assert json.loads(tidings(tmp_path, "audit", "verify", "--json")[0])["ok"] is True
            checked += 1
        assert checked > 0
        assert running.returncode == 0

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["replay", "\udcff"], 2),
            (["messages", "--store", "sqlite:///t.db?timeout=abc"], 1),
            (["messages", "--store", "sqlite+aiosqlite:///t.db"], 1),
            (["messages", "--store", "nonsense://x"], 1),
            (["messages", "--store", "mysql://me:secret@host/db"], 1),
            (["replay", ""], 1),
        ],
    )
    def test_odd_arguments_are_one_line(self, folder: Path, arguments: list[str], code: int) -> None:
        told = tidings(folder, *arguments, code=code)[1]
        assert one_line(told)
        assert "secret" not in told

    def test_a_full_output_is_one_line(self, folder: Path) -> None:
        command = f"{sys.executable} -m tidings journeys list --json > /dev/full"
        done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)  # noqa: S602
        assert done.returncode != 0
        assert "Traceback" not in done.stderr


class TestRefusals:
    def test_there_is_no_store(self, tmp_path: Path) -> None:
        told = one_line(tidings(tmp_path, "messages", code=1)[1])
        assert told == "tidings: tidings.db: there is no store here; make one with `tidings init`"

    def test_it_is_told_in_chinese_too(self, tmp_path: Path) -> None:
        assert "此处没有数据库" in one_line(tidings(tmp_path, "messages", "--lang", "zh-CN", code=1)[1])

    @pytest.mark.parametrize("content", [b"Dear diary, this is no database.\n" * 100, b"\x00" * 4096])
    def test_the_store_is_something_else(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "tidings.db").write_bytes(content)
        for command in (["init"], ["messages"], ["run", "--until", INSTANT]):
            assert "not a Tidings store" in one_line(tidings(tmp_path, *command, code=1)[1])
        assert (tmp_path / "tidings.db").read_bytes() == content

    def test_the_database_is_another_programs(self, tmp_path: Path) -> None:
        connection = sqlite3.connect(tmp_path / "tidings.db")
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.close()
        assert "not a Tidings store" in one_line(tidings(tmp_path, "messages", code=1)[1])

    def test_the_schema_has_another_version(self, folder: Path) -> None:
        connection = sqlite3.connect(folder / "tidings.db", isolation_level=None)
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
        assert "has schema version 9999" in one_line(tidings(folder, "messages", code=1)[1])

    def test_the_stores_url_makes_no_sense(self, folder: Path) -> None:
        told = one_line(tidings(folder, "messages", "--store", "tidings.db", code=1)[1])
        assert "expected one such as sqlite:///tidings.db" in told

    def test_the_folder_of_the_store_is_not_there(self, tmp_path: Path) -> None:
        told = one_line(tidings(tmp_path, "init", "--store", "sqlite:///nowhere/tidings.db", code=1)[1])
        assert "the folder nowhere does not exist" in told

    @pytest.mark.long
    @pytest.mark.slow
    def test_another_program_is_writing(self, folder: Path) -> None:
        (folder / "facts.jsonl").write_text(lines(REGISTERED))
        other = sqlite3.connect(folder / "tidings.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        told = one_line(tidings(folder, "import", "cloudevents", "facts.jsonl", code=1)[1])
        other.execute("ROLLBACK")
        other.close()
        assert "another program is writing" in told
        assert (
            json.loads(tidings(folder, "import", "cloudevents", "facts.jsonl", "--json")[0])["accepted"] == 1
        )

    def test_another_worker_has_the_partition(self, folder: Path) -> None:
        connection = sqlite3.connect(folder / "tidings.db", isolation_level=None)
        connection.execute(
            "UPDATE partitions SET owner = 'elsewhere/1', lease_until = 9e18 WHERE partition = 1"
        )
        connection.close()
        told = one_line(tidings(folder, "run", "--until", INSTANT, code=1)[1])
        assert "partition 1 is being worked on by elsewhere/1" in told

    def test_the_outbox_is_a_file(self, folder: Path) -> None:
        (folder / "facts.jsonl").write_text(lines(REGISTERED))
        (folder / "outbox").write_text("in the way")
        tidings(folder, "import", "cloudevents", "facts.jsonl")
        assert "the outbox cannot be written" in one_line(
            tidings(folder, "run", "--until", INSTANT, code=1)[1]
        )
        (folder / "outbox").unlink()
        tidings(folder, "run", "--until", INSTANT)
        messages = json.loads(tidings(folder, "messages", "--json")[0])
        assert {message["status"] for message in messages} == {"accepted"}

    @pytest.mark.parametrize(
        ("arguments", "near"),
        [
            (["replay", "471"], "4711"),
            (["messages", "--customer", "471"], "4711"),
            (["messages", "--journey", "birthdya"], "birthday"),
            (["journeys", "show", "win-bak"], "win-back"),
        ],
    )
    def test_an_unknown_name_brings_a_near_one(self, folder: Path, arguments: list[str], near: str) -> None:
        (folder / "facts.jsonl").write_text(lines(REGISTERED))
        tidings(folder, "import", "cloudevents", "facts.jsonl")
        told = one_line(tidings(folder, *arguments, code=1)[1])
        assert "Did you mean" in told
        assert near in told

    def test_an_unknown_message(self, folder: Path) -> None:
        assert "no message 12 is known" in one_line(tidings(folder, "why", "12", code=1)[1])

    @pytest.mark.parametrize(
        "arguments",
        [
            ["mesages"],
            ["run"],
            ["run", "--until", "tomorrow"],
            ["run", "--until", "2026-01-01T00:00:00"],
            ["run", "--until", INSTANT, "--from", "2027-01-01T00:00:00Z"],
            ["messages", "--status", "lost"],
            ["init", "--partitions", "0"],
        ],
    )
    def test_a_command_that_is_none_exits_with_2(self, folder: Path, arguments: list[str]) -> None:
        assert "Error: " in tidings(folder, *arguments, code=2)[1]


class TestFacts:
    def test_bad_lines_are_named_and_the_rest_goes_on(self, folder: Path) -> None:
        unknown = {
            **REGISTERED,
            "id": "2",
            "type": "account.opened/1",
            "subject": "0815",
            "data": {"account": "a"},
        }
        reused = {**REGISTERED, "data": {"birth_date": "1981-05-03"}}
        good = {**REGISTERED, "id": "3", "type": "account.opened/1", "data": {"account": "a"}}
        text = lines(REGISTERED, unknown, reused) + "{broken\n" + lines(good)
        (folder / "facts.jsonl").write_text(text)
        out, err = tidings(folder, "import", "cloudevents", "facts.jsonl", "--json", code=1)
        assert json.loads(out) == {"read": 5, "accepted": 2, "repeated": 0, "refused": 3}
        told = err.strip().splitlines()
        assert [line.split(":")[0] for line in told] == ["line 2", "line 3", "line 4"]
        letters = select(
            folder, "SELECT place, number, sealed_by, reason, raw FROM dead_letters ORDER BY number"
        )
        assert [place for place, *_ in letters] == ["line 2", "line 3", "line 4"]
        engine = open_store(f"sqlite:///{folder / 'tidings.db'}")
        assert opened_letter(engine, letters[2][1:])[1] == b"{broken\n"

    def test_no_fact_of_the_catalogue_is_unknown_to_the_importer(self) -> None:
        assert all("/" in kind for kind in FACTS)


class TestJourneyFiles:
    def test_every_problem_is_told_at_once_with_its_place(self, folder: Path) -> None:
        (folder / "bad.yaml").write_text(
            "journey: bad\nversion: 1\ntitle: {en: Bad}\npurpose: care\ntopic: t\n"
            "enter: {by: fact, fact: nothing.happened/1}\nsteps:\n"
            "  - {step: a, do: send, template: tier-course, channels: [email], next: b}\n"
            "  - {step: b, do: wait, days: 1, at: '09:00', next: a}\n"
            "  - {step: c, do: send, template: nowhere, channels: [sms], next: d}\n"
        )
        out, err = tidings(folder, "journeys", "validate", "bad.yaml", "--json", code=1)
        found = {(p["line"], p["code"]) for p in json.loads(out)["problems"]}
        assert found == {
            (6, "journey.unknown_fact"),
            (8, "journey.round"),
            (8, "journey.hidden_marketing"),
            (9, "journey.round"),
            (10, "journey.unreachable"),
            (10, "journey.dangling"),
            (10, "journey.unknown_template"),
        }
        assert err.count("bad.yaml:") == 7

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("journey: 2026-13-45", "bad.yaml:1:1: this is not YAML"),
            (ALIASES, "more than 50000 parts"),
            ("journey: [", "bad.yaml:1:11: this is not YAML"),
            ("just words", "expected a document with keys and values"),
            ("journey: x\nversion: one\n", "bad.yaml:2:1: "),
            ("journey: x\nversion: 1\ntypo: 1\n", "bad.yaml:"),
        ],
    )
    def test_a_wrong_shape_has_its_place(self, folder: Path, text: str, told: str) -> None:
        (folder / "bad.yaml").write_text(text)
        assert told in one_line(tidings(folder, "journeys", "validate", "bad.yaml", code=1)[1])

    def test_the_shipped_ones_are_valid(self, folder: Path) -> None:
        # Publishing them, as `init` does, checks the others.
        library = Path(__file__).resolve().parents[2] / "journeys" / "library"
        for name in ("complaint", "maturity"):
            assert "no problems" in tidings(folder, "journeys", "validate", str(library / f"{name}.yaml"))[0]


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of one megabyte, where this machine lets us mount one."""
    # Not below pytest's own folders, which it clears away while somebody may still be mounted there.
    place = Path(tempfile.mkdtemp(prefix="tidings-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        place.rmdir()
        pytest.skip("mounting a small disk needs rights that this process does not have")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
    place.rmdir()


@pytest.mark.slow
@pytest.mark.long
class TestDisks:
    def test_a_disk_that_fills_keeps_what_was_accepted(self, small_disk: Path, tmp_path: Path) -> None:
        bank = Bank(tmp_path)
        shutil.copy(bank.path, small_disk / "tidings.db")
        keys = {
            "TIDINGS_KEYS": f"sqlite:///{bank.path.with_suffix('.keys.db')}",
            "TIDINGS_MASTER_KEY_FILE": str(bank.path.with_suffix(".master-key")),
        }
        told = [{**REGISTERED, "id": str(n), "subject": f"c-{n}"} for n in range(20_000)]
        (tmp_path / "facts.jsonl").write_text(lines(*told))
        import_ = ["import", "cloudevents", str(tmp_path / "facts.jsonl")]
        assert "the disk is full" in one_line(tidings(small_disk, *import_, code=1, **keys)[1])
        facts = int(str(select(small_disk, "SELECT count(*) FROM inbox")[0][0]))
        assert facts % 5_000 == 0

    def test_a_read_only_folder(self, small_disk: Path, tmp_path: Path) -> None:
        for path in (bank := Bank(tmp_path)).path.parent.glob(f"{bank.path.stem}.*"):
            shutil.copy(path, small_disk)
        (tmp_path / "facts.jsonl").write_text(lines(REGISTERED))
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        import_ = ["import", "cloudevents", str(tmp_path / "facts.jsonl")]
        for command in (import_, ["run", "--until", INSTANT], ["init", "--store", "sqlite:///new.db"]):
            told = one_line(tidings(small_disk, *command, code=1)[1])
            assert "read-only" in told or "cannot be opened" in told

    def test_a_file_that_may_not_grow(self, tmp_path: Path) -> None:
        """The same as a full disk, for a process that may not mount one: a limit on file size."""
        import resource

        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        Bank(folder)
        told = [{**REGISTERED, "id": str(n), "subject": f"c-{n}"} for n in range(20_000)]
        (folder / "facts.jsonl").write_text(lines(*told))
        limit = 2_000_000
        done = subprocess.run(
            [sys.executable, "-m", "tidings", "import", "cloudevents", "facts.jsonl"],
            cwd=folder,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        assert done.returncode == 1
        assert "the disk" in one_line(done.stderr)


@pytest.mark.long
@pytest.mark.slow
def test_every_command_tells_how_to_use_it(tmp_path: Path) -> None:
    for name in COMMANDS:
        assert "Usage: tidings" in tidings(tmp_path, name, "--help")[0]


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    bank = Bank(folder, name="many")
    bank.take([envelope(f"c-{n}", at("2026-01-01 12:00"), registered()) for n in range(500)])
    bank.run(at("2026-12-31 12:00"))
    command = f"{sys.executable} -m tidings messages --limit 9999 --store sqlite:///many.db | head -1"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)  # noqa: S602
    assert done.stderr == ""


def test_of_many_names_only_those_that_are_alike_are_offered(tmp_path: Path) -> None:
    tidings(tmp_path, "init")
    told = one_line(tidings(tmp_path, "journeys", "show", "festival-new-yaer", code=1)[1])
    assert "Did you mean festival-new-year" in told
    assert "complaint" not in told
    assert "complaint" in tidings(tmp_path, "journeys", "show", "qqq", code=1)[1]
