"""The policy at work: put off and sent, put off and dropped, forbidden, each with rule and values."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from domain import catalogue as facts
from domain.caps import Cap
from domain.catalogue import Envelope, Fact
from domain.events import MessageDeferred, MessageRequested, MessageSending, MessageSuppressed
from domain.policy import ControlGroup
from domain.quiet import OnHolidays, QuietHours
from journeys.definition import End, EnterOnBirthday, EnterOnFact, Goal, Journey, Send, Step, Wait
from journeys.rulebook import Rulebook, Rules
from support.bank import Bank
from support.facts import at, balance, erased, granted, moved, paid, registered, withdrawn
from support.scenario import SHIPPED_RULEBOOK, NotSent, Scenario, Sent, envelope
from tidings.cli.why import explanation_of, sentences
from tidings.wording import Wording

MORNING = at("2026-01-05 10:00")
NIGHT = at("2026-01-05 22:30")
NEXT_MORNING = at("2026-01-06 08:00")
SHANGHAI = "Asia/Shanghai"


def asks(name: str = "own", *, on: str = "x.ask/1", **given: object) -> Journey:
    """A journey that asks for one message when such a fact comes."""
    step = {name: given.pop(name) for name in ("valid_hours", "product_risk") if name in given}
    values = {
        "journey": name,
        "version": 1,
        "title": {"en": "Own"},
        "purpose": "marketing",
        "topic": "offers",
        "enter": EnterOnFact(fact=on),
        "steps": (
            Send(step="say", template="tier-course", channels=("email",), next="end", **step),  # type: ignore[arg-type]
            End(step="end"),
        ),
        **given,
    }
    return Journey(**values)  # type: ignore[arg-type]


def rules(*journeys: Journey, **policy: object) -> Rules:
    return Rules(
        Rulebook(
            journeys=journeys,
            templates=SHIPPED_RULEBOOK.templates,
            policy=replace(SHIPPED_RULEBOOK.policy, **policy),
            calendars=SHIPPED_RULEBOOK.calendars,
        )
    )


def ask(number: int = 1) -> Fact:
    return facts.CustomFact(source="/test", id=f"ask-{number}")


def life(*journeys: Journey, **policy: object) -> "Life":
    return Life(rules=rules(*journeys, **policy), subject="c-1").given(
        (MORNING, registered()), (MORNING, granted())
    )


class Life(Scenario):
    """A scenario that knows a bank's own facts too."""

    def ask(self, *moments: datetime, kind: str = "x.ask/1") -> "Life":
        for number, moment in enumerate(moments):
            self._wake_until(moment, including=False)
            self._take(kind, moment, cause=0, body=ask(number + len(self.history)))
        return self

    def given(self, *told: tuple[datetime, Fact]) -> "Life":
        super().given(*told)
        return self


def requests(lived: Scenario) -> list[MessageRequested]:
    return [event.body for event in lived.history if isinstance(event.body, MessageRequested)]


class TestQuietHours:
    def test_what_is_asked_for_at_night_leaves_in_the_morning(self) -> None:
        lived = life(asks()).ask(NIGHT).until(at("2026-01-07 12:00"))
        (deferred,) = lived.bodies(MessageDeferred)
        assert isinstance(deferred, MessageDeferred)
        assert (deferred.rule, deferred.until) == ("quiet_hours", NEXT_MORNING)
        assert deferred.values == {"window": "night", "zone": "Europe/Prague", "channel": "email"}
        assert lived.messages() == [Sent("tier-course", "email", NEXT_MORNING)]

    def test_what_must_be_sent_leaves_at_night(self) -> None:
        assert life(asks(purpose="regulatory")).ask(NIGHT).messages() == [Sent("tier-course", "email", NIGHT)]

    def test_it_is_the_night_where_the_customer_is_when_it_leaves(self) -> None:
        lived = life(asks()).ask(NIGHT).given((at("2026-01-06 01:00"), moved("America/New_York")))
        lived.until(at("2026-01-07 12:00"))
        morning = at("2026-01-06 08:00", "America/New_York")
        assert lived.messages() == [Sent("tier-course", "email", morning)]

    def test_what_has_lost_its_sense_by_the_morning_is_not_sent_and_says_so(self) -> None:
        lived = life(asks(valid_hours=8)).ask(NIGHT)
        (suppressed,) = lived.bodies(MessageSuppressed)
        assert isinstance(suppressed, MessageSuppressed)
        assert suppressed.rule == "quiet_hours"
        assert suppressed.values["free_at"] == NEXT_MORNING.isoformat()
        assert suppressed.values["valid_until"] == at("2026-01-06 06:30").isoformat()
        assert lived.until(at("2026-01-07 12:00")).messages() == [
            NotSent("tier-course", "quiet_hours", NIGHT)
        ]

    def test_consent_is_asked_again_in_the_morning(self) -> None:
        lived = life(asks()).ask(NIGHT).given((at("2026-01-06 07:00"), withdrawn()))
        lived.until(at("2026-01-07 12:00"))
        assert lived.messages() == [NotSent("tier-course", "consent_withdrawn", NEXT_MORNING)]

    def test_a_customer_who_is_gone_by_the_morning_gets_nothing(self) -> None:
        lived = (
            life(asks()).ask(NIGHT).given((at("2026-01-06 07:00"), erased())).until(at("2026-02-01 12:00"))
        )
        assert lived.messages() == [NotSent("tier-course", "customer_gone", NEXT_MORNING)]

    def test_a_goal_that_is_reached_meanwhile_makes_the_message_pointless(self) -> None:
        steps: tuple[Step, ...] = (
            Send(step="say", template="tier-course", channels=("email",), next="wait"),
            *_waiting(),
        )
        own = asks(goal=Goal(fact="transaction.posted/1"), steps=steps)
        lived = life(own).ask(NIGHT).given((at("2026-01-06 07:00"), paid())).until(at("2026-02-01 12:00"))
        assert lived.messages() == [NotSent("tier-course", "journey_left", NEXT_MORNING)]


class TestHolidays:
    """The Spring Festival of 2026: days off from 15 to 23 February by the calendar of mainland China."""

    WINDOW = QuietHours(name="holidays", purposes=("marketing",), holidays=OnHolidays(calendar="cn"))

    def told(self, *windows: QuietHours, region: str | None = None, **given: Any) -> Scenario:
        """Asked for on the first day off, a Sunday, at ten in Shanghai."""
        night = SHIPPED_RULEBOOK.policy.quiet_hours
        known = rules(asks(**given), quiet_hours=(*windows, *night))
        lived = Life(rules=known, subject="c-1").given(
            (MORNING, registered(zone=SHANGHAI, region=region)), (MORNING, granted())
        )
        return lived.ask(at("2026-02-15 10:00", SHANGHAI)).until(at("2026-03-31 12:00"))

    def test_what_is_asked_for_on_a_holiday_leaves_on_the_first_morning_after_all_of_them(self) -> None:
        lived = self.told(self.WINDOW, valid_hours=240)
        (deferred,) = lived.bodies(MessageDeferred)
        assert isinstance(deferred, MessageDeferred)
        assert deferred.values == {
            "window": "holidays",
            "zone": SHANGHAI,
            "channel": "email",
            "calendar": "cn",
            "holiday": "2026-02-15",
        }
        assert lived.messages() == [Sent("tier-course", "email", at("2026-02-24 08:00", SHANGHAI))]

    def test_what_the_holidays_outlast_is_not_sent_and_says_so(self) -> None:
        (message,) = self.told(self.WINDOW).messages()
        assert message == NotSent("tier-course", "quiet_hours", at("2026-02-15 10:00", SHANGHAI))

    def test_the_holidays_of_a_region_hold_for_the_customers_of_that_region(self) -> None:
        window = replace(self.WINDOW, regions=("CN",))
        asked = at("2026-02-15 10:00", SHANGHAI)
        assert self.told(window, region="SG").messages() == [Sent("tier-course", "email", asked)]
        assert isinstance(self.told(window, region="CN").messages()[0], NotSent)

    def test_service_goes_on_where_the_window_does_not_name_it(self) -> None:
        asked = at("2026-02-15 10:00", SHANGHAI)
        assert self.told(self.WINDOW, purpose="service").messages() == [Sent("tier-course", "email", asked)]


def _waiting() -> tuple[Step, ...]:
    return Wait(step="wait", days=5, at="10:00", next="end"), End(step="end")


class TestCaps:
    def test_the_one_too_many_waits_until_the_first_is_a_week_old(self) -> None:
        days = [at(f"2026-01-0{day} 10:00") for day in (5, 6, 7, 8)]
        lived = life(asks(valid_hours=24 * 30)).ask(*days).until(at("2026-02-01 12:00"))
        last = at("2026-01-12 08:00")
        assert [sent.at for sent in lived.messages()] == [*days[:3], last]
        deferred = lived.bodies(MessageDeferred)[0]
        assert isinstance(deferred, MessageDeferred)
        assert deferred.values == {"cap": "marketing-week", "at_most": 3, "in_days": 7, "counted": 3}

    def test_it_is_dropped_where_it_would_come_too_late(self) -> None:
        days = [at(f"2026-01-0{day} 10:00") for day in (5, 6, 7, 8)]
        lived = life(asks()).ask(*days).until(at("2026-02-01 12:00"))
        assert lived.messages()[-1] == NotSent("tier-course", "cap", days[3])

    def test_service_messages_are_not_held_up_by_a_cap_on_marketing(self) -> None:
        days = [at(f"2026-01-0{day} 10:00") for day in (5, 6, 7)]
        lived = life(asks(), asks("statement", on="x.statement/1", purpose="service"))
        lived.ask(*days).ask(at("2026-01-07 11:00"), kind="x.statement/1")
        assert lived.messages()[-1] == Sent("tier-course", "email", at("2026-01-07 11:00"))

    def test_of_two_that_ask_at_once_the_one_of_higher_priority_gets_the_last_slot(self) -> None:
        cap = Cap(name="one", purposes=("marketing",), at_most=1, in_days=1)
        low = asks("a-low", priority=10)
        high = asks("b-high", priority=90, valid_hours=1)
        lived = life(low, high, caps=(cap,)).ask(MORNING).until(at("2026-01-08 12:00"))
        assert [asked.journey for asked in requests(lived)] == ["a-low", "b-high"]
        assert lived.messages() == [
            Sent("tier-course", "email", MORNING),
            Sent("tier-course", "email", NEXT_MORNING),
        ]
        assert lived.bodies(MessageSuppressed) == []

    def test_of_two_that_wait_for_one_slot_the_one_of_higher_priority_goes_first(self) -> None:
        cap = Cap(name="one", purposes=("marketing",), at_most=1, in_days=1)
        low, high = asks("a-low", priority=10), asks("b-high", on="x.other/1", priority=90)
        lived = life(low, high, caps=(cap,)).ask(NIGHT)
        lived.ask(at("2026-01-05 23:30"), kind="x.other/1").until(at("2026-01-10 12:00"))
        first, second = lived.messages()
        assert (first.at, second.at) == (NEXT_MORNING, at("2026-01-07 08:00"))
        journeys = {asked.message: asked.journey for asked in requests(lived)}
        leaving = [e.body.message for e in lived.history if isinstance(e.body, MessageSending)]
        assert [journeys[message] for message in leaving] == ["b-high", "a-low"]


class TestOtherRules:
    @pytest.mark.parametrize(
        ("born", "rule"), [(date(2008, 1, 6), "too_young"), (date(2008, 1, 5), None), (None, None)]
    )
    def test_no_marketing_to_minors(self, born: date | None, rule: str | None) -> None:
        lived = Life(rules=rules(asks()), subject="c-1")
        lived.given((MORNING, registered(birth_date=born)), (MORNING, granted())).ask(MORNING)
        (message,) = lived.messages()
        assert (message.rule if isinstance(message, NotSent) else None) == rule

    @pytest.mark.parametrize(
        ("level", "valid_until", "rule"),
        [
            (None, None, "risk_not_assessed"),
            (2, None, "risk_too_high"),
            (3, None, None),
            (3, date(2026, 1, 5), None),
            (3, date(2026, 1, 4), "risk_assessment_expired"),
        ],
    )
    def test_a_product_is_offered_to_who_was_assessed_for_its_risk(
        self, level: int | None, valid_until: date | None, rule: str | None
    ) -> None:
        lived = life(asks(product_risk=3))
        if level is not None:
            assessed = facts.RiskAssessed(source="/test", id="r", level=level, valid_until=valid_until)
            lived.given((MORNING, assessed))
        (message,) = lived.ask(MORNING).messages()
        assert (message.rule if isinstance(message, NotSent) else None) == rule

    def test_the_control_group_is_the_same_people_every_time_and_about_as_many_as_asked_for(self) -> None:
        group = ControlGroup(percent=10, purposes=("marketing",), salt="2026")

        def spared(salt: str) -> set[int]:
            drawn = replace(group, salt=salt)
            found = set()
            for number in range(400):
                lived = Life(rules=rules(asks(), control_group=drawn), subject=f"c-{number}")
                lived.given((MORNING, registered()), (MORNING, granted())).ask(MORNING)
                if lived.messages() == [NotSent("tier-course", "control_group", MORNING)]:
                    found.add(number)
            return found

        first = spared("2026")
        assert first == spared("2026")
        assert first != spared("2027")
        assert 20 <= len(first) <= 60


def test_a_store_puts_off_judges_again_and_verifies(tmp_path: Path) -> None:
    """Growth that is told at night: the shipped tier-upgrade waits for the morning, over a restart too."""
    told = [
        envelope("c-1", at("2026-01-01 12:00"), registered()),
        envelope("c-1", at("2026-01-01 12:00"), granted()),
    ]
    for month, amount in enumerate(("100", "121", "146", "176"), start=1):
        told.append(envelope("c-1", at(f"2026-0{month}-28 23:00"), balance(amount)))
    bank = Bank(tmp_path)
    assert bank.take(told).refused == []
    tally = bank.run(at("2026-04-28 23:30"))
    assert dict(tally.deferred) == {"quiet_hours": 1}
    (waiting,) = bank.tidings.ledger.messages(journey="tier-upgrade")
    assert (waiting.status, waiting.reason) == ("deferred", "quiet_hours")
    why = sentences(explanation_of(bank.tidings, waiting.id), Wording("en"))
    assert why[1] == 'Rule "quiet hours": it was the time night where the customer lives (Europe/Prague).'
    assert why[-1].endswith("the message was put off until 2026-04-29 06:00 UTC (quiet hours).")
    bank.run(at("2026-05-10 12:00"))
    (sent,) = bank.tidings.ledger.messages(journey="tier-upgrade")
    assert (sent.status, sent.reason) == ("accepted", None)
    assert sent.sent_at == int(at("2026-04-29 08:00").timestamp() * 1_000_000)
    chain = [link.kind for link in explanation_of(bank.tidings, sent.id).chain]
    assert chain[-5:] == [
        "message.requested/1",
        "message.deferred/1",
        "timer.fired/1",
        "message.sending/1",
        "message.accepted/1",
    ]
    assert bank.verify().findings == []


def test_what_a_provider_refused_does_not_count_under_a_cap(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.publish(asks())
    told = [
        envelope("c-1", MORNING, fact) for fact in (registered(email="a+rejected@example.com"), granted())
    ]
    days = [at(f"2026-01-0{day} 10:00") for day in (5, 6, 7, 8, 9)]
    told += [Envelope("x.ask/1", "c-1", day, ask(number)) for number, day in enumerate(days)]
    assert bank.take(told).refused == []
    bank.run(at("2026-02-01 12:00"))
    assert [message.status for message in bank.ledger()] == ["rejected"] * 5
    assert bank.verify().findings == []


def test_what_was_put_off_leaves_though_other_rules_come_into_force_meanwhile(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.publish(asks())
    told = [envelope("c-1", MORNING, fact) for fact in (registered(), granted())]
    bank.take([*told, Envelope("x.ask/1", "c-1", NIGHT, ask())])
    bank.run(NIGHT)
    bank.publish(asks("birthdays", enter=EnterOnBirthday(at="10:00")), asks(version=2, on="x.other/1"))
    bank.run(at("2026-01-10 12:00"))
    (message,) = bank.ledger()
    assert (message.status, message.version) == ("accepted", 1)
    assert message.sent_at == int(NEXT_MORNING.timestamp() * 1_000_000)
    assert bank.verify().findings == []
