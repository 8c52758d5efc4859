"""tidings audit evidence as people use it, awkwardly too: one clear line, the right code, no half file."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from audit.notes import SignerKey, sign_checkpoint
from domain.errors import InputRefused
from support.bank import Bank
from support.evidence_packs import KEY, copied, files_of, forged, lived, opens, verify, wrongs
from support.facts import at, registered
from support.scenario import envelope
from templates.model import Template
from tidings.cli import run
from tidings.documents import Documents, decode, read_document, shipped
from tidings.evidence.zipped import writing_pack

pytestmark = [pytest.mark.slow, pytest.mark.long]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "templates"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return lived(tmp_path_factory.mktemp("bank"))


@pytest.fixture
def folder(made: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the store that commands find there, and the key that has signed it."""
    copied(made, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDINGS_SIGNER", KEY.text)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that the refused command complains."""
    assert run(["audit", "evidence", *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line


def test_a_pack_is_written_and_proves_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = folder / "kept.txt"
    run(["audit", "checkpoint"])
    kept.write_text(capsys.readouterr().out)
    given = ["--customer", "c-1", "--out", "c-1.zip", "--checkpoint", str(kept), "--json"]
    assert run(["audit", "evidence", *given]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["customer"], told["file"], told["words_missing"]) == ("c-1", "c-1.zip", 0)
    assert told["events"] == told["disclosed"] == told["sealed"]
    with zipfile.ZipFile("c-1.zip") as file:
        file.extractall("c-1")
    lines = verify(folder / "c-1", "--key", KEY.verifier.text, "--checkpoint", str(kept))
    assert any("kept elsewhere" in line and line.startswith("ok") for line in lines)
    assert not any("key is the pack's own" in line for line in lines)
    assert (folder / "c-1.zip").stat().st_mode & 0o077 == 0


def test_it_says_what_it_wrote_in_both_languages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    period = ["--from", "2026-03-01T00:00:00Z", "--to", "2026-04-01T00:00:00Z"]
    for language, words in (("en", "events, "), ("zh-CN", "条事件中的")):
        out = f"{language}.zip"
        assert run(["audit", "evidence", "--customer", "c-1", *period, "--out", out, "--lang", language]) == 0
        printed = capsys.readouterr()
        assert words in printed.out
        assert printed.err == ""
        assert wrongs(folder / out) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--customer", "c-9"], "no customer c-9 is known. Did you mean c-1, c-2?"),
        (["--customer", "c-1", "--to", "2020-01-01T00:00:00Z"], "nothing happened to customer c-1 from -"),
        (
            ["--customer", "c-1", "--from", "2026-05-01T00:00:00Z", "--to", "2026-04-01T00:00:00Z"],
            "ends before it begins",
        ),
        (["--customer", "c-1", "--to", "2190-01-01T00:00:00Z"], "lies in the future"),
        (["--customer", "c-1", "--from", "2190-01-01T00:00:00Z"], "lies in the future"),
        (["--customer", "c-1", "--checkpoint", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["--customer", "c-1", "--checkpoint", "tidings.db"], "tidings.db cannot be read"),
    ],
    ids=[
        "unknown customer",
        "empty period",
        "backwards",
        "to the future",
        "from the future",
        "no file",
        "binary",
    ],
)
def test_what_cannot_be_is_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    before = sorted(folder.iterdir())
    assert told in refused(capsys, *arguments, "--out", "pack.zip")
    assert not (folder / "pack.zip").exists()
    assert [path for path in sorted(folder.iterdir()) if path.suffix != ".db-shm"] >= before


def test_a_place_that_cannot_be_is_one_clear_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "there.zip").write_bytes(b"older")
    (folder / "place.zip").mkdir()
    for out, told in (
        ("there.zip", "there.zip is there already; --force replaces a file"),
        ("place.zip", "place.zip is there already"),
        ("nowhere/pack.zip", "nowhere: there is no such folder"),
    ):
        assert told in refused(capsys, "--customer", "c-1", "--out", out)
    assert (folder / "there.zip").read_bytes() == b"older"
    assert run(["audit", "evidence", "--customer", "c-1", "--out", "there.zip", "--force"]) == 0
    assert wrongs(folder / "there.zip") == []


def test_a_read_only_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: object) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied")

    # Tests may run as root, whom no mode of a folder stops.
    monkeypatch.setattr("tidings.evidence.zipped.mkstemp", denied)
    with (
        pytest.raises(InputRefused, match="Permission denied"),
        writing_pack(tmp_path / "pack.zip", force=False),
    ):
        pass


def test_a_checkpoint_of_another_log_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "forked.txt").write_text(
        sign_checkpoint("bank.example/log", size=7, root=b"x" * 32, keys=[KEY]).note
    )
    (folder / "beyond.txt").write_text(
        sign_checkpoint("bank.example/log", size=10**6, root=b"x" * 32, keys=[KEY]).note
    )
    other = SignerKey("bank.example/log", b"\x08" * 32)
    (folder / "other.txt").write_text(
        sign_checkpoint("bank.example/log", size=7, root=b"x" * 32, keys=[other]).note
    )
    for name, told in (("forked", "is not of this log"), ("beyond", "was cut"), ("other", "is signed by")):
        line = refused(capsys, "--customer", "c-1", "--out", "pack.zip", "--checkpoint", f"{name}.txt")
        assert told in line


def test_the_key_comes_only_if_it_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--customer", "c-1", "--out", "pack.zip", "--force"]
    assert run(["audit", "evidence", *given]) == 0
    assert "key.txt" not in files_of(folder / "pack.zip")
    assert run(["audit", "evidence", *given, "--with-key"]) == 0
    assert "key.txt" in files_of(folder / "pack.zip")
    assert wrongs(folder / "pack.zip") == []
    assert "clear_unproved" not in opens(folder / "pack.zip")


def test_usage_is_told_as_usage(folder: Path) -> None:
    assert run(["audit", "evidence", "--customer", "c-1"]) == 2
    assert run(["audit", "evidence", "--customer", "c-1", "--out", "x.zip", "--from", "yesterday"]) == 2


def test_mails_with_pictures_stand_alone_and_are_proved(tmp_path: Path) -> None:
    template = decode(read_document(EXAMPLES / "birthday-greeting.yaml"), Template)
    told = shipped()
    templates = [t for t in told.templates if t.template != template.template]
    bank = Bank(
        tmp_path, documents=Documents(told.journeys, [*templates, template], told.policy, told.calendars)
    )
    assert bank.take([envelope("c-1", at("2026-01-02 12:00"), registered(given_name="Jiří"))]).refused == []
    bank.run(at("2026-06-01 12:00"))
    store = ["--store", bank.settings.store]
    out = tmp_path / "pack.zip"
    assert run(["audit", "evidence", "--customer", "c-1", "--out", str(out), *store]) == 0
    pages = {
        name: data
        for name, data in files_of(out).items()
        if name.startswith("messages/") and name.endswith("html")
    }
    ((name, page),) = pages.items()
    assert b"data:image/" in page
    assert b"cid:" not in page
    assert b"default-src 'none'" in page
    assert wrongs(out) == []
    # Another word, another picture, a picture more: none of them left.
    for old, new in (
        (b"Happy birthday", b"Harpy birthday"),
        (b";base64,iVBO", b";base64,iVBP"),
        (b"</body>", b'<img src="data:image/png;base64,iVBO"></body>'),
    ):
        assert old in page
        altered = {**files_of(out), name: page.replace(old, new, 1)}
        assert wrongs(forged(altered, tmp_path / "forged.zip")) == ["words_differ"]


def test_an_archive_alone_will_do(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for arguments in (
        ["archive", "kept"],
        ["audit", "evidence", "--customer", "c-1", "--out", "pack.zip", "--archive", "kept"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "tidings", *arguments], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
    assert wrongs(folder / "pack.zip") == []
    assert "proofs/checkpoint.txt" not in files_of(folder / "pack.zip")
