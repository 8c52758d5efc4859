"""Checks that everything that is run was approved: by digest, as the register of approvals says."""

from collections.abc import Mapping, Sequence

import msgspec

from audit.findings import AUTHORED, Finding, Verified
from domain.approvals import NO_RULES, REGISTER, Approvals, approvals_of
from domain.errors import StoreCorrupt
from domain.ports import History, StoredDocument, StoredEvent
from journeys.definition import Control


def approvals_before(history: History) -> Approvals:
    """What was approved by now; read before rulebooks and documents are.

    What is published while they are read is then neither missing nor without an approval.
    """
    return approvals_of(_register(history))


def verify_approved(
    history: History,
    rulebooks: Mapping[int, str],
    documents: Sequence[StoredDocument],
    verified: Verified,
    *,
    before: Approvals,
) -> None:
    """Nothing may be there that no approval names, and nothing missing that one did ``before``.

    ``rulebooks`` are digests by number. Digests are compared as they are stored: that the texts have them is
    checked elsewhere.
    """
    approvals = _approvals(history, verified)
    pauses = {(d.kind, d.name, d.version) for d in documents if d.kind == "control" and _pauses(d.body)}
    there = {(d.kind, d.name, d.version): d.digest for d in documents if d.kind not in NO_RULES}
    for (kind, name, version), digest in sorted(there.items()):
        expected = approvals.documents.get((kind, name, version))
        if digest != expected:
            _find(verified, "audit.unapproved", f"{kind} {name} {version}", digest, expected)
    for number, digest in sorted(rulebooks.items()):
        if digest != (expected := approvals.rulebooks.get(number)):
            _find(verified, "audit.unapproved", f"rulebook {number}", digest, expected)
    for approval in approvals.alone:
        bound = [(b.kind, b.name, b.version) for b in approval.documents]
        if not all(place in pauses for place in bound):
            what = ", ".join(f"{kind} {name} {version}" for kind, name, version in bound)
            values: dict[str, object] = {"name": what, "by": approval.approved_by}
            verified.find(Finding("audit.approved_alone", AUTHORED, 0, "", 0, values))
    for kind, name, version in sorted(before.documents.keys() - there.keys()):
        _find(verified, "audit.approved_missing", f"{kind} {name} {version}")
    for number in sorted(before.rulebooks.keys() - rulebooks.keys()):
        _find(verified, "audit.approved_missing", f"rulebook {number}")


def _pauses(body: bytes) -> bool:
    """Whether an order holds a journey up, for which one person's word is enough."""
    try:
        return msgspec.json.decode(body, type=Control).state == "paused"
    except msgspec.DecodeError:
        return False


def _approvals(history: History, verified: Verified) -> Approvals:
    """What the register says as far as it can be followed; where that ends early is a finding."""
    events = _register(history)
    found = approvals_of(events)
    if found.followed < len(events):
        at = events[found.followed]
        verified.find(Finding("audit.register_altered", AUTHORED, at.seq, REGISTER, at.version))
    return found


def _register(history: History) -> list[StoredEvent]:
    """The register's history; none where it was never begun, or is in pieces, which the partition tells."""
    streams = [s for s, subject in history.subjects(AUTHORED).items() if subject == REGISTER]
    try:
        found = [event for stream in streams for event in history.history(AUTHORED, stream)]
    except StoreCorrupt:
        return []
    return sorted(found, key=lambda event: event.version)


def _find(
    verified: Verified, code: str, name: str, found: str | None = None, expected: str | None = None
) -> None:
    values: dict[str, object] = {"name": name}
    if found is not None:
        values |= {"found": found, "expected": expected or "-"}
    verified.find(Finding(code, AUTHORED, 0, "", 0, values))
