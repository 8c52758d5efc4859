"""What a text gateway reports, as settings map it, and what is not the gateway's."""

import base64
import hashlib
import hmac
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.gateway_answer import Reading
from channels.gateway_call import Call
from channels.gateway_callbacks import ReplyFields, Reporting, StatusFields
from channels.http_sms import HttpSms, HttpSmsSettings
from channels.provider import Callback, Receipt
from channels.replies import Words
from channels.secret import Secret
from domain.errors import InputRefused
from support.channel_contract import NOW

KEY = b"of the gateway"
NUMBER = "+8613800138000"
MESSAGE = "00000000-0000-5000-8000-000000000001"
STATUS = StatusFields(
    message="msgid",
    status="report.stat",
    delivered=("DELIVRD",),
    undelivered=("EXPIRED", "REJECTD"),
    bounced=("MK:0001",),
    opted_out=("BLACK",),
    address="phone",
    reason="report.err",
)
REPLY = ReplyFields(id="moid", address="phone", text="content")
REPORTING = Reporting(
    secret=Secret(env="GATEWAY_KEY"), header="X-Sign", items="data", status=STATUS, reply=REPLY
)


def gateway(monkeypatch: pytest.MonkeyPatch, reporting: Reporting | None = REPORTING) -> HttpSms:
    monkeypatch.setenv("GATEWAY_KEY", KEY.decode())
    return HttpSms(
        "gateway",
        HttpSmsSettings(
            send=Call(url="https://gateway.example/send"),
            answer=Reading(code="code", accepted=("0",)),
            reporting=reporting,
            default_region="CN",
            words=Words(answers=("N",)),
        ),
    )


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> HttpSms:
    return gateway(monkeypatch)


def signed(content: object) -> Callback:
    """A callback as the gateway makes it."""
    body = msgspec.json.encode(content)
    sign = hmac.new(KEY, body, hashlib.sha256).hexdigest()
    return Callback("https://bank.example/callbacks/gateway", {"x-sign": sign}, body, NOW)


def refusal(provider: HttpSms, made: Callback) -> str:
    """The code by which it is refused."""
    with pytest.raises(InputRefused) as refused:
        provider.receipts(made)
    return refused.value.code


def test_several_reports_and_replies_come_at_once(provider: HttpSms) -> None:
    made = signed(
        {
            "data": [
                {"msgid": MESSAGE, "phone": "13800138000", "report": {"stat": "DELIVRD", "err": "000"}},
                {"msgid": MESSAGE, "report": {"stat": "EXPIRED", "err": "12"}},
                {"msgid": MESSAGE, "phone": NUMBER, "report": {"stat": "MK:0001"}},
                {"msgid": MESSAGE, "phone": NUMBER, "report": {"stat": "BLACK"}},
                {"msgid": MESSAGE, "phone": NUMBER, "report": {"stat": "ACCEPTD"}},
                {"moid": 7, "phone": 13800138000, "content": "退订"},
                {"moid": 8, "phone": "13800138000", "content": "n"},
                {"moid": 9, "phone": "13800138000", "content": "帮助"},
            ]
        }
    )
    about = {"channel": "sms", "message": MESSAGE}
    assert provider.receipts(made) == [
        Receipt(told="delivered", key=f"{MESSAGE}:DELIVRD", address=NUMBER, **about),  # type: ignore[arg-type]
        Receipt(told="undelivered", key=f"{MESSAGE}:EXPIRED", reason="gateway.12", **about),  # type: ignore[arg-type]
        Receipt(
            told="bounced",
            key=f"{MESSAGE}:MK:0001",
            address=NUMBER,
            reason="gateway.MK:0001",
            **about,  # type: ignore[arg-type]
        ),
        Receipt(
            told="opted_out",
            key=f"{MESSAGE}:BLACK",
            address=NUMBER,
            reason="gateway.BLACK",
            **about,  # type: ignore[arg-type]
        ),
        Receipt(told="opted_out", key="reply:7", channel="sms", address=NUMBER, text="退订"),
        Receipt(told="replied", key="reply:8", channel="sms", address=NUMBER, text="n"),
        Receipt(told="replied", key="reply:9", channel="sms", address=NUMBER, text="帮助"),
    ]


def test_a_form_may_be_signed_in_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    reporting = msgspec.structs.replace(
        REPORTING,
        body="form",
        items="",
        algorithm="hmac-sha1",
        encoding="base64",
        prefix="sha1=",
        status=None,
    )
    body = urlencode({"moid": "7", "phone": "13800138000", "content": "TD"}).encode()
    sign = "sha1=" + base64.b64encode(hmac.new(KEY, body, hashlib.sha1).digest()).decode()
    made = Callback("https://bank.example/", {"x-sign": sign}, body, NOW)
    assert [receipt.told for receipt in gateway(monkeypatch, reporting).receipts(made)] == ["opted_out"]


def test_a_forged_or_altered_callback_is_not_believed(provider: HttpSms) -> None:
    made = signed({"data": {"moid": 7, "phone": NUMBER, "content": "退订"}})
    assert refusal(provider, msgspec.structs.replace(made, body=made.body + b" ")) == "callback.forged"
    assert refusal(provider, msgspec.structs.replace(made, headers={})) == "callback.forged"
    assert refusal(provider, msgspec.structs.replace(made, headers={"x-sign": "é"})) == "callback.forged"


def test_a_gateway_without_reporting_has_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(gateway(monkeypatch, None), signed({})) == "callback.forged"


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {"data": ["x"]},
        {"data": {"moid": 7}},
        {"data": {"phone": NUMBER, "content": "TD"}},
        {"data": {"report": {"stat": "DELIVRD"}}},
        {"data": {"moid": [1], "phone": NUMBER, "content": "TD"}},
    ],
)
def test_what_is_signed_and_says_nothing_of_a_text_is_refused(provider: HttpSms, content: object) -> None:
    assert refusal(provider, signed(content)) == "callback.unreadable"


def test_what_is_too_long_is_refused_before_it_costs_anything(provider: HttpSms) -> None:
    assert (
        refusal(provider, Callback("https://bank.example/", {}, b" " * 300_000, NOW)) == "callback.unreadable"
    )


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["data", "moid", "phone", "content", "msgid", "report", "stat"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_whatever_breaks_it(content: object) -> None:
    with pytest.MonkeyPatch.context() as patched:
        provider = gateway(patched)
    refused = ""
    receipts: list[Receipt] = []
    try:
        receipts = provider.receipts(signed(content))
    except InputRefused as error:
        refused = error.code
    assert refused in ("", "callback.unreadable")
    assert all(receipt.channel == "sms" and receipt.key for receipt in receipts)
