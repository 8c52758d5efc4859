"""Why somebody heard nothing: the true reason, on record or asked again, for every way of hearing nothing."""

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from audit.life import Answer
from domain.catalogue import (
    CareHoldPlaced,
    ComplaintFiled,
    ContactBounced,
    CustomerChanged,
    CustomerErased,
    CustomerMerged,
    Fact,
    RiskAssessed,
)
from domain.withheld import Withheld
from journeys.definition import (
    Branch,
    Case,
    Control,
    Controls,
    End,
    EnterOnBirthday,
    EntryValue,
    Goal,
    Holdout,
    Journey,
    Reentry,
    Segment,
    Send,
    Split,
    Wait,
    Way,
)
from journeys.rulebook import Rules
from support.documents import condition, entry
from support.facts import at, balance, granted, opened, paid, registered, withdrawn
from support.scenario import SHIPPED_RULEBOOK, Scenario
from support.silent import asked, reason
from tidings.documents import decode, shipped_segments

NEW_YEAR = at("2026-01-01 12:00")
GREET = Send(step="greet", template="birthday-greeting", channels=("email",), next="end")
END = End(step="end")
GOAL = Goal(fact="transaction.posted/1")
SEGMENTS = tuple(decode(document, Segment) for document in shipped_segments())


def own(enter: str, *steps: Any, purpose: Any = "care", **given: Any) -> Journey:
    return Journey(
        journey="own",
        version=1,
        title={"en": "Own"},
        purpose=purpose,
        topic="greetings",
        enter=entry(enter),
        steps=(*(steps or (GREET,)), END),
        **given,
    )


def life(
    journey: Journey, *facts: tuple[str, Fact], until: str = "2026-12-31 12:00", **book: Any
) -> Scenario:
    rules = Rules(replace(SHIPPED_RULEBOOK, journeys=(journey,), **book))
    return Scenario(rules=rules).given(*((at(when), fact) for when, fact in facts)).until(at(until))


def birthday(*facts: tuple[str, Fact], **given: Any) -> Scenario:
    return life(own("birthday, at: '09:00'"), *facts, **given)


BORN = registered(birth_date=date(1980, 5, 3))


def one(scenario: Scenario, day: str, journey: str = "own") -> Answer:
    (answer,) = asked(scenario, day, journey=journey)
    return answer


class TestTheCustomer:
    def test_who_was_greeted_is_told_so_with_the_message(self) -> None:
        answer = one(birthday(("2026-01-01 12:00", BORN)), "2026-05-03")
        assert (answer.reason, answer.basis) == ("sent", "record")
        assert answer.message is not None
        assert answer.rules is not None
        assert answer.rules.policy == "standard"
        assert answer.chain[0].kind == "customer.registered/1"

    def test_who_came_later_was_not_there(self) -> None:
        answer = one(birthday(("2026-06-01 12:00", BORN)), "2026-05-03")
        assert (answer.reason, answer.event) == ("not_yet_registered", 1)

    def test_who_was_told_of_too_late_was_not_known(self) -> None:
        scenario = life(own("birthday, at: '09:00'"), until="2026-06-01 12:00")
        scenario.tell_late(at("2026-05-01 12:00"), BORN, now=at("2026-06-01 12:00"))
        assert reason(scenario, "2026-05-03", "own") == "registered_too_late"

    @pytest.mark.parametrize(
        ("fact", "how"),
        [
            (CustomerMerged(source="t", id="m", into="c-2"), "merged"),
            (CustomerErased(source="t", id="e"), "erased"),
        ],
    )
    def test_who_is_gone_hears_nothing(self, fact: Fact, how: str) -> None:
        scenario = birthday(("2026-01-01 12:00", BORN), ("2026-04-01 12:00", fact))
        answer = one(scenario, "2026-05-03")
        assert (answer.reason, answer.values["how"]) == ("gone", how)
        assert answer.event is not None
        assert scenario.history[answer.event - 1].body is fact

    def test_days_that_nobody_has_lived_are_still_to_come(self) -> None:
        scenario = birthday(("2026-01-01 12:00", BORN), until="2026-04-01 12:00")
        reached = at("2026-04-01 12:00")
        (answer,) = asked(scenario, "2026-05-03", journey="own", reached=reached)
        assert (answer.reason, answer.values["due_at"]) == ("still_to_come", at("2026-05-03 09:00"))
        assert [
            answer.reason for answer in asked(scenario, "2026-05-04", journey="own", reached=reached)
        ] == ["not_reached"]

    def test_the_same_day_before_its_hour_is_still_to_come(self) -> None:
        scenario = birthday(("2026-01-01 12:00", BORN), until="2026-05-03 08:00")
        assert reason(scenario, "2026-05-03", "own", reached=at("2026-05-03 08:00")) == "still_to_come"


class TestDays:
    def test_another_day_is_told_with_those_around_it(self) -> None:
        answer = one(birthday(("2026-01-01 12:00", BORN)), "2026-05-04")
        assert (answer.reason, answer.basis, answer.event) == ("not_the_day", "reckoned", None)
        assert (answer.values["last_day"], answer.values["next_day"]) == ("2026-05-03", "2027-05-03")

    def test_the_29th_of_february_says_by_which_rule_it_falls(self) -> None:
        leapling = registered(birth_date=date(1980, 2, 29))
        early = birthday(("2026-01-01 12:00", leapling))
        assert reason(early, "2026-02-28", "own") == "sent"
        late = one(
            life(own("birthday, at: '09:00', leap_day: mar-1"), ("2026-01-01 12:00", leapling)), "2026-02-28"
        )
        assert (late.reason, late.values["rule"], late.values["next_day"]) == (
            "not_the_day",
            "mar-1",
            "2026-03-01",
        )

    def test_a_lunar_birthday_is_another_day_each_year(self) -> None:
        lunar = life(own("birthday, at: '09:00', calendar: lunar"), ("2026-01-01 12:00", BORN))
        answer = one(lunar, "2026-05-03")
        # 1980-05-03 was the 19th day of the third month: 2026-05-05.
        assert (answer.reason, answer.values["calendar"]) == ("not_the_day", "lunar")
        assert answer.values["next_day"] == "2026-05-05"

    def test_a_birth_date_that_nobody_knows_has_no_day(self) -> None:
        scenario = birthday(("2026-01-01 12:00", registered(birth_date=None)))
        assert reason(scenario, "2026-05-03", "own") == "birth_date_unknown"

    def test_a_birth_date_that_was_told_after_its_hour_came_too_late(self) -> None:
        told = CustomerChanged(source="t", id="b", birth_date=date(1980, 5, 3))
        answer = one(
            birthday(("2026-01-01 12:00", registered(birth_date=None)), ("2026-05-03 15:00", told)),
            "2026-05-03",
        )
        assert (answer.reason, answer.values["told"]) == ("told_too_late", "customer.changed/1")
        assert answer.values["due_at"] == at("2026-05-03 09:00")

    def test_who_registers_on_their_birthday_after_its_hour_is_greeted_a_year_later(self) -> None:
        answer = one(birthday(("2026-05-03 15:00", BORN)), "2026-05-03")
        assert (answer.reason, answer.values["told"]) == ("told_too_late", "customer.registered/1")

    def test_a_contract_of_another_kind_has_no_such_day(self) -> None:
        maturity = own("maturity, kinds: [loan], offsets: [-7], at: '10:00'")
        loan = opened(kind="loan", matures_on=date(2026, 3, 20))
        without = life(maturity, ("2026-01-01 12:00", BORN), ("2026-01-01 12:00", opened()))
        assert reason(without, "2026-03-13", "own") == "no_contract"
        held = life(maturity, ("2026-01-01 12:00", BORN), ("2026-01-01 12:00", loan))
        assert reason(held, "2026-03-13", "own") == "sent"
        answer = one(held, "2026-03-14")
        assert (answer.reason, answer.values["last_day"]) == ("not_the_day", "2026-03-13")

    def test_a_contract_that_was_told_of_with_another_is_not_told_of_again(self) -> None:
        maturity = own("maturity, kinds: [loan], offsets: [-7], at: '10:00', merge_days: 7")
        contracts = [
            ("2026-01-01 12:00", opened(holding=name, kind="loan", matures_on=day))
            for name, day in (("l-1", date(2026, 3, 20)), ("l-2", date(2026, 3, 24)))
        ]
        answer = one(life(maturity, ("2026-01-01 12:00", BORN), *contracts), "2026-03-17")
        assert (answer.reason, answer.values["holding"], answer.values["with"]) == (
            "told_together",
            "l-2",
            "l-1",
        )

    def test_the_condition_of_the_entry_is_told_part_by_part(self) -> None:
        journey = replace(
            own("birthday, at: '09:00'"),
            enter=EnterOnBirthday(
                at="09:00",
                when=condition(
                    "all, of: [{is: attribute, name: language, one_of: [cs]}, {is: assets, at_least: '5'}]"
                ),
            ),
        )
        scenario = life(journey, ("2026-01-01 12:00", BORN), ("2026-02-01 12:00", balance("4.99")))
        answer = one(scenario, "2026-05-03")
        assert (answer.reason, answer.basis) == ("condition", "reckoned")
        assert [(leaf.name, leaf.seen) for leaf in answer.unmet] == [("language", "en"), ("assets", "4.99")]
        # Nothing was recorded but the wake-up.
        assert answer.chain[-1].kind == "timer.fired/1"


class TestTheRules:
    def test_a_journey_that_nobody_published_is_not_in_force(self) -> None:
        assert reason(birthday(("2026-01-01 12:00", BORN)), "2026-05-03", "other") == "not_in_force"

    def test_a_paused_journey_refuses_on_record(self) -> None:
        paused = Controls(journeys=(Control(journey="own", version=1, state="paused"),))
        answer = one(birthday(("2026-01-01 12:00", BORN), controls=paused), "2026-05-03")
        assert (answer.reason, answer.values["rule"], answer.basis) == ("refused", "paused", "record")

    def test_an_entry_too_soon_after_the_last_says_how_soon(self) -> None:
        journey = own("fact, fact: complaint.filed/1", reentry=Reentry(after_days=30))
        filed = [
            (f"2026-03-{day} 12:00", ComplaintFiled(source="t", id=day, complaint=day))
            for day in ("01", "11")
        ]
        answer = one(life(journey, ("2026-01-01 12:00", BORN), *filed), "2026-03-11")
        assert (answer.reason, answer.values["rule"]) == ("refused", "reentry")
        assert (answer.values["days_since"], answer.values["days_required"]) == (10, 30)

    def test_who_is_held_out_is_told_so(self) -> None:
        journey = own("birthday, at: '09:00'", holdout=Holdout(percent=99))
        answer = one(life(journey, ("2026-01-01 12:00", BORN)), "2026-05-03")
        assert (answer.reason, answer.values["percent"]) == ("held_out", 99)

    @pytest.mark.parametrize(
        ("told", "rule"),
        [
            (CareHoldPlaced(source="t", id="h", reason="bereavement"), "care_hold"),
            (withdrawn(purpose="care"), "consent_withdrawn"),
            (
                ContactBounced(source="t", id="b", channel="email", address="one@example.com"),
                "suppressed_address",
            ),
            (CustomerChanged(source="t", id="c", email=""), "no_address"),
        ],
    )
    def test_what_the_policy_forbids_names_its_rule(self, told: Fact, rule: str) -> None:
        scenario = birthday(("2026-01-01 12:00", BORN), ("2026-04-01 12:00", told))
        answer = one(scenario, "2026-05-03")
        assert (answer.reason, answer.values["rule"], answer.basis) == ("suppressed", rule, "record")

    def test_what_is_put_off_says_until_when_and_what_became_of_it(self) -> None:
        scenario = life(own("birthday, at: '23:00'"), ("2026-01-01 12:00", BORN))
        answer = one(scenario, "2026-05-03")
        assert (answer.reason, answer.values["rule"]) == ("put_off", "quiet_hours")
        assert (answer.values["until"], answer.values["became"]) == (at("2026-05-04 08:00"), "accepted")
        assert reason(scenario, "2026-05-04", "own") == "sent"


class TestPassages:
    WAITING = (
        Wait(step="pause", days=10, at="12:00", next="greet"),
        GREET,
    )

    def test_who_waits_is_told_at_which_step_and_until_when(self) -> None:
        scenario = life(own("birthday, at: '09:00'", *self.WAITING), ("2026-01-01 12:00", BORN))
        answer = one(scenario, "2026-05-07")
        assert (answer.reason, answer.values["step"]) == ("waiting", "pause")
        assert answer.values["until"] == at("2026-05-13 12:00")
        assert reason(scenario, "2026-05-13", "own") == "sent"

    def test_who_left_before_would_have_gone_on(self) -> None:
        journey = own("silence, of: transaction.posted/1, days: 60, at: '12:00'", *self.WAITING, goal=GOAL)
        scenario = life(
            journey, ("2026-01-01 12:00", BORN), ("2026-01-02 12:00", paid()), ("2026-03-06 12:00", paid())
        )
        assert reason(scenario, "2026-03-06", "own") == "left"
        answer = one(scenario, "2026-03-13")
        assert (answer.reason, answer.values["because"]) == ("left_before", "goal_reached")
        assert answer.values["would_go_on_at"] == at("2026-03-13 12:00")
        # Any other day is too early for another silence.
        assert reason(scenario, "2026-03-14", "own") == "not_silent"

    def test_the_other_way_of_a_branch_says_why_no_case_held(self) -> None:
        branch = Branch(
            step="old-enough",
            cases=(Case(when=EntryValue(name="age", at_least=50), next="greet"),),
            otherwise="end",
        )
        answer = one(
            life(own("birthday, at: '09:00'", branch, GREET), ("2026-01-01 12:00", BORN)), "2026-05-03"
        )
        assert (answer.reason, answer.values["step"], answer.values["next"]) == (
            "other_way",
            "old-enough",
            "end",
        )
        assert [(leaf.name, leaf.seen) for leaf in answer.unmet] == [("age", 46)]

    def test_the_other_way_of_an_experiment_is_told(self) -> None:
        ways = (Way(way="quiet", percent=100, next="end"), Way(way="loud", percent=0, next="greet"))
        split = Split(step="share", ways=ways)
        answer = one(
            life(own("birthday, at: '09:00'", split, GREET), ("2026-01-01 12:00", BORN)), "2026-05-03"
        )
        assert (answer.reason, answer.values["way"]) == ("other_experiment_way", "quiet")


class TestFactsAndSilences:
    def test_a_fact_that_nobody_told_leads_nobody_in(self) -> None:
        scenario = life(own("fact, fact: complaint.filed/1"), ("2026-01-01 12:00", BORN))
        assert reason(scenario, "2026-03-01", "own") == "fact_not_told"

    def test_a_fact_that_was_told_later_did_not_lead_in_then(self) -> None:
        scenario = life(
            own("fact, fact: complaint.filed/1"), ("2026-01-01 12:00", BORN), until="2026-03-02 12:00"
        )
        filed = ComplaintFiled(source="t", id="k", complaint="k")
        scenario.tell_late(at("2026-03-01 12:00"), filed, now=at("2026-03-20 12:00"))
        assert reason(scenario, "2026-03-01", "own") == "told_later"
        answer = one(scenario, "2026-03-20")
        assert (answer.reason, answer.values["rule"], answer.values["days_late"]) == (
            "refused",
            "told_late",
            19,
        )

    def test_of_a_fact_that_retention_emptied_nobody_knows_whether_it_fitted(self) -> None:
        journey = own("fact, fact: complaint.filed/1, when: {is: holds, kinds: [loan]}")
        filed = ComplaintFiled(source="t", id="k", complaint="k")
        scenario = life(journey, ("2026-01-01 12:00", BORN), ("2026-02-02 12:00", filed))
        assert reason(scenario, "2026-02-02", "own") == "condition"
        scenario.history = [
            replace(event, body=Withheld("00" * 32)) if event.kind == "complaint.filed/1" else event
            for event in scenario.history
        ]
        assert reason(scenario, "2026-02-02", "own") == "withheld"

    def test_a_fact_that_does_not_fit_says_what_was_seen(self) -> None:
        journey = own("fact, fact: risk.assessed/1, when: {is: attribute, name: risk_level, at_least: 4}")
        assessed = RiskAssessed(source="t", id="r", level=3)
        answer = one(life(journey, ("2026-01-01 12:00", BORN), ("2026-03-01 12:00", assessed)), "2026-03-01")
        assert answer.reason == "condition"
        assert [(leaf.name, leaf.seen, leaf.wanted) for leaf in answer.unmet] == [("risk_level", 3, True)]

    def test_a_request_that_nobody_made_leads_nobody_in(self) -> None:
        scenario = life(own("request"), ("2026-01-01 12:00", BORN))
        assert reason(scenario, "2026-03-01", "own") == "not_requested"

    def test_a_silence_needs_something_before_it_and_enough_days(self) -> None:
        journey = own("silence, of: transaction.posted/1, days: 60, at: '12:00'")
        assert reason(life(journey, ("2026-01-01 12:00", BORN)), "2026-03-01", "own") == "never_happened"
        scenario = life(journey, ("2026-01-01 12:00", BORN), ("2026-01-02 12:00", paid()))
        early = one(scenario, "2026-03-02")
        assert (early.reason, early.values["due_at"]) == ("not_silent", at("2026-03-03 12:00"))
        assert reason(scenario, "2026-03-03", "own") == "sent"
        assert reason(scenario, "2026-03-04", "own") == "entered_before"

    def test_a_class_that_stays_leads_nobody_in(self) -> None:
        scenario = life(
            own("segment, segment: asset-tier, on: entered, classes: [wealth]"),
            ("2026-01-01 12:00", BORN),
            ("2026-02-01 12:00", balance("1000")),
            segments=SEGMENTS,
        )
        entered = one(scenario, "2026-02-01")
        assert (entered.reason, entered.values["class"]) == ("other_class", "mass")
        stayed = one(scenario, "2026-02-02")
        assert (stayed.reason, stayed.values["class"]) == ("same_class", "mass")
        assert [(leaf.name, leaf.seen) for leaf in stayed.unmet] == [("assets", "1000")]

    def test_the_class_that_the_same_fact_changed_is_the_one_that_is_asked(self) -> None:
        scenario = life(
            own(
                "fact, fact: balance.recorded/1, when: {is: in_segment, segment: asset-tier, classes: [mass]}"
            ),
            ("2026-01-01 12:00", BORN),
            ("2026-02-01 12:00", balance("1000")),
            ("2026-03-01 12:00", balance("600000")),
            segments=SEGMENTS,
        )
        assert reason(scenario, "2026-02-01", "own") == "sent"
        answer = one(scenario, "2026-03-01")
        assert (answer.reason, [leaf.seen for leaf in answer.unmet]) == ("condition", ["wealth"])


class TestSeveral:
    def test_without_a_journey_every_one_in_force_answers(self) -> None:
        scenario = Scenario().given((NEW_YEAR, BORN), (NEW_YEAR, granted())).until(at("2026-12-31 12:00"))
        found = asked(scenario, "2026-05-03")
        assert {answer.journey for answer in found} == {j.journey for j in SHIPPED_RULEBOOK.journeys}
        assert [a.journey for a in found if a.reason == "sent"] == ["birthday"]
        assert not [answer for answer in found if answer.reason == "unexplained"]

    def test_of_a_template_only_those_answer_who_say_it(self) -> None:
        scenario = Scenario().given((NEW_YEAR, BORN)).until(at("2026-12-31 12:00"))
        found = asked(scenario, "2026-05-03", template="win-back-offer")
        assert [(answer.journey, answer.reason) for answer in found] == [("win-back", "never_happened")]

    def test_of_many_days_each_wake_up_is_told(self) -> None:
        scenario = birthday(("2025-01-01 12:00", BORN))
        found = asked(scenario, "2025-01-01", "2026-12-30", journey="own")
        assert [answer.reason for answer in found] == ["sent", "sent"]
