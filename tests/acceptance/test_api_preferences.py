"""The preference page: what stands is shown, each change is one fact, and nothing else changes."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from audit.replay import replay
from domain.consent import latest_word
from support.facts import erased, granted, withdrawn
from support.scenario import envelope
from support.service import MORNING, PUBLIC, Service, bank_with_message, serving

HOUR = timedelta(hours=1)
OURS = {"origin": PUBLIC, "sec-fetch-site": "same-origin"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    bank, _ = bank_with_message(tmp_path)
    with serving(bank) as found:
        yield found


class Form(HTMLParser):
    """What a browser without scripts would send from a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.on: list[str] = []
        self.labels = 0
        self.boxes = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.labels += tag == "label"
        if tag == "input" and given.get("name") == "was":
            self.shown.append(str(given["value"]))
        if tag == "input" and given.get("type") == "checkbox":
            self.boxes += 1
            if "checked" in given:
                self.on.append(str(given["value"]))

    def with_(self, *, on: tuple[str, ...] = (), off: tuple[str, ...] = ()) -> dict[str, list[str]]:
        """The fields after boxes were ticked and unticked."""
        return {"was": self.shown, "on": [*(value for value in self.on if value not in off), *on]}


def shown(service: Service, **given: Any) -> Form:
    answer = service.get(service.links.preferences("c-1"), **given)
    assert answer.status_code == 200
    return Form(answer.text)


def choose(service: Service, fields: dict[str, list[str]], **headers: str) -> Any:
    return service.post(service.links.preferences("c-1"), data=fields, headers={**OURS, **headers})


def words(service: Service) -> list[tuple[str, str, str, str]]:
    return [
        (kind.partition("/")[0].partition(".")[2], body["purpose"], body["channel"], body["topic"])
        for kind, _, body in service.waiting()
    ]


def test_what_stands_is_shown(service: Service) -> None:
    """Consent to marketing was given by e-mail only; care is sent unless the customer says no."""
    form = shown(service)
    assert form.on == ["marketing/email/*", "care/email/*", "care/sms/*", "care/push/*"]
    assert len(form.shown) == form.labels == form.boxes == 6


def test_each_change_is_one_fact_with_what_it_rests_on(service: Service) -> None:
    fields = shown(service).with_(on=("marketing/sms/*",), off=("care/email/*",))
    answer = choose(service, fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "?lang=en&saved=1")
    assert sorted(words(service)) == [
        ("granted", "marketing", "sms", "*"),
        ("withdrawn", "care", "email", "*"),
    ]
    for _, customer, body in service.waiting():
        assert customer == "c-1"
        assert (body["source"], body["provenance"]) == ("preferences", "preference page")
        assert body["captured_through"] == "web"
        assert re.fullmatch(r"preferences/en/[0-9a-f]{16}", body["text_version"])


def test_choices_are_shown_before_and_after_they_are_decided_on(service: Service) -> None:
    choose(service, shown(service).with_(off=("marketing/email/*",)))
    expected = ["care/email/*", "care/sms/*", "care/push/*"]
    assert shown(service).on == expected
    service.run()
    assert service.waiting() == []
    assert shown(service).on == expected


def test_saving_what_is_shown_changes_nothing(service: Service) -> None:
    before = service.whole()
    assert choose(service, shown(service).with_()).status_code == 303
    assert service.whole() == before


def test_a_form_sent_twice_counts_once(service: Service) -> None:
    fields = shown(service).with_(on=("marketing/sms/*",))
    for _ in range(3):
        choose(service, fields)
        service.now += HOUR
    assert words(service) == [("granted", "marketing", "sms", "*")]
    assert service.dead_letters() == []


def test_a_page_left_open_takes_nothing_back_that_was_said_elsewhere(service: Service) -> None:
    """The box for e-mail was ticked when the page was shown; since then the customer unsubscribed."""
    old = shown(service)
    (entry,) = service.bank.ledger()
    one_click = {"List-Unsubscribe": "One-Click"}
    service.post(service.links.unsubscribe(entry.id, "c-1", "email"), data=one_click)
    choose(service, old.with_(on=("marketing/sms/*",)))
    assert sorted(words(service)) == [
        ("granted", "marketing", "sms", "*"),
        ("withdrawn", "marketing", "email", "*"),
    ]


def test_topics_are_chosen_where_the_customer_had_words_on_them(tmp_path: Path) -> None:
    told = [envelope("c-1", MORNING - 2 * HOUR, granted(channel="email", topic="funds"))]
    bank, _ = bank_with_message(tmp_path, told=told)
    with serving(bank) as service:
        form = shown(service)
        assert "marketing/email/funds" in form.on
        # Nothing by e-mail any more, but the one topic.
        choose(service, form.with_(off=("marketing/email/*",)))
        assert words(service) == [
            ("withdrawn", "marketing", "email", "*"),
            ("granted", "marketing", "email", "funds"),
        ]
        service.run()
        customer = replay(service.tidings.history, "c-1").customer
        stands = {
            topic: word is not None and word.granted
            for topic in ("funds", "cards")
            for word in [latest_word(customer.consents, purpose="marketing", channel="email", topic=topic)]
        }
        assert stands == {"funds": True, "cards": False}


def test_a_word_for_every_channel_is_shown_for_each(tmp_path: Path) -> None:
    told = [envelope("c-1", MORNING - HOUR, withdrawn(purpose="care", channel="*"))]
    bank, _ = bank_with_message(tmp_path, told=told)
    with serving(bank) as service:
        assert shown(service).on == ["marketing/email/*"]
        choose(service, shown(service).with_(on=("care/sms/*",)))
        assert shown(service).on == ["marketing/email/*", "care/sms/*"]


def test_what_the_law_and_contracts_ask_for_is_told_with_its_reason(service: Service) -> None:
    page = service.get(service.links.preferences("c-1")).text
    assert "Always sent" in page
    assert "part of what you have agreed with us" in page
    assert "the law obliges us" in page


def test_the_page_speaks_both_languages(tmp_path: Path) -> None:
    bank, _ = bank_with_message(tmp_path, language="zh-CN")
    with serving(bank) as service:
        link = service.links.preferences("c-1")
        chinese, english = service.get(link), service.get(link + "?lang=en")
        assert '<html lang="zh-CN">' in chinese.text
        assert "您希望收到哪些消息" in chinese.text
        assert '<html lang="en">' in english.text
        assert 'href="?lang=zh-CN"' in english.text
        answer = service.post(
            link + "?lang=en", data=shown(service).with_(on=("marketing/sms/*",)), headers=OURS
        )
        assert answer.headers["location"] == "?lang=en&saved=1"
        assert service.waiting()[0][2]["text_version"].startswith("preferences/en/")
        assert "web." not in chinese.text + english.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": PUBLIC, "sec-fetch-site": "same-site"},
        {"origin": "https://care.bank.example.evil.example"},
        {"origin": "http://care.bank.example"},
    ],
)
def test_a_form_of_another_page_changes_nothing(service: Service, headers: dict[str, str]) -> None:
    fields = shown(service).with_(on=("marketing/sms/*",))
    before = service.whole()
    answer = service.post(service.links.preferences("c-1"), data=fields, headers=headers)
    assert answer.status_code == 403
    assert service.whole() == before


@pytest.mark.parametrize("headers", [{}, {"origin": "null"}, {"origin": PUBLIC}])
def test_an_old_browser_can_choose(service: Service, headers: dict[str, str]) -> None:
    fields = shown(service).with_(on=("marketing/sms/*",))
    assert service.post(service.links.preferences("c-1"), data=fields, headers=headers).status_code == 303
    assert len(words(service)) == 1


@pytest.mark.parametrize(
    ("was", "on"),
    [
        ("0/service/email/*", "service/email/*"),
        ("1/regulatory/email/*", ""),
        ("0/marketing/fax/*", "marketing/fax/*"),
        ("0/marketing/email/invented", "marketing/email/invented"),
        ("0/marketing/email/" + "x" * 300, "marketing/email/" + "x" * 300),
        ("", "marketing/sms/*"),
        ("nonsense", "nonsense"),
    ],
)
def test_what_was_not_offered_cannot_be_chosen(service: Service, was: str, on: str) -> None:
    before = service.whole()
    choose(service, {"was": [was], "on": [on]})
    assert service.whole() == before


@pytest.mark.parametrize("body", [b"", b"&".join([b"on=a"] * 600), b"x" * 70_000])
def test_a_form_that_is_none_is_refused(service: Service, body: bytes) -> None:
    answer = service.post(service.links.preferences("c-1"), content=body, headers=OURS)
    assert answer.status_code in (400, 413)
    assert service.waiting() == []


def test_a_get_or_head_changes_nothing(service: Service) -> None:
    before = service.whole()
    path = service.path(service.links.preferences("c-1"))
    for method in ("GET", "HEAD"):
        for query in ("", "?lang=zh-CN&saved=1", "?on=marketing/sms/*&was=0/marketing/sms/*"):
            assert service.client.request(method, path + query).status_code == 200
    assert service.whole() == before


def test_who_is_gone_has_nothing_to_choose(tmp_path: Path) -> None:
    bank, _ = bank_with_message(tmp_path)
    with serving(bank) as service:
        form = shown(service)
        bank.take([envelope("c-1", MORNING, erased())])
        service.run()
        assert shown(service).boxes == 0
        choose(service, form.with_(on=("marketing/sms/*",)))
        assert service.waiting() == []


def test_a_number_that_answered_stop_is_told_so(tmp_path: Path) -> None:
    from channels.provider import Receipt

    bank, _ = bank_with_message(tmp_path)
    with serving(bank) as service:
        service.contacts.known[("sms", "+420601000001")] = ["c-1"]
        service.calls_back(Receipt(told="opted_out", key="r", channel="sms", address="+420601000001"))
        service.run()
        assert "you answered STOP" in html.unescape(service.get(service.links.preferences("c-1")).text)


def test_neither_name_nor_address_is_shown_to_who_has_the_link(tmp_path: Path) -> None:
    bank, _ = bank_with_message(tmp_path, given_name="Wilhelmina", family_name="Novak")
    with serving(bank) as service:
        page = service.get(service.links.preferences("c-1")).text
        assert not [word for word in ("Wilhelmina", "Novak", "one@example.com", "+420") if word in page]


def test_a_topic_is_never_read_as_html(tmp_path: Path) -> None:
    topic = "\"><script>alert('x')</script>&amp;"
    told = [envelope("c-1", MORNING - 2 * HOUR, granted(channel="email", topic=topic))]
    bank, _ = bank_with_message(tmp_path, told=told)
    with serving(bank) as service:
        page = service.get(service.links.preferences("c-1"))
        assert "<script" not in page.text
        assert "script-src" not in page.headers["content-security-policy"]
        form = Form(page.text)
        assert f"marketing/email/{topic}" in form.on
        choose(service, form.with_(off=(f"marketing/email/{topic}",)))
        assert words(service) == [("withdrawn", "marketing", "email", topic)]


def test_only_the_nonce_of_this_page_lets_its_style_in(service: Service) -> None:
    pages = [service.get(service.links.preferences("c-1")) for _ in range(2)]
    nonces = [re.findall(r'nonce="([^"]+)"', page.text) for page in pages]
    for page, (nonce,) in zip(pages, nonces, strict=True):
        assert f"style-src 'nonce-{nonce}'" in page.headers["content-security-policy"]
    assert nonces[0] != nonces[1]
