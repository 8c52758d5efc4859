"""Where the customers' keys lie: apart from the store, so that no copy of the store holds them.

By default a file of its own beside an SQLite store, and a schema of its own in a PostgreSQL database, which a
backup can leave out. A key that was destroyed leaves its row empty, and so is told from one that is missing.
"""

import os
from collections.abc import Sequence
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
from stores.dialect import is_postgresql, keep, lock, rows, update, upsert
from stores.master_key import KEY_BYTES, KeyService

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
_SELECT_ALL = """
SELECT partition, stream, wrapping, wrapped FROM customer_keys
WHERE partition = :partition AND stream > :after ORDER BY stream LIMIT :limit
"""
_SELECT_GONE = """
SELECT stream FROM customer_keys WHERE partition = :partition AND length(wrapped) = 0 ORDER BY stream
"""
_AT_ONCE = 10_000


class Keyring:
    """The keys of one store. Every method is a transaction of its own in the database of the keys."""

    def __init__(self, engine: Engine, service: KeyService) -> None:
        self._engine = engine
        self._service = service
        self._lock = Lock()
        self._wrapping: dict[int, AESGCM] = {}

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
            if not inspect(connection).has_table(store_keys.name):
                raise StoreUnusable("key.no_keys", keys=_shown(self._engine))
            found = self._numbers(connection, purpose)
        number = max(found, default=0) if number is None else number
        if number not in found:
            raise StoreUnusable("key.no_keys", keys=_shown(self._engine))
        service, wrapped = found[number]
        if service != self._service.name:
            raise StoreUnusable("key.wrong_master", name=self._service.name)
        return number, self._service.unwrap(wrapped, purpose=f"{purpose}/{number}")

    def find(self, partition: int, streams: Sequence[int]) -> dict[int, bytes | None]:
        """The keys of those of these customers that have, or had, one; None where it was destroyed."""
        with reading(self._engine) as connection:
            found = rows(connection, _SELECT_KEYS, partition=partition, streams=sorted(streams))
        return {
            stream: self._unwrapped(partition, stream, wrapping, bytes(wrapped)) if wrapped else None
            for stream, wrapping, wrapped in found
        }

    def make(self, partition: int, streams: Sequence[int]) -> dict[int, bytes | None]:
        """New keys for those of these customers that have none; gives the keys of all of them."""
        number = self._newest()
        made = [
            (partition, stream, number, self._wrapped(partition, stream, number, os.urandom(KEY_BYTES)))
            for stream in sorted(set(streams))
        ]
        with writing(self._engine) as connection:
            # Somebody else may have made one meanwhile: whichever was first counts.
            keep(connection, customer_keys, made)
        return self.find(partition, streams)

    def destroy(self, partition: int, stream: int) -> bool:
        """Destroy a customer's key for good, also in what the database would keep of it; False where it was.

        A key that never was is noted as destroyed, so that none is made.
        """
        with writing(self._engine) as connection:
            found = rows(connection, _SELECT_KEYS, partition=partition, streams=[stream])
            upsert(connection, customer_keys, [(partition, stream, 0, b"")])
        self._wipe()
        return not found or bool(found[0][2])

    def destroyed(self, partition: int) -> set[int]:
        """The customers of a partition whose keys were destroyed, by stream."""
        with reading(self._engine) as connection:
            return {row[0] for row in rows(connection, _SELECT_GONE, partition=partition)}

    def rotate(self, partitions: Sequence[int], service: KeyService) -> int:
        """Wrap all keys anew, under a new wrapping key, and that and the store's own under ``service``.

        Gives how many customers' keys. A rotation that was stopped half-way is finished by another.
        """
        number = self._newest()
        with reading(self._engine) as connection:
            if all(name == self._service.name for name, _ in self._numbers(connection, "wrapping").values()):
                number += 1
        with writing(self._engine) as connection:
            if number not in self._numbers(connection, "wrapping"):
                self._add(connection, "wrapping", number)
        total = sum(self._rewrap(partition, number) for partition in partitions)
        with writing(self._engine) as connection:
            connection.execute(
                store_keys.delete().where(store_keys.c.purpose == "wrapping", store_keys.c.number < number)
            )
            for purpose, its, wrapped in connection.execute(
                select(store_keys.c.purpose, store_keys.c.number, store_keys.c.wrapped)
            ).all():
                named = f"{purpose}/{its}"
                anew = service.wrap(self._service.unwrap(wrapped, purpose=named), purpose=named)
                upsert(connection, store_keys, [(purpose, its, service.name, anew)])
        self._service = service
        with self._lock:
            self._wrapping.clear()
        self._wipe()
        return total

    def add_letters_key(self) -> int:
        """A new key for what is refused from now on; gives its number."""
        with writing(self._engine) as connection:
            number = max(self._numbers(connection, "letters"), default=0) + 1
            self._add(connection, "letters", number)
        return number

    def _rewrap(self, partition: int, number: int) -> int:
        after, total = -1, 0
        while True:
            with reading(self._engine) as connection:
                found = rows(connection, _SELECT_ALL, partition=partition, after=after, limit=_AT_ONCE)
            anew = [
                (
                    of,
                    stream,
                    number,
                    self._wrapped(of, stream, number, self._unwrapped(of, stream, old, bytes(key))),
                )
                for of, stream, old, key in found
                if key and old != number
            ]
            with writing(self._engine) as connection:
                update(connection, customer_keys, ("wrapping", "wrapped"), anew)
            total += len(anew)
            if len(found) < _AT_ONCE:
                return total
            after = found[-1][1]

    def _numbers(self, connection: Connection, purpose: str) -> dict[int, tuple[str, bytes]]:
        query = select(store_keys.c.number, store_keys.c.service, store_keys.c.wrapped).where(
            store_keys.c.purpose == purpose
        )
        return {row[0]: (row[1], bytes(row[2])) for row in connection.execute(query)}

    def _add(self, connection: Connection, purpose: str, number: int) -> None:
        wrapped = self._service.wrap(os.urandom(KEY_BYTES), purpose=f"{purpose}/{number}")
        upsert(connection, store_keys, [(purpose, number, self._service.name, wrapped)])

    def _newest(self) -> int:
        with self._lock:
            known = max(self._wrapping, default=0)
        return known or self.store_key("wrapping")[0]

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
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if is_postgresql(connection):
                connection.exec_driver_sql("VACUUM FULL customer_keys")
                connection.exec_driver_sql("VACUUM FULL store_keys")
            else:
                # Freed places are zeroed as they are freed (secure_delete); what is left is in the log.
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _place(partition: int, stream: int) -> bytes:
    return f"tidings/customer-key/1\x00{partition}/{stream}".encode()


def _shown(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)
