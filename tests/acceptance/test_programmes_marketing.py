"""Programmes that sell: what a person has to check first, and what is never said without a yes."""

from datetime import date, datetime

import pytest

from domain import catalogue as facts
from domain.catalogue import Fact
from domain.events import EnrolmentEnded, TaskCreated, TaskSuppressed
from support.facts import at, balance, granted, held, noon, registered, withdrawn
from support.scenario import NotSent, Scenario, Sent

NEW_YEAR = at("2026-01-01 12:00")
LATER = at("2026-12-31 12:00")
GROWN = noon(date(2026, 4, 28))
CHECKED = at("2026-04-30 15:00")


def growth(*amounts: str) -> list[tuple[datetime, Fact]]:
    """A balance on the 28th of each month from January on."""
    days = [date(2026, month, 28) for month in range(1, len(amounts) + 1)]
    return [(noon(day), balance(amount)) for day, amount in zip(days, amounts, strict=True)]


class TestTierUpgradeWithACheck:
    COURSE = Sent("tier-course", "email", GROWN)

    def grown(self, *told: tuple[datetime, Fact]) -> Scenario:
        rows = growth("100", "121", "146", "176")
        return Scenario("tier-upgrade").given((NEW_YEAR, registered()), (NEW_YEAR, granted()), *rows, *told)

    def checked(self, outcome: str, *told: tuple[datetime, Fact]) -> Scenario:
        """A relationship manager looks at the growth and gives a word."""
        life = self.grown(*told)
        (asked,) = life.bodies(TaskCreated)
        word = facts.TaskDone(source="/test", id="word", task=asked.task, outcome=outcome, by="officer 17")
        return life.given((CHECKED, word))

    def test_approved_it_brings_the_introduction_and_a_call(self) -> None:
        life = self.checked("approved")
        assert life.messages() == [self.COURSE, Sent("tier-introduction", "email", CHECKED)]
        assert [(task.step, task.role) for task in life.bodies(TaskCreated)] == [
            ("check", "relationship_manager"),
            ("call", "relationship_manager"),
        ]

    @pytest.mark.parametrize("outcome", ["refused", "done", "not now"])
    def test_any_other_word_ends_it(self, outcome: str) -> None:
        life = self.checked(outcome)
        assert life.messages() == [self.COURSE]
        assert [ended.reason for ended in life.bodies(EnrolmentEnded)] == ["end"]

    def test_without_a_word_in_seven_days_it_ends(self) -> None:
        life = self.grown().until(LATER)
        assert life.messages() == [self.COURSE]
        assert len(life.tasks()) == 1
        assert life.customer.enrolments == {}

    def test_a_no_that_comes_meanwhile_counts_for_the_introduction(self) -> None:
        no = (at("2026-04-29 12:00"), withdrawn())
        life = self.checked("approved", no)
        assert life.messages() == [self.COURSE, NotSent("tier-introduction", "consent_withdrawn", CHECKED)]

    def test_under_a_care_hold_nobody_is_asked(self) -> None:
        life = Scenario("tier-upgrade").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, granted()),
            (NEW_YEAR, held("hardship")),
            *growth("100", "121", "146", "176"),
        )
        assert life.messages() == [NotSent("tier-course", "care_hold", GROWN)]
        assert [task.rule for task in life.bodies(TaskSuppressed)] == ["care_hold"]
        assert life.customer.enrolments == {}


class TestWinBackOfAssets:
    FELL = noon(date(2026, 4, 28))
    SURVEY = Sent("win-back-assets-survey", "email", FELL)
    OFFER = Sent("win-back-assets-offer", "email", noon(date(2026, 5, 12)))

    def fallen(self, *amounts: str) -> Scenario:
        return Scenario("win-back-assets").given(
            (NEW_YEAR, registered()), (NEW_YEAR, granted()), *growth(*amounts)
        )

    def test_three_months_of_falling_bring_a_survey_an_offer_and_a_call(self) -> None:
        life = self.fallen("1000", "790", "620", "490").until(LATER)
        assert life.messages() == [self.SURVEY, self.OFFER]
        assert life.tasks() == [("relationship_manager", noon(date(2026, 5, 26)))]

    @pytest.mark.parametrize(
        "amounts",
        [
            ("1000", "800", "620", "490"),  # exactly 20 % is not more than 20 %
            ("1000", "790", "620"),  # three balances are two months of falling
            ("0", "-10", "-20", "-30"),  # where there was nothing, nothing falls
            ("1000", "790", "790", "490"),
        ],
    )
    def test_less_than_that_brings_nothing(self, amounts: tuple[str, ...]) -> None:
        assert self.fallen(*amounts).until(LATER).messages() == []

    def test_money_that_comes_back_is_the_goal(self) -> None:
        life = self.fallen("1000", "790", "620", "490", "700").until(LATER)
        assert life.messages() == [self.SURVEY, self.OFFER]
        assert life.tasks() == [("relationship_manager", noon(date(2026, 5, 26)))]
        early = self.fallen("1000", "790", "620", "490").given((noon(date(2026, 5, 5)), balance("700")))
        assert early.until(LATER).messages() == [self.SURVEY]
        assert [ended.reason for ended in early.bodies(EnrolmentEnded)] == ["goal_reached"]

    def test_without_a_yes_nothing_is_said_and_somebody_calls(self) -> None:
        life = Scenario("win-back-assets").given(
            (NEW_YEAR, registered()), *growth("1000", "790", "620", "490")
        )
        life.until(LATER)
        assert {m.rule for m in life.messages() if isinstance(m, NotSent)} == {"no_consent"}
        assert len(life.tasks()) == 1
