"""One customer who meets every shipped programme within a year and a half, refusals among them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from domain import catalogue as facts
from domain.catalogue import CustomFact, Envelope, Fact
from domain.enrolment import enrolment_id, work_id
from journeys.admission import fact_key
from support.facts import at

SUBJECT, SHANGHAI = "c-1", "Asia/Shanghai"


def _on(day: str, hour: str = "12:00") -> datetime:
    return at(f"{day} {hour}", SHANGHAI)


def _told(day: str, kind: str, name: str, /, **given: Any) -> Envelope:
    struct = facts.FACTS.get(kind)
    fact: Fact = (
        CustomFact(source="/golden", id=name, data=given)
        if struct is None
        else struct(source="/golden", id=name, **given)
    )
    return Envelope(kind, SUBJECT, _on(day), fact)


def all_programmes() -> list[Envelope]:
    """The facts, in the order of their days."""
    balances = ("100", "121", "146", "176", "130", "100", "70", "50")
    months = [
        _told(f"2026-{m:02}-28", "balance.recorded/1", f"balance-{m}", account="a-1", amount=Decimal(amount))
        for m, amount in enumerate(balances, 3)
    ]
    grown = enrolment_id(SUBJECT, journey="tier-upgrade", key=fact_key(months[3].fact))
    told = [
        _told(
            "2026-01-05",
            "customer.registered/1",
            "person",
            birth_date=date(1962, 1, 27),
            given_name="秀英",
            language="zh-CN",
            zone=SHANGHAI,
            region="CN",
            email="xiuying@example.com",
            phone="+8610000000001",
        ),
        _told(
            "2026-01-05",
            "consent.granted/1",
            "yes",
            provenance="branch form 7",
            text_version="2026-01",
            captured_through="branch",
            captured_by="officer 17",
        ),
        _told("2026-01-06", "x.birthday.calendar/1", "calendar", calendar="lunar"),
        _told("2026-03-01", "holding.opened/1", "policy", holding="p-1", kind="policy"),
        _told("2026-03-01", "holding.opened/1", "fund", holding="f-1", kind="fund"),
        _told("2026-03-02", "transaction.posted/1", "paid", account="a-1", amount=Decimal("-1")),
        *months,
        *(
            _told(
                f"2026-03-{n:02}",
                "holding.opened/1",
                f"d-{n}",
                holding=f"d-{n}",
                kind="term_deposit",
                matures_on=date(2026, 9, n),
            )
            for n in (3, 6)
        ),
        _told("2026-04-05", "x.statement.ready/1", "statement", account="f-1", period="2026-Q1"),
        _told("2026-04-10", "risk.assessed/1", "risk", level=3, valid_until=date(2026, 8, 31)),
        _told(
            "2026-04-20",
            "x.product.risk_changed/1",
            "changed",
            product="基金",
            holding="f-1",
            old_level=3,
            new_level=4,
        ),
        _told("2026-05-04", "loss.incurred/1", "loss", holding="f-1", amount=Decimal("120.50")),
        _told("2026-05-06", "complaint.filed/1", "filed", complaint="q-1", topic="fees"),
        _told("2026-05-25", "complaint.resolved/1", "resolved", complaint="q-1"),
        _told("2026-05-29", "survey.answered/1", "answered", survey="complaint", score=4),
        _told(
            "2026-06-30",
            "task.done/1",
            "checked",
            task=work_id(grown, step="check", visit=1),
            outcome="approved",
        ),
        _told("2026-08-03", "x.service.completed/1", "served"),
        _told("2026-08-06", "survey.answered/1", "service", survey="service", score=2),
        _told("2027-01-20", "care_hold.placed/1", "hold", reason="bereavement"),
    ]
    return sorted(told, key=lambda envelope: envelope.occurred_at)
