"""What providers tell: each telling once, about the right customers, or among the dead letters."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from channels.provider import Receipt
from domain.catalogue import FACTS
from stores.inbox import Refusal
from support.facts import registered
from support.scenario import envelope
from support.service import MORNING, PHONE, Service, bank_asked, bank_with_message, serving
from tidings.dead_letters import BoundedLetters

SECOND = timedelta(seconds=1)


def receipt(told: str, message: str = "", **given: Any) -> Receipt:
    return Receipt(told=told, key="r-1", channel="email", message=message, **given)  # type: ignore[arg-type]


def told_of(service: Service) -> list[tuple[str, str]]:
    return [(kind, customer) for kind, customer, _ in service.waiting()]


def fields_of(service: Service) -> dict[str, Any]:
    """The fields of the only fact that waits, without its identity."""
    ((_, _, body),) = service.waiting()
    return {name: value for name, value in body.items() if name not in ("source", "id")}


@pytest.mark.parametrize(
    ("told", "given", "kind", "fields"),
    [
        ("delivered", {}, "message.delivered/1", {}),
        ("undelivered", {"reason": "30003"}, "message.undelivered/1", {"reason": "30003"}),
        ("opened", {}, "message.opened/1", {}),
        (
            "clicked",
            {"link": "https://bank.example/a"},
            "message.clicked/1",
            {"link": "https://bank.example/a"},
        ),
        ("clicked", {}, "message.clicked/1", {"link": None}),
    ],
)
def test_what_became_of_a_message_is_a_fact_about_its_customer(
    tmp_path: Path, told: str, given: dict[str, str], kind: str, fields: dict[str, Any]
) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        assert service.calls_back(receipt(told, message, **given)).status_code == 204
        assert told_of(service) == [(kind, "c-1")]
        assert fields_of(service) == {"message": message, **fields}
    assert bank.sql("SELECT occurred_at FROM inbox") == [(int(MORNING.timestamp()) * 1_000_000,)]


def test_a_bounce_without_an_address_is_about_the_one_that_the_customer_has(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        service.calls_back(receipt("bounced", message, reason="550 5.1.1"))
        assert fields_of(service) == {
            "channel": "email",
            "address": "one@example.com",
            "message": message,
            "reason": "550 5.1.1",
        }
        service.run()
    again = bank.sql("SELECT count(*) FROM events WHERE kind = 'contact.bounced/1'")
    assert again == [(1,)]


def test_a_complaint_names_its_address_and_message(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        service.calls_back(receipt("complained", message, address="one@example.com"))
        assert fields_of(service) == {"channel": "email", "address": "one@example.com", "message": message}


def test_who_says_stop_says_it_for_all_who_have_the_number(tmp_path: Path) -> None:
    bank, _ = bank_with_message(tmp_path, told=[envelope("c-2", MORNING - SECOND, registered())])
    with serving(bank) as service:
        service.contacts.known[("sms", PHONE)] = ["c-1", "c-2"]
        for told in ("opted_out", "opted_in"):
            said = Receipt(told=told, key=f"r-{told}", channel="sms", address=PHONE, text="STOP")
            service.calls_back(said, later=SECOND)
        assert sorted(told_of(service)) == [
            (f"contact.{told}/1", customer)
            for told in ("opted_in", "opted_out")
            for customer in ("c-1", "c-2")
        ]
        body = service.waiting()[0][2]
        assert (body["address"], body["text"], body["provenance"]) == (PHONE, "STOP", "callback/post")
        service.run()
        assert bank.sql("SELECT count(*) FROM dead_letters") == [(0,)]


@pytest.mark.parametrize(
    ("told", "concerned"),
    [
        ("bounced", ["c-1"]),
        ("complained", ["c-1"]),
        ("opted_out", ["c-1", "c-2"]),
        ("opted_in", ["c-1", "c-2"]),
    ],
)
def test_of_a_shared_address_a_message_tells_whom_it_was_for_and_a_word_concerns_all(
    tmp_path: Path, told: str, concerned: list[str]
) -> None:
    bank, message = bank_with_message(tmp_path, told=[envelope("c-2", MORNING - SECOND, registered())])
    with serving(bank) as service:
        service.contacts.known[("email", "one@example.com")] = ["c-1", "c-2"]
        service.calls_back(receipt(told, message, address="one@example.com"))
        assert sorted(customer for _, customer in told_of(service)) == concerned


def test_an_answer_goes_to_the_customer_with_its_words(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        service.contacts.known[("sms", PHONE)] = ["c-1"]
        wordy = Receipt(told="replied", key="r-1", channel="sms", address=PHONE, text="是" * 1_600)
        wordless = Receipt(told="replied", key="r-2", channel="sms", message=message)
        service.calls_back(wordy, wordless)
        texts = sorted(body["text"] for _, _, body in service.waiting())
        assert texts == ["—", "是" * 320]
        # What is too long for the catalogue would break the history when it is read.
        service.run()
    assert bank.verify().ok


def test_the_same_receipt_at_another_time_counts_once(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        for _ in range(3):
            assert service.calls_back(receipt("delivered", message), later=SECOND).status_code == 204
        service.run()
        assert service.calls_back(receipt("delivered", message), later=SECOND).status_code == 204
        assert (service.waiting(), service.dead_letters()) == ([], [])
    assert bank.sql("SELECT count(*) FROM events WHERE kind = 'message.delivered/1'") == [(1,)]


def test_a_bounce_told_again_after_the_address_changed_counts_once(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        service.calls_back(receipt("bounced", message))
        bank.take([envelope("c-1", MORNING, registered(email="new@example.com"))])
        service.run()
        service.calls_back(receipt("bounced", message), later=SECOND)
        assert (service.waiting(), service.dead_letters()) == ([], [])


def test_two_tellings_in_one_key_are_two_facts(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        service.calls_back(receipt("delivered", message), receipt("opened", message))
        assert sorted(told_of(service)) == [("message.delivered/1", "c-1"), ("message.opened/1", "c-1")]


def test_a_receipt_out_of_order_keeps_the_time_at_which_it_happened(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    earlier, later = MORNING - 30 * SECOND, MORNING + 3_600 * SECOND
    with serving(bank) as service:
        service.calls_back(receipt("opened", message, at=later), receipt("delivered", message, at=earlier))
    times = dict(bank.sql("SELECT kind, occurred_at FROM inbox"))
    # A provider's clock may be ahead of ours; the future is not yet.
    assert times == {
        "message.opened/1": int(MORNING.timestamp()) * 1_000_000,
        "message.delivered/1": int(earlier.timestamp()) * 1_000_000,
    }


def test_a_receipt_that_overtakes_the_ledger_finds_its_message(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    bank.sql("DELETE FROM messages")
    bank.sql("DELETE FROM projections")
    with serving(bank) as service:
        service.calls_back(receipt("delivered", message))
        assert told_of(service) == [("message.delivered/1", "c-1")]


def test_a_known_message_is_found_without_bringing_the_ledger_up_to_date(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    bank.sql("DELETE FROM projections")
    with serving(bank) as service:
        service.calls_back(receipt("delivered", message))
    assert bank.sql("SELECT count(*) FROM projections") == [(0,)]


def test_a_receipt_that_comes_before_our_own_commit_of_the_outcome_is_taken(tmp_path: Path) -> None:
    """The intent is committed before anything leaves; a provider can be quicker than our second commit."""
    bank = bank_asked(tmp_path)
    while bank.sql("SELECT count(*) FROM outbox") == [(0,)]:
        assert bank.run_killed(MORNING, commits=1)
    with serving(bank) as service:
        ((message,),) = bank.sql("SELECT message FROM outbox")
        service.calls_back(receipt("delivered", message))
        assert told_of(service) == [("message.delivered/1", "c-1")]
        service.run()
    assert [(entry.status, entry.delivery) for entry in bank.ledger()] == [("accepted", "delivered")]
    assert bank.verify().ok


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (receipt("delivered", "no-such-message"), "receipt.unknown_message"),
        (receipt("delivered"), "receipt.unknown_message"),
        (receipt("bounced", "no-such-message"), "receipt.unknown_message"),
        (receipt("bounced", address="nobody@example.com"), "receipt.unknown_address"),
        (receipt("opted_out", address="x" * 400), "receipt.unknown_address"),
        (receipt("replied", address="nobody@example.com", text="hello"), "receipt.unknown_address"),
    ],
)
def test_what_concerns_nobody_lies_among_the_dead_letters(tmp_path: Path, said: Receipt, code: str) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        service.contacts.known[("email", "x" * 400)] = ["c-1"]
        good = receipt("opened", message)
        assert service.calls_back(said, good).status_code == 204
        ((origin, found, reason, raw),) = service.dead_letters()
        assert (origin, found) == ("callback/post", code)
        assert msgspec.json.decode(raw, type=list[Receipt]) == [said, good]
        assert "nobody@example.com" not in reason
        assert told_of(service) == [("message.opened/1", "c-1")]


def test_characters_that_no_store_takes_do_no_harm(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        body = msgspec.json.encode([receipt("undelivered", message, reason="a")])
        body = body.replace(b'"reason":"a"', b'"reason":"\\u0000b"').replace(
            b'"r-1"', b'"r\\u0000' + b"k" * 900 + b'"'
        )
        sent = service.client.post("/callbacks/post", content=body, headers={"x-signature": "good"})
        assert sent.status_code == 204
        assert fields_of(service)["reason"] == "\ufffdb"
        assert len(service.waiting()[0][2]["id"]) <= 200
        service.run()
    assert bank.verify().ok


def test_every_fact_made_here_is_one_of_the_catalogue() -> None:
    kinds = [f"message.{told}/1" for told in ("delivered", "undelivered", "opened", "clicked")]
    kinds += [f"contact.{told}/1" for told in ("bounced", "complained", "replied", "opted_out", "opted_in")]
    assert [kind for kind in kinds if kind not in FACTS] == []


def refusals(number: int) -> list[Refusal]:
    return [Refusal("request", "callback.forged", {}, b"x" * 10_000) for _ in range(number)]


def test_only_so_many_refusals_a_minute_are_noted_and_the_rest_is_counted() -> None:
    letters = BoundedLetters(per_minute=3)
    assert len(letters.admitted("a", refusals(2), at=MORNING)) == 2
    assert len(letters.admitted("a", refusals(5), at=MORNING + 30 * SECOND)) == 1
    assert len(letters.admitted("b", refusals(1), at=MORNING)) == 1
    later = letters.admitted("a", refusals(1), at=MORNING + 60 * SECOND)
    assert [(r.code, r.values.get("count")) for r in later] == [
        ("callback.more_refused", 4),
        ("callback.forged", None),
    ]
    assert letters.rest() == {}


def test_what_was_only_counted_is_told_at_the_end() -> None:
    letters = BoundedLetters(per_minute=1)
    (noted,) = letters.admitted("a", refusals(3), at=MORNING)
    assert len(noted.raw) == 4_096
    ((origin, (counted,)),) = letters.rest().items()
    assert (origin, counted.values["count"]) == ("a", 2)
    assert letters.rest() == {}
