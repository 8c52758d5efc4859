"""What a backtest found, as programs read it: CSV and JSON."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import to_builtins

from tidings.documents import Documents
from tidings.trying.backtest import Found
from tidings.trying.fates import Sort, Sums
from tidings.trying.unlike import Row, Side

_SIDE = ("status", "at", "channel", "template", "rule")
COLUMNS = (
    "customer",
    "message",
    "journey",
    "step",
    "purpose",
    "what",
    *(f"{side}_{name}" for side in ("was", "now") for name in _SIDE),
    "moved_seconds",
)


def cells(row: Row) -> list[str]:
    """A difference as a line of CSV, in the order of COLUMNS; instants are ISO 8601 in UTC."""
    moved = "" if row.moved_seconds is None else str(row.moved_seconds)
    known = [row.customer, row.message, row.journey, row.step, row.purpose, row.what]
    return [*known, *_of_side(row.was), *_of_side(row.now), moved]


def _of_side(side: Side | None) -> list[str]:
    if side is None:
        return [""] * 5
    return [side.status, side.at.isoformat(), side.channel, side.template, side.rule]


def listed(drafts: Documents) -> list[tuple[str, str, int]]:
    """Kind, name and version of every document."""
    policies = [drafts.policy] if drafts.policy is not None else []
    return [
        *(("journey", one.journey, one.version) for one in drafts.journeys),
        *(("template", one.template, one.version) for one in drafts.templates),
        *(("segment", one.segment, one.version) for one in drafts.segments),
        *(("calendar", one.calendar, one.version) for one in drafts.calendars),
        *(("policy", one.policy, one.version) for one in policies),
    ]


def as_json(
    found: Found, drafts: Documents, without: Sequence[str], *, begun: datetime, ended: datetime
) -> dict[str, object]:
    """All that was found, with instants as ISO 8601 in UTC."""
    differences = found.differences
    return {
        "from": begun,
        "to": ended,
        "documents": [
            {"kind": kind, "name": name, "version": version} for kind, name, version in listed(drafts)
        ],
        "without": list(without),
        "customers": found.customers,
        "check": {
            "ok": not found.astray,
            "events": found.events,
            "compared": found.compared,
            "recorded_sent": found.sent,
            "astray": dict(sorted(found.astray.items())),
            "unlike": to_builtins(found.unlike),
        },
        "sent": {"was": found.was.sent, "now": found.tried.sent},
        "customers_with": {
            **{sort: differences.customers[sort] for sort in ("more", "fewer", "other")},
            "same": found.customers - differences.customers.total(),
        },
        "messages": [
            {**sort._asdict(), "was": found.was.messages[sort], "now": found.tried.messages[sort]}
            for sort in every_sort(found)
        ],
        "entered": {
            name: {"was": found.was.entered[name], "now": found.tried.entered[name]}
            for name in sorted(found.was.entered.keys() | found.tried.entered.keys())
        },
        "differences": [
            {"journey": journey, "what": what, "number": number}
            for (journey, what), number in sorted(differences.messages.items())
        ],
        "because": [
            {"what": what, "rule": rule, "number": number}
            for (what, rule), number in sorted(differences.because.items())
        ],
        "moved": {
            "earlier": differences.earlier,
            "later": differences.later,
            "days": {str(days): number for days, number in sorted(differences.days.items())},
        },
        "caps": [
            {"cap": cap, "what": what, "was": found.was.held[cap, what], "now": found.tried.held[cap, what]}
            for cap, what in sorted(found.was.held.keys() | found.tried.held.keys())
        ],
        "cost": {"was": _cost_of(found.was), "now": _cost_of(found.tried)},
        "days": {"was": dict(sorted(found.was.days.items())), "now": dict(sorted(found.tried.days.items()))},
        "assumed": to_builtins(found.assumed),
        "shown": [dict(zip(COLUMNS, cells(row), strict=True)) for row in found.rows],
    }


def every_sort(found: Found) -> list[Sort]:
    """Every sort of messages that either life has, in order."""
    return sorted(found.was.messages.keys() | found.tried.messages.keys())


def _cost_of(sums: Sums) -> dict[str, object]:
    amounts = {currency: f"{amount:f}" for currency, amount in sorted(sums.amounts.items())}
    return {"segments": sums.segments, "amounts": amounts, "unpriced": sums.unpriced}
