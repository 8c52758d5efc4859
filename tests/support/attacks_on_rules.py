"""Attacks on what was published: rulebooks, documents, and the record of their publication."""

import json
from hashlib import sha256

from domain.chain import genesis, link
from support.bank import Bank
from support.tampering import PARTITION, VICTIM, Place

_TEMPLATE = "birthday-greeting"


def a_rulebook_is_altered(bank: Bank) -> Place:
    ((body,),) = bank.sql("SELECT body FROM rulebooks")
    bank.sql("UPDATE rulebooks SET body = ?", _lenient(bytes(body)))
    return Place(0)


def a_rulebook_cannot_be_read(bank: Bank) -> Place:
    bank.sql("UPDATE rulebooks SET body = ?", b"\xff")
    return Place(0)


def a_rulebook_is_altered_with_its_digest(bank: Bank) -> Place:
    """Every link that cites it breaks, the first one first."""
    ((body,),) = bank.sql("SELECT body FROM rulebooks")
    altered = _lenient(bytes(body))
    bank.sql("UPDATE rulebooks SET body = ?, digest = ?", altered, sha256(altered).hexdigest())
    return Place(PARTITION, None, VICTIM, 1)


def a_rulebook_is_removed(bank: Bank) -> Place:
    bank.sql("DELETE FROM rulebooks")
    return Place(PARTITION, None, VICTIM, 1)


def a_template_is_altered(bank: Bank) -> Place:
    bank.sql("UPDATE documents SET body = ? WHERE name = ?", _sorry(bank), _TEMPLATE)
    return Place(0)


def a_template_is_replaced_with_its_digest(bank: Bank) -> Place:
    text = _sorry(bank)
    statement = "UPDATE documents SET body = ?, digest = ? WHERE name = ?"
    bank.sql(statement, text, sha256(text).hexdigest(), _TEMPLATE)
    return Place(0)


def a_template_is_replaced_in_the_record_of_its_publication_too(bank: Bank) -> Place:
    """Document, event and the chain of the authored object: the rulebook that histories cite still tells."""
    text = _sorry(bank)
    a_template_is_replaced_with_its_digest(bank)
    _publish_otherwise(bank, text)
    return Place(0)


def a_template_is_removed(bank: Bank) -> Place:
    bank.sql("DELETE FROM documents WHERE name = ?", _TEMPLATE)
    return Place(0)


def the_policy_is_replaced_with_its_digest(bank: Bank) -> Place:
    ((body,),) = bank.sql("SELECT body FROM documents WHERE kind = 'policy'")
    altered = _lenient(bytes(body))
    statement = "UPDATE documents SET body = ?, digest = ? WHERE kind = 'policy'"
    bank.sql(statement, altered, sha256(altered).hexdigest())
    return Place(0)


def a_document_is_slipped_in(bank: Bank) -> Place:
    """A version that nobody published."""
    text = _sorry(bank)
    columns = "partition, kind, name, version, digest, body"
    statement = f"INSERT INTO documents ({columns}) VALUES (0, 'template', ?, 9, ?, ?)"
    bank.sql(statement, _TEMPLATE, sha256(text).hexdigest(), text)
    return Place(0)


def a_publication_is_altered(bank: Bank) -> Place:
    seq, _, body, *_ = _publication(bank)
    bank.sql(
        "UPDATE events SET body = ? WHERE partition = 0 AND seq = ?", body.replace(b"happy", b"sorry"), seq
    )
    return Place(0, seq)


def _lenient(body: bytes) -> bytes:
    assert b'"granted"' in body
    return body.replace(b'"granted"', b'"not_needed"')


def _sorry(bank: Bank) -> bytes:
    ((body,),) = bank.sql("SELECT body FROM documents WHERE name = ? AND version = 1", _TEMPLATE)
    altered = bytes(body).replace(b"happy", b"sorry")
    assert altered != bytes(body)
    return altered


def _publication(bank: Bank) -> tuple[int, int, bytes, int, int, int]:
    """Seq, stream, body, version and both instants of the event by which the template was published."""
    rows = bank.sql(
        "SELECT seq, stream, body, version, occurred_at, recorded_at FROM events "
        "WHERE partition = 0 AND kind = 'template.published/1' ORDER BY seq"
    )
    for seq, stream, body, *rest in rows:
        if f'\\"template\\":\\"{_TEMPLATE}\\"'.encode() in bytes(body):
            return (seq, stream, bytes(body), *rest)
    raise AssertionError(_TEMPLATE)


def _publish_otherwise(bank: Bank, text: bytes) -> None:
    seq, stream, body, version, occurred_at, recorded_at = _publication(bank)
    told = json.loads(body)
    told |= {"text": text.decode(), "digest": sha256(text).hexdigest()}
    forged = json.dumps(told, separators=(",", ":")).encode()
    ((subject,),) = bank.sql("SELECT subject FROM streams WHERE partition = 0 AND stream = ?", stream)
    before = bank.sql(
        "SELECT hash FROM events WHERE partition = 0 AND stream = ? AND version = ?", stream, version - 1
    )
    ((cause,),) = bank.sql("SELECT cause FROM events WHERE partition = 0 AND seq = ?", seq)
    chained = link(
        bytes(before[0][0]) if before else genesis(subject),
        version=version,
        kind="template.published/1",
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        cause=cause,
        rulebook="",
        body=forged,
    )
    bank.sql("UPDATE events SET body = ?, hash = ? WHERE partition = 0 AND seq = ?", forged, chained, seq)
    bank.sql("UPDATE heads SET hash = ? WHERE partition = 0 AND stream = ?", chained, stream)


ON_RULES = {
    a_rulebook_is_altered: "audit.rulebook_altered",
    a_rulebook_cannot_be_read: "audit.rulebook_altered",
    a_rulebook_is_altered_with_its_digest: "audit.hash_differs",
    a_rulebook_is_removed: "audit.unknown_rulebook",
    a_template_is_altered: "audit.document_altered",
    a_template_is_replaced_with_its_digest: "audit.document_unpublished",
    a_template_is_replaced_in_the_record_of_its_publication_too: "audit.document_differs",
    a_template_is_removed: "audit.document_missing",
    the_policy_is_replaced_with_its_digest: "audit.document_differs",
    a_document_is_slipped_in: "audit.document_unpublished",
    a_publication_is_altered: "audit.hash_differs",
}
