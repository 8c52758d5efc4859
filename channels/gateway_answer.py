"""How a text gateway's answer is read: a place in its JSON, and what the values there mean."""

import re
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Struct

from channels.base import Accepted, NotTaken, Outcome, Rejected, Retry, Unknown

Values = tuple[str, ...]
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
# Whoever answers so has not let us in, or wants us to slow down; nothing was taken.
_SHUT_OUT = (401, 403, 404, 407, 429)


class Reading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paths such as ``data.code`` or ``results.0.status``, and the values that mean this or that.

    ``accepted`` counts with HTTP 2xx only; what is in no list is unknown. ``not_taken`` is for enquiries: the
    gateway certainly never got the message.
    """

    code: str
    accepted: Values
    provider_id: str | None = None
    retry: Values = ()
    rejected_address: Values = ()
    rejected_message: Values = ()
    opted_out: Values = ()
    not_taken: Values = ()


def read(
    reading: Reading, status: int, body: bytes, *, message: str, after: timedelta | None, provider: str
) -> Outcome | NotTaken:
    """What the answer means for the message of this id."""
    content = decoded(body)
    code = said(content, reading.code)
    # 500, 502 and 504 may come after the message was taken, whatever stands in them.
    if code is None or status in (500, 502, 504):
        if status in _SHUT_OUT:
            return Retry(f"http.{status}", after, provider=provider)
        return Unknown("answer.unreadable" if 200 <= status < 300 else f"http.{status}", provider=provider)
    reason = reason_of(code)
    if code in reading.accepted and 200 <= status < 300:
        found = said(content, reading.provider_id) if reading.provider_id else None
        return Accepted(found or message, provider=provider)
    if code in reading.not_taken:
        return NotTaken()
    if code in reading.opted_out:
        return Rejected(reason, refused="opted_out", provider=provider)
    if code in reading.rejected_address:
        return Rejected(reason, refused="address", provider=provider)
    if code in reading.rejected_message:
        return Rejected(reason, provider=provider)
    if code in reading.retry or status in _SHUT_OUT:
        return Retry(reason, after, provider=provider)
    return Unknown(reason, provider=provider)


def reason_of(code: str) -> str:
    """The code as a reason that events may hold: a sentence could name somebody, a code cannot."""
    return f"gateway.{code}" if _CODE.fullmatch(code) else "gateway.other"


def decoded(body: bytes) -> Any:
    """The JSON, None where it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def at(content: Any, path: str) -> Any:
    """What lies at the path, None where nothing does; the empty path is the whole."""
    for step in path.split(".") if path else ():
        if isinstance(content, dict):
            content = content.get(step)
        elif isinstance(content, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(content):
            content = content[int(step)]
        else:
            return None
    return content


def said(content: Any, path: str) -> str | None:
    """The text, number or truth value at the path as text."""
    found = at(content, path)
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, str | int | float) else None
