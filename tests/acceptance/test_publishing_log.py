"""The published log is what the texts of C2SP say, by a verifier that knows nothing of how it was made."""

import json
from base64 import b64decode
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from audit.notes import SignerKey
from audit.tile_paths import TileName, read_path
from domain.errors import InputRefused
from stores.tree import StoredTree
from support import tlog_verifier
from support.bank import Bank, copy_store
from support.facts import at
from support.http_stand_in import Reply, Request, serving
from support.service import Service
from support.smtp_server import Fault, SmtpServer
from tidings.api import ServiceSettings
from tidings.cli import run
from tidings.log_folder import LogFolder
from tidings.memory import Room
from tidings.providers import opened
from tidings.proving import kept_checkpoint
from tidings.publication import publish_to_folder
from tidings.sealing import Sealer
from tidings.serving import Publishing, sweeps_of
from tidings.settings import Settings
from tidings.synthetic import synthetic_bank

ORIGIN = "bank.example/log"
KEY = SignerKey(ORIGIN, b"\x07" * 32)
VKEY = KEY.verifier.text
NOW = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = list(synthetic_bank(customers=20, days=59, start=date(2026, 1, 1), seed=5))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    bank = Bank(tmp_path_factory.mktemp("bank"), partitions=2)
    assert bank.take(FACTS).refused == []
    bank.run(at("2026-01-25 12:00"))
    return bank


@pytest.fixture
def bank(lived: Bank, tmp_path: Path) -> Bank:
    copy = Bank(tmp_path, partitions=2)
    copy_store(lived, copy)
    return copy


@pytest.fixture
def store(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> str:
    """The command line's own: a store, and the key in the environment."""
    monkeypatch.setenv("TIDINGS_SIGNER", KEY.text)
    monkeypatch.setenv("TIDINGS_STORE", bank.settings.store)
    return bank.settings.store


def seal(bank: Bank) -> int:
    return Sealer(bank.tidings.engine, [KEY], clock=lambda: NOW).seal().checkpoint.size


def give(bank: Bank, folder: Path) -> None:
    publish_to_folder(StoredTree(bank.tidings.engine), folder, progress=lambda _: None)


def test_a_folder_is_read_by_an_independent_verifier_again_and_again(bank: Bank, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    sizes = []
    for until in ("2026-01-26 12:00", "2026-02-10 12:00", "2026-03-01 12:00"):
        bank.run(at(until))
        sizes.append(seal(bank))
        give(bank, folder)
        log = tlog_verifier.Log.of_folder(folder, VKEY, ORIGIN)
        assert log.check() == sizes[-1]
    assert sizes == sorted(set(sizes))
    assert [int(path.name) for path in sorted((folder / "checkpoints").iterdir(), key=lambda p: int(p.name))]
    for size in sizes:
        # Full tiles stand in for the partial ones of smaller trees.
        told = tlog_verifier.opened_note((folder / "checkpoints" / str(size)).read_bytes(), VKEY)
        assert int(told[1]) == size
    # A tile that is full has no partial forms left.
    assert not any(path.with_name(path.name.removesuffix(".p")).exists() for path in folder.rglob("*.p"))


def test_any_altered_file_of_a_folder_is_told_by_the_verifier(bank: Bank, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    seal(bank)
    give(bank, folder)
    files = [path for path in (folder / "tile").rglob("*") if path.is_file()] + [folder / "checkpoint"]
    assert len(files) > 4
    for path in files:
        before = path.read_bytes()
        path.chmod(0o600)
        # Not the very end: the last letter of a signature has bits that mean nothing.
        path.write_bytes(before[:-9] + bytes([before[-9] ^ 1]) + before[-8:])
        with pytest.raises((tlog_verifier.Distrusted, ValueError)):
            tlog_verifier.Log.of_folder(folder, VKEY, ORIGIN).check()
        path.write_bytes(before)
    tlog_verifier.Log.of_folder(folder, VKEY, ORIGIN).check()


def test_what_is_published_is_never_written_over(bank: Bank, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    seal(bank)
    give(bank, folder)
    tile = folder / "tile" / "0" / "000"
    assert tile.stat().st_mode & 0o222 == 0
    tile.chmod(0o600)
    tile.write_bytes(bytes(8192))
    with pytest.raises(InputRefused, match=r"published\.clobber"):
        LogFolder(folder).add("tile/0/000", b"other")
    bank.sql("UPDATE events SET hash = zeroblob(32) WHERE partition = 1 AND seq = 1")
    for table in ("tree_tiles", "tree_stretches", "checkpoints"):
        bank.sql(f"DELETE FROM {table}")
    seal(bank)
    with pytest.raises(InputRefused, match=r"published\.forked"):
        give(bank, folder)


def test_a_folder_of_another_log_is_left_alone(bank: Bank, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    Sealer(bank.tidings.engine, [SignerKey("other.example", b"\x01" * 32)], clock=lambda: NOW).seal()
    give(bank, folder)
    seal(bank)
    with pytest.raises(InputRefused, match=r"published\.other_log"):
        give(bank, folder)


def test_a_place_that_cannot_be_written_is_told(bank: Bank, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputRefused, match=r"published\.nothing"):
        give(bank, tmp_path / "log")
    seal(bank)
    with pytest.raises(InputRefused, match=r"published\.unwritable"):
        give(bank, tmp_path / "file" / "log")


def test_the_log_is_served_as_the_folder_is(bank: Bank) -> None:
    size = seal(bank)
    service = Service(bank, settings=ServiceSettings(serves_log=True))

    def fetch(path: str) -> bytes:
        answer = service.client.get(f"/{path}")
        assert answer.status_code == 200, path
        return answer.content

    assert tlog_verifier.Log(fetch, VKEY, ORIGIN).check() == size
    tile = service.client.get("/tile/0/000")
    assert tile.headers["content-type"] == "application/octet-stream"
    assert "immutable" in tile.headers["cache-control"]
    assert service.client.get("/checkpoint").headers["content-type"] == "text/plain; charset=utf-8"
    assert service.client.get("/tile/0/000.p/17").content == tile.content[: 17 * 32]
    for path in ("tile/0/999", "tile/0/000.p/256", "tile/0/0", "tile/9/000", "tile/x/000", "tile/0/000.p/0"):
        assert service.client.get(f"/{path}").status_code == 404, path


def test_who_did_not_ask_for_it_serves_no_log(bank: Bank) -> None:
    seal(bank)
    service = Service(bank)
    assert service.client.get("/checkpoint").status_code == 404
    assert service.client.get("/tile/0/000").status_code == 404


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (TileName(0, 0), "tile/0/000"),
        (TileName(1, 1_234_067), "tile/1/x001/x234/067"),
        (TileName(None, 273, 112), "tile/entries/273.p/112"),
        (TileName(63, 1_000, 1), "tile/63/x001/000.p/1"),
    ],
)
def test_paths_are_written_and_read_as_specified(name: TileName, path: str) -> None:
    assert name.path == path
    assert read_path(path) == name


@pytest.mark.parametrize(
    "path",
    ["tile/00/000", "tile/64/000", "tile/0/x000/001", "tile/0/1", "tile/0/000.p/256", "tile/0/000.p/01"],
)
def test_other_spellings_of_paths_are_none(path: str) -> None:
    assert read_path(path) is None


class TestCommands:
    def test_an_event_is_proved_by_all_its_names(
        self, bank: Bank, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["audit", "checkpoint"]) == 0
        capsys.readouterr()
        ((customer, version, seq, hash_),) = bank.sql(
            "SELECT s.subject, e.version, e.seq, e.hash"
            " FROM events e JOIN streams s USING (partition, stream) WHERE e.partition = 1 AND e.seq = 40"
        )
        for named in ([f"1:{seq}"], [customer, str(version)]):
            assert run(["audit", "prove", *named, "--json"]) == 0
            told = json.loads(capsys.readouterr().out)
            assert told["event"]["customer"] == customer
            assert told["index"] == tlog_verifier.checked_proof(told["proof"], hash_, VKEY, ORIGIN)
        with pytest.raises(tlog_verifier.Distrusted):
            tlog_verifier.checked_proof(told["proof"], bytes(32), VKEY, ORIGIN)
        out = tmp_path / "event.tlog-proof"
        assert run(["audit", "prove", f"1:{seq}", "--out", str(out)]) == 0
        assert out.read_text() == told["proof"]

    def test_a_message_is_proved_by_its_last_event(
        self, bank: Bank, store: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run(["audit", "checkpoint"])
        message = bank.tidings.ledger.messages()[0].id
        capsys.readouterr()
        assert run(["audit", "prove", message, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["event"]["kind"].startswith("message.")
        ((hash_,),) = bank.sql(
            "SELECT hash FROM events WHERE partition = ? AND seq = ?",
            told["event"]["partition"],
            told["event"]["seq"],
        )
        assert tlog_verifier.checked_proof(told["proof"], hash_, VKEY, ORIGIN) == told["index"]

    def test_two_trees_are_proved_consistent(
        self, bank: Bank, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run(["audit", "publish", "--to", str(tmp_path / "log")])
        old = (tmp_path / "log" / "checkpoint").read_text()
        (tmp_path / "old").write_text(old)
        bank.run(at("2026-02-10 12:00"))
        run(["audit", "checkpoint"])
        capsys.readouterr()
        new = json.loads((run(["audit", "checkpoint", "--json"]), capsys.readouterr().out)[1])
        assert (
            run(["audit", "prove", "--consistency", str(tmp_path / "old"), str(new["size"]), "--json"]) == 0
        )
        told = json.loads(capsys.readouterr().out)
        path = [b64decode(step) for step in told["path"]]
        roots = [b64decode(told[end]["root"]) for end in ("old", "new")]
        assert told["old"]["root"] == old.splitlines()[2]
        assert tlog_verifier.consistent(told["old"]["size"], roots[0], new["size"], roots[1], path)

    def test_verify_takes_what_is_kept_elsewhere(
        self, bank: Bank, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "log"
        assert run(["audit", "publish", "--to", str(folder)]) == 0
        arguments = ["audit", "verify", "--checkpoint", str(folder / "checkpoint"), "--vkey", VKEY]
        assert run(arguments) == 0
        bank.sql("UPDATE events SET hash = zeroblob(32) WHERE partition = 1 AND seq = 40")
        capsys.readouterr()
        assert run([*arguments, "--published", str(folder)]) == 1
        assert "partition 1, entry 40, customer" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["prove", "1:999999"], "there is no event 1:999999"),
            (["prove", "nobody", "1"], "nobody"),
            (["prove", "no-message"], "no-message"),
            (["prove", "1:40"], "is not sealed yet"),
            (["prove", "--consistency", "5", "999999999"], "there is no proof for 5"),
            (["prove", "--consistency", "nothing", "1"], "neither a number of entries nor a file"),
            (["rotate-signer"], "come from TIDINGS_SIGNER"),
            (["publish", "--url", "ftp://bank.example"], "expected https"),
            (["publish", "--mail-to", "a@b.example"], "there is no provider of e-mail"),
            (["verify", "--vkey", "nonsense", "--checkpoint", "absent"], "nonsense is no Ed25519 key"),
            (["verify", "--checkpoint", "absent"], "absent cannot be read"),
        ],
    )
    def test_bad_input_is_one_line(
        self, bank: Bank, store: str, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["audit", *arguments]) == 1
        complaints = capsys.readouterr().err.strip().splitlines()
        assert len(complaints) == 1
        assert told in complaints[0]

    def test_prove_needs_one_thing_to_prove(self, store: str) -> None:
        assert run(["audit", "prove"]) == 2
        assert run(["audit", "prove", "1:1", "--consistency", "1", "2"]) == 2
        assert run(["audit", "publish"]) == 2


class TestRemoved:
    """Events that retention has taken out of the store stay leaves, and are compared in the archive."""

    def test_what_is_removed_was_sealed_and_is_compared_in_the_archive(
        self, bank: Bank, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        archive, both = str(tmp_path / "archive"), ["--store", store]
        bank.run(at("2026-02-10 12:00"), room=Room(customers=50_000, events_between_snapshots=5))
        size = bank.tidings.history.size()
        assert run(["archive", archive, "--before", "2026-01-20T00:00:00Z", "--remove", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["removed"] > 20
        # What ordered and signed it is on record, too.
        sealed = StoredTree(bank.tidings.engine).size()
        assert sealed > size
        ((first,),) = bank.sql("SELECT min(seq) FROM events WHERE partition = 1")
        assert first > 2
        assert run(["audit", "verify", *both, "--archive", archive, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["sealed"] == {"entries": sealed, "checkpoints": 1, "removed": 0, "unsealed": 0}
        assert run(["audit", "verify", "--json"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert {finding["code"] for finding in told["findings"]} == {"audit.events_removed"}
        assert told["sealed"]["removed"] + told["sealed"]["entries"] == sealed
        assert run(["audit", "prove", "1:2"]) == 1
        assert run(["audit", "prove", "1:2", "--archive", archive, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["event"]["seq"] == 2

    def test_what_is_gone_cannot_be_published(
        self, bank: Bank, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bank.run(at("2026-02-10 12:00"), room=Room(customers=50_000, events_between_snapshots=5))
        archive = str(tmp_path / "archive")
        run(["archive", archive, "--before", "2026-01-20T00:00:00Z", "--remove"])
        capsys.readouterr()
        assert run(["audit", "publish", "--to", str(tmp_path / "log")]) == 1
        assert "tidings archive FOLDER --restore" in capsys.readouterr().err
        assert run(["archive", archive, "--restore"]) == 0
        assert run(["audit", "publish", "--to", str(tmp_path / "log")]) == 0
        tlog_verifier.Log.of_folder(tmp_path / "log", VKEY, ORIGIN).check()


class TestKeys:
    def test_a_key_is_made_once_and_changed_with_an_overlap(
        self, bank: Bank, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TIDINGS_STORE", bank.settings.store)
        monkeypatch.setenv("TIDINGS_ORIGIN", ORIGIN)
        path = Path(f"{bank.path}.signer")
        notes, keys = [], []
        for command in (["checkpoint"], ["rotate-signer"], ["rotate-signer", "--retire"]):
            assert run(["audit", *command, "--json"]) == 0
            notes.append(json.loads(capsys.readouterr().out)["checkpoint"].encode())
            assert run(["audit", "keys", "--json"]) == 0
            keys.append(json.loads(capsys.readouterr().out)["keys"])
        assert path.stat().st_mode & 0o777 == 0o600
        assert [len(known) for known in keys] == [1, 2, 1]
        (old,), (new,) = keys[0], keys[2]
        assert keys[1] == [old, new]
        assert tlog_verifier.opened_note(notes[1], old) == tlog_verifier.opened_note(notes[1], new)
        with pytest.raises(tlog_verifier.Distrusted):
            tlog_verifier.opened_note(notes[2], old)
        kinds = [kind for (kind,) in bank.sql("SELECT kind FROM events WHERE partition = 0 ORDER BY seq")]
        assert [kind for kind in kinds if kind.startswith("signer.")] == [
            "signer.begun/1",
            "signer.introduced/1",
            "signer.introduced/1",
            "signer.retired/1",
        ]
        # Who ordered each change is on record as well.
        assert len(kinds) > kinds.index("signer.begun/1") + 4
        # The checkpoints of the retired key are still ours.
        assert run(["audit", "verify"]) == 0

    def test_a_lost_key_is_not_replaced_unnoticed(
        self, bank: Bank, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TIDINGS_STORE", bank.settings.store)
        run(["audit", "checkpoint"])
        Path(f"{bank.path}.signer").unlink()
        capsys.readouterr()
        assert run(["audit", "checkpoint"]) == 1
        assert "was signed before, and its key is not in" in capsys.readouterr().err

    @pytest.mark.parametrize(("text", "told"), [("", "holds no key"), ("nonsense\n", "is no Ed25519 key")])
    def test_a_broken_key_file_is_told(
        self,
        bank: Bank,
        text: str,
        told: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("TIDINGS_STORE", bank.settings.store)
        Path(f"{bank.path}.signer").write_text(text)
        assert run(["audit", "keys"]) == 1
        assert told in capsys.readouterr().err


class TestServing:
    """What recurs while ``tidings serve`` runs."""

    def ways_file(self, folder: Path, audit: str, *, port: int = 25) -> Path:
        path = folder / "channels.toml"
        path.write_text(
            'public_url = "http://localhost:1"\nlink_keys = [{env = "LINKS"}]\n'
            f'[providers.mail]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n'
            'sender = {address = "audit@bank.example"}\n'
            f"[audit]\n{audit}\n"
        )
        return path

    def test_each_sealing_is_given_to_all_who_are_named(
        self, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LINKS", "a key that is long enough to be believed")
        posted: list[Request] = []

        def stand_in(request: Request) -> Reply:
            posted.append(request)
            return Reply(status=201)

        folder = tmp_path / "log"
        settings = Settings(bank.settings.store, bank.outbox, signer=KEY.text)
        with serving(stand_in) as url, SmtpServer() as server:
            told = (
                f'folder = "{folder}"\nurl = "{url}/add"\nmail_to = "witness@court.example"\nmail_by = "mail"'
            )
            tidings, ways = opened(settings, self.ways_file(tmp_path, told, port=server.port))
            assert ways.file.audit.every == timedelta(minutes=10)
            publishing = Publishing(tidings, ways, clock=lambda: NOW)
            server.fails(Fault("data", b"550 5.7.1 no\r\n"))
            with pytest.raises(InputRefused, match=r"published\.not_mailed"):
                publishing.seal()
            publishing.seal()
            publishing.seal()
        note = (folder / "checkpoint").read_bytes()
        # Where one of them failed, all are given it again.
        request, again = posted
        assert again == request
        assert (request.method, request.target, request.body) == ("POST", "/add", note)
        (mail,) = server.mails
        body = message_from_bytes(mail, policy=policy.default).get_body()
        assert body is not None
        assert body.get_content().splitlines() == note.decode().splitlines()
        (tmp_path / "mail").write_bytes(body.get_content().encode())
        assert kept_checkpoint(tmp_path / "mail", [KEY.verifier]).size > 0
        assert tlog_verifier.opened_note(note, VKEY)[0] == ORIGIN

    def test_an_endpoint_that_refuses_is_told(self, bank: Bank, store: str) -> None:
        with serving(lambda _: Reply(status=403)) as url:
            assert run(["audit", "publish", "--url", url]) == 1

    @pytest.mark.parametrize(
        ("audit", "told"),
        [
            ('url = "http://elsewhere.example"', "audit.url must be an https address"),
            ('mail_to = "w@c.example"', "audit.mail_to and audit.mail_by go together"),
            ('mail_to = "w@c.example"\nmail_by = "post"', "no provider of e-mail 'post'"),
            ("every_minutes = -1", "every_minutes"),
        ],
    )
    def test_wrong_settings_are_told_before_anything_is_opened(
        self, bank: Bank, tmp_path: Path, audit: str, told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LINKS", "a key that is long enough to be believed")
        with pytest.raises(InputRefused) as refused:
            opened(bank.settings, self.ways_file(tmp_path, audit))
        assert told in str(refused.value)

    def test_sealing_recurs_unless_it_is_switched_off(
        self, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LINKS", "a key that is long enough to be believed")
        for audit, expected in (("every_minutes = 5", True), ("every_minutes = 0", False)):
            tidings, ways = opened(bank.settings, self.ways_file(tmp_path, audit))
            names = [job.id for job in sweeps_of(tidings, ways, clock=lambda: NOW)._scheduler.get_jobs()]
            assert ("seal" in names) is expected
