"""Published documents and the rulebooks that they made up, each kept for ever under its digest."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, func, select

from domain.ports import StoredDocument
from stores.database import reading
from stores.dialect import insert
from stores.schema import documents, rulebooks


def published(engine: Engine) -> list[StoredDocument]:
    """Every version of every document, by kind, name and version."""
    query = (
        select(documents.c.kind, documents.c.name, documents.c.version, documents.c.digest, documents.c.body)
        .where(documents.c.partition == 0)
        .order_by(documents.c.kind, documents.c.name, documents.c.version)
    )
    with reading(engine) as connection:
        return [StoredDocument(*row) for row in connection.execute(query).all()]


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
    return None if row is None else (row[0], row[1])


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


def add_rulebook(connection: Connection, *, digest: str, body: bytes) -> int:
    """Put a rulebook in force within the caller's transaction; gives its number."""
    last = connection.execute(select(func.max(rulebooks.c.number)).where(rulebooks.c.partition == 0)).scalar()
    number = (last or 0) + 1
    insert(connection, rulebooks, [(0, number, digest, body)])
    return number
