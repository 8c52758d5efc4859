"""Puts a pack together: the record, the texts that it cites, proofs, reports, and the verifier."""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import to_builtins

from audit.evidence.contents import clear_line, event_line
from audit.evidence.manifest import written
from audit.evidence.verifier.documents import POLICY
from audit.evidence.verifier_file import verifier_source
from audit.why import Explanation
from channels.base import Outgoing
from domain.catalogue import ConsentGranted, ConsentWithdrawn
from tidings.cli.why import sentences
from tidings.evidence.gathering import Gathered, Words, lives, messages, words
from tidings.evidence.proving import Proofs
from tidings.evidence.report import Said, report
from tidings.evidence.report_html import html_of
from tidings.evidence.report_pdf import pdf_of
from tidings.evidence.zipped import Packed, Zipped, digest_of, writing_pack
from tidings.wording import LANGUAGES, Wording, catalogue

_VERIFIER = "evidence.verify."
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


def write_pack(
    gathered: Gathered, proofs: Proofs, path: Path, *, force: bool, key: bytes | None = None
) -> Packed:
    """Write the pack to ``path``, whole or not at all, with the customer's key if it is given.

    Raises InputRefused as ``writing_pack``.
    """
    explanations = messages(gathered)
    with writing_pack(path, force=force) as pack:
        _add_verifier(pack)
        said, missing = _add_words(pack, gathered)
        _add_record(pack, gathered, missing)
        if key is not None:
            pack.add("key.txt", f"{key.hex()}\n".encode())
        _add_documents(pack, gathered)
        _add_tables(pack, gathered, explanations)
        _add_proofs(pack, proofs)
        _add_reports(pack, gathered, explanations, said, proofs)
    return Packed(
        customer=gathered.customer,
        file=str(path),
        sha256=digest_of(path),
        events=len(gathered.stored),
        disclosed=len(gathered.told.all),
        messages=len(explanations),
        words=len(said),
        words_missing=len(missing),
        sealed=proofs.sealed,
        checkpoint=proofs.size,
    )


def _add_verifier(pack: Zipped) -> None:
    texts = {
        language: {
            code.removeprefix(_VERIFIER): text
            for code, text in catalogue(language).items()
            if code.startswith(_VERIFIER)
        }
        for language in LANGUAGES
    }
    pack.add("verify.py", verifier_source(texts).encode())
    readme = "\n".join(Wording(language).tell("evidence.readme") for language in LANGUAGES)
    pack.add("README.txt", readme.encode())


def _add_words(pack: Zipped, gathered: Gathered) -> tuple[dict[str, Said], list[int]]:
    """The words of each intent, and the versions of those that cannot be made any more."""
    said: dict[str, Said] = {}
    missing: list[int] = []
    for found in words(gathered):
        message = found.message
        if found.rendered is None:
            missing.append(found.version)
            said[message.id] = Said("", "", "")
            continue
        name = f"messages/{found.version:06d}"
        pack.add(f"{name}.json", found.rendered)
        if message.html:
            pack.add(f"{name}.html", _standing_alone(message).encode())
        said[message.id] = _said(found, f"{name}.html" if message.html else "")
    return said, missing


def _said(found: Words, file: str) -> Said:
    digest = sha256(found.rendered or b"").hexdigest()
    return Said(found.message.heading, found.message.text, digest, file)


def _standing_alone(message: Outgoing) -> str:
    """The HTML with its pictures inside, and the word that nothing is fetched to show it."""
    html = message.html
    for image in message.images:
        shown = f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
        html = html.replace(f"cid:{image.name}", shown)
    head = _HEAD.search(html)
    return html[: head.end()] + POLICY + html[head.end() :] if head else POLICY + html


def _add_record(pack: Zipped, gathered: Gathered, missing: Sequence[int]) -> None:
    digests = {number: stored.digest for number, stored in gathered.rulebooks.items()}
    since, until = gathered.period.since, gathered.period.until
    last = gathered.stored[-1]
    about = {
        "customer": gathered.customer,
        "since": since.isoformat() if since else "-",
        "until": until.isoformat() if until else "-",
        "ends": {"version": last.version, "hash": last.hash.hex()},
        "words_missing": missing,
    }
    pack.add("pack.json", written(about))
    told = gathered.told.all
    lines = [event_line(e, digests, with_body=e.version in told) for e in gathered.stored]
    pack.add("history.jsonl", b"".join(map(written, lines)))
    opened = [clear_line(event) for event in gathered.stored if event.version in told]
    pack.add("clear.jsonl", b"".join(written(line) for line in opened if line is not None))


def _add_documents(pack: Zipped, gathered: Gathered) -> None:
    """The rulebooks that disclosed events cite, and the templates of these, each under its digest."""
    texts = {d.digest: d.body for d in gathered.documents if d.kind == "template"}
    needed: dict[str, bytes] = {}
    for number, stored in gathered.cited.items():
        pack.add(f"rulebooks/{stored.digest}.json", stored.body)
        rules = gathered.rules.get(number)
        for mark in rules.rulebook.templates if rules else ():
            if mark.digest in texts:
                needed[mark.digest] = texts[mark.digest]
    for digest, body in sorted(needed.items()):
        pack.add(f"templates/{digest}.json", body)


def _add_tables(pack: Zipped, gathered: Gathered, explanations: Sequence[Explanation]) -> None:
    """What is told of each message, with its reasons in both languages, and the customer's words."""
    versions = lives(gathered)
    listed = []
    for told in explanations:
        why = {language: sentences(told, Wording(language)) for language in LANGUAGES}
        listed.append({**to_builtins(told), "events": versions[told.message], "why": why})
    pack.add("messages.json", written(listed))
    pack.add("consents.json", written(list(_consents(gathered))))


def _consents(gathered: Gathered) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for event, stored in zip(gathered.history, gathered.stored, strict=True):
        if event.version in gathered.told.all and isinstance(event.body, ConsentGranted | ConsentWithdrawn):
            said: dict[str, object] = msgspec.json.decode(stored.clear or stored.body)
            said.pop("sealed", None)
            at = {"version": event.version, "kind": event.kind, "occurred_at": stored.occurred_at}
            found.append({**said, **at})
    return found


def _add_proofs(pack: Zipped, proofs: Proofs) -> None:
    if not proofs.checkpoint:
        return
    pack.add("proofs/checkpoint.txt", proofs.checkpoint.encode())
    pack.add("proofs/keys.txt", "".join(f"{key}\n" for key in proofs.keys).encode())
    leaves = [{"version": p.version, "index": p.index, "path": _hex(p.path)} for p in proofs.paths]
    pack.add("proofs/inclusion.json", written(leaves))
    listed = []
    for number, earlier in enumerate(proofs.earlier, 1):
        name = f"proofs/earlier-{number:02d}.txt"
        pack.add(name, earlier.note.encode())
        listed.append({"note": name, "size": earlier.size, "path": _hex(earlier.path)})
    pack.add("proofs/consistency.json", written(listed))


def _add_reports(
    pack: Zipped,
    gathered: Gathered,
    explanations: Sequence[Explanation],
    said: dict[str, Said],
    proofs: Proofs,
) -> None:
    for language in LANGUAGES:
        wording = Wording(language)
        made = report(gathered, explanations, said, proofs, wording)

        def page_of(number: int, pages: int, wording: Wording = wording) -> str:
            return wording.tell("evidence.report.page", {"number": number, "pages": pages})

        pack.add(f"report.{language}.html", html_of(made))
        pdf = pdf_of(made, at=gathered.history[-1].recorded_at, page_of=page_of)
        pack.add(f"report.{language}.pdf", pdf)


def _hex(path: Sequence[bytes]) -> list[str]:
    return [step.hex() for step in path]
