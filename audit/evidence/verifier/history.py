"""The customer's history in a pack: numbers without gaps, the chain of hashes, values in clear."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from hashlib import sha256
from typing import Any

from audit.evidence.verifier.aesgcm import CustomersKey
from audit.evidence.verifier.files import Files
from audit.evidence.verifier.findings import Findings, Wrong

HISTORY = "history.jsonl"
CLEAR = "clear.jsonl"
KEY = "key.txt"
_GENESIS = b"tidings/history/2\x00"
# What stands in a sealed body where a value must be.
_WITHHELD: tuple[object, ...] = ("withheld", {})

_SEALED = re.compile(',"sealed":"1[.]([A-Za-z0-9+/=]+)"}$')


class History:
    """The events of a pack by version, and of each that is disclosed what its body says, opened if it was."""

    def __init__(self, files: Files) -> None:
        """Raises Wrong where the files cannot be read as events."""
        self.pack = files.json("pack.json")
        self.events: list[dict[str, Any]] = files.lines(HISTORY)
        self.clear = {line["version"]: line["body"] for line in files.lines(CLEAR)}
        self.bodies: dict[int, dict[str, Any]] = {}
        for event in self.events:
            if "body" in event:
                said = self.clear.get(event["version"], event["body"])
                self.bodies[event["version"]] = json.loads(said)

    def of_kind(self, *names: str) -> list[dict[str, Any]]:
        """The disclosed events of these names, whatever their version."""
        return [e for e in self.events if "body" in e and e["kind"].partition("/")[0] in names]


def check_history(history: History, say: Findings) -> None:
    """Versions, causes and times, and each link of the chain from its beginning. Raises Wrong."""
    events, recorded = history.events, 0
    for number, event in enumerate(events, 1):
        if event["version"] != number:
            raise Wrong("version_gap", expected=number, found=event["version"])
        if not 0 <= event["cause"] < number:
            raise Wrong("cause_wrong", version=number, cause=event["cause"])
        if event["recorded_at"] < recorded:
            raise Wrong("time_back", version=number)
        recorded = event["recorded_at"]
    say.right("versions", last=len(events))
    chained = sha256(_GENESIS + history.pack["customer"].encode()).digest()
    for event in events:
        chained = sha256(_said(chained, event)).digest()
        if chained.hex() != event["hash"]:
            raise Wrong("chain_broken", version=event["version"], kind=event["kind"])
    end = history.pack["ends"]
    if (end["version"], end["hash"]) != (len(events), chained.hex()):
        raise Wrong("end_wrong")
    say.right("chain", events=len(events), hash=chained.hex())
    hidden = len(events) - len(history.bodies)
    say.right("disclosed", disclosed=len(history.bodies), hidden=hidden)


def check_clear(history: History, files: Files, say: Findings) -> None:
    """Values in clear against the sealed body that they belong to, opened where the pack has the key.

    Raises Wrong.
    """
    stored = {e["version"]: e for e in history.events if "body" in e}
    key = CustomersKey(bytes.fromhex(files.read(KEY).decode())) if KEY in files.names(KEY) else None
    for version, said in history.clear.items():
        if version not in stored or "sealed" not in json.loads(stored[version]["body"]):
            raise Wrong("clear_unfounded", version=version)
        opened, part = json.loads(said), json.loads(stored[version]["body"])
        del part["sealed"]
        if any(opened.get(n) != v for n, v in part.items() if v not in _WITHHELD):
            raise Wrong("clear_differs", version=version)
        if key is not None and opened != {**part, **_unsealed(key, stored[version])}:
            raise Wrong("clear_differs", version=version)
    sealed = sum("sealed" in json.loads(event["body"]) for event in stored.values())
    if history.clear:
        say.right("clear", events=len(history.clear))
    if history.clear and key is None:
        say.open("clear_unproved", events=len(history.clear))
    elif history.clear:
        say.right("clear_proved", events=len(history.clear))
    if sealed > len(history.clear):
        say.open("still_sealed", events=sealed - len(history.clear))


def _unsealed(key: CustomersKey, event: dict[str, Any]) -> dict[str, Any]:
    """The personal part of a stored body. Raises Wrong where the key does not open it."""
    found = _SEALED.search(event["body"])
    if found is None:
        raise Wrong("clear_unfounded", version=event["version"])
    public = event["body"][: found.start()] + "}"
    place = b"tidings/event/1\x00" + event["kind"].encode() + b"\x00" + public.encode()
    data = b64decode(found.group(1))
    opened = key.opened(data[:12], data[12:], place=place)
    if opened is None:
        raise Wrong("key_does_not_open", version=event["version"])
    personal: dict[str, Any] = json.loads(opened)
    return personal


def _said(previous: bytes, event: dict[str, Any]) -> bytes:
    """What a link of the chain is over; a body that is not disclosed speaks by its digest."""
    known = "body" in event
    body = sha256(event["body"].encode()).digest() if known else bytes.fromhex(event["body_sha256"])
    return b"%b%d|%b|%d|%d|%d|%b|%b" % (
        previous,
        event["version"],
        event["kind"].encode(),
        event["occurred_at"],
        event["recorded_at"],
        event["cause"],
        event["rulebook"].encode(),
        body,
    )
