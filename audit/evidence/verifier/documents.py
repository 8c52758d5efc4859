"""The texts that a pack's events cite, each by its digest: rulebooks, templates, messages."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from hashlib import sha256
from typing import Any

from audit.evidence.verifier.files import Files
from audit.evidence.verifier.findings import Findings, Wrong
from audit.evidence.verifier.history import History

# What stands in the HTML of a pack so that nothing is fetched to show it.
POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)
_PICTURE = re.compile("cid:[a-z][a-z0-9-]{0,62}")
_EMBEDDED = "data:image/[a-z]+;base64,([A-Za-z0-9+/=]*)"


def check_rules(history: History, files: Files, say: Findings) -> None:
    """Every rulebook that a disclosed event cites, and every template of such a rulebook. Raises Wrong."""
    cited = {event["rulebook"]: event["version"] for event in history.events if "body" in event}
    templates: set[str] = set()
    for digest, version in cited.items():
        rulebook = _named(files, "rulebooks/", digest, version)
        for template in rulebook["templates"]:
            templates.add(template["digest"])
            _named(files, "templates/", template["digest"], version)
    _no_more(files, "rulebooks/", {f"rulebooks/{digest}.json" for digest in cited})
    _no_more(files, "templates/", {f"templates/{digest}.json" for digest in templates})
    say.right("rulebooks", number=len(cited))
    say.right("templates", number=len(templates))


def check_messages(history: History, files: Files, say: Findings) -> None:
    """The words of every message that was to leave, against the digest in its intent. Raises Wrong."""
    lost, made = set(history.pack["words_missing"]), set()
    pictures: set[bytes] | None = None
    for event in history.of_kind("message.sending"):
        version = event["version"]
        name = f"messages/{version:06d}"
        if version in lost:
            continue
        said = files.read(name + ".json")
        if sha256(said).hexdigest() != history.bodies[version]["content_sha256"]:
            raise Wrong("words_differ", version=version, name=name + ".json")
        made.add(name + ".json")
        if html := json.loads(said).get("html"):
            pictures = _pictures(files) if pictures is None else pictures
            if not _shows(files.read(name + ".html").decode(), html, pictures):
                raise Wrong("words_differ", version=version, name=name + ".html")
            made.add(name + ".html")
    _no_more(files, "messages/", made)
    say.right("words", number=len([name for name in made if name.endswith(".json")]))
    if lost:
        say.open("words_missing", number=len(lost))
    _check_ends(history, files.json("messages.json"))
    say.right("messages", number=len(files.json("messages.json")))


def check_consents(history: History, files: Files, say: Findings) -> None:
    """The table of consents against the events that it is taken from. Raises Wrong."""
    listed = files.json("consents.json")
    words = {e["version"]: e for e in history.of_kind("consent.granted", "consent.withdrawn")}
    if [entry["version"] for entry in listed] != sorted(words):
        raise Wrong("consents_differ", version=0)
    for entry in listed:
        event = words[entry["version"]]
        told = dict(history.bodies[event["version"]], occurred_at=event["occurred_at"], kind=event["kind"])
        if any(told.get(name) != value for name, value in entry.items() if name != "version"):
            raise Wrong("consents_differ", version=entry["version"])
    say.right("consents", number=len(listed))


def _check_ends(history: History, listed: list[dict[str, Any]]) -> None:
    """The list of messages has each that is asked for, with all that is disclosed of it."""
    lives: dict[str, list[int]] = {}
    for version, body in history.bodies.items():
        kind = history.events[version - 1]["kind"]
        if kind.startswith("message.") and isinstance(body.get("message"), str):
            lives.setdefault(body["message"], []).append(version)
    if {m["message"]: m["events"] for m in listed} != lives or len(listed) != len(lives):
        raise Wrong("messages_differ")


def _shows(page: str, html: str, pictures: set[bytes]) -> bool:
    """Whether a page is the recorded HTML, but for the word that it fetches nothing and pictures put in."""
    said = [re.escape(part) for part in _PICTURE.split(html)]
    found = re.fullmatch(_EMBEDDED.join(said), page.replace(POLICY, "", 1), re.DOTALL)
    return found is not None and all(b64decode(picture) in pictures for picture in found.groups())


def _pictures(files: Files) -> set[bytes]:
    """The pictures of all templates."""
    templates = [files.json(name) for name in files.names("templates/")]
    listed = [template["images"].values() for template in templates if "images" in template]
    return {b64decode(image["base64"]) for images in listed for image in images}


def _no_more(files: Files, folder: str, known: set[str]) -> None:
    """Raises Wrong for a file of the folder that nothing in the history names."""
    for name in files.names(folder):
        if name not in known:
            raise Wrong("file_added", name=name)


def _named(files: Files, folder: str, digest: str, version: int) -> Any:
    """The document of this digest. Raises Wrong where its text has another."""
    name = folder + digest + ".json"
    said = files.read(name)
    if sha256(said).hexdigest() != digest:
        raise Wrong("document_differs", name=name, version=version)
    return json.loads(said)
