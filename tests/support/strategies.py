"""Made-up lives for property tests: facts of a few customers over two years, in any order."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from domain import catalogue as facts
from domain.catalogue import Envelope, Fact
from support.scenario import envelope

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=730)
ZONES = ("Europe/Prague", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "UTC")
_SOURCE = "/made-up"

instants = st.integers(0, 700 * 24).map(lambda hours: START + timedelta(hours=hours))
days = st.integers(0, 700).map(lambda offset: date(2026, 1, 1) + timedelta(days=offset))
birth_dates = st.dates(date(1930, 1, 1), date(2008, 12, 31)) | st.just(date(1992, 2, 29))
amounts = st.integers(-1_000, 100_000).map(lambda cents: Decimal(cents) / 100)


@st.composite
def _facts(draw: st.DrawFn, number: int, index: int) -> tuple[datetime, Fact]:
    identity: dict[str, Any] = {"source": _SOURCE, "id": f"{number}-{index}"}
    at = draw(instants)
    fact: Fact = draw(
        st.one_of(
            amounts.map(lambda a: facts.TransactionPosted(**identity, account="a", amount=a)),
            amounts.map(lambda a: facts.BalanceRecorded(**identity, account="a", amount=a)),
            days.map(
                lambda d: facts.HoldingOpened(
                    **identity, holding=f"h{index % 3}", kind="term_deposit", matures_on=d
                )
            ),
            days.map(lambda d: facts.HoldingChanged(**identity, holding=f"h{index % 3}", matures_on=d)),
            st.just(facts.HoldingClosed(**identity, holding=f"h{index % 3}")),
            st.sampled_from(["*", "email", "sms"]).map(
                lambda c: facts.ConsentGranted(**identity, channel=c, provenance="made up")
            ),
            st.just(facts.ConsentWithdrawn(**identity, provenance="made up")),
            st.just(facts.CareHoldPlaced(**identity, reason="dispute")),
            st.just(facts.CareHoldLifted(**identity, reason="dispute")),
            st.sampled_from(ZONES).map(lambda z: facts.CustomerChanged(**identity, zone=z)),
            st.just(facts.CustomerErased(**identity)),
        )
    )
    return at, fact


@st.composite
def lives(draw: st.DrawFn, *, customers: int = 3, most: int = 14) -> list[Envelope]:
    """Facts of up to ``customers`` customers; each is registered first, the rest comes in any order."""
    told: list[Envelope] = []
    for number in range(1, draw(st.integers(1, customers)) + 1):
        subject = f"c-{number}"
        person = facts.CustomerRegistered(
            source=_SOURCE,
            id=f"{number}",
            birth_date=draw(birth_dates),
            zone=draw(st.sampled_from(ZONES)),
            email=draw(st.sampled_from(["a@example.com", "b+rejected@example.com", "c+unknown@example.com"])),
            phone=draw(st.sampled_from([None, "+420601000001"])),
        )
        told.append(envelope(subject, START, person))
        for index in range(draw(st.integers(0, most))):
            at, fact = draw(_facts(number, index))
            told.append(envelope(subject, at, fact))
    return told
