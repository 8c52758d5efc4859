"""Evidence of what lies sealed: opened for the reader, and whole after the customer's key is destroyed."""

import json
import sqlite3
from pathlib import Path

import pytest

from stores.vault import vault_of
from support.bank import Bank
from support.evidence_packs import files_of, forged, joined, lines, lived, opens, packed, wrongs

# Of the first customer, wherever it may stand: in bodies, words, reports.
PERSONAL = ("Jiří", "慕容", "one@example.com", "+420601000001")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return lived(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def opened(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packs") / "opened.zip"
    packed(bank, path)
    return path


@pytest.fixture(scope="module")
def key(bank: Bank, opened: Path) -> bytes:
    found = bank.tidings.history.find("c-1")
    assert found is not None
    key = vault_of(bank.tidings.engine).ring().find(found[0], [found[1]])[found[1]]
    assert key is not None
    return key


@pytest.fixture(scope="module")
def erased(bank: Bank, opened: Path, key: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same customer's pack after their key is gone; it is made after the other one."""
    found = bank.tidings.history.find("c-1")
    assert found is not None
    keys = sqlite3.connect(bank.path.with_suffix(".keys.db"), isolation_level=None)
    keys.execute("UPDATE customer_keys SET wrapped = x'' WHERE partition = ? AND stream = ?", found)
    keys.close()
    path = tmp_path_factory.mktemp("packs") / "erased.zip"
    packed(bank, path)
    return path


class TestWithTheKey:
    def test_the_reader_gets_values_and_the_chain_is_over_what_is_sealed(self, opened: Path) -> None:
        files = files_of(opened)
        for value in PERSONAL:
            assert value not in files["history.jsonl"].decode()
            assert value in files["clear.jsonl"].decode()
            assert value in files["report.en.html"].decode()
        assert wrongs(opened) == []

    def test_what_cannot_be_checked_is_said(self, opened: Path) -> None:
        assert "clear_unproved" in opens(opened)

    @pytest.mark.parametrize(
        ("old", "new"),
        [('"zone":"Europe/Prague"', '"zone":"Asia/Shanghai"'), ('"source":"', '"source":"/')],
    )
    def test_values_that_do_not_fit_the_open_part_are_found(
        self, opened: Path, tmp_path: Path, old: str, new: str
    ) -> None:
        files = files_of(opened)
        line, *others = lines(files["clear.jsonl"])
        assert old in str(line["body"])
        altered = {**line, "body": str(line["body"]).replace(old, new)}
        forgery = forged({**files, "clear.jsonl": joined([altered, *others])}, tmp_path / "forged.zip")
        assert "clear_differs" in wrongs(forgery)


class TestWithTheKeyInThePack:
    @pytest.fixture
    def with_key(self, opened: Path, key: bytes, tmp_path: Path) -> Path:
        return forged({**files_of(opened), "key.txt": key.hex().encode()}, tmp_path / "with-key.zip")

    def test_opened_values_are_proved(self, with_key: Path) -> None:
        assert wrongs(with_key) == []
        assert "clear_unproved" not in opens(with_key)

    def test_another_persons_name_is_found(self, with_key: Path, tmp_path: Path) -> None:
        files = files_of(with_key)
        files["clear.jsonl"] = files["clear.jsonl"].replace("Jiří".encode(), "Juří".encode())
        assert "clear_differs" in wrongs(forged(files, tmp_path / "forged.zip"))

    def test_another_key_is_found(self, with_key: Path, tmp_path: Path) -> None:
        files = {**files_of(with_key), "key.txt": b"00" * 32}
        assert "key_does_not_open" in wrongs(forged(files, tmp_path / "forged.zip"))


class TestAfterAnErasure:
    def test_the_proofs_hold_and_no_personal_value_is_there(self, erased: Path) -> None:
        assert wrongs(erased) == []
        for name, data in files_of(erased).items():
            assert [value for value in PERSONAL if value.encode() in data] == [], name

    def test_what_is_missing_is_said(self, erased: Path) -> None:
        assert {"words_missing", "still_sealed"} <= set(opens(erased))
        files = files_of(erased)
        assert "could not be opened" in files["report.en.html"].decode()
        assert json.loads(files["pack.json"])["words_missing"] != []
