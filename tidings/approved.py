"""The engine runs what approvals name, byte for byte, and nothing else."""

from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import Engine

from domain.approvals import NO_RULES, REGISTER, Approvals, approvals_of
from domain.errors import StoreCorrupt
from domain.ports import StoredDocument
from stores.library import authored_history


def approvals(engine: Engine) -> Approvals:
    """Everything that was ever approved in this store."""
    return approvals_of(authored_history(engine, REGISTER))


def check_approved(engine: Engine, number: int, body: bytes, documents: Sequence[StoredDocument]) -> None:
    """Raises StoreCorrupt for the first of these that no approval names by its digest.

    ``body`` is the rulebook of this number. Digests are worked out anew: the stored ones are not believed.
    """
    known = approvals(engine)
    for stored in documents:
        place = (stored.kind, stored.name, stored.version)
        if stored.kind not in NO_RULES and known.documents.get(place) != sha256(stored.body).hexdigest():
            raise StoreCorrupt("store.unapproved", kind=stored.kind, name=stored.name, version=stored.version)
    if known.rulebooks.get(number) != sha256(body).hexdigest():
        raise StoreCorrupt("store.unapproved", kind="rulebook", name=number, version="")
