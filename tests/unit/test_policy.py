"""What may be said, and by which rule not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue import Purpose
from domain.consent import Word, latest_word, remember
from domain.customer import Customer
from domain.judgement import Allowed, Forbidden, Verdict, judge
from support.messages import asked
from support.scenario import SHIPPED_RULES

POLICY = SHIPPED_RULES.policy
NOW = datetime(2026, 5, 3, tzinfo=UTC)
NOON = NOW + timedelta(hours=12)
REACHED = Customer(
    "c-1", registered_at=NOW, addresses={"email": "a@example.com", "sms": "+420601000001", "push": "d"}
)


def word(granted: bool, *, channel: str = "*", topic: str = "*", days: int = 0, version: int = 1) -> Word:
    return Word("marketing", channel, topic, granted, NOW + timedelta(days=days), "form", version)


def told(customer: Customer, purpose: Purpose = "marketing") -> Verdict:
    return judge(POLICY, customer, asked(purpose, at=NOON), calendars={}, now=NOON, counts_doubt=True)


def knowing(**changes: object) -> Customer:
    from msgspec.structs import replace

    return replace(REACHED, **changes)


@pytest.mark.parametrize("purpose", ["care", "service", "regulatory"])
def test_what_needs_no_consent_leaves_by_the_first_channel(purpose: Purpose) -> None:
    assert told(REACHED, purpose) == Allowed("email")


def test_silence_is_no() -> None:
    verdict = told(REACHED)
    assert verdict == Forbidden(
        "email", "no_consent", {"purpose": "marketing", "channel": "email", "topic": "offers"}
    )


def test_a_yes_for_another_channel_chooses_that_channel() -> None:
    assert told(knowing(consents=(word(True, channel="sms", version=4),))) == Allowed("sms", 4)


def test_a_yes_for_another_topic_is_no_yes() -> None:
    verdict = told(knowing(consents=(word(True, topic="investing"),)))
    assert isinstance(verdict, Forbidden)


def test_a_later_no_for_one_channel_leaves_the_others() -> None:
    words = (word(True), word(False, channel="email", days=1, version=2))
    assert told(knowing(consents=words)) == Allowed("sms", 1)


def test_what_is_allowed_names_the_word_that_it_rests_on() -> None:
    words = (word(True, version=3), word(True, channel="email", topic="offers", days=1, version=7))
    assert told(knowing(consents=words)) == Allowed("email", 7)
    assert told(knowing(consents=words), "service") == Allowed("email", None)


def test_a_withdrawal_names_the_word_that_decided() -> None:
    verdict = told(knowing(consents=(word(True), word(False, days=1, version=9))))
    assert isinstance(verdict, Forbidden)
    assert (verdict.rule, verdict.values["event"]) == ("consent_withdrawn", 9)


def test_a_care_hold_comes_before_consent_and_leaves_service_alone() -> None:
    held = knowing(consents=(word(True),), care_holds=("bereavement",))
    assert getattr(told(held), "rule", None) == "care_hold"
    assert getattr(told(held, "care"), "rule", None) == "care_hold"
    assert told(held, "service") == Allowed("email")


def test_a_dead_address_is_passed_over() -> None:
    assert told(knowing(dead_addresses=("a@example.com",)), "service") == Allowed("sms")


def test_the_most_telling_refusal_is_told() -> None:
    only_dead = knowing(addresses={"sms": "+420601000001"}, dead_addresses=("+420601000001",))
    verdict = told(only_dead, "service")
    assert isinstance(verdict, Forbidden)
    assert (verdict.channel, verdict.rule) == ("sms", "suppressed_address")


def test_nobody_is_reached_who_is_gone() -> None:
    assert getattr(told(knowing(gone=True), "regulatory"), "rule", None) == "customer_gone"


words = st.builds(
    word,
    st.booleans(),
    channel=st.sampled_from(["*", "email", "sms"]),
    topic=st.sampled_from(["*", "offers", "investing"]),
    days=st.integers(-5, 5),
    version=st.integers(1, 1000),
)


@given(st.lists(words, max_size=8, unique_by=lambda w: w.version))
def test_forgetting_outdated_words_never_changes_the_answer(said: list[Word]) -> None:
    in_order = sorted(said, key=lambda w: w.version)
    kept: tuple[Word, ...] = ()
    for one in in_order:
        kept = remember(kept, one)
    for channel in ("email", "sms", "push"):
        for topic in ("offers", "investing", "other"):
            asked: dict[str, str] = {"purpose": "marketing", "channel": channel, "topic": topic}
            assert latest_word(kept, **asked) == latest_word(in_order, **asked)  # type: ignore[arg-type]
