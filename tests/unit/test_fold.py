"""What facts make of a customer: which device is written to, and whose addresses said no."""

from typing import Any

import pytest

from domain import catalogue as facts
from domain.catalogue import Fact
from domain.customer import Customer
from domain.events import EnrolmentStarted, Event, MessageRejected, MessageSending
from domain.fold import evolve
from support.facts import at, opened, registered
from support.messages import asked

NOON = at("2026-03-02 12:00")
KINDS = {struct: kind for kind, struct in facts.FACTS.items()}


def folded(customer: Customer, *told: Fact) -> Customer:
    """The customer after these, one after the other."""
    for fact in told:
        version = customer.version + 1
        customer = evolve(customer, Event(version, KINDS[type(fact)], NOON, NOON, 0, fact))
    return customer


def fact(kind: Any, **given: object) -> Any:
    return kind(source="/test", id="f", **given)


def device(name: str) -> Fact:
    told: Fact = fact(facts.DeviceRegistered, device=name)
    return told


def retired(name: str) -> Fact:
    told: Fact = fact(facts.DeviceRetired, device=name)
    return told


def refused(customer: Customer, what: str, *, channel: Any = "push") -> Customer:
    """A provider refuses a message by this channel for good, for this sake."""
    message = asked(at=NOON, channels=(channel,))
    customer = Customer(
        customer.subject,
        version=customer.version,
        addresses=customer.addresses,
        devices=customer.devices,
        messages={"m-1": message},
    )
    sending = MessageSending(message="m-1", channel=channel, language="en", content_sha256="", consent=None)
    body = MessageRejected(message="m-1", reason="no", refused=what)  # type: ignore[arg-type]
    for kind, told in (("message.sending/1", sending), ("message.rejected/1", body)):
        customer = evolve(customer, Event(customer.version + 1, kind, NOON, NOON, 1, told))
    return customer


NOBODY = Customer("c-1")


class TestDevices:
    def test_the_newest_is_written_to(self) -> None:
        customer = folded(NOBODY, device("one"), device("two"))
        assert (customer.devices, customer.address("push")) == (("one", "two"), "two")

    def test_one_that_registers_again_is_the_newest(self) -> None:
        customer = folded(NOBODY, device("one"), device("two"), device("one"))
        assert (customer.devices, customer.address("push")) == (("two", "one"), "one")

    def test_where_the_newest_is_retired_the_one_before_it_is_written_to(self) -> None:
        customer = folded(NOBODY, device("one"), device("two"), device("three"), retired("three"))
        assert (customer.devices, customer.address("push")) == (("one", "two"), "two")

    def test_where_another_is_retired_the_newest_stays(self) -> None:
        customer = folded(NOBODY, device("one"), device("two"), retired("one"))
        assert (customer.devices, customer.address("push")) == (("two",), "two")

    def test_one_that_was_told_with_the_customer_stays_when_another_is_retired(self) -> None:
        customer = folded(NOBODY, registered(device="one"), retired("other"))
        assert customer.address("push") == "one"
        assert folded(customer, retired("one")).address("push") is None

    def test_where_the_last_is_retired_there_is_none(self) -> None:
        customer = folded(NOBODY, device("one"), retired("one"))
        assert (customer.devices, customer.address("push")) == ((), None)

    def test_of_many_the_oldest_is_forgotten(self) -> None:
        customer = folded(NOBODY, *(device(f"d-{number}") for number in range(25)))
        assert customer.devices == tuple(f"d-{number}" for number in range(15, 25))

    def test_one_that_a_provider_calls_dead_gives_way_to_the_one_before_it(self) -> None:
        customer = refused(folded(NOBODY, device("one"), device("two")), "address")
        assert (customer.devices, customer.address("push")) == (("one",), "one")
        assert customer.dead_addresses == ("two",)

    def test_one_that_was_called_dead_lives_when_it_registers_again(self) -> None:
        dead = refused(folded(NOBODY, device("one"), device("two")), "address")
        customer = folded(dead, device("two"))
        assert (customer.address("push"), customer.dead_addresses) == ("two", ())


class TestNo:
    def test_a_yes_ends_the_no_of_its_address_and_of_no_other(self) -> None:
        customer = NOBODY
        for address in ("+1", "+2", "+1"):
            told = fact(facts.ContactOptedOut, channel="sms", address=address, provenance="STOP")
            customer = folded(customer, told)
        assert customer.opted_out == ("+1", "+2")
        yes = fact(facts.ContactOptedIn, channel="sms", address="+1", provenance="START")
        assert folded(customer, yes).opted_out == ("+2",)

    @pytest.mark.parametrize(
        ("what", "dead", "opted_out"),
        [("address", ("+420601000001",), ()), ("opted_out", (), ("+420601000001",))],
    )
    def test_what_a_provider_refuses_for_good_is_known_of_the_address(
        self, what: str, dead: tuple[str, ...], opted_out: tuple[str, ...]
    ) -> None:
        customer = refused(folded(NOBODY, registered()), what, channel="sms")
        assert (customer.dead_addresses, customer.opted_out) == (dead, opted_out)
        assert customer.address("sms") == "+420601000001"


def test_an_entry_whose_values_are_erased_is_folded_all_the_same() -> None:
    customer = folded(Customer("c-1"), registered(), opened(holding="d-1"))
    for values, told in (({}, ()), ({"offset_days": -7}, ("maturity:None:-7",))):
        body = EnrolmentStarted(
            enrolment="e-1", journey="maturity", version=2, key="k", entry={**values}, covers=("d-1",)
        )
        event = Event(customer.version + 1, "enrolment.started/1", NOON, NOON, 1, body)
        after = evolve(customer, event)
        assert after.holdings["d-1"].told == told
        assert "e-1" in after.enrolments
