"""Messages whose outcome nobody knows: what a person found out about one becomes a fact."""

from datetime import datetime
from typing import Literal

from msgspec import UNSET

from domain.catalogue import Envelope, MessageSettled
from domain.clock import to_micros
from domain.errors import InputRefused, NotFound
from stores.inbox import Told
from stores.projections import LedgerEntry
from tidings.bootstrap import Tidings

Settled = Literal["accepted", "rejected"]
OUTCOMES: tuple[Settled, ...] = ("accepted", "rejected")
_SOURCE = "operator"
# As long as a message is still tried, its provider is asked and may answer yet.
_OVER = ("unknown", "suppressed")


def unknown(tidings: Tidings) -> list[LedgerEntry]:
    """The messages of which nobody knows whether they left, the longest in doubt first.

    Those that are still tried (postponed, deferred) are among them as long as a provider may have them.
    """
    entries = tidings.ledger.messages(in_doubt=True)
    return sorted(entries, key=lambda entry: (entry.handed_at or entry.requested_at, entry.id))


def settle(
    tidings: Tidings, message: str, outcome: Settled, *, by: str, reason: str | None, at: datetime
) -> bool:
    """Tell what became of the message as a fact of ``at`` (aware UTC); False where that was told before.

    Raises NotFound for an id that nobody knows, InputRefused where its outcome is known or told otherwise.
    """
    entry = next(iter(tidings.ledger.messages(id=message)), None)
    if entry is None:
        raise NotFound("message.unknown", message=message, near=tidings.ledger.similar(message))
    inbox = tidings.inbox
    for told in OUTCOMES:
        if inbox.knows(_SOURCE, _id(message, told)):
            if told == outcome:
                return False
            raise InputRefused("settle.otherwise", message=message, outcome=told)
    if not entry.in_doubt:
        raise InputRefused("settle.known", message=message, status=entry.status)
    if entry.status not in _OVER:
        raise InputRefused("settle.still_tried", message=message, status=entry.status)
    fact = MessageSettled(
        source=_SOURCE,
        id=_id(message, outcome),
        message=message,
        outcome=outcome,
        by=by,
        reason=reason or UNSET,
    )
    envelope = Envelope("message.settled/1", entry.customer, at, fact)
    inbox.take([Told(envelope, message)], origin=_SOURCE, at=to_micros(at))
    return True


def _id(message: str, outcome: Settled) -> str:
    return f"{message}/{outcome}"
