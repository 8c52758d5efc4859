"""What every way out promises; an adapter's test subclasses this and gives a ``channel`` fixture."""

import asyncio
from datetime import UTC, datetime

from channels.base import Accepted, Channel, NotTaken, Outgoing

NOW = datetime(2026, 5, 3, 7, tzinfo=UTC)


def outgoing(number: int = 1, **given: object) -> Outgoing:
    """A message as the engine hands it over."""
    values = {
        "id": f"00000000-0000-5000-8000-{number:012}",
        "channel": "email",
        "address": "one@example.com",
        "language": "en",
        "heading": "Happy birthday",
        "text": "Dear customer,\n",
        "purpose": "care",
        "at": NOW,
        **given,
    }
    return Outgoing(**values)  # type: ignore[arg-type]


class ChannelContract:
    """Subclass it and give a ``channel`` fixture: a fresh way out that accepts what it gets."""

    def test_outcomes_come_in_the_order_of_the_messages(self, channel: Channel) -> None:
        messages = [outgoing(number) for number in (3, 1, 2)]
        outcomes = asyncio.run(channel.send(messages))
        assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True, True, True]
        assert len({outcome.provider_id for outcome in outcomes if isinstance(outcome, Accepted)}) == 3

    def test_nothing_to_send_is_nothing_sent(self, channel: Channel) -> None:
        assert asyncio.run(channel.send([])) == []
        assert asyncio.run(channel.ask([])) == []

    def test_what_was_never_handed_over_is_not_taken(self, channel: Channel) -> None:
        assert asyncio.run(channel.ask([outgoing()])) == [NotTaken()]

    def test_what_was_accepted_is_known_afterwards_under_the_same_id(self, channel: Channel) -> None:
        (outcome,) = asyncio.run(channel.send([outgoing()]))
        assert asyncio.run(channel.ask([outgoing()])) == [outcome]

    def test_the_same_id_twice_is_one_message(self, channel: Channel) -> None:
        first = asyncio.run(channel.send([outgoing()]))
        assert asyncio.run(channel.send([outgoing()])) == first
