"""A message in a browser is the one that was sent, word for word, whatever has changed since."""

from datetime import timedelta
from pathlib import Path

import pytest

from domain.catalogue import CustomerChanged, CustomFact, Envelope
from journeys.definition import Journey
from support.asking import SHIPPED, asks
from support.bank import Bank
from support.facts import registered
from support.scenario import envelope
from support.service import MORNING, Service, bank_with_message, serving
from templates.model import Content, Picture, Push, Template
from tidings.documents import Documents

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
LETTER = Template(
    template="letter",
    version=1,
    promotional=False,
    variables=("given_name",),
    images={"dot": Picture(media_type="image/png", base64=DOT)},
    languages={
        "en": Content(
            subject="A letter",
            html='<html><body><p>Dear {{ given_name }}, <img src="cid:dot" alt="a dot"> '
            '<a href="https://bank.example/a?b=1&amp;c=2">look</a></p></body></html>',
            sms="Dear {{ given_name }}",
            push=Push(title="A letter", body="Dear {{ given_name }}"),
        )
    },
)


def link_of(service: Service, message: str) -> str:
    return service.links.view(message).removeprefix(service.links.public_url)


def renamed(name: str) -> CustomerChanged:
    return CustomerChanged(source="/test", id="renamed", given_name=name)


@pytest.fixture
def letter(tmp_path: Path) -> tuple[Bank, str]:
    """A bank that has sent its letter to Jana, who is called Eva now."""
    journey: Journey = asks("care", template="letter")
    bank = Bank(tmp_path, documents=Documents([journey], [LETTER], SHIPPED.policy, SHIPPED.calendars))
    before = MORNING - timedelta(hours=1)
    ask = Envelope("x.care/1", "c-1", MORNING, CustomFact(source="/test", id="ask"))
    assert bank.take([envelope("c-1", before, registered(given_name="Jana")), ask]).refused == []
    bank.run(MORNING)
    assert bank.take([envelope("c-1", MORNING, renamed("Eva"))]).refused == []
    bank.run(MORNING + timedelta(hours=1))
    (entry,) = bank.ledger()
    return bank, entry.id


def test_it_is_shown_as_it_was_sent_with_its_pictures_and_links_of_the_customer(
    letter: tuple[Bank, str],
) -> None:
    bank, message = letter
    with serving(bank) as service:
        shown = service.client.get(link_of(service, message))
        assert shown.status_code == 200
        assert "Dear Jana" in shown.text
        assert f"data:image/png;base64,{DOT}" in shown.text
        assert service.links.public_url + "/l/" in shown.text
        assert "links.invalid" not in shown.text
        policy = shown.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy


def test_a_message_of_words_only_is_a_page(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        shown = service.client.get(link_of(service, message))
        assert shown.status_code == 200
        assert "Your bank" in shown.text


def test_what_no_link_of_ours_leads_to_is_not_shown(letter: tuple[Bank, str]) -> None:
    bank, message = letter
    with serving(bank) as service:
        assert service.client.get("/view/made-up").status_code == 404
        other = link_of(service, "00000000-0000-5000-8000-000000000001")
        assert service.client.get(other).status_code == 404
        # A link of another kind does not open this one.
        unsubscribe = service.links.unsubscribe(message, "c-1", "email").rpartition("/")[2]
        assert service.client.get(f"/view/{unsubscribe}").status_code == 404


def test_looking_changes_nothing(letter: tuple[Bank, str]) -> None:
    bank, message = letter
    before = bank.histories()
    with serving(bank) as service:
        service.client.get(link_of(service, message))
    assert bank.histories() == before
    assert bank.sql("SELECT count(*) FROM inbox") == [(0,)]
