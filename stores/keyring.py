"""Where the customers' keys lie: apart from the store, so that no copy of the store holds them.

By default a file of its own beside an SQLite store, and a schema of its own in a PostgreSQL database, which a
backup can leave out. A key that was destroyed leaves its row empty, and so is told from one that is missing.
"""

import os
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    inspect,
    select,
)

from domain.errors import StoreCorrupt, StoreUnusable
from stores.database import reading, writing
from stores.dialect import is_postgresql, keep, lock, rows, run, update, upsert
from stores.master_key import KEY_BYTES, KeyService
from stores.wiping import wipe

NONCE_BYTES = 12
_MAKING_LOCK = 7_461_203
# Of PostgreSQL, so that a backup of the store can leave the keys out by one option.
SCHEMA = "tidings_keys"
_metadata = MetaData()


def _key(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False, nullable=False)


# Few keys for all: ``wrapping`` wraps customers' keys, ``digests`` keys the digests of addresses and facts,
# ``letters`` seals what was refused. Of each the highest number is the one in use.
store_keys = Table(
    "store_keys",
    _metadata,
    _key("purpose", Text),
    _key("number", Integer),
    Column("service", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
customer_keys = Table(
    "customer_keys",
    _metadata,
    _key("partition", Integer),
    _key("stream", BigInteger),
    Column("wrapping", BigInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
_SELECT_KEYS = """
SELECT stream, wrapping, wrapped FROM customer_keys WHERE partition = :partition AND stream {among streams}
"""
_SELECT_OLDER = """
SELECT partition, stream, wrapping, wrapped FROM customer_keys
WHERE wrapping < :number AND length(wrapped) > 0 LIMIT :limit
"""
_COUNT_KEYS = "SELECT count(*) FROM customer_keys WHERE length(wrapped) > 0"
_COUNT_GONE = "SELECT count(*) FROM customer_keys WHERE length(wrapped) = 0"
_SELECT_KEPT = "SELECT stream FROM customer_keys WHERE partition = :partition AND length(wrapped) > 0"
_AT_ONCE = 10_000


class Keyring:
    """The keys of one store. Every method is a transaction of its own in the database of the keys."""

    def __init__(
        self, engine: Engine, service: KeyService, *, renewed: Callable[[], KeyService] | None = None
    ) -> None:
        """``renewed`` finds the master again where this one has had its time."""
        self._engine = engine
        self._service = service
        self._renewed = renewed
        self._lock = Lock()
        self._there = False
        self._wrapping: dict[int, AESGCM] = {}

    @property
    def master(self) -> str:
        """The name of the master that wraps now."""
        return self._service.name

    @property
    def engine(self) -> Engine:
        """The database of the keys."""
        return self._engine

    def set_up(self) -> None:
        """Make the tables and the store's own keys where they are missing, for a new store.

        Raises StoreUnusable where customers have keys here: they are of another store.
        """
        with writing(self._engine) as connection:
            lock(connection, _MAKING_LOCK)
            if is_postgresql(connection):
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            _metadata.create_all(connection)
            if connection.execute(select(customer_keys.c.stream).limit(1)).first() is not None:
                raise StoreUnusable("key.of_another_store", keys=_shown(self._engine))
            for purpose in ("wrapping", "digests", "letters"):
                if not self._numbers(connection, purpose):
                    self._add(connection, purpose, 1)

    def store_key(self, purpose: str, number: int | None = None) -> tuple[int, bytes]:
        """Number and bytes of one of the store's own keys, the newest unless it is named.

        Raises StoreUnusable where there is none, or where the master key is another.
        """
        with reading(self._engine) as connection:
            self._check_there(connection)
            found = self._numbers(connection, purpose)
        number = max(found, default=0) if number is None else number
        if number not in found:
            raise StoreUnusable("key.no_keys", keys=_shown(self._engine))
        service, wrapped = found[number]
        if service != self._service.name and self._renewed is not None:
            self._service = self._renewed()
        if service != self._service.name:
            raise StoreUnusable("key.wrong_master", name=self._service.name)
        return number, self._service.unwrap(wrapped, purpose=f"{purpose}/{number}")

    def find(self, partition: int, streams: Sequence[int]) -> dict[int, bytes | None]:
        """The keys of those of these customers that have, or had, one; None where it was destroyed."""
        try:
            return self._find(partition, streams)
        except StoreUnusable as error:
            if error.code != "key.no_keys":
                raise
            # All may have been wrapped anew between reading a key and reading what wrapped it.
            return self._find(partition, streams)

    def _find(self, partition: int, streams: Sequence[int]) -> dict[int, bytes | None]:
        with reading(self._engine) as connection:
            self._check_there(connection)
            found = rows(connection, _SELECT_KEYS, partition=partition, streams=sorted(streams))
        return {
            stream: self._unwrapped(partition, stream, wrapping, bytes(wrapped)) if wrapped else None
            for stream, wrapping, wrapped in found
        }

    def make(self, partition: int, streams: Sequence[int]) -> dict[int, bytes | None]:
        """New keys for those of these customers that have none; gives the keys of all of them."""
        with writing(self._engine) as connection:
            # While this is held nobody destroys a wrapping key: what one in use has wrapped would be lost.
            lock(connection, _MAKING_LOCK)
            number = self.store_key("wrapping")[0]
            made = [
                (partition, stream, number, self._wrapped(partition, stream, number, os.urandom(KEY_BYTES)))
                for stream in sorted(set(streams))
            ]
            # Somebody else may have made one meanwhile: whichever was first counts.
            keep(connection, customer_keys, made)
        return self.find(partition, streams)

    def destroy(self, partition: int, stream: int) -> bool:
        """Destroy a customer's key for good, also in what the database would keep of it; False where it was.

        A key that never was is noted as destroyed, so that none is made.
        """
        with writing(self._engine) as connection:
            lock(connection, _MAKING_LOCK)
            found = rows(connection, _SELECT_KEYS, partition=partition, streams=[stream])
            upsert(connection, customer_keys, [(partition, stream, 0, b"")])
        self._wipe()
        return not found or bool(found[0][2])

    def kept(self, partition: int) -> set[int]:
        """The customers of a partition who have a key, by stream."""
        with reading(self._engine) as connection:
            return {row[0] for row in rows(connection, _SELECT_KEPT, partition=partition)}

    def rotate(self, service: KeyService) -> int:
        """Wrap all keys anew, under a new wrapping key, and that and the store's own under ``service``.

        Gives how many customers' keys. A rotation that was stopped half-way changed nothing that counts, and
        the next one does all of it. Who uses keys meanwhile goes on. Raises StoreUnusable for a wrong master.
        """
        with writing(self._engine) as connection:
            lock(connection, _MAKING_LOCK)
            number = self.store_key("wrapping")[0] + 1
            self._add(connection, "wrapping", number)
        total = 0
        while True:
            total += self._rewrap(number)
            with writing(self._engine) as connection:
                lock(connection, _MAKING_LOCK)
                if rows(connection, _SELECT_OLDER, number=number, limit=1):
                    # Somebody has made a key meanwhile.
                    continue
                self._hand_over(connection, number, service)
                break
        self._service = service
        with self._lock:
            self._wrapping.clear()
        self._wipe()
        return total

    def _hand_over(self, connection: Connection, number: int, service: KeyService) -> None:
        """Remove wrapping keys before this one, and wrap the store's own keys by another service."""
        connection.execute(
            store_keys.delete().where(store_keys.c.purpose == "wrapping", store_keys.c.number < number)
        )
        for purpose, its, name, wrapped in connection.execute(select(store_keys)).all():
            if name != self._service.name:
                # Another rotation was faster.
                raise StoreUnusable("key.wrong_master", name=self._service.name)
            named = f"{purpose}/{its}"
            anew = service.wrap(self._service.unwrap(bytes(wrapped), purpose=named), purpose=named)
            upsert(connection, store_keys, [(purpose, its, service.name, anew)])

    def add_letters_key(self) -> int:
        """A new key for what is refused from now on; gives its number."""
        with writing(self._engine) as connection:
            lock(connection, _MAKING_LOCK)
            number = max(self._numbers(connection, "letters"), default=0) + 1
            self._add(connection, "letters", number)
        return number

    def letters_keys(self) -> list[int]:
        """The numbers of the keys for what was refused, the newest last."""
        with reading(self._engine) as connection:
            return sorted(self._numbers(connection, "letters"))

    def destroy_letters_keys(self, numbers: Sequence[int]) -> None:
        """Destroy these keys for good: what they sealed can be read nowhere any more."""
        with writing(self._engine) as connection:
            its = store_keys.c.purpose == "letters", store_keys.c.number.in_(numbers)
            connection.execute(store_keys.delete().where(*its))
        self._wipe()

    def counted(self) -> tuple[int, int]:
        """How many customers have a key, and how many keys were destroyed."""
        with reading(self._engine) as connection:
            self._check_there(connection)
            return (
                int(run(connection, _COUNT_KEYS).scalar() or 0),
                int(run(connection, _COUNT_GONE).scalar() or 0),
            )

    def services(self) -> set[str]:
        """The names of the masters that the store's own keys are wrapped by: one, unless it is damaged."""
        with reading(self._engine) as connection:
            self._check_there(connection)
            return set(connection.execute(select(store_keys.c.service)).scalars())

    def _check_there(self, connection: Connection) -> None:
        self._there = self._there or inspect(connection).has_table(store_keys.name)
        if not self._there:
            raise StoreUnusable("key.no_keys", keys=_shown(self._engine))

    def _rewrap(self, number: int) -> int:
        """Wrap by this wrapping key what older ones wrap, a few at a time; gives how many."""
        total = 0
        while True:
            with writing(self._engine) as connection:
                # Read and written in one: a key that is destroyed in between would come back.
                lock(connection, _MAKING_LOCK)
                found = rows(connection, _SELECT_OLDER, number=number, limit=_AT_ONCE)
                by_partition: dict[int, list[tuple[object, ...]]] = {}
                for of, stream, old, wrapped in found:
                    key = self._unwrapped(of, stream, old, bytes(wrapped))
                    anew = (of, stream, number, self._wrapped(of, stream, number, key))
                    by_partition.setdefault(of, []).append(anew)
                for changed in by_partition.values():
                    update(connection, customer_keys, ("wrapping", "wrapped"), changed)
            total += len(found)
            if len(found) < _AT_ONCE:
                return total

    def _numbers(self, connection: Connection, purpose: str) -> dict[int, tuple[str, bytes]]:
        query = select(store_keys.c.number, store_keys.c.service, store_keys.c.wrapped).where(
            store_keys.c.purpose == purpose
        )
        return {row[0]: (row[1], bytes(row[2])) for row in connection.execute(query)}

    def _add(self, connection: Connection, purpose: str, number: int) -> None:
        wrapped = self._service.wrap(os.urandom(KEY_BYTES), purpose=f"{purpose}/{number}")
        upsert(connection, store_keys, [(purpose, number, self._service.name, wrapped)])

    def _cipher(self, number: int) -> AESGCM:
        with self._lock:
            if number not in self._wrapping:
                self._wrapping[number] = AESGCM(self.store_key("wrapping", number)[1])
            return self._wrapping[number]

    def _wrapped(self, partition: int, stream: int, number: int, key: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher(number).encrypt(nonce, key, _place(partition, stream))

    def _unwrapped(self, partition: int, stream: int, number: int, wrapped: bytes) -> bytes:
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return self._cipher(number).decrypt(nonce, sealed, _place(partition, stream))
        except InvalidTag:
            raise StoreCorrupt("key.altered", partition=partition, stream=stream) from None

    def _wipe(self) -> None:
        """Leave no copy of what was replaced in the database's own files."""
        wipe(self._engine, customer_keys.name, store_keys.name, whole=True)


def _place(partition: int, stream: int) -> bytes:
    return f"tidings/customer-key/1\x00{partition}/{stream}".encode()


def _shown(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)
