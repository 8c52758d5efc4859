"""Facts as tests tell them, short."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

from domain import catalogue as facts

PRAGUE = "Europe/Prague"
_ids = count(1)


def at(text: str, zone: str = PRAGUE) -> datetime:
    """The UTC instant of a wall clock's ``2026-05-03 09:00``."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def noon(day: date, zone: str = PRAGUE) -> datetime:
    """Noon of a day on the wall clock."""
    return datetime.combine(day, time(12), ZoneInfo(zone)).astimezone(UTC)


def registered(**given: object) -> facts.CustomerRegistered:
    """A customer in Prague with every address, unless said otherwise."""
    values = {
        "birth_date": date(1980, 5, 3),
        "zone": PRAGUE,
        "email": "one@example.com",
        "phone": "+420601000001",
        "device": "device-1",
        **given,
    }
    return facts.CustomerRegistered(**_identity(), **values)  # type: ignore[arg-type]


def granted(**given: str) -> facts.ConsentGranted:
    """Marketing consent for everything, unless said otherwise."""
    return facts.ConsentGranted(**_identity(), **{"provenance": "branch form 7", **given})  # type: ignore[arg-type]


def withdrawn(**given: str) -> facts.ConsentWithdrawn:
    return facts.ConsentWithdrawn(**_identity(), **{"provenance": "preference page", **given})  # type: ignore[arg-type]


def opened(**given: object) -> facts.HoldingOpened:
    values = {"holding": "d-1", "kind": "term_deposit", **given}
    return facts.HoldingOpened(**_identity(), **values)  # type: ignore[arg-type]


def changed(**given: object) -> facts.HoldingChanged:
    return facts.HoldingChanged(**_identity(), **{"holding": "d-1", **given})  # type: ignore[arg-type]


def closed(holding: str = "d-1") -> facts.HoldingClosed:
    return facts.HoldingClosed(**_identity(), holding=holding)


def paid(amount: str = "-10.00", account: str = "a-1") -> facts.TransactionPosted:
    return facts.TransactionPosted(**_identity(), account=account, amount=Decimal(amount))


def balance(amount: str, account: str = "a-1", currency: str | None = None) -> facts.BalanceRecorded:
    return facts.BalanceRecorded(**_identity(), account=account, amount=Decimal(amount), currency=currency)


def account_closed(account: str) -> facts.AccountClosed:
    return facts.AccountClosed(**_identity(), account=account)


def moved(zone: str) -> facts.CustomerChanged:
    """The customer lives in another zone from now on."""
    return facts.CustomerChanged(**_identity(), zone=zone)  # type: ignore[arg-type]


def held(reason: str = "bereavement") -> facts.CareHoldPlaced:
    return facts.CareHoldPlaced(**_identity(), reason=reason)  # type: ignore[arg-type]


def erased() -> facts.CustomerErased:
    return facts.CustomerErased(**_identity())


def _identity() -> dict[str, str]:
    return {"source": "/test", "id": f"f-{next(_ids)}"}
