"""Checks the texts of what was published: each must be the one that its digest names."""

from hashlib import sha256

from audit.findings import AUTHORED, Finding, Verified
from domain.ports import History


def verify_documents(history: History, verified: Verified) -> dict[int, str]:
    """The digests that events may cite, by number; every text must be the one that its digest names."""
    digests: dict[int, str] = {}
    for number, stored in history.rulebooks().items():
        digests[number] = stored.digest
        _check_digest(verified, "audit.rulebook_altered", str(number), stored.body, stored.digest)
    for document in history.documents():
        name = f"{document.kind} {document.name} {document.version}"
        _check_digest(verified, "audit.document_altered", name, document.body, document.digest)
    return digests


def _check_digest(verified: Verified, code: str, name: str, body: bytes, digest: str) -> None:
    found = sha256(body).hexdigest()
    if found != digest:
        values: dict[str, object] = {"name": name, "found": found, "expected": digest}
        verified.findings.append(Finding(code, AUTHORED, 0, "", 0, values))
