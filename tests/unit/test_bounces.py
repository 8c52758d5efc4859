"""What comes back by mail: reports of delivery and of abuse, webhooks about them, and hostile ones."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from channels.bounces import Bounces
from channels.provider import Callback, Receipt
from channels.webhook_signature import signing_key
from domain.errors import InputRefused

IDENTITY = "6f1b2c3d-0000-5000-8000-00000000abcd"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the tests' own
AT = datetime(2026, 5, 3, 7, 5, tzinfo=UTC)
BOUNCES = Bounces(domain="bank.example", bounce="bounces@bank.example", secret=SECRET)
OURS = f"Message-ID: <{IDENTITY}@bank.example>\r\nSubject: Happy birthday\r\n"


def report(
    recipients: str = "Final-Recipient: rfc822; one@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n",
    *,
    header: str = OURS,
    fields: str = "Reporting-MTA: dns; mx.example.com\r\n",
    to: str = "bounces@bank.example",
    kind: str = "delivery-status",
    returned: str = "text/rfc822-headers",
) -> bytes:
    """A returned mail as servers write it."""
    return (
        "From: MAILER-DAEMON@mx.example.com\r\n"
        f"To: {to}\r\n"
        "Date: Sun, 3 May 2026 09:01:00 +0200\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type={kind}; boundary="b"\r\n'
        "\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nI am afraid I could not deliver it.\r\n"
        f"--b\r\nContent-Type: message/{kind}\r\n\r\n{fields}\r\n{recipients}\r\n"
        f"--b\r\nContent-Type: {returned}\r\n\r\n{header}\r\n\r\n"
        "--b--\r\n"
    ).encode()


def told(mail: bytes) -> list[tuple[str, str, str]]:
    return [(receipt.told, receipt.message, receipt.reason) for receipt in BOUNCES.read(mail)]


def recipient(status: str, *, action: str = "failed", more: str = "") -> str:
    return f"Final-Recipient: rfc822; one@example.com\r\nAction: {action}\r\nStatus: {status}\r\n{more}"


def test_a_mailbox_that_is_not_there_has_bounced() -> None:
    (receipt,) = BOUNCES.read(report())
    assert receipt == Receipt(
        told="bounced",
        key=receipt.key,
        channel="email",
        message=IDENTITY,
        at=datetime(2026, 5, 3, 7, 1, tzinfo=UTC),
        reason="smtp 5.1.1",
    )


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (recipient("5.1.1"), "bounced"),
        (recipient("5.1.10 (null mx)"), "bounced"),
        (recipient("5.2.1"), "bounced"),
        (
            recipient("5.0.0", more="Diagnostic-Code: smtp; 550 5.1.1 <one@example.com> unknown\r\n"),
            "bounced",
        ),
        (recipient("", more="Diagnostic-Code: smtp; 550 5.1.1 unknown\r\n"), "bounced"),
        (recipient("5.0.0"), "undelivered"),
        (recipient("5.2.2"), "undelivered"),
        (recipient("5.7.1"), "undelivered"),
        (recipient("5.1.8"), "undelivered"),
        (recipient("4.4.7"), "undelivered"),
        (recipient("4.0.0", more="Diagnostic-Code: smtp; 550 5.1.1 unknown\r\n"), "undelivered"),
        (recipient("2.0.0", action="delivered"), "delivered"),
        (recipient("2.0.0", action="Delivered (to mailbox)"), "delivered"),
    ],
)
def test_only_an_address_that_will_never_do_bounces(block: str, said: str) -> None:
    assert [outcome for outcome, _, _ in told(report(block))] == [said]


@pytest.mark.parametrize("action", ["delayed", "relayed", "expanded", "puzzled"])
def test_what_is_no_end_says_nothing(action: str) -> None:
    assert told(report(recipient("4.4.1", action=action))) == []


def test_every_recipient_is_told_of_under_a_key_of_its_own() -> None:
    receipts = BOUNCES.read(report(recipient("5.1.1") + "\r\n" + recipient("4.4.7")))
    assert [receipt.told for receipt in receipts] == ["bounced", "undelivered"]
    assert len({receipt.key for receipt in receipts}) == 2


def test_the_same_mail_again_has_the_same_key_and_another_has_another() -> None:
    (first,), (again,) = BOUNCES.read(report()), BOUNCES.read(report())
    (other,) = BOUNCES.read(report(recipient("5.1.2")))
    assert first.key == again.key != other.key


@pytest.mark.parametrize(
    "mail",
    [
        report(),
        report(returned="message/rfc822"),
        report(header="", fields=f"Original-Envelope-Id: {IDENTITY}\r\n"),
        report(header="", to=f"bounces+{IDENTITY}@bank.example"),
        report(header="", to=f"<BOUNCES+{IDENTITY.upper()}@Bank.Example>"),
        report(recipient("5.1.1", more=f"Original-{OURS.splitlines()[0]}\r\n"), header=""),
        report(header=OURS.replace("@bank", "@BANK")),
        b"Delivered-To: bounces+" + IDENTITY.encode() + b"@bank.example\r\n" + report(header=""),
    ],
)  # fmt: skip
def test_a_message_is_known_by_its_header_its_envelope_or_where_the_mail_came_to(mail: bytes) -> None:
    assert told(mail) == [("bounced", IDENTITY, "smtp 5.1.1")]


@pytest.mark.parametrize(
    "mail",
    [
        report(header=f"Message-ID: <{IDENTITY}@other.example>\r\n"),
        report(header="Message-ID: <hello@bank.example>\r\n"),
        report(header="", to=f"bounces+{IDENTITY}@bank.example.evil.example"),
        report(header="", to=f"bounces+{IDENTITY}@other.example"),
        report(header="", to="bounces+hello@bank.example"),
        b"From: one@example.com\r\nSubject: I am on holiday\r\n\r\nBack on Monday.\r\n",
        b"hello",
    ],
)
def test_what_names_no_message_of_ours_says_nothing(mail: bytes) -> None:
    assert BOUNCES.read(mail) == []


def test_reports_in_the_newer_international_form_are_read_too() -> None:
    mail = report(kind="global-delivery-status", returned="message/global-headers")
    assert told(mail) == [("bounced", IDENTITY, "smtp 5.1.1")]


def complaint(kind: str = "abuse", header: str = OURS, more: str = "") -> bytes:
    return report(
        "", header=header, kind="feedback-report", returned="message/rfc822",
        fields=f"Feedback-Type: {kind}\r\nUser-Agent: loop/1\r\nVersion: 1\r\n"
        f"Arrival-Date: Sun, 3 May 2026 08:30:00 +0200\r\n{more}",
    )  # fmt: skip


def test_who_calls_a_message_unwanted_has_complained() -> None:
    (receipt,) = BOUNCES.read(complaint())
    assert (receipt.told, receipt.message) == ("complained", IDENTITY)
    assert receipt.at == datetime(2026, 5, 3, 6, 30, tzinfo=UTC)


def test_a_complaint_is_known_by_the_address_that_the_mail_would_return_to() -> None:
    sender = f"Original-Mail-From: <bounces+{IDENTITY}@bank.example>\r\n"
    assert [said for said, _, _ in told(complaint(header="", more=sender))] == ["complained"]


def test_a_report_that_it_was_wanted_after_all_is_no_complaint() -> None:
    assert told(complaint("not-spam")) == []


def test_no_receipt_of_a_mail_tells_an_address_or_free_text() -> None:
    block = recipient("5.1.1", more="Diagnostic-Code: smtp; 550 5.1.1 <one@example.com> Jana is not here\r\n")
    assert "example.com" not in repr(BOUNCES.read(report(block)))
    assert "Jana" not in repr(BOUNCES.read(report(block)))


def survives(mail: bytes) -> None:
    receipts, refused = [], None
    try:
        receipts = BOUNCES.read(mail)
    except InputRefused as error:
        refused = error
    assert refused is None or refused.code == "callback.unreadable"
    assert all(receipt.message in ("", IDENTITY) for receipt in receipts)


@given(st.integers(0, len(report())))
def test_a_mail_cut_anywhere_is_read_or_refused(length: int) -> None:
    survives(report()[:length])


@given(st.binary(max_size=300), st.integers(0, len(report())))
def test_a_mail_with_anything_in_it_is_read_or_refused(noise: bytes, place: int) -> None:
    survives(report()[:place] + noise + report()[place:])
    survives(noise)


NASTY = [
    report().replace(b"text/plain", b"text/plain; charset=no-such-charset"),
    report().replace(b"text/plain", b"text/plain; charset*=utf-99''%FF%00"),
    report().replace(b"text/plain", b"text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n\xff\xfe"),
    report().replace(b"-status\r\n\r\n", b"-status\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
    report().replace(b'boundary="b"', b'boundary=""'),
    report().replace(b'boundary="b"', b"boundary=b; boundary*0=x; boundary*1*=y"),
    report().replace(b"Date: Sun, 3 May 2026 09:01:00 +0200", b"Date: Sun, 99 May 99999 99:99:99 +9999"),
    report().replace(b"Action: failed", b"Action: \xff\xfe\x00"),
    report().replace(b"Status: 5.1.1", b"Status: " + b"5.1.1 " * 10_000),
    report().replace(b"Final-Recipient", b"X: y\r\n" * 20_000 + b"Final-Recipient"),
    report(recipient("5.1.1") + ("\r\n" + recipient("5.1.1")) * 5_000),
    report().replace(b"I am afraid", b"x" * 3_000_000),
    report().replace(b"To: ", b"To: " + b"bounces+" * 20_000),
    report().replace(b"From: ", b"From: " + b"(" * 20_000),
    b"Content-Type: multipart/mixed; boundary=b\r\n" + b"\r\n--b\r\nContent-Type: message/rfc822\r\n" * 3_000,
    b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3_000)),
    b"Content-Type: message/rfc822\r\n\r\n" * 5_000,
    b"\x00" * 100_000,
    b"\r\n" * 100_000 + b"x",
    b":" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("mail", NASTY, ids=range(len(NASTY)))
@pytest.mark.timeout(20)
def test_a_hostile_mail_is_read_or_refused_and_soon(mail: bytes) -> None:
    survives(mail)


@pytest.mark.parametrize("mail", [b"", b"\r\n", b" \r\n\r\n"])
def test_an_empty_mail_cannot_be_read(mail: bytes) -> None:
    with pytest.raises(InputRefused) as refused:
        BOUNCES.read(mail)
    assert refused.value.code == "callback.unreadable"


def callback(body: bytes, *, at: datetime = AT, signed_at: datetime = AT, **changed: str) -> Callback:
    """As a sender with the scheme's own library makes it; ``changed`` are headers to spoil."""
    headers = {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(signed_at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", signed_at, body.decode()),
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return Callback("https://bank.example/callbacks/post", headers, body, at)


def webhook(**said: Any) -> bytes:
    return json.dumps({"id": "evt_1", "type": "bounce", "message": IDENTITY, **said}).encode()


def test_a_webhook_says_what_became_of_a_message() -> None:
    body = webhook(recipient="one@example.com", status="5.1.1", time="2026-05-03T09:01:00+02:00")
    assert BOUNCES.receipts(callback(body)) == [
        Receipt(
            told="bounced",
            key="evt_1",
            channel="email",
            message=IDENTITY,
            address="one@example.com",
            at=datetime(2026, 5, 3, 7, 1, tzinfo=UTC),
            reason="smtp 5.1.1",
        )
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"status": "5.2.2"}, ("undelivered", IDENTITY, "smtp 5.2.2")),
        ({}, ("undelivered", IDENTITY, "")),
        ({"status": "one@example.com is gone"}, ("undelivered", IDENTITY, "")),
        ({"type": "complaint"}, ("complained", IDENTITY, "")),
        ({"type": "delivery", "status": "2.0.0"}, ("delivered", IDENTITY, "smtp 2.0.0")),
        ({"message": "", "message_id": f"<{IDENTITY}@bank.example>"}, ("undelivered", IDENTITY, "")),
        ({"message": "", "recipient": "one@example.com", "status": "5.1.1"}, ("bounced", "", "smtp 5.1.1")),
    ],
)
def test_each_kind_of_webhook_is_understood(said: dict[str, str], expected: tuple[str, str, str]) -> None:
    (receipt,) = BOUNCES.receipts(callback(webhook(**said)))
    assert (receipt.told, receipt.message, receipt.reason) == expected


def test_a_webhook_without_an_id_of_its_own_has_that_of_its_sending() -> None:
    assert BOUNCES.receipts(callback(webhook(id="")))[0].key == "msg_1"


def test_a_webhook_may_be_the_mail_itself() -> None:
    signed = callback(report(), content_type="message/rfc822; charset=utf-8")
    assert [receipt.told for receipt in BOUNCES.receipts(signed)] == ["bounced"]


def signature(body: bytes, timestamp: str) -> str:
    """By hand, for what the scheme's own library does not sign."""
    signed = f"msg_1.{timestamp}.".encode() + body
    digest = hmac.new(signing_key(SECRET), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def test_a_mail_need_not_be_in_any_known_alphabet() -> None:
    body = report().replace(b"I am afraid", b"\xc4l\xe5t\xff")
    headers = {**callback(report(), content_type="message/rfc822").headers}
    headers["webhook-signature"] = signature(body, headers["webhook-timestamp"])
    assert [receipt.told for receipt in BOUNCES.receipts(Callback("", headers, body, AT))] == ["bounced"]


FORGERIES: list[Callable[[Callback], Callback]] = [
    lambda c: Callback(c.url, c.headers, c.body + b" ", c.at),
    lambda c: Callback(c.url, {**c.headers, "webhook-id": "msg_2"}, c.body, c.at),
    lambda c: Callback(c.url, {**c.headers, "webhook-timestamp": str(int(AT.timestamp()) + 1)}, c.body, c.at),
    lambda c: Callback(c.url, {**c.headers, "webhook-signature": "v1,AAAA"}, c.body, c.at),
    lambda c: Callback(c.url, {**c.headers, "webhook-signature": "v1"}, c.body, c.at),
    lambda c: Callback(c.url, {**c.headers, "webhook-signature": "v1,ä"}, c.body, c.at),
    lambda c: Callback(c.url, {**c.headers, "webhook-signature": ""}, c.body, c.at),
    lambda c: Callback(
        c.url, {**c.headers, "webhook-signature": "v2" + c.headers["webhook-signature"][2:]}, c.body, c.at
    ),
    lambda c: Callback(c.url, {}, c.body, c.at),
    lambda c: Callback(c.url, c.headers, c.body, c.at + timedelta(minutes=5, seconds=1)),
    lambda c: Callback(c.url, c.headers, c.body, c.at - timedelta(minutes=5, seconds=1)),
]


@pytest.mark.parametrize("forged", FORGERIES, ids=range(len(FORGERIES)))
def test_what_is_not_signed_so_or_not_just_now_is_forged(forged: Callable[[Callback], Callback]) -> None:
    genuine = callback(webhook())
    assert BOUNCES.receipts(genuine)
    with pytest.raises(InputRefused) as refused:
        BOUNCES.receipts(forged(genuine))
    assert refused.value.code == "callback.forged"


@pytest.mark.parametrize("timestamp", ["now", "1e400", "9" * 40, "-1", "1.5"])
def test_a_signed_timestamp_that_is_no_instant_is_forged(timestamp: str) -> None:
    signed = signature(webhook(), timestamp)
    with pytest.raises(InputRefused) as refused:
        BOUNCES.receipts(callback(webhook(), webhook_timestamp=timestamp, webhook_signature=signed))
    assert refused.value.values == {"reason": "timestamp"}


def test_one_good_signature_among_several_is_enough() -> None:
    genuine = callback(webhook())
    several = f"v1a,xyz v1,AAAA {genuine.headers['webhook-signature']}"
    assert BOUNCES.receipts(callback(webhook(), webhook_signature=several))


def test_without_a_secret_nobody_is_believed() -> None:
    with pytest.raises(InputRefused) as refused:
        Bounces(domain="bank.example").receipts(callback(webhook()))
    assert refused.value.code == "callback.forged"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", webhook(type="deferral"), webhook(message=1), webhook(message=""),
        webhook(time="yesterday"), webhook(time="2026-05-03T09:01:00"), webhook(recipient="x" * 70_000),
    ],
)  # fmt: skip
def test_a_signed_webhook_that_makes_no_sense_cannot_be_read(body: bytes) -> None:
    with pytest.raises(InputRefused) as refused:
        BOUNCES.receipts(callback(body))
    assert refused.value.code == "callback.unreadable"
