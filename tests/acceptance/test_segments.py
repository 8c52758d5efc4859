"""Segments: who is in which class, since when and why, on any store, and the journeys that begin with it."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from domain.catalogue import ComplaintFiled, CustomerMerged, Envelope, Fact, RiskAssessed
from domain.clock import from_micros, to_micros
from domain.events import AdmissionRefused, EnrolmentHeldOut, EnrolmentStarted, SegmentEntered, SegmentLeft
from journeys.definition import (
    Emit,
    End,
    Enter,
    EnterOnFact,
    EnterOnSegment,
    Holdout,
    Journey,
    Segment,
    Send,
    Step,
    Update,
)
from journeys.rulebook import Rules
from support.bank import PUBLISHED_AT, Bank
from support.documents import condition
from support.facts import at, balance, moved, noon, opened, paid, registered
from support.postgres import fresh_database
from support.scenario import SHIPPED_RULEBOOK, Scenario, envelope
from support.strategies import END, START, dense_lives
from tidings import authoring
from tidings.documents import Documents, decode, shipped_segments

NEW_YEAR = at("2026-01-01 12:00")
SHIPPED = {s.segment: s for s in (decode(document, Segment) for document in shipped_segments())}
# Segment, class before and after, instant, reason.
Change = tuple[str, str | None, str | None, datetime, str]


def by_class(on: Any, *classes: str, segment: str = "asset-tier") -> Journey:
    return Journey(
        journey="own",
        version=1,
        title={"en": "Own"},
        purpose="service",
        topic="tiers",
        enter=EnterOnSegment(segment=segment, on=on, classes=classes or None),
        steps=(
            Send(step="send", template="birthday-greeting", channels=("email",), next="end"),
            End(step="end"),
        ),
    )


def life(*segments: str | Segment, journey: Journey | None = None) -> Scenario:
    made = tuple(SHIPPED[s] if isinstance(s, str) else s for s in segments)
    journeys = SHIPPED_RULEBOOK.journeys if journey is None else (journey,)
    return Scenario(rules=Rules(replace(SHIPPED_RULEBOOK, journeys=journeys, segments=made)))


def changes(scenario: Scenario) -> list[Change]:
    return [
        (b.segment, b.before, getattr(b, "into", None), event.recorded_at, b.reason)
        for event in scenario.history
        if isinstance(b := event.body, SegmentEntered | SegmentLeft)
    ]


def entries(scenario: Scenario) -> list[Any]:
    return [body.entry for body in scenario.bodies(EnrolmentStarted)]


def told(*facts: tuple[str, Fact]) -> list[tuple[datetime, Fact]]:
    return [(at(when), fact) for when, fact in facts]


def test_assets_that_grow_and_shrink_bring_somebody_from_tier_to_tier() -> None:
    tiers = life("asset-tier").given(
        *told(
            ("2026-01-01 12:00", registered()),
            ("2026-01-05 12:00", balance("1000")),
            ("2026-02-05 12:00", balance("499999.99")),
            ("2026-03-05 12:00", balance("500000")),
            ("2026-04-05 12:00", balance("7000000", "a-2")),
            ("2026-05-05 12:00", balance("0", "a-2")),
        )
    )
    assert changes(tiers) == [
        ("asset-tier", None, "mass", at("2026-01-05 12:00"), "fact"),
        ("asset-tier", "mass", "wealth", at("2026-03-05 12:00"), "fact"),
        ("asset-tier", "wealth", "private-banking", at("2026-04-05 12:00"), "fact"),
        ("asset-tier", "private-banking", "wealth", at("2026-05-05 12:00"), "fact"),
    ]
    # What was seen, as it is in the record; a tier by assets alone needs no wake-up.
    assert [body.values for body in tiers.bodies(SegmentEntered)][1:3] == [
        {"assets": "500000"},
        {"assets": "7500000"},
    ]
    assert not [timer for timer in tiers.customer.timers if timer.startswith("segment:")]


def test_silence_turns_at_the_customers_midnight_and_one_payment_turns_it_back() -> None:
    behaviour = life("behaviour").given(
        *told(
            ("2026-01-01 12:00", registered()),
            ("2026-01-10 23:00", paid()),
            ("2026-07-01 12:00", paid()),
        )
    )
    assert changes(behaviour.until(at("2026-07-02 12:00"))) == [
        ("behaviour", None, "active", at("2026-01-10 23:00"), "fact"),
        ("behaviour", "active", "fading", at("2026-02-10 00:00"), "time"),
        ("behaviour", "fading", "silent", at("2026-04-11 00:00"), "time"),
        ("behaviour", "silent", "active", at("2026-07-01 12:00"), "fact"),
    ]
    assert behaviour.bodies(SegmentEntered)[2].values == {
        "assets": None,
        "days_since transaction.posted/1": 91,
    }


def test_a_customer_who_moves_turns_at_the_midnight_of_where_they_are() -> None:
    behaviour = life("behaviour").given(
        *told(
            ("2026-01-01 12:00", registered()),
            ("2026-01-10 12:00", paid()),
            ("2026-01-20 12:00", moved("Asia/Shanghai")),
        )
    )
    behaviour.until(at("2026-02-20 12:00"))
    assert changes(behaviour)[-1][2:4] == ("fading", at("2026-02-10 00:00", "Asia/Shanghai"))


def test_a_risk_level_ends_with_the_day_behind_the_last_that_it_is_valid() -> None:
    assessed = RiskAssessed(source="/test", id="r", level=4, valid_until=date(2026, 3, 29))
    levels = life("risk-level").given((NEW_YEAR, registered()), (NEW_YEAR, assessed))
    levels.until(at("2026-12-31 12:00"))
    assert changes(levels) == [
        ("risk-level", None, "adventurous", NEW_YEAR, "fact"),
        ("risk-level", "adventurous", None, at("2026-03-30 00:00"), "time"),
    ]


def test_the_life_cycle_of_a_customer_goes_from_new_to_lost() -> None:
    paying = [(noon(date(2026, 1, 2) + timedelta(days=20 * n)), paid()) for n in range(8)]
    cycle = life("life-cycle").given((NEW_YEAR, registered()), *paying).until(at("2028-01-01 12:00"))
    assert [change[2] for change in changes(cycle)] == ["new", "mature", "declining", "lost"]
    assert changes(cycle)[-1][3] == at("2027-05-22 00:00")


def test_needs_follow_from_contracts() -> None:
    needs = life("investment-need").given(
        (NEW_YEAR, registered()),
        *((NEW_YEAR + timedelta(days=n), opened(holding=f"f-{n}", kind="fund")) for n in range(3)),
        (NEW_YEAR + timedelta(days=5), opened(holding="w", kind="wealth_product")),
    )
    assert [change[2] for change in changes(needs)] == ["allocation", "trading", "advisory"]


@pytest.mark.parametrize(
    ("journey", "expected"),
    [
        (by_class("entered"), [("mass", "")]),
        (by_class("entered", "wealth"), [("wealth", "mass")]),
        (by_class("entered", "wealth", "private-banking"), [("wealth", "mass")]),
        (by_class("left", "mass"), [("wealth", "mass")]),
        (by_class("left"), []),
        (by_class("changed"), [("mass", ""), ("wealth", "mass"), ("private-banking", "wealth")]),
        (by_class("changed", "mass"), [("mass", ""), ("wealth", "mass")]),
        (by_class("changed", segment="risk-level"), []),
    ],
)
def test_a_journey_begins_with_the_change_that_it_waits_for(
    journey: Journey, expected: list[tuple[str, str]]
) -> None:
    scenario = life("asset-tier", "risk-level", journey=journey).given(
        (NEW_YEAR, registered()),
        *told(
            ("2026-01-05 12:00", balance("1000")),
            ("2026-02-05 12:00", balance("500000")),
            ("2026-03-05 12:00", balance("7000000")),
        ),
    )
    assert [(entry["class"], entry["before"]) for entry in entries(scenario)] == expected
    assert len(scenario.messages()) == len(expected)
    for event in scenario.history:
        if isinstance(event.body, EnrolmentStarted):
            cause = scenario.history[event.cause - 1]
            assert isinstance(cause.body, SegmentEntered)
            assert event.body.key == f"asset-tier:{cause.version}"


def test_leaving_all_classes_leads_in_and_to_be_gone_does_not() -> None:
    assessed = RiskAssessed(source="/test", id="r", level=4, valid_until=date(2026, 3, 29))
    left = life("risk-level", journey=by_class("left", segment="risk-level"))
    left.given((NEW_YEAR, registered()), (NEW_YEAR, assessed)).until(at("2026-12-31 12:00"))
    assert entries(left) == [{"segment": "risk-level", "class": "", "before": "adventurous"}]
    gone = life("risk-level", journey=by_class("left", segment="risk-level"))
    merged = CustomerMerged(source="/test", id="m", into="c-2")
    gone.given((NEW_YEAR, registered()), (NEW_YEAR, assessed), (at("2026-02-01 12:00"), merged))
    gone.until(at("2026-12-31 12:00"))
    assert changes(gone)[-1] == ("risk-level", "adventurous", None, at("2026-02-01 12:00"), "withdrawn")
    assert entries(gone) == []
    assert gone.customer.timers == {}


def test_a_change_by_a_fact_of_long_ago_leads_nobody_in() -> None:
    scenario = life("asset-tier", journey=by_class("entered")).given((NEW_YEAR, registered()))
    scenario.tell_late(at("2026-02-01 12:00"), balance("1000"), now=at("2026-02-09 12:00"))
    assert scenario.customer.segments == {"asset-tier": "mass"}
    (refused,) = scenario.bodies(AdmissionRefused)
    assert (refused.rule, refused.values["days_late"]) == ("told_late", 8)


def asking(text: str, *, segment: str) -> Segment:
    first = replace(SHIPPED["asset-tier"].classes[0], name="some", when=condition(text))
    return replace(SHIPPED["asset-tier"], segment=segment, classes=(first,))


def test_a_segment_may_ask_for_another_and_changes_with_it_in_the_same_turn() -> None:
    # By name it comes before what it asks for.
    asks = asking("in_segment, segment: asset-tier, classes: [wealth, private-banking]", segment="affluent")
    scenario = life("asset-tier", asks).given((NEW_YEAR, registered()), (NEW_YEAR, balance("600000")))
    assert scenario.customer.segments == {"asset-tier": "wealth", "affluent": "some"}
    scenario.given((at("2026-02-01 12:00"), balance("5")))
    assert changes(scenario)[-1][:3] == ("affluent", "some", None)


def test_a_segment_that_asks_for_entries_changes_with_the_entry() -> None:
    """The journey begins with the tier, the segment with the journey, and nothing goes round."""
    asks = asking("entered, journey: own, within_days: 2", segment="spoken-to")
    scenario = life("asset-tier", asks, journey=by_class("changed"))
    scenario.given((NEW_YEAR, registered()), (NEW_YEAR, balance("600000"))).until(at("2026-02-01 12:00"))
    assert changes(scenario) == [
        ("asset-tier", None, "wealth", NEW_YEAR, "fact"),
        ("spoken-to", None, "some", NEW_YEAR, "fact"),
        ("spoken-to", "some", None, at("2026-01-04 00:00"), "time"),
    ]


def test_the_journey_that_a_fact_leads_into_sees_the_class_that_the_fact_made() -> None:
    journey = next(j for j in SHIPPED_RULEBOOK.journeys if j.journey == "tier-upgrade")
    when = condition("in_segment, segment: asset-tier, classes: [wealth]")
    scenario = life("asset-tier", journey=replace(journey, enter=replace(journey.enter, when=when)))
    scenario.given((NEW_YEAR, registered()), (NEW_YEAR, balance("600000")))
    assert len(entries(scenario)) == 1


def stepping(name: str, enter: Enter, *steps: Step) -> Journey:
    return replace(by_class("entered"), journey=name, enter=enter, steps=(*steps, End(step="end")))


def noting(name: str, enter: Enter, flag: bool) -> Journey:
    return stepping(name, enter, Update(step="note", set={"flag": flag}, next="end"))


def test_what_a_journey_notes_changes_a_class_and_journeys_that_chase_each_other_come_to_an_end() -> None:
    flagged = asking('profile, name: flag, one_of: ["true"]', segment="flagged")
    journeys = (
        noting("begin", EnterOnFact(fact="complaint.filed/1"), True),
        noting("off", EnterOnSegment(segment="flagged", on="entered"), False),
        noting("on", EnterOnSegment(segment="flagged", on="left"), True),
    )
    rules = Rules(replace(SHIPPED_RULEBOOK, journeys=journeys, segments=(flagged,)))
    complaint = ComplaintFiled(source="/test", id="c", complaint="c-1")
    life = Scenario(rules=rules).given((NEW_YEAR, registered()), (NEW_YEAR, complaint))
    found = [change[2] for change in changes(life)]
    assert found == ["some", None, "some", None, "some", None]
    assert life.customer.segments == {}
    (refused,) = life.bodies(AdmissionRefused)
    assert refused.rule == "chain_too_long"


def test_a_fact_that_a_journey_tells_changes_a_class() -> None:
    heard = asking("days_since, fact: x.noted/1, at_most: 1", segment="noted")
    emitting = stepping(
        "own", EnterOnFact(fact="complaint.filed/1"), Emit(step="emit", fact="x.noted/1", next="end")
    )
    rules = Rules(replace(SHIPPED_RULEBOOK, journeys=(emitting,), segments=(heard,)))
    complaint = ComplaintFiled(source="/test", id="c", complaint="c-1")
    life = Scenario(rules=rules).given((NEW_YEAR, registered()), (NEW_YEAR, complaint))
    life.until(at("2026-02-01 12:00"))
    assert changes(life) == [
        ("noted", None, "some", NEW_YEAR, "fact"),
        ("noted", "some", None, at("2026-01-03 00:00"), "time"),
    ]
    entered = next(event for event in life.history if isinstance(event.body, SegmentEntered))
    assert life.history[entered.cause - 1].kind == "fact.emitted/1"


def test_who_is_held_out_counts_as_entered_for_a_class_too() -> None:
    asks = asking("entered, journey: own", segment="spoken-to")
    journey = replace(by_class("entered"), enter=EnterOnFact(fact="complaint.filed/1"))
    complaint = ComplaintFiled(source="/test", id="c", complaint="c-1")
    scenario = life(asks, journey=replace(journey, holdout=Holdout(percent=99)))
    scenario.given((NEW_YEAR, registered()), (NEW_YEAR, complaint))
    assert len(scenario.bodies(EnrolmentHeldOut)) == 1
    assert changes(scenario) == [("spoken-to", None, "some", NEW_YEAR, "fact")]


def test_an_entry_by_class_may_ask_for_more() -> None:
    enter = replace(by_class("entered").enter, when=condition("holds, kinds: [loan]"))
    for facts, expected in (((), 0), ((opened(kind="loan"),), 1)):
        scenario = life("asset-tier", journey=replace(by_class("entered"), enter=enter))
        scenario.given(
            (NEW_YEAR, registered()), *((NEW_YEAR, fact) for fact in facts), (NEW_YEAR, balance("5"))
        )
        assert len(entries(scenario)) == expected


# On a store.


def publish(bank: Bank, *segments: Segment, journeys: tuple[Journey, ...] = ()) -> None:
    tidings = bank.tidings
    documents = Documents([*journeys], [], segments=segments)
    authoring.publish(tidings.engine, documents, at=PUBLISHED_AT)
    tidings.engine.dispose()


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path)


def recorded(bank: Bank, subject: str = "c-1") -> list[str]:
    return [line[0] for line in bank.histories()[subject] if line[0].startswith("segment.")]


def members(bank: Bank, segment: str, before: datetime | None = None) -> list[tuple[str, str, datetime]]:
    tidings = bank.tidings
    found = tidings.ledger.members(segment, before=None if before is None else to_micros(before))
    tidings.engine.dispose()
    return [(member.customer, member.into, from_micros(member.since)) for member in found]


def test_a_segment_published_later_finds_who_is_there_and_leads_nobody_in(bank: Bank) -> None:
    facts = [(f"c-{n}", amount) for n, amount in enumerate(("5", "600000", "7000000"), start=1)]
    bank.take(
        [envelope(who, NEW_YEAR, fact) for who, amount in facts for fact in (registered(), balance(amount))]
    )
    bank.take([envelope("c-4", NEW_YEAR, registered())])
    later = at("2026-02-01 12:00")
    bank.run(later)
    publish(bank, SHIPPED["asset-tier"], journeys=(by_class("changed"),))
    assert bank.run(later).planned == 3
    assert [recorded(bank, f"c-{n}") for n in (1, 4)] == [["segment.entered/1"], []]
    assert members(bank, "asset-tier") == [
        ("c-1", "mass", later),
        ("c-2", "wealth", later),
        ("c-3", "private-banking", later),
    ]
    assert bank.ledger() == []
    # From now on it does.
    bank.take([envelope("c-1", at("2026-02-02 12:00"), balance("600000"))])
    bank.run(at("2026-02-03 12:00"))
    assert [message.customer for message in bank.ledger()] == ["c-1"]
    assert bank.verify().findings == []


def test_a_new_version_works_everybody_out_anew_and_the_same_one_looks_at_nobody(bank: Bank) -> None:
    tiers = SHIPPED["asset-tier"]
    publish(bank, tiers)
    bank.take([envelope("c-1", NEW_YEAR, fact) for fact in (registered(), balance("1000"))])
    bank.take([envelope("c-2", NEW_YEAR, fact) for fact in (registered(), balance("9000000"))])
    bank.run(at("2026-02-01 12:00"))
    lower = replace(tiers.classes[1], when=condition('assets, at_least: "100"'))
    publish(bank, replace(tiers, version=2, classes=(tiers.classes[0], lower, tiers.classes[2])))
    assert bank.run(at("2026-02-01 12:00")).planned == 1
    publish(bank, journeys=(by_class("changed"),))
    assert bank.run(at("2026-02-01 12:00")).planned == 0
    assert [(who, into) for who, into, _ in members(bank, "asset-tier")] == [
        ("c-1", "wealth"),
        ("c-2", "private-banking"),
    ]
    assert bank.verify().findings == []


def test_a_new_version_with_a_shorter_time_wakes_who_waits_for_the_longer_one(bank: Bank) -> None:
    long = asking("days_since, fact: transaction.posted/1, at_most: 60", segment="own")
    publish(bank, long)
    bank.take([envelope("c-1", NEW_YEAR, registered()), envelope("c-1", NEW_YEAR, paid())])
    bank.run(at("2026-01-10 12:00"))
    short = asking("days_since, fact: transaction.posted/1, at_most: 20", segment="own")
    publish(bank, replace(short, version=2))
    assert bank.run(at("2026-01-10 12:00")).planned == 1
    bank.run(at("2026-03-01 12:00"))
    assert recorded(bank) == ["segment.entered/1", "segment.left/1"]
    assert bank.sql(
        "SELECT count(*) FROM events WHERE recorded_at = ? AND kind = 'segment.left/1'",
        to_micros(at("2026-01-22 00:00")),
    ) == [(1,)]
    assert bank.verify().findings == []


def test_who_was_in_it_on_a_day_is_told_by_the_record(bank: Bank) -> None:
    publish(bank, SHIPPED["asset-tier"])
    bank.take([envelope(f"c-{n}", NEW_YEAR, registered()) for n in (1, 2, 3)])
    steps = {"c-1": ("5", "600000", "5"), "c-2": ("600000",), "c-3": ()}
    moments = [at(f"2026-0{month}-05 12:00") for month in (2, 3, 4)]
    bank.take(
        [
            envelope(w, m, balance(a))
            for w, steps_of in steps.items()
            for m, a in zip(moments, steps_of, strict=False)
        ]
    )
    merged = CustomerMerged(source="/test", id="m", into="c-1")
    bank.take([envelope("c-2", at("2026-05-05 12:00"), merged)])
    bank.run(at("2026-06-01 12:00"))
    assert members(bank, "asset-tier", moments[0]) == []
    after = [members(bank, "asset-tier", moment + timedelta(seconds=1)) for moment in moments]
    assert [[(who, into) for who, into, _ in found] for found in after] == [
        [("c-1", "mass"), ("c-2", "wealth")],
        [("c-1", "wealth"), ("c-2", "wealth")],
        [("c-1", "mass"), ("c-2", "wealth")],
    ]
    assert members(bank, "asset-tier") == [("c-1", "mass", moments[2])]
    assert members(bank, "asset-tier", at("2026-06-01 12:00")) == members(bank, "asset-tier")


def test_the_table_made_again_is_the_table(bank: Bank) -> None:
    publish(bank, *SHIPPED.values())
    bank.take([envelope("c-1", NEW_YEAR, fact) for fact in (registered(), balance("1000"), paid())])
    tidings = bank.tidings
    for days in (30, 60, 120):
        bank.run(NEW_YEAR + timedelta(days=days))
        tidings.ledger.segment_sizes()
    before = bank.sql("SELECT * FROM segments ORDER BY stream, segment")
    tidings.ledger.rebuild([1, 2], progress=lambda _: None)
    assert bank.sql("SELECT * FROM segments ORDER BY stream, segment") == before
    assert tidings.ledger.segment_sizes() == {
        ("asset-tier", "mass"): 1,
        ("behaviour", "silent"): 1,
        ("life-cycle", "declining"): 1,
    }
    tidings.engine.dispose()


def _lived(bank: Bank, told: list[Envelope], batch: int) -> Bank:
    bank.take(told)
    publish(bank, *SHIPPED.values(), journeys=(by_class("changed", segment="behaviour"),))
    for until in (START + timedelta(days=90), END):
        bank.run(until, batch=batch)
    assert bank.verify().findings == []
    return bank


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=dense_lives(customers=3))
def test_postgresql_tells_what_sqlite_tells(
    told: list[Envelope], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("segments")
    files = _lived(Bank(folder, partitions=1), told, batch=2_000)
    server = _lived(Bank(folder, partitions=3, name="pg", url=fresh_database()), told, batch=5)
    assert server.histories() == files.histories()
    for name in SHIPPED:
        for before in (None, START + timedelta(days=60)):
            assert members(server, name, before) == members(files, name, before)
    tidings, other = server.tidings, files.tidings
    assert tidings.ledger.segment_sizes() == other.ledger.segment_sizes()
    tidings.engine.dispose()
    other.engine.dispose()
