"""Documents as tests take them: the first programmes, pinned; and parts of documents, YAML on one line."""

from pathlib import Path

import msgspec

from domain.policy import Policy
from journeys.definition import Condition, Enter, Journey
from templates.model import Template
from tidings.documents import Documents, decode, parse_document, read_document, shipped

_FIRST = Path(__file__).resolve().parents[1] / "golden" / "first-programmes"


def first_programmes() -> Documents:
    """The first four programmes in their first version, with the calendars that are shipped.

    Tests of what the engine does run on these, so that they know everything that is said.
    """
    read = {place.name: read_document(place) for place in sorted(_FIRST.glob("*.yaml"))}
    policy = decode(read.pop("policy.yaml"), Policy)
    templates = [decode(read.pop(file), Template) for file in list(read) if file.startswith("template-")]
    journeys = [decode(document, Journey) for document in read.values()]
    return Documents(journeys, templates, policy, shipped().calendars)


def condition(text: str) -> Condition:
    """The condition of a line such as ``holds, kinds: [loan]``."""
    found: Condition = msgspec.convert(_part(f"is: {text}"), Condition)
    return found


def entry(text: str) -> Enter:
    """The entry of a line such as ``birthday, at: '09:00'``."""
    found: Enter = msgspec.convert(_part(f"by: {text}"), Enter)
    return found


def journey_of(text: str) -> Journey:
    """The journey of a whole document."""
    return decode(parse_document(text, name="test"), Journey)


def _part(text: str) -> object:
    data = parse_document(f"part: {{{text}}}", name="test").data
    assert isinstance(data, dict)
    return data["part"]
