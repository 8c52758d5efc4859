"""Programmes about what customers have with the bank: what is said, when, to whom, and what is not."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from domain import catalogue as facts
from domain.catalogue import Fact
from domain.events import AdmissionRefused, EnrolmentEnded, TaskCreated, TaskEscalated
from support.facts import at, erased, held, opened, paid, registered, withdrawn
from support.scenario import NotSent, Scenario, Sent

NEW_YEAR = at("2026-01-01 12:00")
LATER = at("2026-12-31 12:00")


def own(kind: str, identity: str = "own", **data: str | int | bool | None) -> Fact:
    """A fact of the bank's own."""
    return facts.CustomFact(source=kind, id=identity, data=data)


def filed(complaint: str = "q-1") -> Fact:
    return facts.ComplaintFiled(source="/test", id=f"filed-{complaint}", complaint=complaint)


def resolved(complaint: str = "q-1") -> Fact:
    return facts.ComplaintResolved(source="/test", id=f"resolved-{complaint}", complaint=complaint)


def answered(survey: str, score: int | None) -> Fact:
    return facts.SurveyAnswered(source="/test", id=f"{survey}-{score}", survey=survey, score=score)


def assessed(level: int = 3, valid_until: date | None = None, identity: str = "risk") -> Fact:
    return facts.RiskAssessed(source="/test", id=identity, level=level, valid_until=valid_until)


def lost(holding: str = "w-1", identity: str = "loss") -> Fact:
    return facts.LossIncurred(source="/test", id=identity, holding=holding, amount=Decimal("120.50"))


def live(journey: str, *told: tuple[datetime, Fact], registers: bool = True) -> Scenario:
    """A life under one programme, of a customer who is registered at New Year."""
    first = [(NEW_YEAR, registered())] if registers else []
    return Scenario(journey).given(*first, *told)


def asked_of(scenario: Scenario) -> list[tuple[str, str]]:
    """Every task, by step and role."""
    return [(task.step, task.role) for task in scenario.bodies(TaskCreated)]


class TestOnboarding:
    WELCOME = Sent("onboarding-welcome", "email", NEW_YEAR)
    # Registered at noon, so ten o'clock of the third day is a day later.
    STEPS = Sent("onboarding-first-steps", "email", at("2026-01-05 10:00"))
    HELP = Sent("onboarding-first-use", "email", at("2026-01-19 10:00"))

    def test_who_uses_the_account_is_welcomed_and_told_the_first_steps(self) -> None:
        life = live("onboarding", (at("2026-01-18 12:00"), paid())).until(LATER)
        assert life.messages() == [self.WELCOME, self.STEPS]
        assert life.tasks() == []

    def test_a_contract_is_use_of_the_account_too(self) -> None:
        life = live("onboarding", (at("2026-01-18 12:00"), opened())).until(LATER)
        assert life.messages() == [self.WELCOME, self.STEPS]

    def test_who_does_not_use_it_is_offered_help_and_called(self) -> None:
        life = live("onboarding").until(LATER)
        assert life.messages() == [self.WELCOME, self.STEPS, self.HELP]
        assert life.tasks() == [("relationship_manager", at("2026-02-02 10:00"))]

    def test_a_call_that_nobody_makes_goes_to_the_call_centre(self) -> None:
        life = live("onboarding").until(LATER)
        assert [task.role for task in life.bodies(TaskEscalated)] == ["call_centre"]

    def test_who_begins_after_the_help_is_not_called(self) -> None:
        life = live("onboarding", (at("2026-01-25 12:00"), paid())).until(LATER)
        assert life.messages() == [self.WELCOME, self.STEPS, self.HELP]
        assert life.tasks() == []

    def test_who_registers_at_night_is_welcomed_in_the_morning(self) -> None:
        life = live("onboarding", (at("2026-01-01 23:30"), registered()), registers=False)
        assert life.until(at("2026-01-02 12:00")).messages() == [
            Sent("onboarding-welcome", "email", at("2026-01-02 08:00"))
        ]

    def test_a_registration_that_is_told_again_is_no_new_beginning(self) -> None:
        life = live("onboarding", (at("2026-06-01 12:00"), registered())).until(LATER)
        assert [m.template for m in life.messages()].count("onboarding-welcome") == 1

    def test_customers_of_long_ago_whom_a_new_store_hears_of_are_not_welcomed(self) -> None:
        life = Scenario("onboarding").tell_late(at("2025-12-01 12:00"), registered(), now=NEW_YEAR)
        assert life.until(LATER).messages() == []
        assert [refused.rule for refused in life.bodies(AdmissionRefused)] == ["told_late"]

    def test_it_needs_no_consent_and_no_hold_stops_it(self) -> None:
        life = live("onboarding", (NEW_YEAR, withdrawn()), (NEW_YEAR, held("hardship"))).until(LATER)
        assert all(isinstance(message, Sent) for message in life.messages())

    def test_who_leaves_hears_nothing_more(self) -> None:
        life = live("onboarding", (at("2026-01-03 12:00"), erased())).until(LATER)
        assert life.messages() == [self.WELCOME]
        assert life.customer.timers == {}


class TestStatementReady:
    def test_it_is_told_at_once_by_the_app_where_there_is_one(self) -> None:
        ready = own("x.statement.ready/1", account="A1", period="2026-03")
        life = live("statement-ready", (at("2026-04-02 09:15"), ready))
        assert life.messages() == [Sent("statement-ready", "push", at("2026-04-02 09:15"))]

    def test_each_statement_is_told_once(self) -> None:
        two = [own("x.statement.ready/1", f"s-{n}", period=f"2026-0{n}") for n in (1, 2)]
        life = live("statement-ready", *((at("2026-04-02 09:15"), ready) for ready in two))
        assert len(life.messages()) == 2

    def test_what_is_ready_at_night_is_told_in_the_morning(self) -> None:
        life = live("statement-ready", (at("2026-04-02 02:00"), own("x.statement.ready/1")))
        assert [m.at for m in life.until(LATER).messages()] == [at("2026-04-02 08:00")]


class TestLossCare:
    LOST = at("2026-03-02 17:00")

    def test_a_calm_word_at_once_and_a_call_within_three_days(self) -> None:
        life = live("loss-care", (self.LOST, lost()))
        assert life.messages() == [Sent("loss-care", "email", self.LOST)]
        (task,) = life.bodies(TaskCreated)
        assert (task.role, task.escalate_to) == ("relationship_manager", "operator")
        assert task.due_at == at("2026-03-05 17:00")

    def test_losses_of_the_same_month_are_one(self) -> None:
        again = (at("2026-03-20 12:00"), lost(identity="again"))
        next_month = (at("2026-04-02 12:00"), lost(identity="later"))
        life = live("loss-care", (self.LOST, lost()), again, next_month)
        assert [m.at for m in life.messages()] == [self.LOST, next_month[0]]
        assert [refused.rule for refused in life.bodies(AdmissionRefused)] == ["reentry"]

    def test_under_a_care_hold_neither_a_word_nor_a_call(self) -> None:
        life = live("loss-care", (NEW_YEAR, held("bereavement")), (self.LOST, lost()))
        assert life.messages() == [NotSent("loss-care", "care_hold", self.LOST)]
        assert life.tasks() == []


class TestComplaint:
    FILED = at("2026-03-02 14:00")
    RECEIVED = Sent("complaint-received", "email", FILED)
    DELAYED = Sent("complaint-delayed", "email", at("2026-03-18 10:00"))

    def test_it_is_acknowledged_at_once_and_somebody_looks_into_it(self) -> None:
        life = live("complaint", (self.FILED, filed()))
        assert life.messages() == [self.RECEIVED]
        assert asked_of(life) == [("look-into-it", "operator")]

    def test_two_days_after_the_answer_the_customer_is_asked(self) -> None:
        life = live("complaint", (self.FILED, filed()), (at("2026-03-10 16:00"), resolved()))
        ask = Sent("complaint-satisfaction", "email", at("2026-03-13 11:00"))
        assert life.until(LATER).messages() == [self.RECEIVED, ask]

    @pytest.mark.parametrize(("score", "called"), [(0, True), (5, True), (6, False), (None, False)])
    def test_who_is_not_satisfied_is_called(self, score: int | None, called: bool) -> None:
        life = live(
            "complaint",
            (self.FILED, filed()),
            (at("2026-03-10 16:00"), resolved()),
            (at("2026-03-14 12:00"), answered("complaint", score)),
        )
        life.until(LATER)
        assert (("call", "relationship_manager") in asked_of(life)) == called

    def test_an_answer_to_another_survey_is_none_to_this(self) -> None:
        life = live(
            "complaint",
            (self.FILED, filed()),
            (at("2026-03-10 16:00"), resolved()),
            (at("2026-03-14 12:00"), answered("service", 0)),
        )
        assert ("call", "relationship_manager") not in asked_of(life.until(LATER))

    def test_unanswered_after_fifteen_days_it_says_so_and_goes_to_the_relationship_manager(self) -> None:
        life = live("complaint", (self.FILED, filed()), (at("2026-03-25 16:00"), resolved()))
        ask = Sent("complaint-satisfaction", "email", at("2026-03-28 11:00"))
        assert life.until(LATER).messages() == [self.RECEIVED, self.DELAYED, ask]
        assert asked_of(life)[:2] == [("look-into-it", "operator"), ("see-to-it", "relationship_manager")]

    def test_never_answered_it_is_reported_and_ends(self) -> None:
        life = live("complaint", (self.FILED, filed())).until(LATER)
        assert life.messages() == [self.RECEIVED, self.DELAYED]
        assert [step for step, _ in asked_of(life)] == ["look-into-it", "see-to-it", "report"]
        assert [ended.reason for ended in life.bodies(EnrolmentEnded)] == ["end"]

    def test_the_answer_to_one_complaint_is_none_to_another(self) -> None:
        other = at("2026-03-05 14:00")
        life = live(
            "complaint",
            (self.FILED, filed("q-1")),
            (other, filed("q-2")),
            (at("2026-03-10 16:00"), resolved("q-2")),
        )
        life.until(at("2026-03-20 12:00"))
        assert [(m.template, m.at) for m in life.messages()] == [
            ("complaint-received", self.FILED),
            ("complaint-received", other),
            ("complaint-satisfaction", at("2026-03-13 11:00")),
            ("complaint-delayed", at("2026-03-18 10:00")),
        ]

    def test_a_dispute_does_not_silence_it(self) -> None:
        life = live("complaint", (self.FILED, held("dispute")), (self.FILED, filed()))
        assert life.messages() == [self.RECEIVED]


class TestSatisfaction:
    SERVED = at("2026-03-02 14:00")
    ASKED = Sent("survey-invitation", "email", at("2026-03-04 11:00"))

    def test_one_question_the_day_after_and_no_reminder(self) -> None:
        life = live("satisfaction", (self.SERVED, own("x.service.completed/1"))).until(LATER)
        assert life.messages() == [self.ASKED]
        assert life.tasks() == []

    def test_a_low_answer_brings_thanks_and_a_call(self) -> None:
        low = at("2026-03-05 12:00")
        life = live(
            "satisfaction", (self.SERVED, own("x.service.completed/1")), (low, answered("service", 3))
        )
        assert life.messages() == [self.ASKED, Sent("survey-thanks", "email", low)]
        assert life.tasks() == [("call_centre", low)]

    def test_a_good_answer_ends_it(self) -> None:
        life = live(
            "satisfaction",
            (self.SERVED, own("x.service.completed/1")),
            (at("2026-03-05 12:00"), answered("service", 9)),
        )
        assert life.messages() == [self.ASKED]
        assert life.customer.enrolments == {}

    def test_at_most_once_in_ninety_days(self) -> None:
        served = [(at(f"2026-{month:02}-02 14:00"), f"s-{month}") for month in (3, 4, 5, 6)]
        told = [(moment, own("x.service.completed/1", name)) for moment, name in served]
        life = live("satisfaction", *told).until(LATER)
        assert [m.at.month for m in life.messages()] == [3, 6]

    def test_who_has_just_complained_is_not_asked(self) -> None:
        life = live("satisfaction", (self.SERVED, own("x.service.completed/1")), (self.SERVED, filed()))
        assert life.until(LATER).messages() == []

    def test_a_word_against_surveys_counts(self) -> None:
        no = withdrawn(purpose="care", topic="surveys")
        life = live("satisfaction", (NEW_YEAR, no), (self.SERVED, own("x.service.completed/1")))
        assert life.until(LATER).messages() == [
            NotSent("survey-invitation", "consent_withdrawn", self.ASKED.at)
        ]


class TestRiskAssessment:
    ASSESSED = at("2026-02-02 12:00")
    UNTIL = date(2026, 8, 31)
    DUE = Sent("risk-assessment-due", "email", at("2026-08-01 10:00"))
    EXPIRED = Sent("risk-assessment-expired", "email", at("2026-09-01 10:00"))

    def test_a_notice_a_month_before_and_one_the_day_after(self) -> None:
        life = live("risk-assessment", (self.ASSESSED, assessed(valid_until=self.UNTIL))).until(LATER)
        assert life.messages() == [self.DUE, self.EXPIRED]

    def test_who_renews_it_in_time_gets_no_second_notice_before_that_one_is_due(self) -> None:
        renewed = (at("2026-08-10 12:00"), assessed(valid_until=date(2027, 8, 31), identity="new"))
        life = live("risk-assessment", (self.ASSESSED, assessed(valid_until=self.UNTIL)), renewed)
        life.until(LATER)
        assert life.messages() == [self.DUE]
        assert [ended.reason for ended in life.bodies(EnrolmentEnded)] == ["superseded"]

    def test_who_renews_it_early_gets_none(self) -> None:
        renewed = (at("2026-07-10 12:00"), assessed(valid_until=date(2027, 8, 31), identity="new"))
        life = live("risk-assessment", (self.ASSESSED, assessed(valid_until=self.UNTIL)), renewed)
        assert life.until(LATER).messages() == []

    def test_an_assessment_without_a_last_day_says_nothing(self) -> None:
        life = live("risk-assessment", (self.ASSESSED, assessed())).until(LATER)
        assert life.messages() == []
        assert life.customer.enrolments == {}

    def test_one_that_ends_within_a_month_is_told_when_it_is_over(self) -> None:
        life = live("risk-assessment", (self.ASSESSED, assessed(valid_until=date(2026, 2, 20)))).until(LATER)
        assert life.messages() == [Sent("risk-assessment-expired", "email", at("2026-02-21 10:00"))]


class TestProductRisk:
    CHANGED = at("2026-03-02 14:00")

    def change(self, new: int) -> Fact:
        return own(
            "x.product.risk_changed/1", product="steady-income", holding="w-1", old_level=2, new_level=new
        )

    @pytest.mark.parametrize(("new", "called"), [(3, False), (4, True), (5, True)])
    def test_it_is_told_and_for_high_levels_a_person_explains(self, new: int, called: bool) -> None:
        life = live("product-risk", (self.CHANGED, self.change(new)))
        assert life.messages() == [Sent("product-risk-changed", "email", self.CHANGED)]
        assert (asked_of(life) == [("call", "relationship_manager")]) == called
