"""Unsubscribing: one click, one button, nothing by a GET, and back by the same page only."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.catalogue import CustomerMerged, CustomFact, Envelope
from support.facts import erased, granted, registered, withdrawn
from support.scenario import envelope
from support.service import MORNING, PUBLIC, Service, asks, bank_with_message, serving
from tidings.links import Opened

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
HOUR = timedelta(hours=1)
BUTTON = {"action": "unsubscribe"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    bank, _ = bank_with_message(tmp_path)
    with serving(bank) as found:
        yield found


def link_of(service: Service, channel: str = "email") -> str:
    (entry,) = service.bank.ledger()
    return service.links.unsubscribe(entry.id, "c-1", channel)


def words(service: Service) -> list[tuple[str, str, str, str, str]]:
    """Kind, purpose, channel, topic and provenance of each word that waits."""
    return [
        (kind.partition("/")[0], body["purpose"], body["channel"], body["topic"], body["provenance"])
        for kind, _, body in service.waiting()
    ]


def undo_of(answer: Any) -> dict[str, str]:
    """What the page's undo button sends."""
    found = re.search(r'name="undo" value="([^"]+)"', answer.text)
    assert found is not None
    return {"action": "undo", "undo": html.unescape(found[1])}


# RFC 8058 section 8.1, the simple example; the two of section 8.3 are the body as printed, whose boundary
# lacks the dashes that multipart wants, and as errata 5117 mend it.
PRINTED = (
    b"---FormBoundaryjWmhtjORrn\r\n"
    b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
    b"One-Click\r\n---FormBoundaryjWmhtjORrn--"
)
EXAMPLES = [
    ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
    ("multipart/form-data; boundary=---FormBoundaryjWmhtjORrn", PRINTED),
    ("multipart/form-data; boundary=-FormBoundaryjWmhtjORrn", PRINTED + b"\r\n"),
    ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click\r\n"),
    ("text/plain", b"List-Unsubscribe=One-Click"),
]
SAYS_NOTHING = [
    b"",
    b"x",
    b"List-Unsubscribe=Two-Click",
    b"action=delete",
    b"&" * 5_000,
    b"\xff--",
    b"--\r\nOne-Click",
]
TAGS = [
    ("zh-Hans-CN,en;q=0.5", "zh-CN"),
    ("fr, en;q=0.3, zh;q=0.8", "zh-CN"),
    ("zh;q=0", "en"),
    ("", "en"),
    (";;q=x", "en"),
]


def test_the_printed_example_is_as_long_as_it_says() -> None:
    assert len(PRINTED) == 124


@pytest.mark.parametrize(("content_type", "body"), EXAMPLES)
def test_a_mail_program_unsubscribes_with_one_click(service: Service, content_type: str, body: bytes) -> None:
    answer = service.post(link_of(service), content=body, headers={"content-type": content_type})
    assert answer.status_code == 200
    assert words(service) == [("consent.withdrawn", "marketing", "email", "*", "one-click")]
    assert service.waiting()[0][2]["captured_through"] == "mail program"


def test_a_mail_program_in_a_browser_may_be_of_another_site(service: Service) -> None:
    headers = {"origin": "https://mail.example", "sec-fetch-site": "cross-site"}
    assert service.post(link_of(service), data=ONE_CLICK, headers=headers).status_code == 200
    assert len(words(service)) == 1


def test_nothing_more_of_the_kind_is_sent_afterwards(service: Service) -> None:
    service.post(link_of(service), data=ONE_CLICK)
    service.run()
    service.bank.publish(asks("again", "marketing"))
    ask = CustomFact(source="/test", id="again")
    service.bank.take([Envelope("x.again/1", "c-1", service.now + HOUR, ask)])
    service.now += 2 * HOUR
    service.run()
    _, entry = service.bank.ledger()
    assert (entry.status, entry.reason) == ("suppressed", "consent_withdrawn")
    assert service.bank.verify().ok


def test_a_get_or_head_changes_nothing(service: Service) -> None:
    link = link_of(service)
    before = service.whole()
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
        answer = service.client.request(method, service.path(link))
        assert answer.status_code == (200 if method in ("GET", "HEAD") else 405)
    assert service.whole() == before


def test_said_over_and_over_it_is_one_fact(service: Service) -> None:
    for later in range(3):
        service.now = MORNING + later * HOUR
        assert service.post(link_of(service), data=ONE_CLICK).status_code == 200
        assert service.post(link_of(service), data=BUTTON).status_code == 200
    assert len(words(service)) == 1
    service.run()
    service.post(link_of(service), data=ONE_CLICK)
    assert (words(service), service.dead_letters()) == ([], [])


def test_the_button_says_what_it_did_and_offers_the_way_back(service: Service) -> None:
    page = service.get(link_of(service))
    assert "offers and news by e-mail" in page.text
    assert '<form method="post">' in page.text
    done = service.post(link_of(service), data=BUTTON)
    assert "You are unsubscribed" in done.text
    assert service.links.preferences("c-1") in done.text
    service.now += HOUR
    undone = service.post(link_of(service), data=undo_of(done), headers={"sec-fetch-site": "same-origin"})
    assert "Everything is as it was" in undone.text
    assert words(service) == [
        ("consent.withdrawn", "marketing", "email", "*", "unsubscribe page"),
        ("consent.granted", "marketing", "email", "*", "undo on the unsubscribe page"),
    ]
    texts = [body["text_version"] for _, _, body in service.waiting()]
    assert all(text.startswith("unsubscribe/en/") for text in texts)


def test_after_an_undo_the_same_link_unsubscribes_anew(service: Service) -> None:
    done = service.post(link_of(service), data=BUTTON)
    service.now += HOUR
    service.post(link_of(service), data=undo_of(done))
    service.now += HOUR
    service.post(link_of(service), data=ONE_CLICK)
    assert [word[0] for word in words(service)] == [
        "consent.withdrawn", "consent.granted", "consent.withdrawn",
    ]  # fmt: skip


def test_an_undo_gives_back_no_more_than_there_was(tmp_path: Path) -> None:
    """Who agreed to one topic and not to another gets that one back, and not all."""
    early = MORNING - 2 * HOUR
    told = [
        envelope("c-1", early, withdrawn(channel="email", topic="*")),
        envelope("c-1", early, granted(channel="email", topic="offers")),
        envelope("c-1", early, withdrawn(channel="email", topic="cards")),
    ]
    bank, _ = bank_with_message(tmp_path, told=told)
    with serving(bank) as service:
        done = service.post(link_of(service), data=BUTTON)
        service.now += HOUR
        service.post(link_of(service), data=undo_of(done))
        assert words(service)[1:] == [
            ("consent.granted", "marketing", "email", "offers", "undo on the unsubscribe page")
        ]


def test_one_click_offers_no_way_back(service: Service) -> None:
    assert 'name="undo"' not in service.post(link_of(service), data=ONE_CLICK).text


def test_an_undo_of_another_site_time_or_link_changes_nothing(service: Service) -> None:
    undo = undo_of(service.post(link_of(service), data=BUTTON))
    before = service.whole()
    link = link_of(service)
    foreign = service.post(link, data=undo, headers={"origin": "https://evil.example"})
    cross = service.post(link, data=undo, headers={"origin": PUBLIC, "sec-fetch-site": "cross-site"})
    assert (foreign.status_code, cross.status_code) == (403, 403)
    made_up = {"action": "undo", "undo": link.rpartition("/")[2]}
    assert service.post(link, data=made_up).status_code == 404
    assert service.post(link_of(service, "sms"), data=undo).status_code == 404
    service.now += 25 * HOUR
    assert service.post(link, data=undo).status_code == 410
    assert service.whole() == before


@pytest.mark.parametrize(
    "body", [b"", b"x", b"List-Unsubscribe=Two-Click", b"action=delete", b"&" * 5_000, b"\xff--"]
)
def test_a_post_that_says_nothing_changes_nothing(service: Service, body: bytes) -> None:
    before = service.whole()
    assert service.post(link_of(service), content=body).status_code == 400
    assert service.whole() == before


@pytest.mark.parametrize(("purpose", "said"), [("care", ["care"]), ("service", ["marketing", "care"])])
def test_what_is_withdrawn_is_the_purpose_of_the_message(
    tmp_path: Path, purpose: str, said: list[str]
) -> None:
    """From a message that must be sent, all that can be said no to."""
    bank, _ = bank_with_message(tmp_path, purpose=purpose)
    with serving(bank) as service:
        service.post(link_of(service), data=ONE_CLICK)
        assert sorted(word[1] for word in words(service)) == sorted(said)


def test_a_message_that_nobody_knows_any_more_unsubscribes_all_the_same(service: Service) -> None:
    link = service.links.unsubscribe("archived long ago", "c-1", "email")
    assert service.post(link, data=ONE_CLICK).status_code == 200
    assert sorted(word[1] for word in words(service)) == ["care", "marketing"]


def test_customers_read_their_own_language(tmp_path: Path) -> None:
    bank, _ = bank_with_message(tmp_path, language="zh-CN")
    with serving(bank) as service:
        page = service.get(link_of(service), headers={"accept-language": "en"})
        assert '<html lang="zh-CN">' in page.text
        assert "退订" in page.text
        assert page.headers["content-language"] == "zh-CN"


@pytest.mark.parametrize(("accepted", "language"), TAGS)
def test_a_customer_of_another_language_is_asked_by_the_browser(
    tmp_path: Path, accepted: str, language: str
) -> None:
    bank, _ = bank_with_message(tmp_path, language="cs")
    with serving(bank) as service:
        page = service.get(link_of(service), headers={"accept-language": accepted})
        assert f'<html lang="{language}">' in page.text


def test_a_link_that_is_not_ours_is_told_so_on_a_page(service: Service) -> None:
    before = service.whole()
    for token in ("forged", link_of(service).rpartition("/")[2][:-1], "a" * 5_000):
        for answer in (service.client.get(f"/u/{token}"), service.client.post(f"/u/{token}", data=ONE_CLICK)):
            assert answer.status_code == 404
            assert answer.headers["content-type"].startswith("text/html")
            assert "This link is not valid" in answer.text
    assert service.whole() == before


def test_a_customer_of_another_store_is_answered_404(service: Service) -> None:
    link = service.links.unsubscribe("m", "nobody", "email")
    assert service.get(link).status_code == service.post(link, data=ONE_CLICK).status_code == 404


def test_an_erased_customer_can_still_say_no(tmp_path: Path) -> None:
    bank, _ = bank_with_message(tmp_path)
    bank.take([envelope("c-1", MORNING, erased())])
    bank.run(MORNING)
    with serving(bank) as service:
        assert service.post(link_of(service), data=ONE_CLICK).status_code == 200


def test_an_old_link_works_for_who_the_customer_is_now(tmp_path: Path) -> None:
    """Two records of one person were made one: it is the other one who is written to."""
    early = MORNING - 2 * HOUR
    told = [envelope("c-2", early, registered()), envelope("c-2", early, granted())]
    bank, _ = bank_with_message(tmp_path, told=told)
    bank.take([envelope("c-1", MORNING, CustomerMerged(source="/test", id="merged", into="c-2"))])
    bank.run(MORNING)
    with serving(bank) as service:
        answer = service.post(link_of(service), data=ONE_CLICK)
        assert [(kind, who) for kind, who, _ in service.waiting()] == [("consent.withdrawn/1", "c-2")]
        assert service.links.preferences("c-2") in answer.text


def test_a_large_form_is_refused(service: Service) -> None:
    assert service.post(link_of(service), content=b"x" * 70_000).status_code == 413


def test_names_in_links_are_never_read_as_html(tmp_path: Path) -> None:
    bank, _ = bank_with_message(tmp_path)
    with serving(bank) as service:
        wicked = '"><script>alert(1)</script>'
        page = (
            service.client.get("/u/" + wicked).text
            + service.get(service.links.unsubscribe(wicked, "c-1", "sms")).text
        )
        assert "<script" not in page
        undo = service.links.undo(Opened(wicked, "c-1", "email"))
        assert "<" not in undo
