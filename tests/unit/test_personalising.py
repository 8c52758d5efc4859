"""What leaves has the customer's own links, and what is asked about has the same words."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest

from channels.base import Accepted, Answer, Outcome, Outgoing
from domain.catalogue import Purpose
from support.channel_contract import outgoing
from templates.links import PREFERENCES, UNSUBSCRIBE, VIEW
from tidings.links import Kind, LinkKeys, Links
from tidings.personalising import Personal

LINKS = Links("https://care.bank.example", LinkKeys(["a key of more than thirty-two characters"]))
TEXT = f"Leave: {UNSUBSCRIBE} Choose: {PREFERENCES} Read: {VIEW}\n"
HTML = f'<a href="https://bank.example/?a=1&amp;b=2">Offer</a><a href="{UNSUBSCRIBE}">Leave</a>'


class Behind:
    """Notes what comes through."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.asked: list[Outgoing] = []
        self.closed = 0

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        self.sent += messages
        return [Accepted(message.id) for message in messages]

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        self.asked += messages
        return [Accepted(message.id) for message in messages]

    async def close(self) -> None:
        self.closed += 1


def message(purpose: Purpose = "marketing", *, number: int = 1, customer: str = "c-1") -> Outgoing:
    return outgoing(number, purpose=purpose, customer=customer, text=TEXT, html=HTML)


def sent(*messages: Outgoing) -> list[Outgoing]:
    behind = Behind()
    outcomes = asyncio.run(Personal(behind, LINKS).send(messages))
    assert outcomes == [Accepted(message.id) for message in messages]
    return behind.sent


def said(kind: Kind, url: str) -> tuple[str, str]:
    """The message and the customer that a link names."""
    opened = LINKS.opened(kind, urlsplit(url).path.rpartition("/")[2])
    return opened.message, opened.customer


def test_every_link_is_the_customers_own() -> None:
    first, second = sent(message(number=1, customer="c-1"), message(number=2, customer="c-2"))
    for left, customer in ((first, "c-1"), (second, "c-2")):
        _, leave, _, choose, _, read = left.text.split()
        assert said("unsubscribe", leave) == (left.id, customer)
        assert said("preferences", choose) == ("", customer)
        assert said("view", read) == (left.id, "")
        assert said("unsubscribe", left.unsubscribe) == (left.id, customer)
        assert "links.invalid" not in left.text + left.html


def test_links_of_the_mail_are_counted_and_lead_where_they_led() -> None:
    (left,) = sent(message())
    url = left.html.partition('href="')[2].partition('"')[0]
    assert LINKS.opened("tracked", url.rpartition("/")[2]).target == "https://bank.example/?a=1&b=2"
    assert left.unsubscribe in left.html


@pytest.mark.parametrize(
    ("purpose", "can_be_left"),
    [("marketing", True), ("care", True), ("service", False), ("regulatory", False)],
)
def test_what_must_be_said_cannot_be_left_by_one_click(purpose: Purpose, can_be_left: bool) -> None:
    (left,) = sent(message(purpose))
    assert bool(left.unsubscribe) == can_be_left


def test_nothing_else_of_a_message_changes() -> None:
    given = outgoing(
        customer="c-1", text="No link.\n", purpose="service", refused_by=("one",), in_doubt="two"
    )
    assert sent(given) == [given]


def test_the_same_words_are_asked_about_as_left() -> None:
    behind = Behind()
    personal = Personal(behind, LINKS)

    async def crash_between() -> None:
        await personal.send([message()])
        await personal.ask([message()])
        await personal.close()

    asyncio.run(crash_between())
    assert behind.asked == behind.sent
    assert behind.closed == 1
