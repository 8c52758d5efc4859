"""Checks what was published: each text is the one that its digest names, and that rulebooks run on."""

from collections.abc import Iterator, Mapping
from hashlib import sha256

import msgspec
from msgspec import Struct

from audit.approved import approvals_before, verify_approved
from audit.findings import AUTHORED, Finding, Verified
from domain.approvals import NO_RULES
from domain.ports import WHOLE, History, StoredRulebook
from journeys.engine_versions import ENGINE_VERSION, ENGINES, engine_named
from journeys.rulebook import Rulebook, Rules, digest

_Name = tuple[str, str, int]


class _Published(Struct):
    """What the event of a publication says of a document."""

    digest: str


def newer(rulebooks: Mapping[int, StoredRulebook]) -> frozenset[int]:
    """Those of the rulebooks that name an engine which this program has not got."""
    return frozenset(number for number, stored in rulebooks.items() if _newer(stored) is not None)


def verify_published(history: History, rulebooks: Mapping[int, Rules], verified: Verified) -> None:
    """Rulebooks and documents by their digests, by each other, and by the record of their publication."""
    before = approvals_before(history)
    stored = history.rulebooks()
    for number, one in stored.items():
        _check_digest(verified, "audit.rulebook_altered", str(number), one.body, one.digest)
        _check_engine(verified, number, one)
    documents = {(found.kind, found.name, found.version): found for found in history.documents()}
    authored = set(_authored(history))
    digests = {number: one.digest for number, one in stored.items()}
    verify_approved(history, digests, list(documents.values()), verified, before=before)
    for (kind, name, version), document in documents.items():
        told = f"{kind} {name} {version}"
        _check_digest(verified, "audit.document_altered", told, document.body, document.digest)
        # Orders of another sort than what is run are kept beside the log, and their facts are in it.
        if kind not in NO_RULES and document.digest not in authored:
            _find(verified, "audit.document_unpublished", {"name": told, "found": document.digest})
    for number, rules in sorted(rulebooks.items()):
        for (kind, name, version), cited in _parts(rules.rulebook):
            known = documents.get((kind, name, version))
            told = f"{kind} {name} {version}"
            if known is None:
                _find(verified, "audit.document_missing", {"name": told, "number": number})
            elif known.digest != cited:
                values: dict[str, object] = {"name": told, "number": number, "found": known.digest}
                _find(verified, "audit.document_differs", {**values, "expected": cited})


def _parts(rulebook: Rulebook) -> Iterator[tuple[_Name, str]]:
    """The documents that a rulebook is made of, each with its digest."""
    for mark in rulebook.templates:
        yield ("template", mark.template, mark.version), mark.digest
    for journey in rulebook.journeys:
        yield ("journey", journey.journey, journey.version), digest(journey)
    for calendar in rulebook.calendars:
        yield ("calendar", calendar.calendar, calendar.version), digest(calendar)
    for segment in rulebook.segments:
        yield ("segment", segment.segment, segment.version), digest(segment)
    yield ("policy", rulebook.policy.policy, rulebook.policy.version), digest(rulebook.policy)


def _authored(history: History) -> Iterator[str]:
    """The digests that the record of publications names."""
    upto = history.ends(AUTHORED, WHOLE).last_seq
    for event in history.events(AUTHORED, upto=upto):
        if ".published/" in str(event.kind):
            try:
                yield msgspec.json.decode(event.body, type=_Published).digest
            except (msgspec.DecodeError, TypeError, UnicodeDecodeError):
                # That it cannot be read is found where the record is gone through.
                continue


def _check_engine(verified: Verified, number: int, stored: StoredRulebook) -> None:
    found = _newer(stored)
    if found is not None:
        _find(verified, "audit.newer_engine", {"number": number, "found": found, "newest": ENGINE_VERSION})


def _newer(stored: StoredRulebook) -> int | None:
    # One that cannot be read is found by its digest.
    named = engine_named(stored.body)
    return None if named in ENGINES else named


def _check_digest(verified: Verified, code: str, name: str, body: bytes, digest: str) -> None:
    found = sha256(body).hexdigest()
    if found != digest:
        _find(verified, code, {"name": name, "found": found, "expected": digest})


def _find(verified: Verified, code: str, values: dict[str, object]) -> None:
    verified.find(Finding(code, AUTHORED, 0, "", 0, values))
