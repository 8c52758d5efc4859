"""What somebody with the whole database can do, and that a checkpoint or a folder kept elsewhere tells it."""

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from audit.findings import Finding
from audit.notes import SignerKey, sign_checkpoint
from audit.sealed import SealedCheck
from domain.chain import genesis, link
from domain.errors import InputRefused, StoreCorrupt
from stores.tree import StoredTree
from support.bank import Bank, copy_store
from support.facts import at
from support.postgres import fresh_database
from tidings.proving import Elsewhere, check_proofs
from tidings.publication import publish_to_folder
from tidings.sealing import Sealer
from tidings.settings import Settings
from tidings.synthetic import synthetic_bank

pytestmark = [pytest.mark.slow, pytest.mark.long]

KEY = SignerKey("bank.example/log", b"\x07" * 32)
VKEY = KEY.verifier.text
NOWHERE = Elsewhere()
FACTS = list(synthetic_bank(customers=20, days=59, start=date(2026, 1, 1), seed=5))


class Kept(Bank):
    """A bank whose log was published twice, and who kept both checkpoints."""

    kept: Path

    @property
    def notes(self) -> list[Path]:
        return sorted((self.kept / "checkpoints").iterdir(), key=lambda path: int(path.name))

    def seal(self, key: SignerKey = KEY) -> int:
        tidings = self.tidings
        sealed = Sealer(tidings.engine, [key], clock=lambda: datetime(2026, 3, 1, tzinfo=UTC)).seal()
        tidings.engine.dispose()
        return sealed.checkpoint.size

    def publish_log(self, folder: Path) -> None:
        tidings = self.tidings
        publish_to_folder(StoredTree(tidings.engine), folder, progress=lambda _: None)
        tidings.engine.dispose()

    def check(self, elsewhere: Elsewhere = NOWHERE, *, key: SignerKey = KEY) -> SealedCheck:
        tidings = self.tidings
        settings = Settings(self.settings.store, self.outbox, signer=key.text)
        try:
            return check_proofs(settings, tidings.history, tidings.engine, elsewhere, progress=lambda _: None)
        finally:
            tidings.engine.dispose()

    def rehash(self) -> None:
        """Compute every chain anew, with heads, as whoever owns the database can."""
        digests = dict(self.sql("SELECT number, digest FROM rulebooks"))
        for partition, stream, subject in self.sql("SELECT partition, stream, subject FROM streams"):
            hash_ = genesis(subject)
            for row in self.sql(
                "SELECT seq, version, kind, occurred_at, recorded_at, cause, rulebook, body FROM events"
                " WHERE partition = ? AND stream = ? ORDER BY version",
                partition,
                stream,
            ):
                seq, version, kind, occurred_at, recorded_at, cause, rulebook, body = row
                hash_ = link(
                    hash_,
                    version=version,
                    kind=kind,
                    occurred_at=occurred_at,
                    recorded_at=recorded_at,
                    cause=cause,
                    rulebook=digests.get(rulebook, ""),
                    body=body,
                )
                self.sql("UPDATE events SET hash = ? WHERE partition = ? AND seq = ?", hash_, partition, seq)
            self.sql("UPDATE heads SET hash = ? WHERE partition = ? AND stream = ?", hash_, partition, stream)

    def seal_anew(self) -> None:
        """Forget the tree and make it again, with the true key: the worst that can be done."""
        for table in ("tree_tiles", "tree_stretches", "checkpoints"):
            self.sql(f"DELETE FROM {table}")
        self.seal()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    bank = Kept(tmp_path_factory.mktemp("bank"), partitions=2)
    bank.kept = bank.path.parent / "kept"
    assert bank.take(FACTS).refused == []
    bank.run(at("2026-01-25 12:00"))
    bank.seal()
    bank.publish_log(bank.kept)
    bank.run(at("2026-03-01 12:00"))
    bank.seal()
    bank.publish_log(bank.kept)
    assert bank.verify().findings == []
    assert len(bank.notes) == 2
    return bank


@pytest.fixture
def bank(lived: Kept, tmp_path: Path) -> Kept:
    copy = Kept(tmp_path, partitions=2, name="copy")
    copy_store(lived, copy)
    copy.kept = tmp_path / "kept"
    shutil.copytree(lived.kept, copy.kept)
    return copy


def early(bank: Kept) -> tuple[int, int, str, int]:
    """Partition, seq, customer and version of an event that the first checkpoint covers."""
    row = bank.sql(
        "SELECT e.partition, e.seq, s.subject, e.version"
        " FROM events e JOIN streams s USING (partition, stream)"
        " WHERE e.partition = 2 AND e.version > 3 ORDER BY e.seq LIMIT 1"
    )[0]
    return int(row[0]), int(row[1]), str(row[2]), int(row[3])


def late(bank: Kept) -> tuple[int, int, str, int]:
    """The same of the last event of partition 1, which only the second covers."""
    row = bank.sql(
        "SELECT e.partition, e.seq, s.subject, e.version"
        " FROM events e JOIN streams s USING (partition, stream)"
        " WHERE e.partition = 1 ORDER BY e.seq DESC LIMIT 1"
    )[0]
    return int(row[0]), int(row[1]), str(row[2]), int(row[3])


def rewrite(bank: Kept, place: tuple[int, int, str, int]) -> None:
    """Another instant in one event, and everything that hangs on it computed anew."""
    bank.sql("UPDATE events SET occurred_at = occurred_at - 1 WHERE partition = ? AND seq = ?", *place[:2])
    bank.rehash()


def codes(check: SealedCheck) -> list[str]:
    return [finding.code for finding in check.findings]


def place_of(finding: Finding) -> tuple[int, int, str, int]:
    return finding.partition, finding.seq, finding.subject, finding.version


def test_a_whole_store_fits_all_that_is_kept(bank: Kept) -> None:
    check = bank.check(Elsewhere(bank.notes, [VKEY], bank.kept))
    assert check.findings == []
    assert check.leaves == bank.tidings.history.size()
    assert check.unsealed == 0


@pytest.mark.parametrize("which", [early, late])
def test_a_rewritten_event_is_named_by_the_stores_own_tiles(
    bank: Kept, which: Callable[[Kept], tuple[int, int, str, int]]
) -> None:
    place = which(bank)
    rewrite(bank, place)
    # The chain fits again: nothing but the tree tells.
    assert "audit.hash_differs" not in [finding.code for finding in bank.verify().findings]
    check = bank.check()
    assert codes(check) == ["tree.event_differs"]
    assert place_of(check.findings[0]) == place


def test_all_computed_anew_is_told_by_one_checkpoint_with_the_interval(bank: Kept) -> None:
    place = late(bank)
    rewrite(bank, place)
    bank.seal_anew()
    assert bank.check().findings == []
    check = bank.check(Elsewhere(bank.notes, [VKEY]))
    (finding,) = check.findings
    assert finding.code == "tree.forked"
    first, second = (int(path.name) for path in bank.notes)
    assert finding.values["size"] in (first, second)
    check = bank.check(Elsewhere(bank.notes[1:], [VKEY]))
    assert [(f.code, f.values["after"], f.values["size"]) for f in check.findings] == [
        ("tree.forked", 0, second)
    ]


def test_what_was_changed_late_is_told_to_lie_behind_the_checkpoint_that_fits(bank: Kept) -> None:
    """Tiles, stretches and checkpoints are kept as they were, but for what the change makes of them."""
    first, second = (int(path.name) for path in bank.notes)
    rewrite(bank, late(bank))
    bank.sql("DELETE FROM checkpoints WHERE size = ?", second)
    bank.sql("DELETE FROM tree_stretches WHERE first_leaf >= ?", first)
    tree = bank.tidings
    tiles = {
        (0, first // 256): first % 256,
        (1, 0): first // 256,
    }
    bank.sql("DELETE FROM tree_tiles WHERE level = 0 AND number > ?", first // 256)
    for (level, number), width in tiles.items():
        hashes = StoredTree(tree.engine).tile(level, number)[: width * 32]
        bank.sql("UPDATE tree_tiles SET hashes = ? WHERE level = ? AND number = ?", hashes, level, number)
    assert bank.seal() == second
    assert bank.check().findings == []
    (finding,) = bank.check(Elsewhere(bank.notes, [VKEY])).findings
    assert (finding.code, finding.values["after"], finding.values["size"]) == ("tree.forked", first, second)
    partition, seq, _, _ = late(bank)
    assert f"{partition}:" in str(finding.values["places"])
    assert f"-{seq}" in str(finding.values["places"])


@pytest.mark.parametrize("which", [early, late])
def test_all_computed_anew_is_named_exactly_by_a_published_folder(
    bank: Kept, which: Callable[[Kept], tuple[int, int, str, int]]
) -> None:
    place = which(bank)
    rewrite(bank, place)
    bank.seal_anew()
    check = bank.check(Elsewhere(vkeys=[VKEY], published=bank.kept))
    assert place_of(check.findings[0]) == place
    assert codes(check) == ["tree.event_differs", "tree.forked"]


def test_a_log_cut_short_is_told(bank: Kept) -> None:
    partition, seq, _, _ = late(bank)
    bank.sql("DELETE FROM events WHERE partition = ? AND seq > ?", partition, seq - 3)
    bank.sql("UPDATE partitions SET last_seq = ? WHERE partition = ?", seq - 3, partition)
    assert codes(bank.check()) == ["tree.event_missing"]
    size = int(bank.notes[1].name)
    bank.seal_anew()
    assert bank.check().findings == []
    (finding,) = bank.check(Elsewhere(bank.notes[1:], [VKEY])).findings
    assert (finding.code, finding.values["found"], finding.values["expected"]) == (
        "tree.shortened",
        size - 3,
        size,
    )
    check = bank.check(Elsewhere(vkeys=[VKEY], published=bank.kept))
    assert check.findings[0].code == "tree.event_missing"
    assert check.findings[0].values == {"first": seq - 2, "last": seq}
    assert check.findings[0].partition == partition


def test_an_older_copy_of_the_store_is_told(bank: Kept) -> None:
    first, second = (int(path.name) for path in bank.notes)
    for partition, last in bank.sql(
        "SELECT of_partition, max(last_seq) FROM tree_stretches WHERE first_leaf < ? GROUP BY 1", first
    ):
        bank.sql("DELETE FROM events WHERE partition = ? AND seq > ?", partition, last)
        bank.sql("UPDATE partitions SET last_seq = ? WHERE partition = ?", last, partition)
    bank.seal_anew()
    (finding,) = bank.check(Elsewhere(bank.notes, [VKEY])).findings
    assert (finding.code, finding.values["after"]) == ("tree.shortened", first)
    assert finding.values["expected"] == second


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM tree_tiles WHERE level = 0 AND number = 1", "tree.tile_missing"),
        (
            "UPDATE tree_tiles SET hashes = zeroblob(length(hashes)) WHERE level = 1 AND number = 0",
            "tree.tile_differs",
        ),
        ("DELETE FROM tree_stretches WHERE first_leaf = 0", "tree.stretch_broken"),
        ("UPDATE tree_stretches SET last_seq = last_seq - 1 WHERE first_leaf = 0", "tree.stretch_broken"),
        ("DELETE FROM checkpoints", "tree.checkpoints_gone"),
        (
            "UPDATE checkpoints SET note = replace(note, 'bank.example', 'bink.example')",
            "tree.checkpoint_forged",
        ),
        ("UPDATE checkpoints SET size = size + 1", "tree.checkpoint_forged"),
        ("DELETE FROM partitions WHERE partition = 2", "tree.event_missing"),
    ],
)
def test_the_stores_own_record_of_the_tree_is_checked_too(bank: Kept, statement: str, code: str) -> None:
    bank.sql(statement)
    assert code in codes(bank.check())


def test_a_checkpoint_forged_with_another_key_is_told(bank: Kept) -> None:
    other = SignerKey("bank.example/log", b"\x09" * 32)
    forged = sign_checkpoint("bank.example/log", size=5, root=b"\x00" * 32, keys=[other])
    bank.sql("INSERT INTO checkpoints VALUES (0, 5, 1, ?)", forged.note)
    (finding,) = bank.check().findings
    assert (finding.code, finding.values["size"], finding.values["reason"]) == (
        "tree.checkpoint_forged",
        5,
        "note.unknown_key",
    )


def test_on_postgresql_the_same_is_told(tmp_path: Path) -> None:
    bank = Kept(tmp_path, partitions=2, url=fresh_database())
    bank.kept = tmp_path / "kept"
    assert bank.take(FACTS).refused == []
    bank.run(at("2026-01-12 12:00"))
    bank.seal()
    bank.publish_log(bank.kept)
    whole = Elsewhere(bank.notes, [VKEY], bank.kept)
    assert bank.check(whole).findings == []
    place = early(bank)
    rewrite(bank, place)
    assert [place_of(finding) for finding in bank.check().findings] == [place]
    bank.seal_anew()
    assert bank.check().findings == []
    check = bank.check(whole)
    assert place_of(check.findings[0]) == place
    assert codes(check) == ["tree.event_differs", "tree.forked"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET hash = 'text' WHERE partition = 1 AND seq = 7",
        "UPDATE events SET hash = 7 WHERE partition = 1 AND seq = 7",
        "UPDATE tree_tiles SET hashes = 'text' WHERE level = 0 AND number = 0",
        "UPDATE tree_tiles SET hashes = x'00' WHERE level = 1 AND number = 0",
        "UPDATE tree_stretches SET last_seq = 'many' WHERE first_leaf = 0",
        "UPDATE tree_stretches SET of_partition = 77 WHERE first_leaf = 0",
        "UPDATE checkpoints SET note = x'00'",
        "UPDATE checkpoints SET note = ''",
        "UPDATE events SET body = x'ff' WHERE partition = 0",
    ],
)
def test_whatever_is_put_there_is_told_and_never_a_crash(bank: Kept, statement: str) -> None:
    bank.sql(statement)
    told: list[str] = []
    try:
        told += codes(bank.check(Elsewhere(bank.notes, [VKEY], bank.kept)))
    except StoreCorrupt as error:
        told.append(error.code)
    # A body alone is for the chain to tell.
    assert told or "body" in statement


class TestRefused:
    """What is kept elsewhere proves nothing where it is not what it claims to be."""

    def refusal(self, bank: Kept, elsewhere: Elsewhere) -> str:
        with pytest.raises(InputRefused) as refused:
            bank.check(elsewhere)
        return refused.value.code

    def test_another_key(self, bank: Kept) -> None:
        other = SignerKey("bank.example/log", b"\x09" * 32).verifier.text
        assert self.refusal(bank, Elsewhere(bank.notes, [other])) == "note.unknown_key"
        assert self.refusal(bank, Elsewhere(bank.notes, ["nonsense"])) == "note.bad_key"

    def test_an_altered_checkpoint(self, bank: Kept, tmp_path: Path) -> None:
        path = tmp_path / "altered"
        path.write_text(bank.notes[0].read_text().replace("\n\n", "A\n\n", 1).replace("=A\n", "=\n", 1))
        path.write_text(bank.notes[1].read_text().replace(bank.notes[1].name, "7", 1))
        assert self.refusal(bank, Elsewhere([path], [VKEY])) == "note.bad_signature"

    def test_another_log(self, bank: Kept, tmp_path: Path) -> None:
        other = SignerKey("other.example/log", b"\x09" * 32)
        path = tmp_path / "other"
        path.write_text(sign_checkpoint("other.example/log", size=1, root=b"\x00" * 32, keys=[other]).note)
        assert self.refusal(bank, Elsewhere([path], [other.verifier.text])) == "note.other_origin"

    @pytest.mark.parametrize("content", [b"", b"nothing", b"\xff\xfe", b"\x00" * 100])
    def test_no_checkpoint_at_all(self, bank: Kept, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "nothing"
        path.write_bytes(content)
        assert self.refusal(bank, Elsewhere([path], [VKEY])) in ("note.malformed", "prove.unreadable")
        assert self.refusal(bank, Elsewhere([tmp_path / "absent"], [VKEY])) == "prove.unreadable"

    def test_a_folder_that_is_damaged(self, bank: Kept) -> None:
        tile = bank.kept / "tile" / "0" / "000"
        tile.chmod(0o600)
        content = tile.read_bytes()
        tile.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        assert self.refusal(bank, Elsewhere(vkeys=[VKEY], published=bank.kept)) == "published.tile_differs"
        tile.unlink()
        assert self.refusal(bank, Elsewhere(vkeys=[VKEY], published=bank.kept)) == "published.tile_missing"
        assert self.refusal(bank, Elsewhere(vkeys=[VKEY], published=bank.kept / "x")) == "published.missing"

    def test_stretches_that_are_no_numbers(self, bank: Kept) -> None:
        (bank.kept / "stretches").write_text("0 0 one 2\n")
        assert self.refusal(bank, Elsewhere(vkeys=[VKEY], published=bank.kept)) == "published.damaged"
