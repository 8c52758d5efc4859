"""The four shipped programmes, given facts and time: what is said, when, and what is not."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from domain.assets import assets_by_month
from domain.catalogue import Fact
from domain.events import AdmissionRefused, EnrolmentEnded, MessageRequested, TaskSuppressed
from support.facts import (
    account_closed,
    at,
    balance,
    changed,
    closed,
    erased,
    granted,
    held,
    moved,
    noon,
    opened,
    paid,
    registered,
    withdrawn,
)
from support.scenario import NotSent, Scenario, Sent

NEW_YEAR = at("2026-01-01 12:00")


class TestBirthday:
    def test_a_greeting_leaves_every_year_at_nine_in_the_morning(self) -> None:
        life = Scenario("birthday").given((NEW_YEAR, registered())).until(at("2027-12-31 12:00"))
        assert life.messages() == [
            Sent("birthday-greeting", "email", at("2026-05-03 09:00")),
            Sent("birthday-greeting", "email", at("2027-05-03 09:00")),
        ]

    def test_it_is_nine_where_the_customer_lives_also_after_a_clock_change(self) -> None:
        sydney = registered(zone="Australia/Sydney", birth_date=date(1980, 10, 5))
        life = Scenario("birthday").given((NEW_YEAR, sydney)).until(at("2026-12-31 12:00"))
        assert life.messages() == [
            Sent("birthday-greeting", "email", at("2026-10-05 09:00", "Australia/Sydney"))
        ]

    def test_what_is_not_told_again_stays_as_it_was(self) -> None:
        """Told before the registration in business time, and not said by it: the zone is not forgotten."""
        shanghai = moved("Asia/Shanghai")
        person = registered(zone=None, language=None)
        life = Scenario("birthday").given((NEW_YEAR, shanghai), (at("2026-01-03 12:00"), person))
        life.until(at("2026-12-31 12:00"))
        assert [m.at for m in life.messages()] == [at("2026-05-03 09:00", "Asia/Shanghai")]

    def test_born_on_29_february_is_greeted_on_the_28th_in_common_years(self) -> None:
        leap = registered(birth_date=date(1992, 2, 29))
        life = Scenario("birthday").given((NEW_YEAR, leap)).until(at("2028-12-31 12:00"))
        assert [m.at for m in life.messages()] == [
            at("2026-02-28 09:00"),
            at("2027-02-28 09:00"),
            at("2028-02-29 09:00"),
        ]

    @pytest.mark.parametrize(("hour", "greeted"), [("08:59", 1), ("09:00", 1), ("09:01", 0)])
    def test_registered_on_the_day_counts_up_to_the_hour(self, hour: str, greeted: int) -> None:
        life = Scenario("birthday").given((at(f"2026-05-03 {hour}"), registered()))
        assert len(life.until(at("2026-06-01 12:00")).messages()) == greeted

    def test_a_corrected_birth_date_moves_the_greeting(self) -> None:
        corrected = registered(birth_date=date(1980, 6, 4))
        life = Scenario("birthday").given((NEW_YEAR, registered()), (at("2026-04-01 12:00"), corrected))
        assert [m.at for m in life.until(at("2026-12-31 12:00")).messages()] == [at("2026-06-04 09:00")]

    def test_without_e_mail_the_next_channel_is_used(self) -> None:
        life = Scenario("birthday").given((NEW_YEAR, registered(email=None)))
        assert life.until(at("2026-06-01 12:00")).messages() == [
            Sent("birthday-greeting", "push", at("2026-05-03 09:00"))
        ]

    def test_without_any_address_the_reason_is_recorded(self) -> None:
        nobody = registered(email=None, phone=None, device=None)
        life = Scenario("birthday").given((NEW_YEAR, nobody)).until(at("2026-06-01 12:00"))
        assert life.messages() == [NotSent("birthday-greeting", "no_address", at("2026-05-03 09:00"))]

    def test_a_care_hold_silences_it(self) -> None:
        life = Scenario("birthday").given((NEW_YEAR, registered()), (at("2026-05-02 12:00"), held()))
        assert life.until(at("2026-06-01 12:00")).messages() == [
            NotSent("birthday-greeting", "care_hold", at("2026-05-03 09:00"))
        ]

    def test_a_word_against_greetings_counts(self) -> None:
        life = Scenario("birthday").given(
            (NEW_YEAR, registered()), (at("2026-02-01 12:00"), withdrawn(purpose="care"))
        )
        assert life.until(at("2026-06-01 12:00")).messages() == [
            NotSent("birthday-greeting", "consent_withdrawn", at("2026-05-03 09:00"))
        ]

    def test_the_same_morning_in_two_zones_is_greeted_once(self) -> None:
        life = Scenario("birthday").given(
            (NEW_YEAR, registered(zone="Asia/Tokyo")),
            (at("2026-05-03 09:30", "Asia/Tokyo"), moved("Europe/Prague")),
            (at("2026-05-03 09:30", "Europe/Prague"), moved("America/New_York")),
        )
        assert len(life.until(at("2026-06-01 12:00")).messages()) == 1

    def test_nothing_is_said_to_who_is_gone(self) -> None:
        life = Scenario("birthday").given((NEW_YEAR, registered()), (at("2026-02-01 12:00"), erased()))
        assert life.until(at("2027-06-01 12:00")).messages() == []
        assert life.customer.timers == {}


class TestMaturity:
    def test_four_messages_around_the_last_day_at_ten(self) -> None:
        deposit = opened(matures_on=date(2026, 7, 1))
        life = Scenario("maturity").given((NEW_YEAR, registered()), (NEW_YEAR, deposit))
        assert life.until(at("2026-12-31 12:00")).messages() == [
            Sent("maturity-ahead", "email", at("2026-06-01 10:00")),
            Sent("maturity-ahead", "email", at("2026-06-24 10:00")),
            Sent("maturity-ahead", "email", at("2026-06-30 10:00")),
            Sent("maturity-after", "email", at("2026-07-02 10:00")),
        ]

    def test_a_contract_opened_late_gets_what_is_still_ahead(self) -> None:
        deposit = opened(matures_on=date(2026, 1, 8))
        life = Scenario("maturity").given((NEW_YEAR, registered()), (NEW_YEAR, deposit))
        assert [m.at for m in life.until(at("2026-12-31 12:00")).messages()] == [
            at("2026-01-07 10:00"),
            at("2026-01-09 10:00"),
        ]

    def test_a_closed_contract_is_not_spoken_of_any_more(self) -> None:
        deposit = opened(matures_on=date(2026, 7, 1))
        life = Scenario("maturity").given(
            (NEW_YEAR, registered()), (NEW_YEAR, deposit), (at("2026-06-02 12:00"), closed())
        )
        assert [m.at for m in life.until(at("2026-12-31 12:00")).messages()] == [at("2026-06-01 10:00")]

    def test_a_date_that_moves_plans_all_of_it_again(self) -> None:
        life = Scenario("maturity").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, opened(matures_on=date(2026, 7, 1))),
            (at("2026-06-02 12:00"), changed(matures_on=date(2026, 9, 1))),
        )
        assert [m.at for m in life.until(at("2026-12-31 12:00")).messages()] == [
            at("2026-06-01 10:00"),
            at("2026-08-02 10:00"),
            at("2026-08-25 10:00"),
            at("2026-08-31 10:00"),
            at("2026-09-02 10:00"),
        ]

    def test_a_change_without_a_new_date_repeats_nothing(self) -> None:
        life = Scenario("maturity").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, opened(matures_on=date(2026, 7, 1))),
            (at("2026-06-01 10:00"), changed(product="renamed")),
            (at("2026-06-01 10:01"), changed(product="renamed again")),
        )
        assert len(life.until(at("2026-12-31 12:00")).messages()) == 4

    def test_zone_changes_on_the_day_repeat_nothing_of_several_contracts(self) -> None:
        life = Scenario("maturity").given(
            (NEW_YEAR, registered(zone="Asia/Tokyo")),
            (NEW_YEAR, opened(holding="d-1", matures_on=date(2026, 7, 1))),
            (NEW_YEAR, opened(holding="d-2", matures_on=date(2026, 7, 1))),
            (at("2026-06-01 10:30", "Asia/Tokyo"), moved("Europe/Prague")),
            (at("2026-06-01 10:30", "Europe/Prague"), moved("America/New_York")),
        )
        life.until(at("2026-06-10 12:00"))
        assert len(life.messages()) == 1

    def test_contracts_of_one_week_are_told_of_together(self) -> None:
        life = Scenario("maturity").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, opened(holding="d-1", matures_on=date(2026, 7, 1))),
            (NEW_YEAR, opened(holding="l-1", kind="loan", matures_on=date(2026, 7, 8))),
            (NEW_YEAR, opened(holding="w-1", kind="wealth_product", matures_on=date(2026, 7, 9))),
        )
        life.until(at("2026-12-31 12:00"))
        told = [(asked.variables["holdings"], asked.variables["offset_days"]) for asked in _asked(life)[:2]]
        assert told == [("d-1, l-1", -30), ("w-1", -30)]
        assert [m.at for m in life.messages()[:2]] == [at("2026-06-01 10:00"), at("2026-06-09 10:00")]
        assert len(life.messages()) == 8

    def test_contracts_that_are_apart_have_their_own(self) -> None:
        life = Scenario("maturity").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, opened(holding="d-1", matures_on=date(2026, 7, 1))),
            (NEW_YEAR, opened(holding="l-1", kind="loan", matures_on=date(2026, 7, 9))),
            (NEW_YEAR, opened(holding="k-1", kind="card", matures_on=date(2026, 7, 1))),
            (NEW_YEAR, opened(holding="w-1", kind="wealth_product")),
        )
        assert len(life.until(at("2026-12-31 12:00")).messages()) == 8

    def test_it_needs_no_consent_and_no_care_hold_stops_it(self) -> None:
        life = Scenario("maturity").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, withdrawn(purpose="marketing")),
            (NEW_YEAR, held("hardship")),
            (NEW_YEAR, opened(matures_on=date(2026, 7, 1))),
        )
        assert all(isinstance(m, Sent) for m in life.until(at("2026-12-31 12:00")).messages())


def _asked(life: Scenario) -> list[MessageRequested]:
    return life.bodies(MessageRequested)


def _growth(*amounts: str) -> list[tuple[datetime, Fact]]:
    days = [date(2026, month, 28) for month in range(1, len(amounts) + 1)]
    return [(noon(day), balance(amount)) for day, amount in zip(days, amounts, strict=True)]


class TestTierUpgrade:
    def test_three_months_of_growth_bring_the_course_and_a_task(self) -> None:
        life = Scenario("tier-upgrade").given(
            (NEW_YEAR, registered()), (NEW_YEAR, granted()), *_growth("100", "121", "146", "176")
        )
        fourth = noon(date(2026, 4, 28))
        assert life.messages() == [Sent("tier-course", "email", fourth)]
        assert life.tasks() == [("relationship_manager", fourth)]

    @pytest.mark.parametrize(
        "amounts",
        [
            ("100", "120", "145", "175"),  # exactly 20 % is not more than 20 %
            ("100", "121", "146"),  # three balances are two months of growth
            ("0", "121", "146", "176"),  # from nothing there is no growth
            ("-50", "121", "146", "176"),
        ],
    )
    def test_less_than_that_brings_nothing(self, amounts: tuple[str, ...]) -> None:
        life = Scenario("tier-upgrade").given(
            (NEW_YEAR, registered()), (NEW_YEAR, granted()), *_growth(*amounts)
        )
        assert life.messages() == []

    def test_a_month_without_a_balance_breaks_the_row(self) -> None:
        row = [
            (noon(date(2026, m, 28)), balance(a)) for m, a in ((1, "100"), (2, "121"), (3, "146"), (5, "176"))
        ]
        life = Scenario("tier-upgrade").given((NEW_YEAR, registered()), (NEW_YEAR, granted()), *row)
        assert life.messages() == []

    def test_assets_are_the_sum_of_all_accounts(self) -> None:
        rows = _growth("100", "121", "146", "176")
        other = [(noon(date(2026, m, 27)), balance("1000", "a-2")) for m in range(1, 5)]
        life = Scenario("tier-upgrade").given((NEW_YEAR, registered()), (NEW_YEAR, granted()), *rows, *other)
        assert life.messages() == []

    def test_a_closed_account_does_not_rewrite_the_months_before(self) -> None:
        rows = [
            (noon(date(2026, month, 20)), balance("100", account=name))
            for month in range(1, 4)
            for name in ("a-1", "a-2")
        ]
        rest = [
            (noon(date(2026, 3, 25)), account_closed("a-2")),
            (noon(date(2026, 4, 20)), balance("200", account="a-1")),
        ]
        life = Scenario("tier-upgrade").given((NEW_YEAR, registered()), (NEW_YEAR, granted()), *rows, *rest)
        assets = [amount for _, amount in sorted(assets_by_month(life.customer.balances))]
        assert assets == [Decimal(200), Decimal(200), Decimal(100), Decimal(200)]

    def test_the_order_in_which_currencies_arrive_does_not_matter(self) -> None:
        euro = [(noon(date(2026, 1, 2)), balance("9", account="e", currency="EUR"))]
        rows = [
            (noon(date(2026, month, 20)), balance(amount, currency="CZK"))
            for month, amount in enumerate(("100", "121", "146", "176"), 1)
        ]
        life = Scenario("tier-upgrade").given((NEW_YEAR, registered()), (NEW_YEAR, granted()), *euro, *rows)
        assert len(life.messages()) == 1

    def test_other_currencies_are_left_out_and_do_not_bring_growth(self) -> None:
        rows = [
            (noon(date(2026, month, 28)), balance("100", currency="CZK", account="a-1"))
            for month in range(1, 5)
        ]
        euros = [
            (noon(date(2026, month, 27)), balance(f"{month}00", currency="EUR", account="a-2"))
            for month in range(2, 5)
        ]
        life = Scenario("tier-upgrade").given((NEW_YEAR, registered()), (NEW_YEAR, granted()), *rows, *euros)
        assert life.messages() == []

    def test_a_balance_told_late_counts_in_its_own_month(self) -> None:
        """The first balance of a second account, told a month late, must not rewrite that month's total."""
        life = Scenario("tier-upgrade").given(
            (NEW_YEAR, registered()), (NEW_YEAR, granted()), *_growth("100", "121", "146")
        )
        life.tell_late(noon(date(2026, 2, 28)), balance("50", account="a-2"), now=noon(date(2026, 3, 29)))
        assets = sorted(assets_by_month(life.customer.balances))
        assert [amount for _, amount in assets] == [Decimal(100), Decimal(171), Decimal(196)]

    def test_growth_that_is_told_a_week_late_starts_nothing_and_says_so(self) -> None:
        life = Scenario("tier-upgrade").given(
            (NEW_YEAR, registered()), (NEW_YEAR, granted()), *_growth("100", "121", "146")
        )
        life.tell_late(noon(date(2026, 4, 28)), balance("176"), now=noon(date(2026, 5, 6)))
        assert life.messages() == []
        assert [getattr(body, "rule", None) for body in life.bodies(AdmissionRefused)] == ["told_late"]

    @pytest.mark.parametrize(("days", "times"), [(364, 1), (365, 2)])
    def test_once_in_365_days_and_the_refusal_is_recorded(self, days: int, times: int) -> None:
        first = date(2026, 4, 28)
        again = first + timedelta(days=days)
        months = [date(2027, 1, 28), date(2027, 2, 28), date(2027, 3, 28), again]
        later = [
            (noon(day), balance(amount))
            for day, amount in zip(months, ("100", "121", "146", "176"), strict=True)
        ]
        life = Scenario("tier-upgrade").given(
            (NEW_YEAR, registered()), (NEW_YEAR, granted()), *_growth("100", "121", "146", "176"), *later
        )
        assert len(life.messages()) == times
        refused = life.bodies(AdmissionRefused)
        assert [getattr(body, "rule", None) for body in refused] == ["reentry"] * (2 - times)

    def test_without_consent_nothing_is_sent_and_the_task_is_still_there(self) -> None:
        life = Scenario("tier-upgrade").given((NEW_YEAR, registered()), *_growth("100", "121", "146", "176"))
        assert life.messages() == [NotSent("tier-course", "no_consent", noon(date(2026, 4, 28)))]
        assert len(life.tasks()) == 1


class TestWinBack:
    def test_silence_brings_a_survey_then_an_offer_then_a_call(self) -> None:
        life = Scenario("win-back").given(
            (NEW_YEAR, registered()), (NEW_YEAR, granted()), (noon(date(2026, 1, 10)), paid())
        )
        life.until(at("2026-12-31 12:00"))
        assert life.messages() == [
            Sent("win-back-survey", "email", noon(date(2026, 3, 11))),
            Sent("win-back-offer", "email", noon(date(2026, 3, 25))),
        ]
        assert life.tasks() == [("call_centre", noon(date(2026, 4, 8)))]

    def test_who_never_had_a_transaction_is_not_asked(self) -> None:
        life = Scenario("win-back").given((NEW_YEAR, registered()), (NEW_YEAR, granted()))
        assert life.until(at("2026-12-31 12:00")).messages() == []

    def test_a_transaction_at_noon_of_the_sixtieth_day_comes_first(self) -> None:
        first = date(2026, 1, 10)
        life = Scenario("win-back").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, granted()),
            (noon(first), paid()),
            (noon(first + timedelta(days=60)), paid()),
        )
        life.until(noon(first + timedelta(days=119)))
        assert life.messages() == []
        assert len(life.until(noon(first + timedelta(days=120))).messages()) == 1

    def test_a_transaction_in_the_afternoon_has_its_sixty_days_at_the_next_noon(self) -> None:
        life = Scenario("win-back").given(
            (NEW_YEAR, registered()), (NEW_YEAR, granted()), (at("2026-01-10 15:23"), paid())
        )
        life.until(at("2026-03-31 12:00"))
        assert [m.at for m in life.messages()] == [
            at("2026-03-12 12:00"),
            at("2026-03-26 12:00"),
        ]

    def test_a_transaction_is_the_goal_and_arms_it_again(self) -> None:
        back = noon(date(2026, 3, 15))
        life = Scenario("win-back").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, granted()),
            (noon(date(2026, 1, 10)), paid()),
            (back, paid()),
        )
        life.until(at("2026-12-31 12:00"))
        ended = [getattr(body, "reason", None) for body in life.bodies(EnrolmentEnded)]
        assert ended == ["goal_reached", "end"]
        assert [m.at for m in life.messages()] == [
            noon(date(2026, 3, 11)),
            noon(date(2026, 5, 14)),
            noon(date(2026, 5, 28)),
        ]

    def test_after_the_call_only_a_new_transaction_arms_it(self) -> None:
        life = Scenario("win-back").given(
            (NEW_YEAR, registered()), (NEW_YEAR, granted()), (noon(date(2026, 1, 10)), paid())
        )
        life.until(at("2028-12-31 12:00"))
        assert len(life.messages()) == 2
        assert life.customer.timers == {}

    def test_nobody_is_called_under_a_care_hold(self) -> None:
        life = Scenario("win-back").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, granted()),
            (noon(date(2026, 1, 10)), paid()),
            (noon(date(2026, 4, 1)), held("bereavement")),
        )
        life.until(at("2026-12-31 12:00"))
        assert life.tasks() == []
        assert [getattr(body, "rule", None) for body in life.bodies(TaskSuppressed)] == ["care_hold"]

    def test_consent_is_judged_when_the_message_leaves(self) -> None:
        life = Scenario("win-back").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, granted()),
            (noon(date(2026, 1, 10)), paid()),
            (noon(date(2026, 3, 20)), withdrawn()),
        )
        assert life.until(at("2026-12-31 12:00")).messages() == [
            Sent("win-back-survey", "email", noon(date(2026, 3, 11))),
            NotSent("win-back-offer", "consent_withdrawn", noon(date(2026, 3, 25))),
        ]

    def test_consent_for_one_channel_is_kept_to(self) -> None:
        life = Scenario("win-back").given(
            (NEW_YEAR, registered()),
            (NEW_YEAR, granted(channel="sms")),
            (noon(date(2026, 1, 10)), paid()),
        )
        life.until(noon(date(2026, 3, 11)))
        assert life.messages() == [Sent("win-back-survey", "sms", noon(date(2026, 3, 11)))]
