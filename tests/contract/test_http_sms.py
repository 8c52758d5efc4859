"""The gateway that settings describe, against a stand-in on loopback: requests, answers, enquiries."""

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from channels.base import Accepted, Channel, NotTaken, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.gateway_answer import Reading
from channels.gateway_call import Call, Signing
from channels.http_sms import HttpSms, HttpSmsSettings
from channels.secret import Secret
from channels.segments import Cost, Prices
from domain.errors import InputRefused
from support import channel_contract
from support.channel_contract import ChannelContract, outgoing
from support.closing import ClosedAfterwards
from support.gateway_server import GatewayStandIn
from support.http_stand_in import Done, Half, Reply, self_signed, serving, silent

NUMBER = "+8613800138000"
FIELDS = {"phone": "{to}", "content": "{text}", "msgid": "{id}"}
READING = Reading(
    code="code",
    provider_id="data.msgid",
    accepted=("0",),
    retry=("busy", "7"),
    rejected_address=("bad_phone",),
    rejected_message=("bad_text",),
    opted_out=("blacklisted",),
)
FOUND = Reading(code="code", provider_id="data.msgid", accepted=("0",), not_taken=("404",))


def text(number: int = 1, **given: object) -> Outgoing:
    """A text message."""
    values = {"channel": "sms", "address": NUMBER, "heading": "", "text": f"您好{number}。\n", **given}
    return outgoing(number, **{"language": "zh-CN", **values})


@pytest.fixture
def stand_in() -> GatewayStandIn:
    return GatewayStandIn()


@pytest.fixture
def base_url(stand_in: GatewayStandIn) -> Iterator[str]:
    with serving(stand_in) as url:
        yield url


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "{id}of the gateway")


def settings(base_url: str, **given: Any) -> HttpSmsSettings:
    send = Call(url=f"{base_url}/send", fields=FIELDS)
    enquiry = Call(url=f"{base_url}/query?msgid={{id}}", method="GET", body="query")
    values: dict[str, Any] = {
        "send": send,
        "answer": READING,
        "enquiry": enquiry,
        "enquiry_answer": FOUND,
        "timeout_seconds": 0.8,
        **given,
    }
    return HttpSmsSettings(**values)


def sent(base_url: str, *messages: Outgoing, **given: Any) -> list[Outcome]:
    """What became of the messages."""
    return asyncio.run(ClosedAfterwards(HttpSms("gateway", settings(base_url, **given))).send(messages))


def asked(base_url: str, message: Outgoing, **given: Any) -> object:
    """What the gateway is found to know of the message."""
    (answer,) = asyncio.run(ClosedAfterwards(HttpSms("gateway", settings(base_url, **given))).ask([message]))
    return answer


class TestHttpSms(ChannelContract):
    """The contract, kept over HTTP by a gateway that knows ids and can be asked."""

    @pytest.fixture(autouse=True)
    def _texts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(channel_contract, "outgoing", text)

    @pytest.fixture
    def channel(self, base_url: str) -> Channel:
        return ClosedAfterwards(HttpSms("gateway", settings(base_url)))


def test_json_is_filled_in_however_deep_and_never_twice(base_url: str, stand_in: GatewayStandIn) -> None:
    fields = {
        **FIELDS,
        "from": "{sender}",
        "mark": "{signature}",
        "all": [{"to": "{to_digits}", "n": 1}, "{to_national}"],
    }
    message = text(text='{id} "quoted" {unknown}', language="zh-CN")
    send = Call(url=f"{base_url}/send", fields=fields)
    sent(base_url, message, send=send, sender="10690000", signature="【您的银行】")
    assert stand_in.taken[message.id].fields == {
        "phone": NUMBER,
        "content": '{id} "quoted" {unknown}',
        "msgid": message.id,
        "from": "10690000",
        "mark": "【您的银行】",
        "all": [{"to": "8613800138000", "n": 1}, "13800138000"],
    }


def test_without_a_field_for_it_the_signature_leads_the_text(base_url: str, stand_in: GatewayStandIn) -> None:
    message = text(address="138 0013 8000")
    sent(base_url, message, signature="【您的银行】", default_region="CN")
    assert stand_in.taken[message.id].content == "【您的银行】您好1。"
    assert stand_in.taken[message.id].phone == NUMBER


@pytest.mark.parametrize(("body", "method"), [("form", "POST"), ("query", "GET"), ("form", "PUT")])
def test_forms_and_queries_carry_any_text(
    base_url: str, stand_in: GatewayStandIn, body: str, method: str
) -> None:
    message = text(text="您好 & = + % \n#x")
    send = Call(url=f"{base_url}/send?a=1", method=method, body=body, fields=FIELDS)  # type: ignore[arg-type]
    assert isinstance(sent(base_url, message, send=send)[0], Accepted)
    assert stand_in.taken[message.id].content == "您好 & = + % \n#x"
    assert stand_in.requests[0].method == method


def test_an_hmac_goes_into_a_header_over_the_body_and_secrets_stay_as_they_are(
    base_url: str, stand_in: GatewayStandIn
) -> None:
    key = Secret(env="GATEWAY_KEY")
    signing = Signing(algorithm="hmac-sha256", secret=key, of="{timestamp}.{body}", header="X-Sign")
    send = Call(
        url=f"{base_url}/send",
        headers={"X-Time": "{timestamp}", "X-Key": key},
        fields=FIELDS,
        signing=signing,
    )
    sent(base_url, text(), send=send)
    (request,) = stand_in.requests
    said = request.headers["x-time"].encode() + b"." + request.body
    due = hmac.new(b"{id}of the gateway", said, hashlib.sha256).hexdigest()
    assert request.headers["x-sign"] == due
    assert request.headers["x-key"] == "{id}of the gateway"


def test_an_md5_goes_into_a_field_over_what_the_settings_say(base_url: str, stand_in: GatewayStandIn) -> None:
    signing = Signing(
        algorithm="md5", secret=Secret(env="GATEWAY_KEY"), of="{to}{secret}{timestamp}", field="sign"
    )
    send = Call(
        url=f"{base_url}/send",
        body="form",
        fields={**FIELDS, "ts": "{timestamp}"},
        signing=signing,
        timestamp="%Y%m%d%H%M%S",
        zone="Asia/Shanghai",
    )
    message = text()
    sent(base_url, message, send=send)
    fields = stand_in.taken[message.id].fields
    at = datetime.strptime(str(fields["ts"]) + " +0800", "%Y%m%d%H%M%S %z")
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    due = hashlib.md5(
        f"{NUMBER}{{id}}of the gateway{fields['ts']}".encode(), usedforsecurity=False
    ).hexdigest()
    assert fields["sign"] == due


def json_of(status: int, content: object, **headers: str) -> Reply:
    return Reply(status, msgspec.json.encode(content), headers)


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (json_of(200, {"code": 0, "data": {"msgid": 77}}), Accepted("77")),
        (json_of(200, {"code": "0"}), Accepted(text().id)),
        (json_of(200, {"code": "busy"}), Retry("gateway.busy")),
        (json_of(503, {"code": 7}, **{"Retry-After": "9"}), Retry("gateway.7", timedelta(seconds=9))),
        (json_of(200, {"code": "bad_phone"}), Rejected("gateway.bad_phone", refused="address")),
        (json_of(400, {"code": "bad_text"}), Rejected("gateway.bad_text")),
        (json_of(200, {"code": "blacklisted"}), Rejected("gateway.blacklisted", refused="opted_out")),
        (Reply(429, b"", {"Retry-After": "5"}), Retry("http.429", timedelta(seconds=5))),
        (Reply(401, b"<html>"), Retry("http.401")),
        (json_of(403, {"code": "other"}), Retry("gateway.other")),
        (json_of(200, {"code": "other"}), Unknown("gateway.other")),
        (json_of(200, {"code": f"no such number: {NUMBER}"}), Unknown("gateway.other")),
        (json_of(200, {"code": None}), Unknown("answer.unreadable")),
        (json_of(200, []), Unknown("answer.unreadable")),
        (Reply(200, b"ok"), Unknown("answer.unreadable")),
        (Reply(200, b""), Unknown("answer.unreadable")),
        (Reply(400, b"no"), Unknown("http.400")),
        (json_of(400, {"code": 0}), Unknown("gateway.0")),
        (json_of(500, {"code": "busy"}), Unknown("http.500")),
        (json_of(502, {"code": 0}), Unknown("http.502")),
        (Reply(503, b""), Unknown("http.503")),
        (Reply(302, b"", {"Location": "/send"}), Unknown("http.302")),
        (Reply(200, b" " * (2 << 20)), Unknown("answer.too_long")),
        (Half(json_of(200, {"code": 0, "data": {"msgid": "7" * 90}})), Unknown("answer.RemoteProtocolError")),
        ("drop", Unknown("answer.RemoteProtocolError")),
    ],
)
@pytest.mark.parametrize("taken", [False, True])
def test_each_answer_becomes_one_outcome(
    base_url: str, stand_in: GatewayStandIn, done: Done, expected: Outcome, taken: bool
) -> None:
    stand_in.fails(done, taken=taken)
    assert sent(base_url, text()) == [msgspec.structs.replace(expected, provider="gateway")]
    assert len(stand_in.requests) == 1


@pytest.mark.parametrize("taken", [False, True])
def test_silence_is_unknown(base_url: str, stand_in: GatewayStandIn, taken: bool) -> None:
    stand_in.fails("hang", taken=taken)
    (outcome,) = sent(base_url, text())
    assert isinstance(outcome, Unknown)
    assert outcome.reason in ("answer.ReadTimeout", "answer.TimeoutError")


def test_where_nobody_listens_nothing_was_taken() -> None:
    with serving(GatewayStandIn()) as url:
        pass
    assert sent(url, text()) == [Retry("connection.ConnectError", provider="gateway")]


def test_a_name_that_does_not_resolve_took_nothing() -> None:
    (outcome,) = sent("http://gateway.invalid", text(), timeout_seconds=20)
    assert outcome == Retry("connection.ConnectError", provider="gateway")


def test_where_tls_fails_nothing_was_taken(base_url: str, stand_in: GatewayStandIn, tmp_path: Path) -> None:
    failed = Retry("connection.ConnectError", provider="gateway")
    assert sent(base_url.replace("http:", "https:"), text(), timeout_seconds=20) == [failed]
    with serving(stand_in, tls=self_signed(tmp_path)) as url:
        assert sent(url, text(), timeout_seconds=20) == [failed]
    assert stand_in.requests == []


def test_a_bank_s_own_authority_is_trusted_by_its_file(stand_in: GatewayStandIn, tmp_path: Path) -> None:
    with serving(stand_in, tls=self_signed(tmp_path)) as url:
        (outcome,) = sent(url, text(), ca_file=str(tmp_path / "self-signed.pem"), timeout_seconds=20)
    assert outcome == Accepted("G1", provider="gateway")


def test_a_handshake_without_an_answer_took_nothing() -> None:
    with silent() as port:
        (outcome,) = sent(f"https://127.0.0.1:{port}", text())
    assert outcome == Retry("connection.ConnectTimeout", provider="gateway")


def test_bad_numbers_and_empty_texts_are_rejected_here(base_url: str, stand_in: GatewayStandIn) -> None:
    assert sent(base_url, text(1, address="12"), text(2, text=" ")) == [
        Rejected("number.invalid", refused="address", provider="gateway"),
        Rejected("text.empty", provider="gateway"),
    ]
    assert stand_in.requests == []


def test_what_was_taken_without_an_answer_is_found_by_its_id(base_url: str, stand_in: GatewayStandIn) -> None:
    stand_in.fails("drop", taken=True)
    assert isinstance(sent(base_url, text())[0], Unknown)
    assert asked(base_url, text()) == Accepted("G1", provider="gateway")
    # And handed over again under the same id it stays one.
    assert sent(base_url, text()) == [Accepted("G1", provider="gateway")]
    assert stand_in.given[text().id] == 2
    assert len(stand_in.taken) == 1


def test_soon_after_its_judgement_a_message_may_yet_turn_up(base_url: str) -> None:
    assert asked(base_url, text(at=datetime.now(UTC))) == Unknown("enquiry.too_early", provider="gateway")
    assert asked(base_url, text()) == NotTaken()


def test_where_the_enquiry_fails_nothing_is_known(base_url: str, stand_in: GatewayStandIn) -> None:
    done: tuple[Done, ...] = (Reply(429), Reply(500), "drop", json_of(200, {"code": "x"}))
    for failure in done:
        stand_in.fails(failure)
        assert isinstance(asked(base_url, text()), Unknown)


def test_a_gateway_that_cannot_be_asked_is_unknown(base_url: str) -> None:
    answer = asked(base_url, text(), enquiry=None, enquiry_answer=None)
    assert answer == Unknown("enquiry.none", provider="gateway")


def test_an_answer_of_not_taken_to_a_sending_proves_nothing(base_url: str) -> None:
    strange = Reading(code="code", accepted=("never",), not_taken=("0",))
    assert sent(base_url, text(), answer=strange) == [Unknown("gateway.not_taken", provider="gateway")]


def test_many_are_sent_at_once_and_answered_in_order(base_url: str, stand_in: GatewayStandIn) -> None:
    messages = [text(number) for number in range(1, 40)]
    outcomes = sent(base_url, *messages, concurrency=5, timeout_seconds=20)
    assert outcomes == [Accepted(stand_in.taken[m.id].number, provider="gateway") for m in messages]


def test_an_estimate_says_what_it_would_cost() -> None:
    prices = Prices(currency="CNY", per_segment={"+86": Decimal("0.045")})
    gateway = HttpSms("g", settings("http://127.0.0.1:1", prices=prices, signature="【您的银行】"))
    assert gateway.estimate(text(text="汉" * 65)) == Cost(2, Decimal("0.090"), "CNY")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"send": Call(url="https://g.example/", fields={"a": ["{nobody}"]})}, "sms.placeholder"),
        ({"send": Call(url="https://g.example/", headers={"X-Text": "{text}"})}, "sms.placeholder"),
        ({"send": Call(url="https://g.example:x/")}, "sms.url"),
        ({"send": Call(url="https://g.example/", zone="Mars/North")}, "sms.zone"),
        ({"enquiry": None}, "sms.enquiry"),
        ({"ca_file": "nowhere.pem"}, "sms.authority"),
        (
            {
                "send": Call(
                    url="https://g.example/",
                    signing=Signing(algorithm="md5", secret=Secret(env="GATEWAY_KEY"), of="{secret}"),
                )
            },
            "sms.signing",
        ),
        (
            {"send": Call(url="https://g.example/", headers={"X-Key": Secret(env="NOWHERE")})},
            "secret.missing",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(given: dict[str, Any], code: str) -> None:
    with pytest.raises(InputRefused) as refused:
        HttpSms("g", settings("https://g.example", **given))
    assert refused.value.code == code
