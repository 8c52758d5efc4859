"""Keys are wrapped anew while they are used: none is lost, none comes back, and no event changes."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from domain.errors import StoreCorrupt, StoreUnusable
from stores import keyring
from stores.database import engine_of
from stores.key_place import KeyPlace
from stores.keyring import SCHEMA, Keyring
from stores.master_key import KeyService, LocalMaster, named_service, read_master, write_master
from stores.vault import vault_of
from support.bank import Bank
from support.facts import at, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope

T0 = at("2026-01-01 12:00")
OLD, NEW = LocalMaster(b"o" * 32), LocalMaster(b"n" * 32)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    return fresh_database() if request.param == "postgresql" else f"sqlite:///{tmp_path / 'keys.db'}"


def ring_at(url: str, service: KeyService = OLD) -> Keyring:
    return Keyring(engine_of(url, wiping=True, schema=SCHEMA), service)


@pytest.fixture
def ring(url: str) -> Iterator[Keyring]:
    made = ring_at(url)
    made.set_up()
    yield made
    made.engine.dispose()


def wrappings(ring: Keyring) -> set[int]:
    with ring.engine.connect() as connection:
        query = keyring.customer_keys.select().where(keyring.customer_keys.c.wrapping > 0)
        return {row.wrapping for row in connection.execute(query)}


def test_a_rotation_keeps_every_key_and_brings_none_back(ring: Keyring, url: str) -> None:
    known = {p: ring.make(p, range(1, 60)) for p in (1, 2)}
    assert ring.destroy(1, 7)
    store_keys = [ring.store_key(purpose)[1] for purpose in ("digests", "letters")]
    assert ring.rotate(NEW) == 2 * 59 - 1
    known[1] = {**known[1], 7: None}
    for each in (ring, ring_at(url, NEW)):
        assert {p: each.find(p, range(1, 60)) for p in (1, 2)} == known
        assert [each.store_key(purpose)[1] for purpose in ("digests", "letters")] == store_keys
        assert not each.destroy(1, 7)
        assert each.counted() == (117, 1)
        assert each.services() == {NEW.name}
    assert wrappings(ring) == {2}


def test_what_the_old_master_wrapped_is_nowhere_any_more(tmp_path: Path) -> None:
    ring = ring_at(f"sqlite:///{tmp_path / 'keys.db'}")
    ring.set_up()
    ring.make(1, range(1, 2000))
    with ring.engine.connect() as connection:
        wrapped = [bytes(row.wrapped) for row in connection.execute(keyring.customer_keys.select())]
        wrapped += [bytes(row.wrapped) for row in connection.execute(keyring.store_keys.select())]
    ring.rotate(NEW)
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert [key for key in wrapped if key in content] == []


def test_the_old_master_opens_nothing_and_says_so(ring: Keyring, url: str) -> None:
    ring.make(1, [1])
    ring.rotate(NEW)
    stale = ring_at(url)
    for use in (lambda: stale.find(1, [1]), lambda: stale.make(1, [2]), lambda: stale.rotate(NEW)):
        with pytest.raises(StoreUnusable, match=r"key\.wrong_master"):
            use()
    assert stale.services() == {NEW.name}


def test_who_uses_keys_goes_on_after_a_rotation_by_another(ring: Keyring, url: str) -> None:
    worker = ring_at(url)
    known = worker.make(1, range(1, 5))
    ring.rotate(OLD)
    # The worker still holds the wrapping key that is gone.
    assert worker.find(1, range(1, 5)) == known
    later = worker.make(1, [5, 6])
    assert wrappings(ring) == {2}
    for each in (worker, ring_at(url)):
        assert each.find(1, [5, 6]) == later


def test_who_can_find_the_new_master_goes_on_with_it(ring: Keyring, url: str) -> None:
    worker = Keyring(engine_of(url, wiping=True, schema=SCHEMA), OLD, renewed=lambda: NEW)
    known = worker.make(1, [1, 2])
    ring.rotate(NEW)
    assert worker.find(1, [1, 2]) == known
    assert worker.master == NEW.name
    later = worker.make(1, [3])
    assert ring_at(url, NEW).find(1, [3]) == later


def test_keys_made_and_destroyed_during_rotations_are_neither_lost_nor_back(
    ring: Keyring, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "_AT_ONCE", 7)
    known = ring.make(1, range(1, 200))
    gone = set(range(1, 200, 13))

    def making(part: int) -> dict[int, bytes | None]:
        own, made = ring_at(url), dict[int, bytes | None]()
        for stream in range(1000 * part, 1000 * part + 25):
            made |= own.make(1, [stream])
        return made

    def destroying() -> dict[int, bytes | None]:
        own = ring_at(url)
        for stream in gone:
            own.destroy(1, stream)
        return {}

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(making, 1), pool.submit(making, 2), pool.submit(destroying)]
        for _ in range(4):
            ring.rotate(OLD)
        for done in work:
            known |= done.result()
    ring.rotate(OLD)
    expected = {stream: None if stream in gone else key for stream, key in known.items()}
    assert ring_at(url).find(1, list(expected)) == expected
    assert ring.kept(1) == expected.keys() - gone


KILLED = """
import os, signal, sys
from stores import keyring
from stores.database import engine_of
from stores.keyring import SCHEMA, Keyring
from stores.master_key import LocalMaster
keyring._AT_ONCE = 20
url, place, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
done = getattr(keyring, place)
def or_die(*given, **named):
    global left
    left -= 1
    result = done(*given, **named)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(keyring, place, or_die)
ring = Keyring(engine_of(url, wiping=True, schema=SCHEMA), LocalMaster(b"o" * 32))
ring.rotate(LocalMaster(b"n" * 32))
"""


@pytest.mark.parametrize(
    ("place", "step", "over"),
    [
        ("upsert", 1, False),
        ("update", 1, False),
        ("update", 3, False),
        ("upsert", 3, False),
        ("wipe", 1, True),
    ],
)
def test_a_rotation_that_is_killed_loses_no_key(
    place: str, step: int, over: bool, ring: Keyring, url: str
) -> None:
    known = ring.make(1, range(1, 90))
    ring.destroy(1, 8)
    known = {**known, 8: None}
    command = [sys.executable, "-c", KILLED, url, place, str(step)]
    assert subprocess.run(command, env={**os.environ, "PYTHONPATH": "."}).returncode == -signal.SIGKILL
    master = NEW if over else OLD
    after = ring_at(url, master)
    assert after.services() == {master.name}
    assert after.find(1, range(1, 90)) == known
    assert after.rotate(NEW) == 88
    assert ring_at(url, NEW).find(1, range(1, 90)) == known
    assert len(wrappings(after)) == 1


def test_a_key_that_was_moved_to_another_customer_does_not_open(ring: Keyring) -> None:
    ring.make(1, [1, 2])
    with ring.engine.begin() as connection:
        found = {row.stream: row.wrapped for row in connection.execute(keyring.customer_keys.select())}
        keys = keyring.customer_keys
        connection.execute(keys.update().where(keys.c.stream == 2).values(wrapped=found[1]))
    with pytest.raises(StoreCorrupt, match=r"key\.altered"):
        ring.find(1, [2])
    with pytest.raises(StoreCorrupt, match=r"key\.altered"):
        ring.rotate(OLD)


@pytest.mark.parametrize("server", [False, True], ids=["sqlite", "postgresql"])
def test_no_event_changes_and_all_that_was_sealed_opens(server: bool, tmp_path: Path) -> None:
    bank = Bank(tmp_path, partitions=2, url=fresh_database() if server else None)
    people = [envelope(f"c-{n}", T0, registered(given_name=f"Name{n}")) for n in range(9)]
    bank.take([*people, envelope("nobody", T0, paid())])
    bank.run(at("2026-02-01 12:00"))
    rows = bank.sql("SELECT * FROM events ORDER BY partition, seq")
    before = bank.histories()
    tidings = bank.tidings
    ring = vault_of(tidings.engine).ring()
    assert ring.rotate(LocalMaster(read_master(vault_of(tidings.engine).place.master_file))) == 9
    assert bank.sql("SELECT * FROM events ORDER BY partition, seq") == rows
    assert bank.histories() == before
    bank.run(at("2026-06-01 12:00"))
    assert bank.verify().findings == []


def test_a_banks_own_key_service_takes_over(
    ring: Keyring, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ring.make(1, [1, 2])
    (tmp_path / "bank_keys.py").write_text("from stores.master_key import LocalMaster\n" + OWN)
    monkeypatch.syspath_prepend(tmp_path)
    ring.rotate(named_service("bank_keys:service"))
    place = KeyPlace(url, tmp_path / "none", {"TIDINGS_KEY_SERVICE": "bank_keys:service"})
    assert ring_at(url, place.service()).find(1, [1, 2]) == known
    assert ring.services() == {"own-1"}


OWN = """
class Service:
    name = "own-1"
    _inner = LocalMaster(b"k" * 32)
    def wrap(self, key, *, purpose):
        return self._inner.wrap(key, purpose=purpose)
    def unwrap(self, wrapped, *, purpose):
        return self._inner.unwrap(wrapped, purpose=purpose)
def service():
    return Service()
"""


@pytest.mark.parametrize("name", ["no_such_module:service", "stores.keyring:nothing", "os:getcwd", "os"])
def test_what_is_no_key_service_is_named(name: str) -> None:
    with pytest.raises(StoreUnusable, match=r"key\.no_service"):
        named_service(name)


def test_missing_keys_and_unreadable_masters_are_told_in_one_line(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.take([envelope("c-1", T0, registered())])
    master, keys = bank.path.with_suffix(".master-key"), bank.path.with_suffix(".keys.db")
    kept = shutil.copy(keys, tmp_path / "kept")
    keys.unlink()
    with told("key.no_keys"):
        bank.run(T0)
    shutil.copy(kept, keys)
    content = master.read_bytes()
    for text, code in ((None, "key.no_master"), (b"not a key", "key.no_key"), (b"", "key.no_key")):
        master.unlink()
        if text is not None:
            master.write_bytes(text)
        else:
            with told(code):
                bank.run(T0)
            master.mkdir()
            with told("key.unreadable_master"):
                bank.run(T0)
            master.rmdir()
            master.write_bytes(b"")
            continue
        with told(code):
            bank.run(T0)
    master.unlink()
    write_master(master)
    with told("key.wrong_master"):
        bank.run(T0)
    master.write_bytes(content)
    bank.run(T0)


@contextmanager
def told(code: str) -> Iterator[None]:
    with pytest.raises(StoreUnusable) as caught:
        yield
    assert caught.value.code == code
