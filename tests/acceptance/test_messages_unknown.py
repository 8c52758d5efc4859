"""The ledger keeps how a message was sent apart from what came back, and people settle what nobody knows."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.base import Outcome, Rejected, Retry, Unknown
from domain import catalogue as facts
from domain.catalogue import Fact
from domain.clock import to_micros
from stores.projections import LedgerEntry
from support.bank import Bank
from support.postgres import fresh_database
from support.scenario import envelope
from support.sends import NOON, Scripted, asked, bank_of, message_to, people
from tidings.cli import run

LATER = NOON + timedelta(days=3)
EVERYBODY = ("sent", "lost", "refused", "nowhere", "late")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.long])])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    script: dict[str, list[Outcome]] = {
        "lost": [Unknown("timeout", "p")],
        "refused": [Rejected("blocked", provider="p")],
        "nowhere": [Rejected("550", refused="address", provider="p")],
        "late": [Retry("http_503", after=timedelta(minutes=5), provider="p")],
    }
    url = fresh_database() if request.param == "postgresql" else None
    bank = bank_of(tmp_path, Scripted(script), url=url, partitions=2)
    bank.take([*people(*EVERYBODY), *asked("care", *EVERYBODY)])
    bank.run(NOON)
    return bank


def entry(bank: Bank, customer: str) -> LedgerEntry:
    (found,) = [e for e in bank.ledger() if (e.customer, e.journey) == (customer, e.purpose)]
    return found


def tell(bank: Bank, customer: str, moment: datetime, *told: Fact) -> None:
    assert bank.take([envelope(customer, moment, fact) for fact in told]).refused == []
    bank.run(moment)


def receipt(kind: type[Fact], message: str, moment: datetime, **given: object) -> Any:
    return kind(source="p", id=f"{kind.__name__}/{message}/{moment}", message=message, **given)  # type: ignore[call-arg]


def command(bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run([*arguments, "--store", bank.settings.store])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_each_message_says_how_far_its_sending_came(bank: Bank) -> None:
    told = {
        e.customer: (e.status, e.reason, e.provider, e.tries, e.in_doubt, e.delivery) for e in bank.ledger()
    }
    assert told == {
        "sent": ("accepted", None, "p", 1, False, ""),
        "lost": ("unknown", "timeout", "p", 1, True, ""),
        "refused": ("rejected", "blocked", "p", 1, False, ""),
        "nowhere": ("rejected", "550", "p", 1, False, "bounced"),
        "late": ("postponed", "http_503", "p", 1, False, ""),
    }
    bank.run(NOON + timedelta(minutes=10))
    late = entry(bank, "late")
    assert (late.status, late.reason, late.tries) == ("accepted", None, 2)


def test_what_comes_back_stands_beside_the_status_and_the_gravest_word_stays(bank: Bank) -> None:
    message = message_to(bank, "sent")
    hour = timedelta(hours=1)
    tell(bank, "sent", NOON + hour, receipt(facts.MessageUndelivered, message, NOON))
    assert entry(bank, "sent").delivery == "undelivered"
    for number in (2, 3):
        moment = NOON + number * hour
        tell(
            bank,
            "sent",
            moment,
            receipt(facts.MessageDelivered, message, moment),
            receipt(facts.MessageOpened, message, moment),
            receipt(facts.MessageClicked, message, moment),
        )
    found = entry(bank, "sent")
    assert (found.status, found.delivery) == ("accepted", "delivered")
    first = int((NOON + 2 * hour).timestamp()) * 1_000_000
    assert (found.delivered_at, found.opened_at, found.clicked_at) == (first, first, first)
    where: dict[str, object] = {"channel": "email", "address": "sent@example.com"}
    moment = NOON + 4 * hour
    tell(bank, "sent", moment, receipt(facts.ContactComplained, message, moment, **where))
    moment = NOON + 5 * hour
    tell(bank, "sent", moment, receipt(facts.ContactBounced, message, moment, **where))
    tell(bank, "sent", moment + hour, receipt(facts.MessageDelivered, message, moment + hour))
    assert entry(bank, "sent").delivery == "complained"


@pytest.mark.parametrize(
    ("words", "gravest"),
    [
        ((facts.MessageUndelivered, facts.MessageDelivered), "delivered"),
        ((facts.MessageDelivered, facts.ContactBounced), "bounced"),
        ((facts.MessageUndelivered, facts.ContactBounced), "bounced"),
        ((facts.ContactBounced, facts.ContactComplained), "complained"),
    ],
)
def test_the_gravest_word_stays_in_whatever_order_they_come(
    tmp_path: Path, words: tuple[type[Fact], ...], gravest: str
) -> None:
    for order in (words, words[::-1]):
        (folder := tmp_path / order[0].__name__).mkdir()
        bank = bank_of(folder, Scripted())
        bank.take([*people("sent"), *asked("care", "sent")])
        bank.run(NOON)
        message = message_to(bank, "sent")
        for number, kind in enumerate(order, start=1):
            moment = NOON + timedelta(hours=number)
            where = (
                {} if kind.__name__.startswith("Message") else {"channel": "email", "address": "a@b.example"}
            )
            tell(bank, "sent", moment, receipt(kind, message, moment, **where))
        assert entry(bank, "sent").delivery == gravest


def test_what_is_told_late_has_the_time_at_which_it_happened(bank: Bank) -> None:
    message, hour = message_to(bank, "sent"), timedelta(hours=1)
    bank.run(NOON + 5 * hour)
    kinds = (facts.MessageDelivered, facts.MessageOpened, facts.MessageClicked)
    told = [receipt(kind, message, NOON) for kind in kinds]
    for number, fact in enumerate(told, start=1):
        assert bank.take([envelope("sent", NOON + number * hour, fact)]).refused == []
    bank.run(NOON + 6 * hour)
    found = entry(bank, "sent")
    moments = [to_micros(NOON + number * hour) for number in (1, 2, 3)]
    assert [found.delivered_at, found.opened_at, found.clicked_at] == moments
    # Of two that tell the same, what happened first counts, in whatever order they are told.
    again = receipt(facts.MessageOpened, message, LATER)
    assert bank.take([envelope("sent", NOON + hour, again)]).refused == []
    bank.run(NOON + 7 * hour)
    assert entry(bank, "sent").opened_at == moments[0]


def test_what_somebody_elses_receipt_says_is_not_believed(bank: Bank) -> None:
    message = message_to(bank, "sent")
    tell(bank, "refused", LATER, receipt(facts.MessageDelivered, message, LATER))
    tell(bank, "late", LATER, receipt(facts.MessageDelivered, "no such \x00 message", LATER))
    assert entry(bank, "sent").delivery == ""


def test_the_ledger_made_again_is_the_same(bank: Bank) -> None:
    message = message_to(bank, "sent")
    tell(bank, "sent", LATER, receipt(facts.MessageOpened, message, LATER))
    before = bank.ledger()
    tidings = bank.tidings
    tidings.ledger.rebuild([1, 2], progress=lambda _: None)
    tidings.engine.dispose()
    assert bank.ledger() == before


def test_the_unknown_are_listed_with_what_came_later(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(bank, capsys, "messages", "unknown", "--json")
    (told,) = json.loads(out)
    assert (code, told["customer"], told["provider"], told["status"]) == (0, "lost", "p", "unknown")
    assert told["handed_at"] == "2026-01-02T11:00:00Z"
    message = message_to(bank, "lost")
    tell(bank, "lost", LATER, receipt(facts.MessageDelivered, message, LATER))
    (told,) = json.loads(command(bank, capsys, "messages", "unknown", "--json")[1])
    assert (told["status"], told["delivery"]) == ("unknown", "delivered")
    assert "delivered" in command(bank, capsys, "messages", "unknown")[1]


def test_a_person_settles_it_once(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    message = message_to(bank, "lost")
    settle = ("messages", "settle", message, "--by", "Jana", "--reason", "asked them", "--as")
    code, out, _ = command(bank, capsys, *settle, "accepted", "--json")
    assert (code, json.loads(out)) == (0, {"message": message, "new": True, "outcome": "accepted"})
    code, out, _ = command(bank, capsys, *settle, "accepted", "--json")
    assert (code, json.loads(out)["new"]) == (0, False)
    code, _, err = command(bank, capsys, *settle, "rejected")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "settled as accepted before" in err
    ((kind, body),) = bank.sql("SELECT kind, body FROM inbox WHERE partition > 0")
    assert (kind, json.loads(bytes(body))["by"]) == ("message.settled/1", "Jana")
    bank.run(datetime.now(UTC) + timedelta(days=1))
    found = entry(bank, "lost")
    assert (found.status, found.reason, found.in_doubt) == ("accepted", "settled by Jana", False)
    assert json.loads(command(bank, capsys, "messages", "unknown", "--json")[1]) == []
    assert "known" in command(bank, capsys, "messages", "unknown")[1]


@pytest.mark.parametrize(
    ("customer", "words"), [("sent", "is accepted"), ("late", "is postponed"), ("", "Did you mean")]
)
def test_what_cannot_be_settled_is_one_line(
    bank: Bank, capsys: pytest.CaptureFixture[str], customer: str, words: str
) -> None:
    message = message_to(bank, customer) if customer else message_to(bank, "sent")[:-1] + "x"
    code, out, err = command(bank, capsys, "messages", "settle", message, "--as", "accepted", "--by", "J")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert words in err
    assert bank.sql("SELECT count(*) FROM inbox WHERE partition > 0") == [(0,)]


def test_the_ledger_is_still_asked_as_before(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(command(bank, capsys, "messages", "--status", "postponed", "--json")[1])
    assert [entry["customer"] for entry in told] == ["late"]
    assert {"id", "customer", "status", "sent_at", "delivery", "opened_at", "tries"} <= told[0].keys()
    assert len(json.loads(command(bank, capsys, "messages", "--json")[1])) == len(EVERYBODY)
    assert "accepted" in command(bank, capsys, "messages", "--customer", "sent")[1]


def test_a_service_message_in_doubt_is_listed_while_it_is_tried_and_settled_when_it_is_given_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = Scripted({"c-1": [Unknown("timeout", "p")] * 20})
    bank = bank_of(tmp_path, channel)
    bank.take([*people("c-1"), *asked("service", "c-1")])
    bank.run(NOON)
    assert (entry(bank, "c-1").status, entry(bank, "c-1").in_doubt) == ("postponed", True)
    (told,) = json.loads(command(bank, capsys, "messages", "unknown", "--json")[1])
    assert told["status"] == "postponed"
    bank.take([envelope("c-1", NOON, facts.CustomerErased(source="/test", id="gone"))])
    bank.run(NOON + timedelta(days=2))
    assert (entry(bank, "c-1").status, entry(bank, "c-1").in_doubt) == ("suppressed", True)
    message = message_to(bank, "c-1")
    code, _, err = command(bank, capsys, "messages", "settle", message, "--as", "rejected", "--by", "Jana")
    assert (code, err) == (0, "")


def test_it_stays_in_doubt_though_a_later_try_certainly_did_not_arrive(tmp_path: Path) -> None:
    outcomes: list[Outcome] = [
        Unknown("timeout", "p"),
        Retry("http_503", after=timedelta(hours=1), provider="p"),
    ]
    bank = bank_of(tmp_path, Scripted({"c-1": outcomes}))
    bank.take([*people("c-1"), *asked("service", "c-1")])
    bank.run(NOON + timedelta(minutes=30))
    (found,) = bank.ledger()
    assert (found.status, found.reason, found.in_doubt) == ("postponed", "http_503", True)
    bank.run(LATER)
    (found,) = bank.ledger()
    assert (found.status, found.in_doubt) == ("accepted", False)


def test_a_message_that_was_tried_again_left_when_it_was_taken(bank: Bank) -> None:
    """What came back within an hour is counted against what left within that hour."""
    bank.run(LATER)
    late = entry(bank, "late")
    assert (late.tries, late.handed_at) == (2, to_micros(NOON + timedelta(minutes=5)))
