"""Tracked links: scanners change nothing, people get where the link leads, and nobody anywhere else."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.service import KEY, PUBLIC, Service, bank_with_message, serving
from tidings.links import LinkKeys, Links

TARGET = "https://www.bank.example/offers?a=1&b=%20c"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    bank, _ = bank_with_message(tmp_path)
    with serving(bank) as found:
        yield found


def link_of(service: Service, target: str = TARGET, number: int = 1) -> str:
    (entry,) = service.bank.ledger()
    return service.links.tracked(entry.id, number, target)


class Page(HTMLParser):
    """The tags of a page, each with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_scanner_that_follows_every_link_changes_nothing(service: Service) -> None:
    link = link_of(service)
    before = service.whole()
    for method in ("GET", "HEAD", "OPTIONS"):
        for agent in ("Mozilla/5.0", "scanner", ""):
            service.client.request(method, service.path(link), headers={"user-agent": agent})
    assert service.whole() == before


def test_a_get_shows_where_the_link_leads_and_goes_there_by_its_script_or_button(service: Service) -> None:
    answer = service.get(link_of(service))
    page = Page(answer.text)
    assert [a["href"] for a in page.all("a")] == [TARGET]
    assert [form["method"] for form in page.all("form")] == ["post"]
    (script,) = page.all("script")
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'nonce-{script['nonce']}'" in policy
    assert "connect-src 'self'" in policy
    # Else a browser would not follow the button's redirection.
    assert "form-action 'self' https://www.bank.example;" in policy


def test_a_click_is_counted_once_for_each_link_and_leads_on(service: Service) -> None:
    for _ in range(3):
        answer = service.post(link_of(service))
        assert (answer.status_code, answer.headers["location"]) == (303, TARGET)
    service.post(link_of(service, "https://www.bank.example/other", 2))
    (entry,) = service.bank.ledger()
    assert [(kind, who, body["message"], body["link"]) for kind, who, body in service.waiting()] == [
        ("message.clicked/1", "c-1", entry.id, TARGET),
        ("message.clicked/1", "c-1", entry.id, "https://www.bank.example/other"),
    ]
    service.run()
    assert service.bank.verify().ok


def test_a_long_target_is_followed_whole_and_recorded_as_far_as_there_is_room(service: Service) -> None:
    target = "https://www.bank.example/" + "x" * 1_500
    assert service.post(link_of(service, target)).headers["location"] == target
    assert service.waiting()[0][2]["link"] == target[:200]
    service.run()
    assert service.bank.verify().ok


def test_nobody_is_led_anywhere_by_a_link_that_is_not_ours(service: Service) -> None:
    theirs = Links(PUBLIC, LinkKeys([KEY[::-1]])).tracked("m-1", 1, "https://evil.example/")
    before = service.whole()
    for link in (theirs, link_of(service) + "A", f"{PUBLIC}/l/https:%2F%2Fevil.example"):
        for answer in (service.get(link), service.post(link)):
            assert answer.status_code == 404
            assert "location" not in answer.headers
            assert "evil.example" not in answer.text
    ours = service.post(link_of(service) + "?to=https://evil.example")
    assert ours.headers["location"] == TARGET
    assert service.whole() != before


def test_a_click_on_a_message_that_nobody_knows_leads_on_and_is_noted(service: Service) -> None:
    answer = service.post(service.links.tracked("no-such-message", 1, TARGET))
    assert answer.headers["location"] == TARGET
    assert service.waiting() == []
    assert [letter[:2] for letter in service.dead_letters()] == [("links", "receipt.unknown_message")]


def test_people_get_there_even_while_nothing_can_be_counted(service: Service) -> None:
    link = link_of(service)
    service.bank.sql("DROP TABLE fact_keys")
    assert service.post(link).headers["location"] == TARGET


@pytest.mark.parametrize(
    "target",
    [
        'https://bank.example/"><script>alert(1)</script>',
        "https://bank.example/';alert(1)//",
        "https://bank.example/</a><img src=x onerror=alert(1)>",
        "https://bank.example/%0d%0aset-cookie:a=b\r\nx: y",
        "https://bank.example;script-src *;/",
        "https://user:secret@bank.example/",
        "https://银行.example/优惠",
    ],
)
def test_a_target_is_never_read_as_anything_but_an_address(service: Service, target: str) -> None:
    link = link_of(service, target)
    answer = service.get(link)
    page = Page(answer.text)
    assert [a["href"] for a in page.all("a")] == [target]
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    policy = answer.headers["content-security-policy"]
    assert policy.count("script-src") == 1
    assert "secret" not in policy
    posted = service.post(link)
    assert posted.status_code == 303
    assert {"set-cookie", "x"} & set(posted.headers) == set()


def test_old_links_are_followed_after_the_key_was_changed(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    old = Links(PUBLIC, LinkKeys([KEY])).tracked(message, 1, TARGET)
    with serving(bank, links=Links(PUBLIC, LinkKeys([KEY[::-1], KEY]))) as service:
        assert service.post(old).headers["location"] == TARGET
        assert len(service.waiting()) == 1
