"""A contract of the customer: deposit, loan, policy, fund, card."""

from datetime import date

from msgspec import Struct

from domain.catalogue import HoldingKind


class Holding(Struct, frozen=True, gc=False):
    """``matures_on`` and ``opened_on`` are days of the customer's own calendar; None: no term.

    ``told`` are the occasions for which an enrolment of several contracts has covered this one
    (``occasion_of``).
    """

    kind: HoldingKind
    product: str = ""
    matures_on: date | None = None
    opened_on: date | None = None
    told: tuple[str, ...] = ()


def occasion_of(journey: str, *, matures_on: date | None, offset: int) -> str:
    """The name of what a journey tells of a contract: its last day at so many days from it."""
    return f"{journey}:{matures_on}:{offset}"
