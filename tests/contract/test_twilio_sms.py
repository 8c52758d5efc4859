"""Twilio's adapter against a stand-in on loopback: every outcome, asking, and callbacks."""

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest

from channels.base import Accepted, Channel, NotTaken, Outcome, Rejected, Retry, Unknown
from channels.provider import ProviderSettings
from channels.secret import Secret
from channels.segments import Cost, Prices
from channels.twilio_sms import Twilio, TwilioSettings
from domain.errors import InputRefused
from support import channel_contract
from support.channel_contract import NOW, ChannelContract
from support.closing import ClosedAfterwards
from support.http_stand_in import self_signed, serving, silent
from support.twilio_server import ACCOUNT, TOKEN, Failure, TwilioStandIn, running
from support.twilio_texts import CALLBACK, NUMBER, asked, sent, settings, text


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
    # These must not change where messages go.
    monkeypatch.setenv("TWILIO_REGION", "nowhere")
    monkeypatch.setenv("TWILIO_EDGE", "nowhere")


class TestTwilio(ChannelContract):
    """The contract, kept over HTTP. Each call is made by a loop of its own."""

    @pytest.fixture(autouse=True)
    def _texts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(channel_contract, "outgoing", text)

    @pytest.fixture
    def channel(self, base_url: str) -> Channel:
        return ClosedAfterwards(Twilio("twilio", settings(base_url)))

    def test_the_same_id_twice_is_one_message(self, channel: Channel) -> None:
        """Twilio has no idempotency key for messages, so here it is asked in between, as the engine does."""
        (first,) = asyncio.run(channel.send([text()]))
        assert asyncio.run(channel.ask([text(in_doubt="twilio")])) == [first]


def test_a_message_goes_out_as_the_settings_say(base_url: str, stand_in: TwilioStandIn) -> None:
    message = text(address="601 000 001", expires_at=NOW + timedelta(minutes=10))
    assert sent(base_url, message, default_region="CZ") == [
        Accepted(stand_in.taken[0].sid, provider="twilio")
    ]
    assert stand_in.taken[0].fields == {
        "To": NUMBER,
        "From": "+15005550006",
        "Body": "Hello 1.",
        "StatusCallback": f"{CALLBACK}?message={message.id}",
        "ValidityPeriod": "600",
    }
    assert stand_in.count() == {(NUMBER, "Hello 1.", message.id): 1}


def test_it_may_go_out_by_a_messaging_service_and_an_api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "".join(("of", "the", "key"))
    monkeypatch.setenv("KEY", secret)
    key = "SK" + "2" * 32
    stand_in = TwilioStandIn(user=key, password=secret)
    with serving(stand_in) as url:
        service = "MG" + "3" * 32
        (outcome,) = sent(
            url,
            text(),
            sender=None,
            messaging_service_sid=service,
            api_key_sid=key,
            api_key_secret=Secret(env="KEY"),
            callback_url=None,
        )
    assert isinstance(outcome, Accepted)
    assert stand_in.taken[0].fields == {"To": NUMBER, "MessagingServiceSid": service, "Body": "Hello 1."}


def test_a_chinese_text_is_signed_once(base_url: str, stand_in: TwilioStandIn) -> None:
    texts = [
        text(1, language="zh-CN", text="您好"),
        text(2, language="zh-CN", text="【您的银行】您好"),
        text(3, language="en", text="Hello"),
    ]
    sent(base_url, *texts, signature="【您的银行】", concurrency=1)
    assert [message.body for message in stand_in.taken] == ["【您的银行】您好", "【您的银行】您好", "Hello"]


def test_each_language_may_have_a_signature(base_url: str, stand_in: TwilioStandIn) -> None:
    texts = [text(1, language="en-GB", text="Hello"), text(2, language="zh-TW", text="您好")]
    sent(base_url, *texts, signature={"en": "Your bank: ", "zh-CN": "【您的银行】"}, concurrency=1)
    assert [message.body for message in stand_in.taken] == ["Your bank: Hello", "您好"]


def test_more_than_the_concurrency_is_sent_and_answered_in_order(
    base_url: str, stand_in: TwilioStandIn
) -> None:
    messages = [text(number) for number in range(1, 60)]
    outcomes = sent(base_url, *messages, concurrency=4, timeout_seconds=20)
    sids = {message.id: message.sid for message in stand_in.taken}
    assert outcomes == [Accepted(sids[message.id], provider="twilio") for message in messages]


@pytest.mark.parametrize("address", ["", "one@example.com", "+999123", "601 000 001"])
def test_a_number_that_cannot_exist_is_rejected_here(
    base_url: str, stand_in: TwilioStandIn, address: str
) -> None:
    outcomes = sent(base_url, text(address=address))
    assert outcomes == [Rejected("number.invalid", refused="address", provider="twilio")]
    assert stand_in.requests == []


def test_a_text_without_words_and_one_that_came_too_late_are_rejected_here(
    base_url: str, stand_in: TwilioStandIn
) -> None:
    assert sent(base_url, text(1, text=" \n"), text(2, expires_at=NOW)) == [
        Rejected("text.empty", provider="twilio"),
        Rejected("message.expired", provider="twilio"),
    ]
    assert stand_in.requests == []


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure(status=400, code=21211), Rejected("twilio.21211", refused="address")),
        (Failure(status=400, code=21614), Rejected("twilio.21614", refused="address")),
        (Failure(status=400, code=21217), Rejected("twilio.21217", refused="address")),
        (Failure(status=400, code=21635), Rejected("twilio.21635", refused="address")),
        (Failure(status=400, code=21610), Rejected("twilio.21610", refused="opted_out")),
        (Failure(status=400, code=21612), Rejected("twilio.21612")),
        (Failure(status=400, code=21617), Rejected("twilio.21617")),
        (Failure(status=400), Rejected("http.400")),
        (Failure(status=429, code=20429), Retry("twilio.20429")),
        (Failure(status=429, code=20429, retry_after="7"), Retry("twilio.20429", timedelta(seconds=7))),
        (Failure(status=429, retry_after="9" * 30), Retry("http.429", timedelta(hours=6))),
        (Failure(status=429, retry_after="soon"), Retry("http.429")),
        (
            Failure(status=429, retry_after="Sun, 06 Nov 1994 08:49:37 GMT"),
            Retry("http.429", timedelta()),
        ),
        (Failure(status=400, code=21611), Retry("twilio.21611")),
        (Failure(status=401, code=20003), Retry("twilio.20003")),
        (Failure(status=403), Retry("http.403")),
        (Failure(status=404, code=20404), Retry("twilio.20404")),
        (Failure(status=400, code=21606), Retry("twilio.21606")),
        (Failure(status=403, code=21408), Retry("twilio.21408")),
        (Failure(status=503, code=20503), Retry("twilio.20503")),
        (Failure(status=503, code=20503, retry_after="3"), Retry("twilio.20503", timedelta(seconds=3))),
        (Failure(status=503), Unknown("http.503")),
        (Failure(status=500, code=20500), Unknown("twilio.20500")),
        (Failure(status=500, code=21211, body=b"{"), Unknown("http.500")),
        (Failure(status=502), Unknown("http.502")),
        (Failure(status=504), Unknown("http.504")),
        (Failure(status=408), Unknown("http.408")),
        (Failure(status=413), Unknown("http.413")),
        (Failure(status=409, code=20409), Rejected("twilio.20409")),
        (Failure(status=302), Unknown("http.302")),
        (Failure(cut="drop"), Unknown("answer.ServerDisconnectedError")),
        (Failure(cut="drop", taken=True), Unknown("answer.ServerDisconnectedError")),
        (Failure(cut="hang"), Unknown("answer.TimeoutError")),
        (Failure(cut="hang", taken=True), Unknown("answer.TimeoutError")),
        (Failure(half=True, taken=True), Unknown("answer.ClientPayloadError")),
        (Failure(status=429, half=True), Unknown("answer.ClientPayloadError")),
        (Failure(body=b"<html>", taken=True), Unknown("answer.Unreadable")),
        (Failure(body=b"", taken=True), Unknown("answer.Unreadable")),
        (Failure(body=b"[]", taken=True), Unknown("answer.Unreadable")),
        (Failure(body=b"{}", taken=True), Unknown("answer.Unreadable")),
        (Failure(body=b'{"sid": 5}', taken=True), Unknown("answer.Unreadable")),
        (Failure(body=b'{"sid": "SM1", "date_sent": 5}', taken=True), Accepted("SM1")),
        (Failure(body=b" " * (9 << 20), taken=True), Unknown("answer.ClientPayloadError")),
    ],
)
def test_each_answer_becomes_one_outcome(
    base_url: str, stand_in: TwilioStandIn, failure: Failure, expected: Outcome
) -> None:
    stand_in.fails(failure)
    (outcome,) = sent(base_url, text())
    assert outcome == msgspec.structs.replace(expected, provider="twilio")
    # Whatever was taken is not said to be free to go again.
    assert not (stand_in.taken and isinstance(outcome, Retry))
    assert len(stand_in.requests) == 1


def test_in_a_storm_nothing_that_was_taken_is_free_to_go_again(
    base_url: str, stand_in: TwilioStandIn
) -> None:
    chance = random.Random(20260503)
    storm = (
        Failure(taken=True),
        Failure(status=429, code=20429),
        Failure(status=503, code=20503),
        Failure(status=503, taken=True),
        Failure(status=500, taken=True),
        Failure(status=500),
        Failure(cut="drop", taken=True),
        Failure(cut="drop"),
        Failure(half=True, taken=True),
        Failure(body=b"{", taken=True),
        Failure(status=400, code=21610),
    )
    stand_in.fails(*chance.choices(storm, k=300))
    messages = [text(number) for number in range(1, 301)]
    outcomes = sent(base_url, *messages, concurrency=8, timeout_seconds=20)
    assert max(stand_in.count().values()) == 1
    taken = {message.id for message in stand_in.taken}
    by_kind: dict[type[Outcome], set[str]] = {}
    for message, outcome in zip(messages, outcomes, strict=True):
        by_kind.setdefault(type(outcome), set()).add(message.id)
    assert by_kind[Accepted] <= taken
    assert not (by_kind[Retry] | by_kind[Rejected]) & taken
    doubtful = [message for message in messages if message.id in by_kind[Unknown]]
    answers = asyncio.run(
        ClosedAfterwards(Twilio("twilio", settings(base_url, timeout_seconds=20))).ask(doubtful)
    )
    assert [isinstance(answer, Accepted) for answer in answers] == [m.id in taken for m in doubtful]
    assert all(isinstance(answer, Accepted | NotTaken) for answer in answers)


def test_an_instant_to_retry_at_is_counted_from_now(base_url: str, stand_in: TwilioStandIn) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    stand_in.fails(Failure(status=429, retry_after=format_datetime(at, usegmt=True)))
    (outcome,) = sent(base_url, text())
    assert isinstance(outcome, Retry)
    assert outcome.after is not None
    assert timedelta(minutes=50) < outcome.after <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+15005550001", Rejected("twilio.21211", refused="address", provider="twilio")),
        ("+15005550004", Rejected("twilio.21610", refused="opted_out", provider="twilio")),
        ("+15005550009", Rejected("twilio.21614", refused="address", provider="twilio")),
        ("+15005550003", Retry("twilio.21408", provider="twilio")),
    ],
)
def test_the_numbers_that_twilio_gives_for_tests_fail_as_it_says(
    base_url: str, number: str, expected: Outcome
) -> None:
    assert sent(base_url, text(address=number)) == [expected]


def test_a_wrong_password_is_mended_by_an_operator_and_loses_nothing(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_TOKEN", "old")
    assert sent(base_url, text()) == [Retry("twilio.20003", provider="twilio")]


def test_the_library_tells_no_log_whom_it_writes_to(base_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    sent(base_url, text())
    asked(base_url, text())
    assert "601000001" not in caplog.text


def test_where_nobody_listens_nothing_was_taken() -> None:
    with serving(TwilioStandIn()) as url:
        pass
    assert sent(url, text()) == [Retry("connection.ClientConnectorError", provider="twilio")]


def test_a_name_that_does_not_resolve_took_nothing() -> None:
    (outcome,) = sent("https://twilio.invalid", text(), timeout_seconds=20)
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("connection.")


def test_where_tls_fails_nothing_was_taken(base_url: str, stand_in: TwilioStandIn) -> None:
    (outcome,) = sent(base_url.replace("http:", "https:"), text(), timeout_seconds=20)
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("connection.")
    assert stand_in.requests == []


def test_a_handshake_without_an_answer_took_nothing() -> None:
    with silent() as port:
        (outcome,) = sent(f"https://127.0.0.1:{port}", text())
    assert outcome == Retry("connection.ConnectionTimeoutError", provider="twilio")


def test_a_certificate_that_nobody_trusts_gets_no_message(tmp_path: Path, stand_in: TwilioStandIn) -> None:
    with serving(stand_in, tls=self_signed(tmp_path)) as url:
        (outcome,) = sent(url, text(), timeout_seconds=20)
    assert outcome == Retry("connection.ClientConnectorCertificateError", provider="twilio")
    assert stand_in.requests == []


def test_connections_are_used_again_and_come_back_after_closing(
    base_url: str, stand_in: TwilioStandIn
) -> None:
    twilio = Twilio("twilio", settings(base_url, concurrency=1))

    async def two_calls() -> list[Outcome]:
        try:
            return [*await twilio.send([text(1)]), *await twilio.send([text(2)])]
        finally:
            await twilio.close()

    assert all(isinstance(outcome, Accepted) for outcome in asyncio.run(two_calls()))
    assert all(isinstance(outcome, Accepted) for outcome in asyncio.run(two_calls()))
    assert len(stand_in.taken) == 4
    asyncio.run(twilio.close())


def test_as_a_process_of_its_own_it_writes_down_what_it_took(tmp_path: Path) -> None:
    path = tmp_path / "taken.jsonl"
    messages = [text(number) for number in range(1, 7)]
    with running("--taken", str(path), "--drop-every", "3", "--refuse-every", "2") as url:
        outcomes = sent(url, *messages, concurrency=1, timeout_seconds=20)
    kinds = [Accepted, Retry, Unknown, Retry, Accepted, Unknown]
    assert [type(outcome) for outcome in outcomes] == kinds
    taken = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    assert taken == [messages[index].id for index in (0, 2, 4, 5)]


def test_an_estimate_says_what_it_would_cost() -> None:
    twilio = Twilio("t", settings("http://127.0.0.1:1", prices=Prices(per_segment={"+420": Decimal("0.05")})))
    assert twilio.estimate(text(text="a" * 161)) == Cost(2, Decimal("0.10"), "USD")


def test_settings_come_from_a_file_and_are_checked() -> None:
    read = msgspec.convert(
        {
            "kind": "twilio",
            "account_sid": ACCOUNT,
            "auth_token": {"env": "TWILIO_TOKEN"},
            "sender": "YourBank",
            "signature": {"zh": "【您的银行】"},
            "prices": {"currency": "EUR", "per_segment": {"+420": 0.05}},
            "words": {"answers": ["N"]},
            "pace": {"per_second": 10},
        },
        type=TwilioSettings,
    )
    assert isinstance(read, ProviderSettings)
    assert read.base_url == "https://api.twilio.com"
    with pytest.raises(InputRefused, match=r"sms\.sender"):
        Twilio("t", msgspec.structs.replace(read, sender=None))
    with pytest.raises(InputRefused, match=r"sms\.api_key"):
        Twilio("t", msgspec.structs.replace(read, api_key_sid="SK" + "1" * 32))
    with pytest.raises(msgspec.ValidationError, match=r"account_sid"):
        msgspec.convert({"kind": "twilio", "account_sid": "AC1"}, type=TwilioSettings)
