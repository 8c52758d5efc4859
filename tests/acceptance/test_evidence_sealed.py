"""Evidence where personal values are sealed: opened for the reader, and whole without the key."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from domain.chain import genesis, link
from domain.ports import StoredEvent
from stores.history import StoredHistory
from support.bank import Bank
from support.evidence_packs import files_of, forged, joined, lines, lived, opens, packed, wrongs

NAMES = ("birth_date", "given_name", "family_name", "email", "phone", "device")


class SealedHistory(StoredHistory):
    """The same events as they lie in a store that seals: a registration's personal values in one member."""

    has_key = True

    def history(self, partition: int, stream: int) -> list[StoredEvent]:
        """The events, chained over their sealed bodies; opened if the key is there."""
        digests = {number: stored.digest for number, stored in self.rulebooks().items()}
        return list(
            self._chained(super().history(partition, stream), self.subjects(partition)[stream], digests)
        )

    def _chained(
        self, events: list[StoredEvent], subject: str, digests: dict[int, str]
    ) -> Iterator[StoredEvent]:
        before = genesis(subject)
        for event in events:
            body = _sealed(event.body) if event.kind == "customer.registered/1" else event.body
            clear = event.body if body != event.body and self.has_key else None
            before = link(
                before,
                version=event.version,
                kind=event.kind,
                occurred_at=event.occurred_at,
                recorded_at=event.recorded_at,
                cause=event.cause,
                rulebook=digests[event.rulebook],
                body=body,
            )
            yield msgspec.structs.replace(event, body=body, clear=clear, hash=before)


def _sealed(body: bytes) -> bytes:
    said = json.loads(body)
    public = {name: value for name, value in said.items() if name not in NAMES}
    return json.dumps({**public, "sealed": "1.c2VhbGVk"}, separators=(",", ":")).encode()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return lived(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def opened(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packs") / "opened.zip"
    packed(bank, path, history=SealedHistory(bank.tidings.engine))
    return path


@pytest.fixture(scope="module")
def erased(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packs") / "erased.zip"
    history = SealedHistory(bank.tidings.engine)
    history.has_key = False
    packed(bank, path, history=history)
    return path


class TestWithTheKey:
    def test_the_reader_gets_values_and_the_chain_is_over_what_is_sealed(self, opened: Path) -> None:
        files = files_of(opened)
        assert "Jiří" not in files["history.jsonl"].decode()
        assert json.loads(lines(files["clear.jsonl"])[0]["body"])["given_name"] == "Jiří"  # type: ignore[arg-type]
        assert "Jiří" in files["report.en.html"].decode()
        assert wrongs(opened) == []

    def test_what_cannot_be_checked_is_said(self, opened: Path) -> None:
        assert "clear_unproved" in opens(opened)

    def test_values_that_do_not_fit_the_open_part_are_found(self, opened: Path, tmp_path: Path) -> None:
        files = files_of(opened)
        line = lines(files["clear.jsonl"])[0]
        for old, new in (('"zone":"Europe/Prague"', '"zone":"Asia/Shanghai"'), ('"source":"', '"source":"/')):
            assert old in str(line["body"])
            altered = {**line, "body": str(line["body"]).replace(old, new)}
            forgery = forged({**files, "clear.jsonl": joined([altered])}, tmp_path / "forged.zip")
            assert "clear_differs" in wrongs(forgery)


class TestAfterAnErasure:
    def test_the_proofs_hold_and_no_personal_value_is_there(self, erased: Path) -> None:
        assert wrongs(erased) == []
        assert [name for name, data in files_of(erased).items() if "Jiří".encode() in data] == []

    def test_what_is_missing_is_said(self, erased: Path) -> None:
        assert {"words_missing", "still_sealed"} <= set(opens(erased))
        assert "was erased" in files_of(erased)["report.en.html"].decode()
