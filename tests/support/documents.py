"""Parts of documents as tests write them: YAML on one line."""

import msgspec

from journeys.definition import Condition, Enter, Journey
from tidings.documents import decode, parse_document


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
