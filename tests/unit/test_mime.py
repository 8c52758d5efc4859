"""Mails as any program reads them: parsed back with the standard library."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Image, Outgoing
from channels.mime import Composer, Envelope, Sender, mailbox
from domain.errors import InputRefused
from support.channel_contract import NOW, outgoing

BANK = Sender(address="care@bank.example", names={"en": "Example Bank", "zh-CN": "示例银行，北京分行"})
COMPOSER = Composer(BANK, domain="bank.example")
UNSUBSCRIBE = "https://bank.example/u/abc.def?x=1&y=%E4%BD%A0"
PIXEL = Image("logo.png", "image/png", bytes(range(256)))
CHINESE = "尊敬的客户：\n您的定期存款即将到期。\n" * 20
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"))


def envelope(message: Outgoing, composer: Composer = COMPOSER) -> Envelope:
    made = composer.envelope(message)
    assert made is not None
    return made


def parsed(message: Outgoing, composer: Composer = COMPOSER) -> EmailMessage:
    mail = message_from_bytes(envelope(message, composer).content, policy=policy.SMTP)
    assert isinstance(mail, EmailMessage)
    assert [defect for part in mail.walk() for defect in part.defects] == []
    return mail


def text_of(part: object) -> str:
    assert isinstance(part, EmailMessage)
    content = part.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


def test_a_message_is_a_mail_with_the_words_it_had() -> None:
    mail = parsed(outgoing())
    assert mail["From"] == "Example Bank <care@bank.example>"
    assert mail["To"] == "one@example.com"
    assert mail["Subject"] == "Happy birthday"
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"] == "<00000000-0000-5000-8000-000000000001@bank.example>"
    assert mail["Content-Language"] == "en"
    assert mail.get_content_type() == "text/plain"
    assert text_of(mail) == "Dear customer,\n"


def test_chinese_words_stand_in_subject_sender_and_text() -> None:
    heading = "您的定期存款即将到期，" * 8
    mail = parsed(outgoing(language="zh-CN", heading=heading, text=CHINESE))
    assert mail["Subject"] == heading
    assert mail["From"].addresses[0].display_name == "示例银行，北京分行"
    assert mail["From"].addresses[0].addr_spec == "care@bank.example"
    assert text_of(mail) == CHINESE


def test_a_language_without_a_name_of_its_own_has_that_of_its_family_then_the_english() -> None:
    composer = Composer(Sender(address="a@b.example", names={"en": "Bank", "zh": "银行"}), domain="b.example")
    assert parsed(outgoing(language="zh-TW"), composer)["From"].addresses[0].display_name == "银行"
    assert parsed(outgoing(language="cs"), composer)["From"].addresses[0].display_name == "Bank"
    nameless = Composer(Sender(address="a@b.example"), domain="b.example")
    assert parsed(outgoing(), nameless)["From"] == "a@b.example"


def test_html_goes_beside_its_text_and_the_text_comes_first() -> None:
    mail = parsed(outgoing(text="Dear customer,\n", html="<p>Žluťoučký kůň</p>\n"))
    assert mail.get_content_type() == "multipart/alternative"
    plain, html = mail.iter_parts()
    assert (plain.get_content_type(), text_of(plain)) == ("text/plain", "Dear customer,\n")
    assert (html.get_content_type(), text_of(html)) == ("text/html", "<p>Žluťoučký kůň</p>\n")


def test_pictures_travel_with_the_html_that_shows_them() -> None:
    mail = parsed(outgoing(html='<img src="cid:logo.png">\n', images=(PIXEL,)))
    plain, related = mail.iter_parts()
    assert plain.get_content_type() == "text/plain"
    assert related.get_content_type() == "multipart/related"
    assert related.get_param("type") == "text/html"
    html, image = related.iter_parts()
    assert text_of(html) == '<img src="cid:logo.png">\n'
    assert image["Content-ID"] == "<logo.png>"
    assert image.get_content_type() == "image/png"
    assert image.get_content_disposition() == "inline"
    assert image.get_content() == PIXEL.data


def test_one_click_unsubscription_has_both_its_headers_where_it_is_due() -> None:
    mail = parsed(outgoing(unsubscribe=UNSUBSCRIBE))
    assert mail["List-Unsubscribe"] == f"<{UNSUBSCRIBE}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    without = parsed(outgoing())
    assert without["List-Unsubscribe"] is None
    assert without["List-Unsubscribe-Post"] is None


def test_who_unsubscribes_by_mail_names_the_message() -> None:
    composer = Composer(BANK, domain="bank.example", mailto="stop@bank.example")
    mail = parsed(outgoing(unsubscribe=UNSUBSCRIBE), composer)
    assert re.sub(r"\s+", "", mail["List-Unsubscribe"]) == (
        f"<{UNSUBSCRIBE}>,<mailto:stop@bank.example?subject=unsubscribe%20{outgoing().id}>"
    )


@pytest.mark.parametrize(
    ("purpose", "bulk"), [("marketing", True), ("care", True), ("service", False), ("regulatory", False)]
)
def test_only_what_nobody_has_to_read_calls_itself_bulk(purpose: str, bulk: bool) -> None:
    mail = parsed(outgoing(purpose=purpose))
    assert (mail["Precedence"] == "bulk") is bulk
    assert (mail["Auto-Submitted"] == "auto-generated") is bulk


def test_mails_return_to_an_address_that_names_the_message() -> None:
    each = Composer(BANK, domain="bank.example", bounce="bounces@bank.example", verp=True)
    fixed = Composer(BANK, domain="bank.example", bounce="bounces@bank.example")
    assert envelope(outgoing(), each).sender == f"bounces+{outgoing().id}@bank.example"
    assert envelope(outgoing(), fixed).sender == "bounces@bank.example"
    assert envelope(outgoing()).sender == "care@bank.example"


def test_answers_go_where_they_are_wanted() -> None:
    composer = Composer(BANK, domain="bank.example", reply_to="ask@bank.example")
    assert parsed(outgoing(), composer)["Reply-To"] == "ask@bank.example"


def test_the_same_message_is_the_same_bytes_and_another_is_not() -> None:
    message = outgoing(text=CHINESE, html="<p>你好</p>", images=(PIXEL,), unsubscribe=UNSUBSCRIBE)
    again = Composer(BANK, domain="bank.example")
    assert envelope(message).content == envelope(message, again).content
    assert envelope(outgoing(2)).content != envelope(outgoing(1)).content


@given(TEXTS, TEXTS)
def test_all_words_arrive_as_they_were(text: str, html: str) -> None:
    ended = [words if words.endswith("\n") else words + "\n" for words in (text, "<p>" + html)]
    mail = parsed(outgoing(text=text, html="<p>" + html))
    assert [text_of(part) for part in mail.iter_parts()] == ended


@given(TEXTS)
def test_no_line_is_longer_than_mail_allows_and_none_breaks_alone(text: str) -> None:
    content = envelope(outgoing(text=text * 50, heading=text * 5)).content
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    assert content.isascii()


def test_a_text_that_quotes_our_boundary_does_not_end_the_mail() -> None:
    text = f"--=_a.{outgoing().id}--\n\nstill here\n"
    plain, html = parsed(outgoing(text=text, html="<p>here too</p>\n")).iter_parts()
    assert text_of(plain) == text
    assert text_of(html) == "<p>here too</p>\n"


BREAKS = st.sampled_from(["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\0", "\r\n\r\n"])


@given(BREAKS, st.sampled_from(["heading", "language", "unsubscribe", "id"]))
def test_nothing_from_outside_begins_another_header(broken: str, where: str) -> None:
    given_: dict[str, Any] = {where: f"https://a{broken}Bcc: all@example.com{broken}\n"}
    made = envelope(outgoing(html="<p>x</p>", **given_))
    head, _, _ = made.content.partition(b"\r\n\r\n")
    assert message_from_bytes(made.content)["Bcc"] is None
    assert b"\nBcc" not in head
    assert b"\nBcc" not in head.replace(b"\r", b"\n")
    assert not re.search(r"[\r\n ]", made.sender + made.recipient + made.id)


@given(BREAKS)
def test_a_name_or_picture_with_a_break_begins_no_header(broken: str) -> None:
    composer = Composer(
        Sender(address="a@b.example", names={"en": f"Bank{broken}Bcc: x@example.com"}), domain="b.example"
    )
    image = Image(f"a{broken}Bcc: b", f"image/png{broken}Bcc: c", b"x")
    mail = message_from_bytes(envelope(outgoing(html="<p>x</p>", images=(image,)), composer).content)
    assert all(part["Bcc"] is None for part in mail.walk())


@pytest.mark.parametrize(
    "address",
    [
        "", "one", "@example.com", "one@", "one@example.com\r\nRCPT TO:<two@example.com>",
        "one two@example.com", "one@example.com>", "<one@example.com>", "one@exa mple.com", "one@a@b.example",
        "one,two@example.com",
        "one@example.com\0", "o\u2028ne@example.com", "x" * 250 + "@example.com",
        "one@" + "ä" * 70 + ".example",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_gets_no_mail(address: str) -> None:
    assert COMPOSER.envelope(outgoing(address=address)) is None


def test_a_domain_of_other_letters_is_written_as_the_net_knows_it() -> None:
    assert mailbox("jana@banka-košice.example") == "jana@xn--banka-koice-nhc.example"
    made = envelope(outgoing(address="李@例子.example"))
    assert made.recipient == "李@xn--fsqu00a.example"
    assert made.utf8
    assert not envelope(outgoing(address="jana@例子.example")).utf8


@pytest.mark.parametrize("where", ["address", "reply_to", "bounce", "mailto", "domain"])
def test_an_address_of_the_settings_that_is_none_is_refused(where: str) -> None:
    bad = "bank.example\r\nBcc: x" if where == "domain" else "care@bank.example\r\nBcc: x@example.com"
    given_: dict[str, Any] = {"domain": "bank.example", where: bad}
    sender = Sender(address=given_.pop("address", "care@bank.example"))
    with pytest.raises(InputRefused) as refused:
        Composer(sender, **given_)
    assert refused.value.code == "mail.bad_address"
