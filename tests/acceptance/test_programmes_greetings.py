"""Greetings on days that move: who is greeted when, by which calendar, and who is left alone."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from domain import catalogue as facts
from domain.catalogue import Fact
from support.facts import at, closed, held, moved, opened, registered, withdrawn
from support.scenario import NotSent, Scenario, Sent

NEW_YEAR = at("2026-01-02 12:00")
SHANGHAI = "Asia/Shanghai"
# The first day of the lunar year, in 1990 as in 2026.
FIRST_DAY = date(1990, 1, 27)


def keeps(calendar: str, identity: str = "calendar") -> Fact:
    """The bank tells by which calendar the customer keeps the birthday."""
    return facts.CustomFact(source="x.birthday.calendar/1", id=identity, data={"calendar": calendar})


def reader(language: str = "zh-CN", **given: object) -> Fact:
    return registered(language=language, zone=SHANGHAI, **given)


def greeted(*journeys: str, told: list[tuple[datetime, Fact]], until: str = "2027-12-31 12:00") -> Scenario:
    return Scenario(*journeys).given(*told).until(at(until))


def days(life: Scenario, zone: str = SHANGHAI) -> list[str]:
    """The days of the wall clock on which something was said."""
    return [f"{m.at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for m in life.messages()]


class TestLunarBirthday:
    BOTH = ("birthday", "birthday-lunar", "birthday-calendar")

    def test_who_keeps_it_is_greeted_on_the_lunar_day_and_not_on_the_other(self) -> None:
        life = greeted(
            *self.BOTH, told=[(NEW_YEAR, reader(birth_date=FIRST_DAY)), (NEW_YEAR, keeps("lunar"))]
        )
        assert [m.template for m in life.messages()] == ["birthday-lunar"] * 2
        assert days(life) == ["2026-02-17 09:00", "2027-02-06 09:00"]

    def test_nobody_is_taken_to_keep_it(self) -> None:
        life = greeted(*self.BOTH, told=[(NEW_YEAR, reader(birth_date=FIRST_DAY))])
        assert [m.template for m in life.messages()] == ["birthday-greeting"] * 2
        assert days(life) == ["2026-01-27 09:00", "2027-01-27 09:00"]

    def test_the_word_can_be_taken_back(self) -> None:
        life = greeted(
            *self.BOTH,
            told=[
                (NEW_YEAR, reader(birth_date=FIRST_DAY)),
                (NEW_YEAR, keeps("lunar")),
                (at("2026-06-01 12:00"), keeps("gregorian", "again")),
            ],
        )
        assert [(m.template) for m in life.messages()] == ["birthday-lunar", "birthday-greeting"]
        assert days(life) == ["2026-02-17 09:00", "2027-01-27 09:00"]


FESTIVALS = {
    "festival-spring-festival": ["2026-02-17 09:00", "2027-02-06 09:00"],
    "festival-dragon-boat": ["2026-06-19 09:00", "2027-06-09 09:00"],
    "festival-mid-autumn": ["2026-09-25 09:00", "2027-09-15 09:00"],
}


class TestFestivals:
    @pytest.mark.parametrize("festival", FESTIVALS)
    def test_who_reads_chinese_is_greeted_on_the_day_where_they_are(self, festival: str) -> None:
        life = greeted(festival, told=[(NEW_YEAR, reader())])
        assert {m.template for m in life.messages()} == {festival}
        assert days(life) == FESTIVALS[festival]

    def test_also_far_from_there(self) -> None:
        life = greeted("festival-mid-autumn", told=[(NEW_YEAR, registered(language="zh-CN"))])
        assert days(life, "Europe/Prague") == FESTIVALS["festival-mid-autumn"]

    @pytest.mark.parametrize("festival", [*FESTIVALS, "festival-double-ninth"])
    def test_who_reads_another_language_is_not_taken_to_keep_it(self, festival: str) -> None:
        old = registered(language="en", birth_date=date(1940, 1, 1))
        assert greeted(festival, told=[(NEW_YEAR, old)]).messages() == []

    @pytest.mark.parametrize(("born", "times"), [(date(1966, 10, 18), 2), (date(1966, 10, 19), 1)])
    def test_the_day_of_the_old_is_for_those_of_sixty_and_more(self, born: date, times: int) -> None:
        life = greeted("festival-double-ninth", told=[(NEW_YEAR, reader(birth_date=born))])
        assert days(life) == ["2026-10-18 09:00", "2027-10-08 09:00"][-times:]

    def test_the_new_year_is_for_everybody(self) -> None:
        for person in (registered(language="cs"), registered(language="zh-CN")):
            life = greeted("festival-new-year", told=[(NEW_YEAR, person)])
            assert life.messages() == [Sent("festival-new-year", "email", at("2027-01-01 10:00"))]

    def test_no_festival_for_who_grieves_or_wants_no_greetings(self) -> None:
        for fact, rule in (
            (held("bereavement"), "care_hold"),
            (withdrawn(purpose="care"), "consent_withdrawn"),
        ):
            life = greeted("festival-spring-festival", told=[(NEW_YEAR, reader()), (NEW_YEAR, fact)])
            assert {m.rule for m in life.messages() if isinstance(m, NotSent)} == {rule}
            assert len(life.messages()) == 2


class TestAnniversaries:
    def test_thanks_in_the_years_that_are_listed(self) -> None:
        life = greeted(
            "anniversary-relationship",
            told=[(at("2020-03-10 12:00"), registered())],
            until="2031-12-31 12:00",
        )
        years = [m.at.year for m in life.messages()]
        assert years == [2021, 2022, 2023, 2025, 2030]
        assert life.messages()[0] == Sent("anniversary-relationship", "email", at("2021-03-10 10:00"))

    def test_it_is_the_day_on_which_they_came_and_not_the_one_on_which_a_store_hears_of_it(self) -> None:
        life = Scenario("anniversary-relationship").tell_late(
            at("2016-05-04 12:00"), registered(), now=at("2026-01-01 12:00")
        )
        life.until(at("2027-12-31 12:00"))
        assert [m.at for m in life.messages()] == [at("2026-05-04 10:00")]

    def test_a_policy_is_looked_at_every_year_until_it_is_closed(self) -> None:
        life = greeted(
            "anniversary-policy",
            told=[
                (at("2026-01-01 12:00"), registered()),
                (at("2026-03-10 12:00"), opened(holding="p-1", kind="policy")),
                (at("2026-03-11 12:00"), opened(holding="d-1")),
                (at("2028-06-01 12:00"), closed("p-1")),
            ],
            until="2031-12-31 12:00",
        )
        assert life.messages() == [
            Sent("anniversary-policy", "email", at("2027-03-10 10:00")),
            Sent("anniversary-policy", "email", at("2028-03-10 10:00")),
        ]

    def test_it_is_ten_where_the_customer_lives_now(self) -> None:
        life = greeted(
            "anniversary-relationship",
            told=[(at("2026-03-10 12:00"), registered()), (at("2026-06-01 12:00"), moved(SHANGHAI))],
            until="2027-12-31 12:00",
        )
        assert days(life) == ["2027-03-10 10:00"]
