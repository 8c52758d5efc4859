"""Telling again what was refused, as it was or mended."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from domain.clock import to_micros
from domain.errors import InputRefused
from stores.inbox import Refusal, Told
from stores.letters import Letter, Letters
from tidings.bootstrap import Tidings
from tidings.importing.cloudevents import parse_event


class Retried(Struct, frozen=True):
    """What became of a letter: its fact was taken, was there already, or was refused anew, and why."""

    number: int
    outcome: Literal["accepted", "repeated", "refused"]
    refusal: Refusal | None = None


def retry(tidings: Tidings, letter: Letter, *, mended: bytes | None = None, at: datetime) -> Retried:
    """Tell what was refused again at ``at`` (aware UTC), or the CloudEvent that it should have been.

    The letter goes; where the fact is refused anew, another takes its place. Raises InputRefused, and changes
    nothing, where there is no CloudEvent to tell.
    """
    raw = letter.raw if mended is None else mended
    if not raw:
        raise InputRefused("refused.nothing_kept", number=letter.number)
    try:
        told = Told(parse_event(raw.strip(), now=at), letter.place, raw)
    except InputRefused as error:
        raise InputRefused("refused.no_event", number=letter.number, reason=error.code) from error
    taken = tidings.inbox.take([told], origin=letter.origin, at=to_micros(at))
    Letters(tidings.engine).remove([letter.number])
    if taken.refused:
        return Retried(letter.number, "refused", taken.refused[0])
    return Retried(letter.number, "accepted" if taken.accepted else "repeated")
