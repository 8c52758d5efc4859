"""A contract of the customer: deposit, loan, policy, fund, card."""

from datetime import date

from msgspec import Struct

from domain.catalogue import HoldingKind


class Holding(Struct, frozen=True, gc=False):
    """``matures_on`` is a day of the customer's own calendar; None where the contract has no term."""

    kind: HoldingKind
    product: str = ""
    matures_on: date | None = None
