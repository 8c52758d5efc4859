"""What Twilio knows of messages whose outcome was lost: found, certainly missing, or not to be told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from channels.base import Accepted, NotTaken, Unknown
from support.http_stand_in import serving
from support.twilio_server import TOKEN, Failure, TwilioStandIn
from support.twilio_texts import asked, sent, text


@pytest.fixture
def stand_in() -> TwilioStandIn:
    return TwilioStandIn()


@pytest.fixture
def base_url(stand_in: TwilioStandIn) -> Iterator[str]:
    with serving(stand_in) as url:
        yield url


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_TOKEN", TOKEN)


def test_what_was_taken_without_an_answer_is_found(base_url: str, stand_in: TwilioStandIn) -> None:
    stand_in.fails(Failure(taken=True, cut="drop"))
    assert isinstance(sent(base_url, text())[0], Unknown)
    assert asked(base_url, text()) == Accepted(stand_in.taken[0].sid, provider="twilio")


def test_it_is_found_also_on_a_later_page(
    base_url: str, stand_in: TwilioStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.twilio_sms._PAGE", 2)
    sent(base_url, *(text(number) for number in range(1, 6)), concurrency=1)
    assert asked(base_url, text(1)) == Accepted(stand_in.taken[0].sid, provider="twilio")
    assert asked(base_url, text(9)) == NotTaken()


def test_a_list_that_is_not_read_to_its_end_proves_nothing(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.twilio_sms._PAGE", 1)
    sent(base_url, *(text(number) for number in range(1, 8)), timeout_seconds=20)
    assert asked(base_url, text(9)) == Unknown("list.too_long", provider="twilio")


def test_soon_after_its_judgement_a_message_may_yet_turn_up(base_url: str) -> None:
    now = datetime.now(UTC)
    assert asked(base_url, text(at=now)) == Unknown("list.too_early", provider="twilio")
    assert asked(base_url, text(at=now - timedelta(minutes=4))) == Unknown(
        "list.too_early", provider="twilio"
    )
    assert asked(base_url, text(at=now - timedelta(minutes=10))) == NotTaken()


def test_a_text_of_an_earlier_day_is_not_taken_for_this_one(base_url: str, stand_in: TwilioStandIn) -> None:
    sent(base_url, text())
    (old,) = stand_in.taken
    later = text(at=datetime.now(UTC) + timedelta(days=365))
    stand_in.taken[:] = [msgspec.structs.replace(old, at=old.at - timedelta(days=400))]
    assert asked(base_url, text(at=old.at - timedelta(hours=1))) == NotTaken()
    assert not isinstance(asked(base_url, later), Accepted)


def test_one_in_doubt_is_looked_for_before_its_judgement_too(base_url: str, stand_in: TwilioStandIn) -> None:
    sent(base_url, text())
    at = stand_in.taken[0].at + timedelta(hours=6)
    assert isinstance(asked(base_url, text(at=at, in_doubt="twilio")), Accepted)
    assert not isinstance(asked(base_url, text(at=at)), Accepted)


def test_where_twilio_keeps_no_texts_it_cannot_tell(base_url: str, stand_in: TwilioStandIn) -> None:
    stand_in.keeps_bodies = False
    sent(base_url, text())
    assert asked(base_url, text()) == Unknown("list.doubtful", provider="twilio")


def test_a_text_that_twilio_wrote_plainly_may_be_ours(base_url: str, stand_in: TwilioStandIn) -> None:
    sent(base_url, text(text="Don't - please"))
    assert asked(base_url, text(text="Don’t – please")) == Unknown("list.doubtful", provider="twilio")


def test_a_list_that_leaves_things_out_does_not_prove_that_a_message_is_missing(
    base_url: str, stand_in: TwilioStandIn
) -> None:
    stand_in.fails(Failure(body=b'{"messages": [{"sid": "SM1", "date_created": "once"}]}', status=200))
    assert asked(base_url, text()) == Unknown("list.doubtful", provider="twilio")
    stand_in.fails(Failure(body=b'{"messages": [{"sid": "SM1", "direction": "inbound"}]}', status=200))
    assert asked(base_url, text()) == NotTaken()


def test_what_is_sent_later_than_it_was_taken_is_found(base_url: str, stand_in: TwilioStandIn) -> None:
    # The stand-in has sent nothing, so no filter by the date of sending would find it.
    sent(base_url, text())
    assert not stand_in.taken[0].sent
    assert isinstance(asked(base_url, text()), Accepted)


@pytest.mark.parametrize(
    "failure",
    [
        Failure(status=500),
        Failure(status=401, code=20003),
        Failure(cut="drop"),
        Failure(cut="hang"),
        Failure(half=True),
        Failure(body=b"{}"),
        Failure(body=b'{"messages": [{"sid": "SM1", "date_created": 5}]}'),
    ],
)
def test_where_the_list_cannot_be_read_nothing_is_known(
    base_url: str, stand_in: TwilioStandIn, failure: Failure
) -> None:
    # Twice: a list may safely be asked for again, and is.
    stand_in.fails(failure, failure)
    answer = asked(base_url, text())
    assert isinstance(answer, Unknown)
    assert answer.provider == "twilio"
