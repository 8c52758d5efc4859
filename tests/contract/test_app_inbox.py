"""The inbox in the app keeps the contract of a channel in full, and shows what is theirs and not over."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from channels.base import Accepted, Rejected, Unknown
from channels.inbox import InAppInbox
from channels.provider import Callback
from domain.errors import InputRefused
from stores.app_inbox import StoredMailbox
from stores.database import connect, open_store
from support.bank import Bank
from support.channel_contract import NOW, ChannelContract, outgoing
from support.facts import at, erased, registered
from support.postgres import fresh_database
from support.scenario import envelope

NEW_YEAR = at("2026-01-01 12:00")


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(tmp_path: Path, request: pytest.FixtureRequest) -> Bank:
    url = fresh_database() if request.param == "postgresql" else None
    bank = Bank(tmp_path, partitions=3, url=url)
    bank.take([envelope(name, NEW_YEAR, registered()) for name in ("one@example.com", "c-1", "c-2")])
    return bank


@pytest.fixture
def engine(bank: Bank) -> Engine:
    return open_store(bank.settings.store)


@pytest.fixture
def mailbox(engine: Engine) -> StoredMailbox:
    return StoredMailbox(engine)


class TestInAppInbox(ChannelContract):
    """The contract, kept by tables of either database; the contract's address is a customer here."""

    @pytest.fixture
    def channel(self, mailbox: StoredMailbox) -> InAppInbox:
        return InAppInbox("app", mailbox)


def put(mailbox: StoredMailbox, number: int, customer: str = "c-1", **given: object) -> None:
    message = outgoing(number, channel="inbox", address=customer, customer=customer, **given)
    (outcome,) = asyncio.run(InAppInbox("app", mailbox).send([message]))
    assert outcome == Accepted(f"app/{message.id}", "app")


def shown(mailbox: StoredMailbox, customer: str = "c-1", *, after: timedelta = timedelta()) -> list[str]:
    return [letter.message for letter in mailbox.letters(customer, NOW + after)]


def test_the_newest_stands_first_and_each_sees_their_own(mailbox: StoredMailbox) -> None:
    put(mailbox, 1, heading="Hello \x00", text="您好")
    put(mailbox, 2, at=NOW + timedelta(hours=1))
    put(mailbox, 3, "c-2")
    assert shown(mailbox) == [outgoing(2).id, outgoing(1).id]
    assert shown(mailbox, "c-2") == [outgoing(3).id]
    assert shown(mailbox, "nobody") == []
    letter = mailbox.letters("c-1", NOW)[1]
    assert (letter.title, letter.body, letter.language, letter.sent_at) == ("Hello �", "您好", "en", NOW)


def test_what_is_over_is_not_shown_and_can_be_removed(mailbox: StoredMailbox) -> None:
    put(mailbox, 1, expires_at=NOW + timedelta(days=1))
    put(mailbox, 2)
    assert len(shown(mailbox)) == 2
    assert shown(mailbox, after=timedelta(days=1)) == [outgoing(2).id]
    assert mailbox.remove_expired(NOW + timedelta(days=2)) == 1
    assert mailbox.known([outgoing(1).id, outgoing(2).id]) == {outgoing(2).id}


def test_reading_counts_once_and_only_ones_own(mailbox: StoredMailbox) -> None:
    put(mailbox, 1)
    put(mailbox, 2)
    assert mailbox.unread("c-1", NOW) == 2
    assert not mailbox.read("c-2", outgoing(1).id, NOW)
    assert mailbox.read("c-1", outgoing(1).id, NOW)
    assert not mailbox.read("c-1", outgoing(1).id, NOW + timedelta(hours=1))
    assert mailbox.unread("c-1", NOW) == 1
    assert mailbox.letters("c-1", NOW)[0].read_at == NOW


def test_a_second_putting_changes_nothing(mailbox: StoredMailbox) -> None:
    put(mailbox, 1, text="first")
    mailbox.read("c-1", outgoing(1).id, NOW)
    put(mailbox, 1, text="second")
    (letter,) = mailbox.letters("c-1", NOW)
    assert (letter.body, letter.read_at) == ("first", NOW)


def test_who_is_erased_has_nothing_there_any_more(bank: Bank, mailbox: StoredMailbox) -> None:
    put(mailbox, 1)
    put(mailbox, 2, "c-2")
    bank.take([envelope("c-1", NEW_YEAR, erased())])
    assert shown(mailbox) == []
    assert bank.sql("SELECT count(*) FROM mailbox") == [(1,)]


def test_nobodys_message_is_not_kept_and_those_beside_it_are(mailbox: StoredMailbox) -> None:
    channel = InAppInbox("app", mailbox)
    messages = [outgoing(1, customer="nobody"), outgoing(2, customer="c-1")]
    outcomes = asyncio.run(channel.send(messages))
    assert [type(outcome) for outcome in outcomes] == [Rejected, Accepted]


def test_a_store_that_cannot_be_used_is_not_said_to_have_taken_nothing(mailbox: StoredMailbox) -> None:
    mailbox._engine = connect("sqlite:////no/such/folder/store.db")
    channel = InAppInbox("app", mailbox)
    unknown = [Unknown("store.cannot_open", "app")]
    assert asyncio.run(channel.send([outgoing()])) == unknown
    assert asyncio.run(channel.ask([outgoing()])) == unknown


def test_a_callback_is_nothing_that_it_understands(mailbox: StoredMailbox) -> None:
    with pytest.raises(InputRefused, match=r"callback\.unreadable"):
        InAppInbox("app", mailbox).receipts(Callback("/", {}, b"", NOW))
