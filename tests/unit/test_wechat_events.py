from base64 import b64decode, b64encode
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from channels.provider import Callback, Receipt
from channels.wechat_events import Events
from domain.errors import InputRefused
from support.channel_contract import NOW
from support.push_servers import APPID, WECHAT_TOKEN
from support.wechat_told import OPEN_ID, event, finished, signature_of, signed

AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


def read(
    callback: Callback, *, token: str | None = WECHAT_TOKEN, aes_key: str | None = None
) -> list[Receipt]:
    return Events("account", appid=APPID, token=token, aes_key=aes_key).receipts(callback, {})


def told(receipts: list[Receipt]) -> list[tuple[str, str, str, str]]:
    return [(receipt.told, receipt.message, receipt.address, receipt.reason) for receipt in receipts]


def test_who_blocks_the_account_has_opted_out() -> None:
    receipts = read(signed(finished("failed:user block", 7)))
    assert told(receipts) == [
        ("undelivered", "", OPEN_ID, "wechat: failed:user block"),
        ("opted_out", "", OPEN_ID, ""),
    ]
    assert len({receipt.key for receipt in receipts}) == 2


def test_following_no_more_is_an_opt_out_and_following_again_takes_it_back() -> None:
    (out,) = read(signed(event("unsubscribe")))
    assert (out.told, out.address, out.channel, out.at) == (
        "opted_out",
        OPEN_ID,
        "wechat",
        datetime.fromtimestamp(1777791000, NOW.tzinfo),
    )
    (back,) = read(signed(event("subscribe")))
    assert (back.told, back.address) == ("opted_in", OPEN_ID)


def test_the_same_telling_twice_has_the_same_key() -> None:
    first, second = (read(signed(event("unsubscribe")))[0].key for _ in range(2))
    assert first == second


def test_a_subscription_message_tells_its_end_too() -> None:
    more = (
        "<SubscribeMsgSentEvent><List><TemplateId>T</TemplateId><MsgID>5</MsgID><ErrorCode>{}</ErrorCode>"
        "<ErrorStatus>{}</ErrorStatus></List></SubscribeMsgSentEvent>"
    )
    good, bad = (
        event("subscribe_msg_sent_event", more.format(*said)) for said in (("0", "success"), ("1", "failed"))
    )
    assert [receipt.told for receipt in read(signed(good))] == ["delivered"]
    assert [receipt.told for receipt in read(signed(bad))] == ["undelivered"]


def test_what_a_follower_writes_is_a_reply() -> None:
    document = event("x").replace(b"[event]", b"[text]")
    document = document.replace(
        b"</xml>", "<Content><![CDATA[退订]]></Content><MsgId>9</MsgId></xml>".encode()
    )
    (receipt,) = read(signed(document))
    assert (receipt.told, receipt.text, receipt.address) == ("replied", "退订", OPEN_ID)


def test_events_that_say_nothing_of_messages_are_no_receipts() -> None:
    assert read(signed(event("CLICK"))) == []


@pytest.mark.parametrize("late", [timedelta(minutes=6), timedelta(minutes=-6), timedelta(days=4000)])
def test_a_callback_of_another_time_is_forged(late: timedelta) -> None:
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        read(signed(event("unsubscribe"), late=late))


def test_a_callback_signed_with_another_token_is_forged() -> None:
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        read(signed(event("unsubscribe"), by="guess"))


@pytest.mark.parametrize(
    "url", ["https://bank.example/", "https://bank.example/?signature=&timestamp=x&nonce="]
)
def test_a_callback_that_is_not_signed_is_forged(url: str) -> None:
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        read(Callback(url, {}, event("unsubscribe"), NOW))


def test_without_a_token_of_ours_nothing_is_believed() -> None:
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        read(signed(event("unsubscribe"), by=""), token=None)


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><Event>&e;</Event></xml>',
        b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><xml>&b;</xml>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x []><xml/>'.encode("utf-16"),
        b"<a>" * 50,
        b"<xml><MsgType>event</MsgType>",
        b"",
        b"nonsense",
        b"<xml>" + b" " * 70_000 + b"</xml>",
        b"<xml>" + b"".join(b"<a%d/>" % number for number in range(600)) + b"</xml>",
    ],
)
def test_a_document_that_is_not_plain_is_unreadable(document: bytes) -> None:
    with pytest.raises(InputRefused, match=r"callback\.unreadable"):
        read(signed(document))


def sealed(document: bytes, *, appid: str = APPID, by: str = WECHAT_TOKEN) -> Callback:
    """As WeChat's safe mode does it."""
    key = b64decode(AES_KEY + "=")
    plain = b"r" * 16 + len(document).to_bytes(4, "big") + document + appid.encode()
    padding = 32 - len(plain) % 32
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    encrypt = b64encode(encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()).decode()
    timestamp = str(int(NOW.timestamp()))
    signature = signature_of(by, timestamp, "n1", encrypt)
    query = f"msg_signature={signature}&timestamp={timestamp}&nonce=n1&encrypt_type=aes&signature=00"
    body = f"<xml><ToUserName>gh</ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>".encode()
    return Callback(f"https://bank.example/wechat?{query}", {}, body, NOW)


def test_what_is_told_in_safe_mode_is_read() -> None:
    (receipt,) = read(sealed(event("unsubscribe")), aes_key=AES_KEY)
    assert (receipt.told, receipt.address) == ("opted_out", OPEN_ID)


def test_what_is_told_in_safe_mode_for_another_account_is_unreadable() -> None:
    with pytest.raises(InputRefused, match=r"callback\.unreadable"):
        read(sealed(event("unsubscribe"), appid="wx9"), aes_key=AES_KEY)
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        read(sealed(event("unsubscribe"), by="guess"), aes_key=AES_KEY)
    with pytest.raises(InputRefused, match=r"callback\.unreadable"):
        read(sealed(event("unsubscribe")))


@pytest.mark.parametrize("aes_key", ["callback-token", "x" * 44, "="])
def test_a_key_of_safe_mode_that_is_none_is_refused(aes_key: str) -> None:
    with pytest.raises(InputRefused, match=r"wechat\.aes_key"):
        Events("account", appid=APPID, token=None, aes_key=aes_key)


def test_the_first_call_of_wechat_is_echoed_if_it_is_its_own() -> None:
    events = Events("account", appid=APPID, token=WECHAT_TOKEN, aes_key=None)
    good, forged = signed(b""), signed(b"", by="guess")
    echoed = [Callback(f"{told.url}&echostr=5837", {}, b"", NOW) for told in (good, forged)]
    assert events.echo(echoed[0]) == "5837"
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        events.echo(echoed[1])
