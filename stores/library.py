"""Published documents and the rulebooks that they made up, each kept for ever under its digest."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, func, select

from domain.ports import StoredDocument, StoredEvent
from stores.database import reading
from stores.dialect import insert
from stores.histories import select_histories
from stores.schema import documents, rulebooks, streams


def published(engine: Engine) -> list[StoredDocument]:
    """Every version of every document, by kind, name and version."""
    query = (
        select(documents.c.kind, documents.c.name, documents.c.version, documents.c.digest, documents.c.body)
        .where(documents.c.partition == 0)
        .order_by(documents.c.kind, documents.c.name, documents.c.version)
    )
    with reading(engine) as connection:
        return [StoredDocument(*row[:-1], as_bytes(row[-1])) for row in connection.execute(query).all()]


def current_rulebook(engine: Engine) -> tuple[int, bytes] | None:
    """Number and canonical bytes of the rulebook in force; None before the first publication."""
    query = (
        select(rulebooks.c.number, rulebooks.c.body)
        .where(rulebooks.c.partition == 0)
        .order_by(rulebooks.c.number.desc())
        .limit(1)
    )
    with reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else (row[0], as_bytes(row[1]))


def rulebook_of(engine: Engine, number: int) -> bytes | None:
    """The canonical bytes of the rulebook of this number; None where there is none."""
    query = select(rulebooks.c.body).where(rulebooks.c.partition == 0, rulebooks.c.number == number)
    with reading(engine) as connection:
        return connection.execute(query).scalar_one_or_none()


def document_of(connection: Connection, kind: str, name: str) -> StoredDocument | None:
    """The first version of a document; None where there is none of this kind and name."""
    query = select(documents.c.digest, documents.c.body).where(
        documents.c.partition == 0,
        documents.c.kind == kind,
        documents.c.name == name,
        documents.c.version == 1,
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredDocument(kind, name, 1, row[0], row[1])


def add_documents(connection: Connection, added: Sequence[StoredDocument]) -> None:
    """Keep these versions, none of which is there yet, within the caller's transaction."""
    rows = [(0, doc.kind, doc.name, doc.version, doc.digest, doc.body) for doc in added]
    insert(connection, documents, rows)


def add_rulebook(connection: Connection, number: int, *, digest: str, body: bytes) -> None:
    """Put a rulebook in force within the caller's transaction, under the number that it was approved by."""
    insert(connection, rulebooks, [(0, number, digest, body)])


def last_rulebook(connection: Connection) -> int:
    """The number of the rulebook in force, as the caller's transaction sees it; 0 for none."""
    return (
        connection.execute(select(func.max(rulebooks.c.number)).where(rulebooks.c.partition == 0)).scalar()
        or 0
    )


def known_documents(connection: Connection) -> set[tuple[str, str, int]]:
    """Kind, name and version of every document that is kept, as the caller's transaction sees it."""
    query = select(documents.c.kind, documents.c.name, documents.c.version).where(documents.c.partition == 0)
    return {(row[0], row[1], row[2]) for row in connection.execute(query).all()}


def authored_history(engine: Engine, subject: str) -> list[StoredEvent]:
    """The events of one authored object by version; none for one that was never begun."""
    query = select(streams.c.stream).where(streams.c.partition == 0, streams.c.subject == subject)
    with reading(engine) as connection:
        found = [int(str(stream)) for stream in connection.execute(query).scalars()]
        return select_histories(connection, 0, found) if found else []


def as_bytes(stored: object) -> bytes:
    """A body as bytes. SQLite lets whoever writes to the file by hand leave a text there, or a number."""
    return stored if isinstance(stored, bytes) else str(stored).encode()
