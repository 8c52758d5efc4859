"""What Twilio reports: signed status callbacks and inbound texts, and those that are not Twilio's."""

import hashlib
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.provider import Callback, Receipt
from channels.replies import Words
from channels.secret import Secret
from channels.twilio_sms import Twilio, TwilioSettings
from domain.errors import InputRefused
from support.channel_contract import NOW
from support.twilio_server import ACCOUNT, TOKEN, Taken, callback, inbound_fields, signature, status_fields

MESSAGE = "00000000-0000-5000-8000-000000000001"
URL = "https://bank.example/callbacks/twilio"
STATUS_URL = f"{URL}?message={MESSAGE}"
SID = "SM" + "0" * 31 + "1"
NUMBER = "+420601000001"
TAKEN = Taken(SID, MESSAGE, NUMBER, "+15005550006", "Hello", STATUS_URL, {}, NOW)


def twilio(monkeypatch: pytest.MonkeyPatch, *, words: Words | None = None, key: str = "") -> Twilio:
    monkeypatch.setenv("TWILIO_TOKEN", TOKEN)
    monkeypatch.setenv("TWILIO_KEY", key)
    return Twilio(
        "twilio",
        TwilioSettings(
            account_sid=ACCOUNT,
            auth_token=Secret(env="TWILIO_TOKEN"),
            webhook_key=Secret(env="TWILIO_KEY") if key else None,
            sender="+15005550006",
            words=words or Words(),
        ),
    )


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Twilio:
    return twilio(monkeypatch)


def signed(fields: Mapping[str, str], *, url: str = STATUS_URL, token: str = TOKEN) -> Callback:
    """A callback as Twilio makes it."""
    headers, body = callback(url, fields, token=token)
    return Callback(url, headers, body, NOW)


def forged(provider: Twilio, made: Callback) -> str:
    """Why it is not believed."""
    with pytest.raises(InputRefused, match=r"callback\.forged") as refused:
        provider.receipts(made)
    return str(refused.value.values["reason"])


@pytest.mark.parametrize(
    ("status", "error", "told", "reason"),
    [
        ("delivered", None, "delivered", ""),
        ("read", None, "opened", ""),
        ("undelivered", 30003, "undelivered", "twilio.30003"),
        ("undelivered", 30004, "undelivered", "twilio.30004"),
        ("undelivered", 30005, "bounced", "twilio.30005"),
        ("undelivered", 30006, "bounced", "twilio.30006"),
        ("undelivered", 30007, "undelivered", "twilio.30007"),
        ("failed", 30008, "undelivered", "twilio.30008"),
        ("failed", 21614, "bounced", "twilio.21614"),
        ("failed", 21610, "opted_out", "twilio.21610"),
        ("failed", None, "undelivered", "twilio.failed"),
        ("canceled", None, "undelivered", "twilio.canceled"),
    ],
)
def test_a_status_that_settles_a_message_is_told(
    provider: Twilio, status: str, error: int | None, told: str, reason: str
) -> None:
    made = signed(status_fields(TAKEN, status, error=error))
    assert provider.receipts(made) == [
        Receipt(
            told=told,  # type: ignore[arg-type]
            key=f"{SID}:{status}",
            channel="sms",
            message=MESSAGE,
            address=NUMBER,
            reason=reason,
        )
    ]


@pytest.mark.parametrize("status", ["accepted", "queued", "scheduled", "sending", "sent", "unheard-of"])
def test_a_status_on_the_way_says_nothing(provider: Twilio, status: str) -> None:
    assert provider.receipts(signed(status_fields(TAKEN, status))) == []


@pytest.mark.parametrize(
    ("text", "more", "told"),
    [
        ("STOP", {}, "opted_out"),
        ("退订", {}, "opted_out"),
        ("start", {}, "opted_in"),
        ("HELP", {}, "replied"),
        ("please don't stop", {}, "replied"),
        ("", {}, "replied"),
        # Twilio's advanced opt-out has words of its own, and has acted on them.
        ("Nechci", {"OptOutType": "STOP"}, "opted_out"),
        ("Chci", {"OptOutType": "START"}, "opted_in"),
        ("STOP", {"OptOutType": "HELP"}, "replied"),
        ("STOP", {"OptOutType": "SOMETHING"}, "opted_out"),
    ],
)
def test_a_text_is_told_as_what_it_means(
    provider: Twilio, text: str, more: Mapping[str, str], told: str
) -> None:
    made = signed(inbound_fields(SID, NUMBER, text, **more), url=URL)
    (receipt,) = provider.receipts(made)
    assert (receipt.told, receipt.text, receipt.address) == (told, text, NUMBER)
    assert (receipt.key, receipt.channel, receipt.message) == (f"{SID}:received", "sms", "")


def test_the_settings_have_words_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = twilio(monkeypatch, words=Words(answers=("N",), yes_opts_in=True))
    told = [
        provider.receipts(signed(inbound_fields(SID, NUMBER, text), url=URL))[0].told for text in ("N", "yes")
    ]
    assert told == ["replied", "opted_in"]


def test_the_same_callback_again_says_the_same_under_the_same_key(provider: Twilio) -> None:
    made = signed(status_fields(TAKEN, "delivered"))
    assert provider.receipts(made) == provider.receipts(made)
    other = signed(status_fields(TAKEN, "undelivered"))
    assert provider.receipts(made)[0].key != provider.receipts(other)[0].key


def test_new_fields_of_twilio_do_not_matter_to_the_signature(provider: Twilio) -> None:
    made = signed({**status_fields(TAKEN, "delivered"), "New": "", "另": " é&=+%\n"})
    assert provider.receipts(made)[0].told == "delivered"


def test_the_url_s_query_is_part_of_what_is_signed(provider: Twilio) -> None:
    made = signed(status_fields(TAKEN, "delivered"))
    moved = msgspec.structs.replace(made, url=f"{URL}?message=00000000-0000-5000-8000-000000000002")
    assert forged(provider, moved) == "the signature does not fit"
    assert forged(provider, msgspec.structs.replace(made, url=URL)) == "the signature does not fit"


def test_a_port_in_the_url_does_not_matter(provider: Twilio) -> None:
    made = signed(status_fields(TAKEN, "delivered"))
    with_port = msgspec.structs.replace(made, url=STATUS_URL.replace("bank.example", "bank.example:443"))
    assert provider.receipts(with_port) == provider.receipts(made)


def test_an_altered_or_unsigned_callback_is_not_believed(provider: Twilio) -> None:
    made = signed(status_fields(TAKEN, "undelivered", error=30003))
    altered = msgspec.structs.replace(made, body=made.body.replace(b"30003", b"30005"))
    assert forged(provider, altered) == "the signature does not fit"
    more = msgspec.structs.replace(made, body=made.body + b"&ErrorCode=30005")
    assert forged(provider, more) == "the signature does not fit"
    bare = msgspec.structs.replace(made, headers={"content-type": made.headers["content-type"]})
    assert forged(provider, bare) == "no signature"
    foreign = signed(status_fields(TAKEN, "delivered"), token="another")  # noqa: S106
    assert forged(provider, foreign) == "the signature does not fit"


def test_a_signature_by_a_key_is_believed_only_where_the_settings_have_it(
    provider: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = status_fields(TAKEN, "delivered")
    key = "shared"
    made = signed(fields, token=key)
    by_key = msgspec.structs.replace(
        made,
        headers={**made.headers, "x-twilio-webhooks-signature-settings": "key=k,algorithm=HMAC_SHA1"},
    )
    assert forged(provider, by_key) == "signed by a key that the settings do not have"
    keyed = twilio(monkeypatch, key=key)
    assert keyed.receipts(by_key)[0].told == "delivered"
    assert forged(keyed, made) == "the signature does not fit"
    unknown = msgspec.structs.replace(
        made, headers={**made.headers, "x-twilio-webhooks-signature-settings": "algorithm=NONE"}
    )
    assert forged(keyed, unknown) == "the signature does not fit"


def json_callback(body: bytes, url: str) -> Callback:
    headers = {"content-type": "application/json", "x-twilio-signature": signature(url, {})}
    return Callback(url, headers, body, NOW)


def test_a_json_body_is_bound_by_its_hash_in_the_url(provider: Twilio) -> None:
    body = msgspec.json.encode(status_fields(TAKEN, "delivered"))
    url = f"{STATUS_URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    made = json_callback(body, url)
    assert provider.receipts(made)[0].message == MESSAGE
    assert forged(provider, msgspec.structs.replace(made, body=body + b" ")) == "the signature does not fit"
    assert forged(provider, json_callback(body, STATUS_URL)) == "the body is not signed"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a" * 70_000, "too long"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a=%ff", "not a form"),
        (urlencode({f"f{n}": "" for n in range(300)}).encode(), "not a form"),
    ],
)
def test_what_cannot_be_read_is_refused_before_it_costs_anything(
    provider: Twilio, body: bytes, reason: str
) -> None:
    made = msgspec.structs.replace(signed(status_fields(TAKEN, "delivered")), body=body)
    with pytest.raises(InputRefused, match=r"callback\.unreadable") as refused:
        provider.receipts(made)
    assert refused.value.values["reason"] == reason


@pytest.mark.parametrize("fields", [{}, {"CallSid": "CA1"}, {"MessageStatus": "delivered"}, {"From": NUMBER}])
def test_what_is_signed_and_says_nothing_of_a_text_is_refused(
    provider: Twilio, fields: Mapping[str, str]
) -> None:
    with pytest.raises(InputRefused, match=r"callback\.unreadable"):
        provider.receipts(signed(fields))


@pytest.mark.parametrize("body", [b"[]", b'{"a": {"b": 1}}', b"{"])
def test_json_of_another_shape_is_refused(provider: Twilio, body: bytes) -> None:
    url = f"{STATUS_URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    with pytest.raises(InputRefused, match=r"callback\.unreadable"):
        provider.receipts(json_callback(body, url))


@settings(deadline=None)
@given(
    st.binary(max_size=300),
    st.dictionaries(
        st.sampled_from(["content-type", "x-twilio-signature", "x-twilio-webhooks-signature-settings"]),
        st.text(max_size=30) | st.sampled_from(["application/json", "algorithm=HMAC_SHA256"]),
    ),
    st.text(max_size=40).map(lambda text: f"{URL}?{quote(text)}"),
)
def test_no_request_of_a_stranger_is_believed_or_breaks_it(
    body: bytes, headers: dict[str, str], url: str
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        provider = twilio(patched)
    with pytest.raises(InputRefused, match=r"callback\.(forged|unreadable)"):
        provider.receipts(Callback(url, headers, body, NOW))
