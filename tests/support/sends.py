"""A bank whose journeys each send one e-mail when a fact of their own comes, by a channel with a script."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from channels.base import Accepted, Answer, Channel, NotTaken, Outcome, Outgoing, Unknown, everywhere
from domain.catalogue import ChannelName, CustomFact, Envelope, Purpose
from journeys.definition import End, EnterOnFact, Journey, Send
from support.bank import Bank
from support.facts import at, granted, registered
from support.scenario import envelope
from tidings.authoring import publish
from tidings.documents import Documents, shipped

NEW_YEAR = at("2026-01-01 12:00")
NOON = NEW_YEAR + timedelta(days=1)


class Scripted:
    """Answers each customer's messages as their script says, and accepts what no script speaks of."""

    def __init__(self, script: Mapping[str, Sequence[Outcome]] | None = None) -> None:
        self.script = {customer: list(outcomes) for customer, outcomes in (script or {}).items()}
        self.sent: list[Outgoing] = []

    def everywhere(self) -> Mapping[ChannelName, Channel]:
        return everywhere(self)

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        self.sent += messages
        return [self._one(message) for message in messages]

    def _one(self, message: Outgoing) -> Outcome:
        script = self.script.get(message.customer)
        return script.pop(0) if script else Accepted(f"p/{message.id}", "p")

    async def ask(self, messages: Sequence[Outgoing]) -> list[Answer]:
        known = {message.id for message in self.sent}
        return [Unknown("cannot_be_asked", "p") if m.id in known else NotTaken() for m in messages]

    async def close(self) -> None:
        return None


def journey(name: str, purpose: Purpose) -> Journey:
    """A fact ``x.<name>/1`` sends a message of this purpose."""
    return Journey(
        journey=name,
        version=1,
        title={"en": name},
        purpose=purpose,
        topic="offers",
        enter=EnterOnFact(fact=f"x.{name}/1"),
        steps=(
            Send(step="send", template="birthday-greeting", channels=("email",), next="end"),
            End(step="end"),
        ),
    )


def bank_of(folder: Path, channel: Scripted, *, url: str | None = None, partitions: int = 1) -> Bank:
    """A bank with the journeys ``care`` and ``service``, each named by its purpose."""
    bank = Bank(folder, partitions=partitions, url=url)
    bank.channels = channel.everywhere()
    documents = shipped()
    tidings = bank.tidings
    own = Documents([journey("care", "care"), journey("service", "service")], documents.templates)
    publish(tidings.engine, own, at=NEW_YEAR)
    tidings.engine.dispose()
    return bank


def people(*customers: str, **given: object) -> list[Envelope]:
    """Registrations at New Year, each with an e-mail address of its own."""
    return [
        told
        for name in customers
        for told in (
            envelope(name, NEW_YEAR, registered(**{"email": f"{name}@example.com", "phone": None, **given})),
            envelope(name, NEW_YEAR, granted()),
        )
    ]


def asked(name: str, *customers: str, moment: datetime = NOON) -> list[Envelope]:
    """What starts the journey of this name for each."""
    return [
        Envelope(
            f"x.{name}/1", customer, moment, CustomFact(source="/test", id=f"{name}/{customer}/{moment}")
        )
        for customer in customers
    ]


def message_to(bank: Bank, customer: str) -> str:
    """The id of the customer's only message."""
    (entry,) = [entry for entry in bank.ledger() if entry.customer == customer]
    return entry.id
