"""What a pack discloses: the period, what its messages rest on, and nothing else; all of it has words."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from audit.evidence.contents import Disclosed, Period, disclosed
from domain.catalogue import ConsentGranted, MessageClicked
from domain.errors import InputRefused
from domain.events import (
    Event,
    MessageAccepted,
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    TimerFired,
    TimersPlanned,
)
from domain.message import MessageEnd
from support.facts import paid
from tidings.cli.messages import STATUSES
from tidings.wording import LANGUAGES, catalogue

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def told(number: int, kind: str, day: int, body: object, *, cause: int = 0) -> Event:
    at = START + day * DAY
    return Event(number, kind, at, at, cause, body)  # type: ignore[arg-type]


def requested(number: int, day: int, message: str, *, cause: int) -> Event:
    body = MessageRequested(
        message=message,
        enrolment="e",
        journey="j",
        version=1,
        step="s",
        visit=1,
        channels=("email",),
        template="t",
        template_version=1,
        purpose="marketing",
        topic="x",
        variables={},
    )
    return told(number, "message.requested/1", day, body, cause=cause)


def sending(message: str, consent: int) -> MessageSending:
    return MessageSending(
        message=message, channel="email", language="en", content_sha256="0", consent=consent
    )


HISTORY = [
    told(1, "consent.granted/1", 0, ConsentGranted(source="/t", id="1", provenance="form")),
    told(2, "transaction.posted/1", 1, paid()),
    told(3, "timers.planned/1", 1, TimersPlanned(due={}, dropped=(), reason="silence"), cause=2),
    told(4, "transaction.posted/1", 2, paid()),
    told(5, "timer.fired/1", 30, TimerFired(timer="enter:j", due_at=START), cause=3),
    requested(6, 30, "m-1", cause=5),
    told(7, "message.sending/1", 30, sending("m-1", 1), cause=6),
    told(8, "message.accepted/1", 30, MessageAccepted(message="m-1", provider_id="p"), cause=7),
    told(9, "transaction.posted/1", 40, paid()),
    requested(10, 50, "m-2", cause=9),
    told(
        11,
        "message.suppressed/1",
        50,
        MessageSuppressed(message="m-2", channel="email", rule="consent_withdrawn", values={"event": 4}),
        cause=10,
    ),
    told(12, "message.clicked/1", 60, MessageClicked(source="/t", id="2", message="m-1", link="1")),
]


def of(first: int | None, last: int | None) -> Disclosed:
    """What is told of the days from ``first`` to before ``last``."""
    since, until = (None if day is None else START + day * DAY for day in (first, last))
    return disclosed(HISTORY, Period(since, until), customer="c-1")


@pytest.mark.parametrize(
    ("first", "last", "inside", "all_"),
    [
        (None, None, range(1, 13), range(1, 13)),
        # A message: its causes, its consent, and what came of it later.
        (30, 31, {5, 6, 7, 8}, {1, 2, 3, 5, 6, 7, 8, 12}),
        # What came of it: all of the message that it is about.
        (60, None, {12}, {1, 2, 3, 5, 6, 7, 8, 12}),
        # A refusal: the word that it cites.
        (50, 51, {10, 11}, {4, 9, 10, 11}),
        # Facts alone: nothing else.
        (None, 2, {1, 2, 3}, {1, 2, 3}),
        (40, 41, {9}, {9}),
    ],
)
def test_a_period_tells_what_its_messages_rest_on(
    first: int | None, last: int | None, inside: set[int], all_: set[int]
) -> None:
    assert of(first, last) == Disclosed(frozenset(inside), frozenset(all_))


def test_a_period_begins_with_its_first_instant_and_ends_before_its_last() -> None:
    assert of(40, 50).inside == {9}
    assert of(40, 60).inside == {9, 10, 11}


def test_a_period_without_events_is_refused() -> None:
    with pytest.raises(InputRefused, match="empty_period"):
        of(31, 40)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_can_become_of_a_message_or_a_passage_has_words(language: str) -> None:
    known = catalogue(language)
    ends = ("end", "goal_reached", "exit", "superseded", "expired", "migrated_out", "stopped", "withdrawn")
    wanted = [f"status.{status}" for status in {*STATUSES, *get_args(MessageEnd)}]
    wanted += [f"ended.{reason}" for reason in ends]
    assert sorted(code for code in wanted if f"evidence.report.{code}" not in known) == []
