"""Everything that is recorded becomes a leaf, once, however sealing is cut up, repeated or cut short."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from audit.notes import SignerKey, open_checkpoint
from audit.tree import Tree, leaf_hash
from domain.errors import StoreCorrupt
from domain.stretches import stretch_problem
from stores.archive.retention import remove_archived
from stores.archive.writing import write_archive
from stores.tree import Step, StoredTree
from support import tlog_verifier
from support.bank import Bank, copy_store
from support.facts import at
from support.postgres import fresh_database
from tidings.sealing import Sealer
from tidings.synthetic import synthetic_bank

pytestmark = [pytest.mark.slow, pytest.mark.long]

KEY = SignerKey("bank.example/log", b"\x07" * 32)
ROOT = Path(__file__).resolve().parents[2]
MADE_AT = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = list(synthetic_bank(customers=30, days=59, start=date(2026, 1, 1), seed=5))


class Killed(BaseException):
    """As sudden as a kill."""


def bank_of(folder: Path, url: str | None) -> Bank:
    bank = Bank(folder, partitions=3, url=url)
    assert bank.take(FACTS).refused == []
    bank.run(at("2026-02-01 12:00"))
    return bank


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return bank_of(tmp_path_factory.mktemp("bank"), None)


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(request: pytest.FixtureRequest, lived: Bank, tmp_path: Path) -> Iterator[Bank]:
    if request.param == "postgresql":
        yield bank_of(tmp_path, fresh_database())
        return
    copy = Bank(tmp_path, partitions=3, name="copy")
    copy_store(lived, copy)
    yield copy


def sealer(bank: Bank, *, keys: tuple[SignerKey, ...] = (KEY,), step: int = 100) -> Sealer:
    return Sealer(bank.tidings.engine, keys, clock=lambda: MADE_AT, events_a_step=step)


def leaves(bank: Bank) -> list[bytes]:
    """The hashes of all events in the order of the tree's own stretches."""
    tree = StoredTree(bank.tidings.engine)
    stretches = tree.stretches()
    assert stretch_problem(stretches) is None
    found: list[bytes] = []
    for stretch in stretches:
        rows = tree.hashes(stretch.partition, after=stretch.first_seq - 1, upto=stretch.last_seq)
        found += [leaf_hash(hash_) for _, hash_ in rows]
    return found


def test_every_event_is_a_leaf_and_the_head_is_signed(bank: Bank) -> None:
    sealed = sealer(bank).seal()
    assert sealed.new
    assert sealed.added == sealed.checkpoint.size == bank.tidings.history.size() == len(leaves(bank))
    assert sealed.checkpoint.root == tlog_verifier.root(leaves(bank))
    known = open_checkpoint(sealed.checkpoint.note, origin="bank.example/log", keys=[KEY.verifier])
    assert known == sealed.checkpoint
    assert StoredTree(bank.tidings.engine).unsealed() == 0


def test_what_comes_later_goes_behind(bank: Bank) -> None:
    kept = sealer(bank)
    first = kept.seal().checkpoint
    bank.run(at("2026-03-01 12:00"))
    tree = StoredTree(bank.tidings.engine)
    waiting = tree.unsealed()
    second = kept.seal()
    assert (second.added, second.checkpoint.size) == (waiting, first.size + waiting)
    assert waiting > 0
    assert Tree(tree.tile).root(first.size) == first.root
    assert second.checkpoint.root == tlog_verifier.root(leaves(bank))


def test_an_event_is_found_at_its_leaf(bank: Bank) -> None:
    sealer(bank).seal()
    tree = StoredTree(bank.tidings.engine)
    for leaf, hash_ in enumerate(leaves(bank)):
        stretch = tree.stretch_of_leaf(leaf)
        assert stretch is not None
        assert tree.leaf_of(stretch.partition, stretch.seq_of(leaf)) == leaf
        if leaf % 97 == 0:
            assert Tree(tree.tile).leaf(leaf) == hash_
    assert tree.stretch_of_leaf(tree.size()) is None
    assert tree.leaf_of(1, 10**9) is None


def test_where_nothing_came_nothing_is_signed_again(bank: Bank) -> None:
    first = sealer(bank).seal()
    again = sealer(bank).seal()
    assert (again.added, again.new, again.checkpoint) == (0, False, first.checkpoint)


def test_another_key_signs_the_same_tree_again(bank: Bank) -> None:
    first = sealer(bank).seal().checkpoint
    new = SignerKey("bank.example/log", b"\x08" * 32)
    both = sealer(bank, keys=(KEY, new)).seal()
    assert both.new
    assert (both.checkpoint.size, both.checkpoint.root) == (first.size, first.root)
    for key in (KEY, new):
        open_checkpoint(both.checkpoint.note, origin="bank.example/log", keys=[key.verifier])


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_sealer_killed_within_a_step_loses_nothing(
    bank: Bank, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, left = Step.add, [steps]

    def killing(step: Step, *args: object) -> None:
        add(step, *args)  # type: ignore[arg-type]
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Step, "add", killing)
        with pytest.raises(Killed):
            sealer(bank).seal()
    tree = StoredTree(bank.tidings.engine)
    assert tree.size() == (steps - 1) * 100
    sealed = sealer(bank).seal()
    assert sealed.checkpoint.size == bank.tidings.history.size()
    assert sealed.checkpoint.root == tlog_verifier.root(leaves(bank))


def test_a_sealer_that_is_killed_for_good_loses_nothing(bank: Bank) -> None:
    """By a signal that nobody can catch, in the middle of many small steps."""
    script = (
        "import sys; from datetime import UTC, datetime; from audit.notes import SignerKey\n"
        "from stores.database import open_store; from tidings.sealing import Sealer\n"
        "key = SignerKey('bank.example/log', bytes([7]) * 32)\n"
        "at = datetime(2026, 3, 1, tzinfo=UTC)\n"
        "Sealer(open_store(sys.argv[1]), [key], clock=lambda: at, events_a_step=1).seal()\n"
    )
    tree = StoredTree(bank.tidings.engine)
    process = subprocess.Popen([sys.executable, "-c", script, bank.settings.store], cwd=ROOT)
    try:
        while tree.size() <= 5 and process.poll() is None:
            pass
    finally:
        process.kill()
        process.wait()
    cut_short = tree.size()
    assert 5 < cut_short <= bank.tidings.history.size()
    sealed = sealer(bank).seal()
    assert sealed.added == bank.tidings.history.size() - cut_short
    assert sealed.checkpoint.root == tlog_verifier.root(leaves(bank))


def test_the_same_store_is_sealed_alike(bank: Bank, tmp_path: Path) -> None:
    if bank.settings.store.startswith("postgresql"):
        pytest.skip("a file can be copied")
    twin = Bank(tmp_path, partitions=3, name="twin")
    copy_store(bank, twin)
    assert sealer(bank).seal().checkpoint == sealer(twin, step=37).seal().checkpoint


def test_a_missing_event_is_named_and_nothing_is_signed(bank: Bank) -> None:
    with bank.tidings.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM events WHERE partition = 2 AND seq = 5")
    with pytest.raises(StoreCorrupt, match=r"tree\.event_gone: partition=2, seq=5"):
        sealer(bank).seal()
    assert StoredTree(bank.tidings.engine).checkpoints() == []


def test_a_tree_that_is_not_what_was_signed_is_not_signed_again(bank: Bank) -> None:
    sealer(bank).seal()
    with bank.tidings.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE tree_tiles SET hashes = (SELECT hashes FROM tree_tiles WHERE level = 0 AND number = 1)"
            " WHERE level = 0 AND number = 0"
        )
        connection.exec_driver_sql("DELETE FROM tree_tiles WHERE level = 1")
    with pytest.raises(StoreCorrupt):
        sealer(bank).seal()


def test_events_removed_before_they_were_sealed_are_told(bank: Bank, tmp_path: Path) -> None:
    before = at("2026-01-20 12:00")
    write_archive(bank.tidings.history, tmp_path / "archive", before=before, progress=lambda _: None)
    bank.tidings.ledger.catch_up()
    removed = remove_archived(
        bank.tidings.engine, tmp_path / "archive", before=before, progress=lambda _: None
    )
    assert removed > 0
    with pytest.raises(StoreCorrupt, match=r"tree\.unsealed_removed"):
        sealer(bank).seal()
