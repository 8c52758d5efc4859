"""Every way to enter a journey by a day, a schedule or a request: given facts and time, who enters when."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from domain.catalogue import CareHoldLifted, JourneyRequested, RiskAssessed
from domain.events import AdmissionRefused, EnrolmentStarted
from journeys.definition import (
    Assets,
    Branch,
    CareHeld,
    Case,
    DaysSince,
    End,
    Enter,
    EnterBySchedule,
    EnterOnAnniversary,
    EnterOnBirthday,
    EnterOnDate,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnRequest,
    EnterOnSilence,
    EnterYearly,
    EntryValue,
    Journey,
    Moved,
    Not,
    Reentry,
    Task,
)
from journeys.rulebook import Rules
from journeys.validation import problems
from support.bank import Bank
from support.facts import at, balance, changed, closed, held, moved, opened, paid, registered
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario, envelope
from support.strategies import entered

NEW_YEAR = at("2026-01-01 12:00")
SHANGHAI = "Asia/Shanghai"
WORKED_AFTER, WORKED_BEFORE = (Moved(calendar="cz", to=to) for to in ("after", "before"))
HELD = CareHeld()


def own(enter: Enter, **given: Any) -> Journey:
    values = {
        "journey": "own",
        "version": 1,
        "title": {"en": "Own"},
        "purpose": "care",
        "topic": "greetings",
        "steps": (End(step="end"),),
    }
    return Journey(**{**values, **given}, enter=enter)


def life(*enters: Enter, **given: Any) -> Scenario:
    journeys = tuple(own(enter, **{**given, "version": n}) for n, enter in enumerate(enters, 1))
    return Scenario(rules=Rules(replace(SHIPPED_RULEBOOK, journeys=journeys)))


def started(told: Scenario) -> list[EnrolmentStarted]:
    return [body for body in told.bodies(EnrolmentStarted) if isinstance(body, EnrolmentStarted)]


def refused(told: Scenario) -> list[tuple[str, dict[str, Any]]]:
    return [(b.rule, b.values) for b in told.bodies(AdmissionRefused) if isinstance(b, AdmissionRefused)]


def moments(told: Scenario) -> list[datetime]:
    return [event.recorded_at for event in told.history if isinstance(event.body, EnrolmentStarted)]


def requested(journey: str = "own", ident: str = "r-1", **values: Any) -> JourneyRequested:
    return JourneyRequested(
        source="/desk", id=ident, journey=journey, values=values, requested_by="Eva of branch 7"
    )


class TestDate:
    enter = EnterOnDate(on=date(2026, 12, 24), at="09:00")

    def test_everybody_who_is_a_customer_by_then_enters_once_where_they_live(self) -> None:
        told = life(self.enter).given((NEW_YEAR, registered(zone=SHANGHAI))).until(at("2028-01-01 00:00"))
        assert moments(told) == [at("2026-12-24 09:00", SHANGHAI)]
        assert [(s.key, s.entry) for s in started(told)] == [("2026-12-24", {"day": "2026-12-24"})]
        assert told.customer.timers == {}

    @pytest.mark.parametrize(
        ("registered_at", "times"),
        [("2026-12-24 09:00", 1), ("2026-12-24 09:01", 0), ("2027-01-01 09:00", 0)],
    )
    def test_who_comes_later_does_not_enter(self, registered_at: str, times: int) -> None:
        told = life(self.enter).given((at(registered_at), registered())).until(at("2028-01-01 00:00"))
        assert len(started(told)) == times

    def test_a_registration_told_late_for_a_day_that_is_over_leads_to_nothing(self) -> None:
        told = life(self.enter).tell_late(NEW_YEAR, registered(), now=at("2026-12-25 12:00"))
        told.until(at("2028-01-01 00:00"))
        assert started(told) == []

    def test_who_moves_meanwhile_enters_at_the_hour_of_the_new_home(self) -> None:
        there = (at("2026-12-24 03:00", SHANGHAI), moved(SHANGHAI))
        told = life(self.enter).given((NEW_YEAR, registered()), there).until(at("2028-01-01 00:00"))
        assert moments(told) == [at("2026-12-24 09:00", SHANGHAI)]

    def test_who_moves_west_on_the_day_does_not_enter_a_second_time(self) -> None:
        there = (at("2026-12-24 12:00"), moved("America/New_York"))
        told = life(self.enter).given((NEW_YEAR, registered()), there).until(at("2028-01-01 00:00"))
        assert moments(told) == [at("2026-12-24 09:00")]
        assert refused(told) == [("already_entered", {"key": "2026-12-24"})]


class TestYearly:
    def entered_on(self, until: str, **given: Any) -> list[str]:
        enter = EnterYearly(at="09:00", **given)
        told = life(enter).given((NEW_YEAR, registered())).until(at(f"{until} 00:00"))
        assert [s.entry["day"] for s in started(told)] == [s.key for s in started(told)]
        return [str(moment.date()) for moment in moments(told)]

    def test_a_fixed_day_comes_every_year(self) -> None:
        assert self.entered_on("2029-01-01", month_day="12-24") == ["2026-12-24", "2027-12-24", "2028-12-24"]

    def test_29_february_follows_the_rule(self) -> None:
        february = ["2026-02-28", "2027-02-28", "2028-02-29"]
        assert self.entered_on("2029-01-01", month_day="02-29") == february
        march = ["2026-03-01", "2027-03-01", "2028-02-29"]
        assert self.entered_on("2029-01-01", month_day="02-29", leap_day="mar-1") == march

    def test_good_friday_follows_easter(self) -> None:
        assert self.entered_on("2029-01-01", easter=-2) == ["2026-04-03", "2027-03-26", "2028-04-14"]

    def test_a_lunar_festival_follows_the_moon_and_never_lies_in_a_leap_month(self) -> None:
        """2025 has a second sixth month, and 2028 a second fifth one."""
        boats = self.entered_on("2029-01-01", festival="dragon-boat", calendar="lunar")
        assert boats == ["2026-06-19", "2027-06-09", "2028-05-28"]

    def test_so_many_days_before_a_festival_and_then_moved_to_a_working_day(self) -> None:
        """Three days before: 22 September 2026 (Tuesday), 12 September 2027 (Sunday)."""
        given = {"festival": "mid-autumn", "calendar": "lunar", "offset_days": -3}
        found = self.entered_on("2028-01-01", moved=WORKED_BEFORE, **given)
        assert found == ["2026-09-22", "2027-09-10"]

    def test_an_offset_may_lead_into_the_year_before(self) -> None:
        assert self.entered_on("2028-01-01", month_day="01-03", offset_days=-7) == [
            "2026-12-27",
            "2027-12-27",
        ]

    def test_after_the_calendars_last_year_nothing_is_planned(self) -> None:
        enter = EnterYearly(at="09:00", festival="mid-autumn", calendar="lunar")
        told = life(enter).given((at("2080-10-01 12:00"), registered())).until(at("2085-01-01 00:00"))
        assert (started(told), told.customer.timers) == ([], {})


class TestAnniversary:
    def test_of_the_relationship_from_the_day_that_the_bank_tells_not_from_that_of_the_import(self) -> None:
        told = life(EnterOnAnniversary(of="relationship", at="09:00"))
        told.tell_late(at("2019-03-10 12:00"), registered(), now=NEW_YEAR).until(at("2028-01-01 00:00"))
        assert [(s.key, s.entry["years"]) for s in started(told)] == [("2026-03-10", 7), ("2027-03-10", 8)]

    def test_the_first_day_is_that_of_the_customers_zone_then_whatever_comes_later(self) -> None:
        enter = EnterOnAnniversary(of="relationship", at="09:00")
        late_in_the_evening = at("2026-03-10 23:30", "America/New_York")
        told = life(enter).given(
            (late_in_the_evening, registered(zone="America/New_York")),
            (at("2026-06-01 12:00"), moved(SHANGHAI)),
        )
        assert [s.key for s in started(told.until(at("2027-12-31 00:00")))] == ["2027-03-10"]
        assert moments(told) == [at("2027-03-10 09:00", SHANGHAI)]

    def test_the_first_day_itself_is_no_anniversary(self) -> None:
        early = at("2026-03-10 07:00")
        for enter in (
            EnterOnAnniversary(of="relationship", at="09:00"),
            EnterOnAnniversary(of="contract", kinds=("loan",), at="09:00"),
        ):
            told = life(enter).given((early, registered()), (early, opened(kind="loan")))
            assert [s.entry["years"] for s in started(told.until(at("2027-12-31 00:00")))] == [1]

    def test_only_the_listed_years_count(self) -> None:
        told = life(EnterOnAnniversary(of="relationship", years=(1, 5, 10), at="09:00"))
        told.given((NEW_YEAR, registered())).until(at("2040-01-01 12:00"))
        assert [s.entry["years"] for s in started(told)] == [1, 5, 10]
        assert told.customer.timers == {}

    def test_of_a_contract_for_each_of_its_kind_until_it_is_closed(self) -> None:
        enter = EnterOnAnniversary(of="contract", kinds=("policy",), at="09:00", leap_day="mar-1")
        told = life(enter).given(
            (NEW_YEAR, registered()),
            (at("2028-02-29 10:00"), opened(holding="p-1", kind="policy", product="home")),
            (at("2028-02-29 11:00"), opened(holding="p-2", kind="policy")),
            (at("2028-02-29 11:00"), opened(holding="d-1", kind="term_deposit")),
            (at("2029-06-01 11:00"), closed("p-2")),
        )
        told.until(at("2030-12-31 00:00"))
        assert [(s.key, s.entry["years"]) for s in started(told)] == [
            ("p-1:2029-03-01", 1),
            ("p-2:2029-03-01", 1),
            ("p-1:2030-03-01", 2),
        ]
        assert started(told)[0].entry["product"] == "home"

    def test_a_contract_is_as_old_as_its_opening_was_where_the_customer_lived(self) -> None:
        enter = EnterOnAnniversary(of="contract", kinds=("loan",), at="09:00")
        told = life(enter).given(
            (NEW_YEAR, registered(zone="America/New_York")),
            (at("2026-03-10 23:30", "America/New_York"), opened(kind="loan")),
        )
        assert [s.key for s in started(told.until(at("2027-12-31 00:00")))] == ["d-1:2027-03-10"]

    def test_a_month_ahead_and_moved(self) -> None:
        """10 March 2027 less 30 days is 8 February; of 2028 it is 9 February; 2026's is over."""
        enter = EnterOnAnniversary(of="relationship", at="09:00", offset_days=-32, moved=WORKED_AFTER)
        told = life(enter).given((at("2026-03-10 12:00"), registered())).until(at("2028-12-31 00:00"))
        assert [str(m.date()) for m in moments(told)] == ["2027-02-08", "2028-02-07"]
        assert [s.key for s in started(told)] == ["2027-03-10", "2028-03-10"]


class TestBirthday:
    def test_a_week_ahead_with_the_age_of_the_day_itself(self) -> None:
        enter = EnterOnBirthday(at="09:00", offset_days=-7)
        told = life(enter).given((NEW_YEAR, registered(birth_date=date(1980, 1, 5))))
        told.until(at("2027-12-31 12:00"))
        assert [
            (str(m.date()), s.key, s.entry) for m, s in zip(moments(told), started(told), strict=True)
        ] == [
            ("2026-12-29", "2027-01-05", {"age": 47}),
            ("2027-12-29", "2028-01-05", {"age": 48}),
        ]

    def test_moved_over_new_year_it_stays_the_birthday_of_its_year(self) -> None:
        """31 December 2028 is a Sunday, and 1 January a holiday."""
        enter = EnterOnBirthday(at="09:00", moved=WORKED_AFTER)
        told = life(enter).given((at("2028-06-01 12:00"), registered(birth_date=date(1980, 12, 31))))
        told.until(at("2029-12-31 12:00"))
        assert [str(m.date()) for m in moments(told)] == ["2029-01-02", "2029-12-31"]
        assert [(s.key, s.entry["age"]) for s in started(told)] == [("2028-12-31", 48), ("2029-12-31", 49)]


class TestSchedule:
    monthly = EnterBySchedule(rule="FREQ=MONTHLY;BYDAY=-1FR", starts_on=date(2026, 1, 1), at="10:00")

    def test_each_day_of_the_rule_is_one_entry(self) -> None:
        told = life(self.monthly).given((at("2026-02-10 12:00"), registered())).until(at("2026-05-15 00:00"))
        assert [s.entry["day"] for s in started(told)] == ["2026-02-27", "2026-03-27", "2026-04-24"]

    def test_it_is_the_same_hour_of_the_wall_clock_before_and_after_a_clock_change(self) -> None:
        told = life(self.monthly).given((at("2026-03-01 12:00"), registered())).until(at("2026-05-01 00:00"))
        assert moments(told) == [at("2026-03-27 10:00"), at("2026-04-24 10:00")]
        assert [moment.hour for moment in moments(told)] == [9, 8]

    def test_an_hour_that_the_clock_skips_comes_after_it_and_one_shown_twice_comes_once(self) -> None:
        """In Prague 02:30 is skipped on 29 March 2026, and shown twice on 25 October."""
        weekly = EnterBySchedule(rule="FREQ=WEEKLY;BYDAY=SU", starts_on=date(2026, 1, 1), at="02:30")
        told = life(weekly).given((at("2026-03-23 12:00"), registered())).until(at("2026-04-06 12:00"))
        assert [f"{moment:%d %H:%M}" for moment in moments(told)] == ["29 01:30", "05 00:30"]
        told = life(weekly).given((at("2026-10-20 12:00"), registered())).until(at("2026-11-02 12:00"))
        assert [f"{moment:%d %H:%M}" for moment in moments(told)] == ["25 00:30", "01 01:30"]

    def test_a_rule_that_ends_leaves_nothing_behind(self) -> None:
        enter = EnterBySchedule(rule="FREQ=DAILY;COUNT=3", starts_on=date(2026, 1, 1), at="10:00")
        told = life(enter).given((NEW_YEAR, registered())).until(at("2026-03-01 00:00"))
        assert [s.key for s in started(told)] == ["2026-01-02", "2026-01-03"]
        assert told.customer.timers == {}

    def test_days_that_are_moved_to_one_working_day_are_one_occasion(self) -> None:
        """Saturday and Sunday go to Monday, which is a day of the rule itself."""
        enter = EnterBySchedule(
            rule="FREQ=WEEKLY;BYDAY=SA,SU,MO", starts_on=date(2026, 1, 5), at="10:00", moved=WORKED_AFTER
        )
        told = life(enter).given((at("2026-01-08 12:00"), registered())).until(at("2026-01-20 00:00"))
        assert [s.key for s in started(told)] == ["2026-01-10", "2026-01-17"]
        assert moments(told) == [at("2026-01-12 10:00"), at("2026-01-19 10:00")]

    def test_who_moves_follows_the_new_clock(self) -> None:
        told = life(self.monthly).given(
            (at("2026-02-10 12:00"), registered()), (at("2026-03-10 12:00"), moved(SHANGHAI))
        )
        assert moments(told.until(at("2026-04-01 00:00"))) == [
            at("2026-02-27 10:00"),
            at("2026-03-27 10:00", SHANGHAI),
        ]


class TestRequest:
    enter = EnterOnRequest(values=("amount", "branch"), when=Not(of=HELD))

    def test_a_request_enters_with_what_it_tells(self) -> None:
        told = life(self.enter).given(
            (NEW_YEAR, registered()), (at("2026-02-01 12:00"), requested(amount=5, branch="seven"))
        )
        assert [s.entry for s in started(told)] == [
            {"amount": 5, "branch": "seven", "fact": "r-1", "requested_by": "Eva of branch 7"}
        ]

    def test_its_numbers_can_be_asked_for(self) -> None:
        large = Case(when=EntryValue(name="amount", at_least=1000), next="call")
        steps = (
            Branch(step="large", cases=(large,), otherwise="end"),
            Task(step="call", role="call_centre", title={"en": "Call"}, due_days=1, next="end"),
            End(step="end"),
        )
        told = life(EnterOnRequest(values=("amount",)), steps=steps).given(
            (NEW_YEAR, registered()),
            (at("2026-02-01 12:00"), requested(amount=999)),
            (at("2026-02-02 12:00"), requested(ident="r-2", amount=1000.5)),
        )
        assert told.tasks() == [("call_centre", at("2026-02-02 12:00"))]

    @pytest.mark.parametrize(
        ("values", "missing", "undeclared"),
        [
            ({"amount": 5}, "branch", ""),
            ({"amount": 5, "branch": "7", "colour": "red"}, "", "colour"),
            ({}, "amount, branch", ""),
        ],
    )
    def test_what_lacks_or_is_not_declared_is_refused_on_record(
        self, values: dict[str, Any], missing: str, undeclared: str
    ) -> None:
        told = life(self.enter).given((NEW_YEAR, registered()), (at("2026-02-01 12:00"), requested(**values)))
        assert started(told) == []
        assert refused(told) == [("request_values", {"missing": missing, "undeclared": undeclared})]

    def test_a_condition_that_does_not_hold_is_refused_on_record(self) -> None:
        told = life(self.enter).given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, held()),
            (at("2026-02-01 12:00"), requested(amount=5, branch="7")),
        )
        ((rule, values),) = refused(told)
        assert (rule, values["requested_by"], started(told)) == ("condition", "Eva of branch 7", [])

    def test_one_that_is_told_late_is_refused_on_record(self) -> None:
        told = life(self.enter).given((NEW_YEAR, registered()))
        told.tell_late(at("2026-02-01 12:00"), requested(amount=5, branch="7"), now=at("2026-03-01 12:00"))
        assert [rule for rule, _ in refused(told)] == ["told_late"]

    def test_requests_for_other_journeys_lead_to_nothing(self) -> None:
        told = life(self.enter).given((NEW_YEAR, registered()), (at("2026-02-01 12:00"), requested("other")))
        assert (started(told), refused(told)) == ([], [])

    def test_reentry_counts_for_requests_too(self) -> None:
        told = life(EnterOnRequest(), reentry=Reentry(after_days=30)).given(
            (NEW_YEAR, registered()),
            (at("2026-02-01 12:00"), requested()),
            (at("2026-02-10 12:00"), requested(ident="r-2")),
        )
        assert len(started(told)) == 1
        assert [rule for rule, _ in refused(told)] == ["reentry"]


class TestMergedMaturities:
    enter = EnterOnMaturity(kinds=("term_deposit",), offsets=(-7,), at="10:00", merge_days=7)

    def given(self, *told: tuple[str, Any]) -> Scenario:
        facts = [(at(f"{when} 12:00"), fact) for when, fact in told]
        return life(self.enter).given((NEW_YEAR, registered()), *facts).until(at("2026-12-31 12:00"))

    def covered(self, told: Scenario) -> list[tuple[str, str]]:
        return [
            (str(m.date()), str(s.entry["holdings"]))
            for m, s in zip(moments(told), started(told), strict=True)
        ]

    def test_contracts_of_one_week_are_told_of_together_when_the_first_is_due(self) -> None:
        told = self.given(
            ("2026-01-02", opened(holding="b", matures_on=date(2026, 3, 8), product="Gold")),
            ("2026-01-02", opened(holding="a", matures_on=date(2026, 3, 15))),
            ("2026-01-02", opened(holding="c", matures_on=date(2026, 3, 16))),
            ("2026-01-02", opened(holding="loan", kind="loan", matures_on=date(2026, 3, 8))),
        )
        assert self.covered(told) == [("2026-03-01", "b, a"), ("2026-03-09", "c")]
        assert started(told)[0].entry == {
            "holding": "b",
            "kind": "term_deposit",
            "product": "Gold",
            "matures_on": "2026-03-08",
            "offset_days": -7,
            "holdings": "b, a",
            "count": 2,
            "last_matures_on": "2026-03-15",
        }
        assert started(told)[0].covers == ("b", "a")

    def test_one_that_is_opened_before_the_moment_joins_and_one_after_it_comes_alone(self) -> None:
        told = self.given(
            ("2026-01-02", opened(holding="a", matures_on=date(2026, 3, 10))),
            ("2026-03-02", opened(holding="b", matures_on=date(2026, 3, 12))),
            ("2026-03-04", opened(holding="c", matures_on=date(2026, 3, 13))),
        )
        assert self.covered(told) == [("2026-03-03", "a, b"), ("2026-03-06", "c")]

    def test_where_the_first_is_closed_the_others_are_told_of_at_the_next_ones_moment(self) -> None:
        told = self.given(
            ("2026-01-02", opened(holding="a", matures_on=date(2026, 3, 10))),
            ("2026-01-02", opened(holding="b", matures_on=date(2026, 3, 12))),
            ("2026-03-01", closed("a")),
        )
        assert self.covered(told) == [("2026-03-05", "b")]

    def test_closing_the_first_after_it_was_told_of_does_not_tell_the_others_again(self) -> None:
        told = self.given(
            ("2026-01-02", opened(holding="a", matures_on=date(2026, 3, 10))),
            ("2026-01-02", opened(holding="b", matures_on=date(2026, 3, 14))),
            ("2026-03-04", closed("a")),
        )
        assert self.covered(told) == [("2026-03-03", "a, b")]

    def test_one_that_is_moved_afterwards_is_told_of_for_its_new_day(self) -> None:
        told = self.given(
            ("2026-01-02", opened(holding="a", matures_on=date(2026, 3, 10))),
            ("2026-01-02", opened(holding="b", matures_on=date(2026, 3, 14))),
            ("2026-03-04", changed(holding="b", matures_on=date(2026, 6, 1))),
            ("2026-03-05", changed(holding="b", matures_on=date(2026, 3, 14))),
            ("2026-03-05", changed(holding="a", matures_on=date(2026, 6, 1))),
        )
        assert self.covered(told) == [("2026-03-03", "a, b"), ("2026-05-25", "a")]

    def test_a_condition_that_does_not_hold_for_all_is_asked_again_for_the_next(self) -> None:
        one_only = replace(self.enter, when=EntryValue(name="count", at_most=1))
        told = life(one_only).given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, opened(holding="a", matures_on=date(2026, 3, 10))),
            (NEW_YEAR, opened(holding="b", matures_on=date(2026, 3, 14))),
        )
        assert self.covered(told.until(at("2026-12-31 12:00"))) == [("2026-03-07", "b")]

    def test_who_moves_is_told_at_the_hour_of_the_new_home(self) -> None:
        told = life(self.enter).given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, opened(holding="a", matures_on=date(2026, 3, 10))),
            (at("2026-03-01 12:00"), moved(SHANGHAI)),
        )
        assert moments(told.until(at("2026-12-31 12:00"))) == [at("2026-03-03 10:00", SHANGHAI)]

    def test_the_one_wake_up_is_that_of_the_group(self) -> None:
        told = life(self.enter).given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, opened(holding="a", matures_on=date(2026, 3, 10))),
            (NEW_YEAR, opened(holding="b", matures_on=date(2026, 3, 14))),
        )
        assert told.customer.timers.keys() == {"enter:own:2026-03-10:-7"}


MET = (at("2026-02-01 12:00"), balance("500.00"))
ASKED = Assets(at_least="100")
DATED: list[Any] = [
    EnterOnBirthday(at="09:00", when=ASKED),
    EnterOnDate(on=date(2026, 5, 3), at="09:00", when=ASKED),
    EnterYearly(month_day="05-03", at="09:00", when=ASKED),
    EnterOnAnniversary(of="relationship", at="09:00", when=ASKED),
    EnterOnAnniversary(of="contract", kinds=("loan",), at="09:00", when=ASKED),
    EnterBySchedule(rule="FREQ=YEARLY", starts_on=date(2026, 5, 3), at="09:00", when=ASKED),
    EnterOnMaturity(kinds=("loan",), offsets=(0,), at="09:00", when=ASKED),
    EnterOnMaturity(kinds=("loan",), offsets=(0,), at="09:00", merge_days=3, when=ASKED),
    EnterOnSilence(of="transaction.posted/1", days=60, at="09:00", when=ASKED),
    EnterOnFact(fact="risk.assessed/1", when=ASKED),
]


@pytest.mark.parametrize("enter", DATED, ids=lambda enter: type(enter).__name__)
def test_a_condition_is_asked_at_the_moment_of_entry_and_leaves_no_event_where_it_fails(enter: Any) -> None:
    facts: list[tuple[datetime, Any]] = [
        (NEW_YEAR, registered(birth_date=date(1980, 5, 3))),
        (NEW_YEAR, opened(kind="loan", matures_on=date(2026, 8, 1))),
        (NEW_YEAR, paid()),
        (at("2026-06-01 12:00"), RiskAssessed(source="/x", id="1", level=3)),
    ]
    until = at("2027-01-20 12:00")
    met = life(enter).given(*facts, MET).until(until)
    missed = life(enter).given(*facts).until(until)
    assert len(started(met)) == 1
    assert (started(missed), refused(missed)) == ([], [])
    later = life(enter).given(*facts).until(until).given((until, balance("500.00")))
    assert started(later) == []


def test_what_comes_every_year_is_asked_again_the_next_year() -> None:
    told = life(EnterYearly(month_day="05-03", at="09:00", when=ASKED)).given(
        (NEW_YEAR, registered()), (at("2026-06-01 12:00"), balance("500.00"))
    )
    assert [s.key for s in started(told.until(at("2028-01-01 12:00")))] == ["2027-05-03"]


def test_a_silence_that_did_not_fit_is_asked_of_again_after_a_further_one() -> None:
    enter = EnterOnSilence(of="transaction.posted/1", days=30, at="09:00", when=Not(of=HELD))
    lifted = CareHoldLifted(source="/test", id="lifted", reason="dispute")
    told = (
        life(enter)
        .given((NEW_YEAR, registered()), (NEW_YEAR, held("dispute")), (NEW_YEAR, paid()))
        .until(at("2026-03-01 12:00"))
    )
    assert (started(told), told.customer.timers) == ([], {})
    told.given((at("2026-03-02 12:00"), lifted), (at("2026-03-03 12:00"), paid()))
    assert moments(told.until(at("2026-06-01 12:00"))) == [at("2026-04-03 09:00")]


@pytest.mark.parametrize(
    ("enter", "code", "path"),
    [
        (EnterYearly(at="09:00"), "not_one_day", ()),
        (EnterYearly(at="09:00", month_day="12-24", easter=0), "not_one_day", ()),
        (EnterYearly(at="09:00", month_day="02-30"), "no_such_day", ("month_day",)),
        (EnterYearly(at="09:00", month_day="12-24", calendar="lunar"), "calendar_unused", ("month_day",)),
        (EnterYearly(at="09:00", festival="qixi"), "calendar_missing", ("festival",)),
        (EnterYearly(at="09:00", festival="qixi", calendar="cn"), "unknown_calendar", ("calendar",)),
        (EnterYearly(at="09:00", lunar_day="01-31", calendar="lunar"), "no_such_day", ("lunar_day",)),
        (EnterOnAnniversary(of="contract", at="09:00"), "kinds_missing", ("of",)),
        (EnterOnAnniversary(of="relationship", kinds=("loan",), at="09:00"), "kinds_unused", ("kinds",)),
        (EnterBySchedule(rule="FREQ=HOURLY", starts_on=date(2026, 1, 1), at="09:00"), "bad_rule", ("rule",)),
        (
            EnterBySchedule(
                rule="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", starts_on=date(2026, 1, 1), at="09:00"
            ),
            "rule_never",
            ("rule",),
        ),
        (EnterOnRequest(values=("amount", "fact")), "value_taken", ("values", 1)),
        (EnterOnRequest(values=("amount", "amount")), "value_taken", ("values", 1)),
        (EnterOnRequest(values=("given_name",)), "value_taken", ("values", 0)),
        (
            EnterOnBirthday(at="09:00", moved=Moved(calendar="lunar", to="after")),
            "unknown_calendar",
            ("moved", "calendar"),
        ),
        (
            EnterOnDate(on=date(2026, 1, 1), at="09:00", when=DaysSince(fact="no/1", at_most=1)),
            "unknown_fact",
            ("when", "fact"),
        ),
    ],
)
def test_an_entry_that_cannot_be_meant_is_a_problem_with_its_place(
    enter: Enter, code: str, path: tuple[Any, ...]
) -> None:
    (found,) = problems(own(enter), SHIPPED_RULES.templates, SHIPPED_RULES.calendars)
    assert (found.code, found.path) == (f"journey.{code}", ("enter", *path))


def test_a_sound_entry_has_no_problem() -> None:
    for enter in DATED:
        assert problems(own(enter), SHIPPED_RULES.templates, SHIPPED_RULES.calendars) == []


def test_who_is_there_already_is_brought_to_a_day_that_is_published_later(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.take([envelope(f"c-{n}", NEW_YEAR, registered()) for n in range(5)])
    bank.run(at("2026-03-01 12:00"))
    bank.publish(entered("own", EnterYearly(at="09:00", month_day="05-03")))
    assert bank.run(at("2026-04-01 12:00")).planned == 5
    assert bank.run(at("2026-05-04 12:00")).journeys["own"] == 5
    bank.publish(entered("own", EnterOnRequest(), version=2))
    assert bank.run(at("2026-05-20 12:00")).planned == 5
    assert bank.run(at("2028-01-01 12:00")).journeys["own"] == 0
    assert bank.verify().ok
