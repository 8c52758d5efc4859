"""Caps are exact: never one too many, and never one too few, whatever comes when."""

from collections import Counter
from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.caps import DAYS_KEPT, Cap, counted, key_of, uncounted
from domain.catalogue import ChannelName
from domain.clock import local_day
from domain.customer import Customer
from domain.judgement import Allowed, Deferred, judge
from domain.policy import Policy
from domain.quiet import QuietHours
from support.facts import PRAGUE, at
from support.messages import asked

START = at("2026-01-01 00:00")
CHANNELS: tuple[ChannelName, ...] = ("email", "sms")
REACHED = Customer(
    "c-1", registered_at=START, zone=PRAGUE, addresses={"email": "a@example.com", "sms": "+420601000001"}
)


def policy(*caps: Cap, quiet: bool = False) -> Policy:
    night = QuietHours(name="night", purposes=("marketing",), begins="21:00", to="08:00")
    return Policy(
        policy="own",
        version=1,
        consent={"marketing": "not_needed", "service": "not_needed"},
        care_hold_stops=(),
        caps=caps,
        quiet_hours=(night,) if quiet else (),
        valid_hours={"marketing": 24 * 366},
    )


caps = st.builds(
    lambda at_most, in_days, channels: Cap(
        name="cap", purposes=("marketing",), channels=channels, at_most=at_most, in_days=in_days
    ),
    st.integers(0, 4),
    st.integers(1, 10),
    st.sampled_from([(), ("sms",), ("email", "sms")]),
)
asking = st.lists(st.tuples(st.integers(0, 24 * 20), st.sampled_from(CHANNELS)), max_size=25)


@given(st.lists(caps, min_size=1, max_size=3), asking, st.booleans())
def test_no_window_of_days_ever_holds_one_too_many(
    several: list[Cap], asks: list[tuple[int, ChannelName]], quiet: bool
) -> None:
    """Messages come at any hour; what is put off comes again when it was told to, if need be to wait on."""
    rules, customer = policy(*several, quiet=quiet), REACHED
    due: list[tuple[datetime, int, ChannelName]] = sorted(
        (START + timedelta(hours=hours), number, channel) for number, (hours, channel) in enumerate(asks)
    )
    sent: list[tuple[date, ChannelName]] = []
    while due:
        now, number, channel = due.pop(0)
        verdict = judge(
            rules, customer, asked(at=START, channels=(channel,)), calendars={}, now=now, counts_doubt=True
        )
        today = local_day(now, PRAGUE)
        room = all(_counted(cap, sent, today) < cap.at_most for cap in several if _fits(cap, channel))
        if isinstance(verdict, Allowed):
            assert room
            sent.append((today, channel))
            key = key_of(today, purpose="marketing", channel=channel)
            customer = replace(customer, sends=counted(customer.sends, key))
        elif isinstance(verdict, Deferred):
            assert verdict.until > now
            assert not room or verdict.rule == "quiet_hours"
            due = sorted([*due, (verdict.until, number, channel)])
        else:
            assert verdict.rule == "cap"
            assert any(cap.at_most == 0 for cap in several if _fits(cap, channel))
    for cap in several:
        for day in {day for day, _ in sent}:
            assert _counted(cap, sent, day) <= cap.at_most


def _fits(cap: Cap, channel: ChannelName) -> bool:
    return not cap.channels or channel in cap.channels


def _counted(cap: Cap, sent: list[tuple[date, ChannelName]], today: date) -> int:
    first = today - timedelta(days=cap.in_days - 1)
    return sum(first <= day <= today and _fits(cap, channel) for day, channel in sent)


@given(st.lists(st.tuples(st.integers(0, 800), st.sampled_from(CHANNELS)), max_size=40))
def test_counts_forget_only_what_no_cap_can_look_at(asks: list[tuple[int, ChannelName]]) -> None:
    counts: dict[str, int] = {}
    days = [(date(2026, 1, 1) + timedelta(days=offset), channel) for offset, channel in sorted(asks)]
    for day, channel in days:
        counts = counted(counts, key_of(day, purpose="marketing", channel=channel))
    last = max((day for day, _ in days), default=date(2026, 1, 1))
    kept = Counter(day for day, _ in days if (last - day).days < DAYS_KEPT)
    cap = Cap(name="year", purposes=("marketing",), at_most=1, in_days=DAYS_KEPT)
    assert cap.days_of(counts, last) == sorted(kept.items())
    assert len(counts) <= 2 * (DAYS_KEPT + 1)


def test_what_was_not_sent_after_all_does_not_count() -> None:
    key = key_of(date(2026, 1, 1), purpose="marketing", channel="sms")
    assert uncounted(counted(counted({}, key), key), key) == {key: 1}
    assert uncounted(counted({}, key), key) == {}
    assert uncounted({}, key) == {}
