"""The report's picture and its lines: nothing outside the paper, nothing lost, nothing twice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.evidence.timeline import WIDTH, Picture, Shape, timeline
from domain.catalogue import ConsentGranted, ConsentWithdrawn, TransactionPosted
from domain.events import (
    EnrolmentEnded,
    EnrolmentStarted,
    Event,
    MessageAccepted,
    MessageRequested,
    MessageSuppressed,
)
from tidings.evidence.typesetting import lines_of

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LABELS = {
    name: name for name in ("facts", "consents", "sent", "not_sent", "waiting", "passage", "yes", "no")
} | {"others": "{number} more"}


def paid(number: int, at: datetime) -> Event:
    body = TransactionPosted(source="/t", id=str(number), account="a", amount=Decimal(1))
    return Event(number, "transaction.posted/1", at, max(at, START), 0, body)


def event(number: int, kind: str, at: datetime, body: object) -> Event:
    return Event(number, kind, at, max(at, START), 0, body)  # type: ignore[arg-type]


def started(number: int, journey: str, at: datetime) -> Event:
    body = EnrolmentStarted(enrolment=f"e-{journey}", journey=journey, version=1, key="k", entry={})
    return event(number, "enrolment.started/1", at, body)


def requested(number: int, at: datetime, message: str, journey: str = "birthday") -> Event:
    body = MessageRequested(
        message=message,
        enrolment="e",
        journey=journey,
        version=1,
        step="greet",
        visit=1,
        channels=("email",),
        template="t",
        template_version=1,
        purpose="care",
        topic="x",
        variables={},
    )
    return event(number, "message.requested/1", at, body)


def texts(picture: Picture) -> list[str]:
    return [shape.text for shape in picture.shapes if shape.sort == "text"]


def of_style(picture: Picture, sort: str, style: str) -> list[Shape]:
    # The legend stands at the bottom.
    return [s for s in picture.shapes if (s.sort, s.style) == (sort, style) and s.y < picture.height - 30]


class TestTheTimeline:
    @given(st.lists(st.integers(-4_000, 40_000), min_size=1, max_size=60))
    def test_lies_within_the_paper(self, days: list[int]) -> None:
        history = [paid(n, START + day * DAY / 10) for n, day in enumerate(days, 1)]
        picture = timeline(history, LABELS)
        for shape in picture.shapes:
            assert 0 <= shape.x <= WIDTH
            assert 0 <= shape.to_x <= WIDTH
            assert 0 <= shape.y <= picture.height
            assert 0 <= shape.to_y <= picture.height
        ticks = [text for text in texts(picture) if text[:2] in ("20", "21") and text[:4].isdigit()]
        assert len(ticks) <= 12

    def test_shows_what_became_of_each_message_on_its_journeys_row(self) -> None:
        accepted = MessageAccepted(message="m-1", provider_id="p")
        suppressed = MessageSuppressed(message="m-2", channel="email", rule="no_consent", values={})
        history = [
            started(1, "birthday", START),
            requested(2, START + DAY, "m-1"),
            event(3, "message.accepted/1", START + 2 * DAY, accepted),
            requested(4, START + 3 * DAY, "m-2"),
            event(5, "message.suppressed/1", START + 4 * DAY, suppressed),
            requested(6, START + 5 * DAY, "m-3"),
            event(
                7,
                "enrolment.ended/1",
                START + 6 * DAY,
                EnrolmentEnded(enrolment="e-birthday", step="end", reason="end"),
            ),
        ]
        picture = timeline(history, LABELS)
        (sent,), (refused,), (waiting,) = (
            of_style(picture, "dot", "sent"),
            of_style(picture, "ring", "bad"),
            of_style(picture, "ring", "waiting"),
        )
        assert sent.x < refused.x < waiting.x
        (passage,) = of_style(picture, "rect", "passage")
        assert passage.x < sent.x
        assert passage.y < sent.y < passage.to_y
        assert "birthday" in texts(picture)

    def test_tells_a_yes_from_a_no(self) -> None:
        yes = ConsentGranted(source="/t", id="1", provenance="form")
        no = ConsentWithdrawn(source="/t", id="2", provenance="page")
        picture = timeline(
            [
                event(1, "consent.granted/1", START, yes),
                event(2, "consent.withdrawn/1", START + DAY, no),
            ],
            LABELS,
        )
        assert len(of_style(picture, "up", "good")) == len(of_style(picture, "down", "bad")) == 1

    def test_says_how_many_journeys_have_no_room(self) -> None:
        picture = timeline([started(n, f"j-{n:02}", START + n * DAY) for n in range(1, 21)], LABELS)
        assert [text for text in texts(picture) if text.startswith("j-")] == [
            f"j-{n:02}" for n in range(1, 15)
        ]
        assert "6 more" in texts(picture)


class TestLines:
    @given(st.text("ab王您，。（）-. \n", max_size=120), st.integers(3, 30))
    def test_fit_and_lose_nothing(self, text: str, width: int) -> None:
        lines = lines_of(text, width, len)
        assert all(len(line) <= width for line in lines)
        assert "".join("".join(lines).split()) == "".join(text.split())

    @pytest.mark.parametrize(
        ("text", "lines"),
        [
            ("to be or not", ["to be or", "not"]),
            ("客户从未同意。于是", ["客户从未同意。", "于是"]),
            ("规则（没有授权）成立", ["规则（没有授", "权）成立"]),
            ("a-very-long-name", ["a-very-", "long-", "name"]),
            ("0123456789abc", ["01234567", "89abc"]),
            ("", [""]),
        ],
    )
    def test_break_where_readers_expect_it(self, text: str, lines: list[str]) -> None:
        assert lines_of(text, 8 if text[:1].isascii() else 7, len) == lines
