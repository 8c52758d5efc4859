"""What a provider did not take, would not take, or may have taken: judged again, ended, asked about."""

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from audit.replay import replay
from channels.base import Accepted, Outcome, Refused, Rejected, Retry, Unknown
from domain.catalogue import (
    ContactComplained,
    ContactOptedOut,
    CustomerChanged,
    CustomFact,
    Envelope,
    Fact,
    MessageClicked,
    MessageDelivered,
    MessageOpened,
    MessageUndelivered,
    Purpose,
)
from domain.policy import Policy
from journeys.definition import EnterOnFact, Journey
from stores.projections import LedgerEntry
from support.asking import SHIPPED, asks
from support.bank import Bank
from support.facts import at, granted, paid, registered, withdrawn
from support.scenario import envelope
from support.scripted import Scripted
from tidings.cli.why import explanation_of, sentences
from tidings.documents import Documents
from tidings.wording import Wording

MORNING = at("2026-01-05 10:00")
EVENING = at("2026-01-05 20:50")
HOUR = timedelta(hours=1)
LATER = at("2026-03-01 12:00")


def without_email() -> Fact:
    """The customer's e-mail address is taken away."""
    return CustomerChanged(source="/test", id="changed", email="")


class Life:
    """One customer of a bank whose provider answers by a script."""

    def __init__(
        self, folder: Path, journey: Journey, *script: Outcome, policy: Policy | None = None
    ) -> None:
        self.provider = Scripted(*script)
        documents = Documents([journey], SHIPPED.templates, policy or SHIPPED.policy, SHIPPED.calendars)
        folder.mkdir(exist_ok=True)
        self.bank = Bank(folder, partitions=1, documents=documents)
        self.bank.channels = self.provider.channels
        self.journey = journey.journey
        self._asked = 0
        self.told(MORNING - HOUR, registered(), granted())

    def told(self, at: datetime, *facts: Fact) -> "Life":
        assert self.bank.take([envelope("c-1", at, fact) for fact in facts]).refused == []
        return self

    def ask(self, at: datetime) -> "Life":
        """One message is asked for."""
        self._asked += 1
        fact = CustomFact(source="/test", id=f"ask-{self._asked}")
        assert self.bank.take([Envelope(f"x.{self.journey}/1", "c-1", at, fact)]).refused == []
        return self

    def until(self, at: datetime) -> "Life":
        self.bank.run(at)
        assert self.bank.verify().findings == []
        return self

    @property
    def entry(self) -> LedgerEntry:
        (entry,) = self.bank.ledger()
        return entry

    def kinds(self) -> list[str]:
        """The life of the message as its events name it."""
        kinds = (line[0].partition("/")[0] for line in self.bank.histories()["c-1"])
        return [kind.removeprefix("message.") for kind in kinds if kind.startswith("message.")]

    def told_why(self, language: str = "en") -> str:
        explanation = explanation_of(self.bank.tidings, self.entry.id)
        return " ".join(sentences(explanation, Wording(language)))


def test_what_leaves_says_all_that_its_channel_needs(tmp_path: Path) -> None:
    life = Life(tmp_path, asks("service", "sms", valid_hours=3)).ask(MORNING).until(LATER)
    (left,) = life.provider.given
    assert (left.id, left.channel, left.address) == (life.entry.id, "sms", "+420601000001")
    assert (left.customer, left.purpose, left.topic) == ("c-1", "service", "offers")
    assert (left.at, left.expires_at) == (MORNING, MORNING + 3 * HOUR)


class TestNotTaken:
    def test_it_leaves_later_under_the_same_id(self, tmp_path: Path) -> None:
        life = (
            Life(tmp_path, asks("care"), Retry("busy", after=HOUR, provider="one")).ask(MORNING).until(LATER)
        )
        first, second = life.provider.given
        assert (first.id, first.refused_by) == (second.id, ())
        assert second.refused_by == ("one",)
        assert life.provider.moments == [MORNING, MORNING + HOUR]
        assert life.kinds() == ["requested", "sending", "postponed", "deferred", "sending", "accepted"]
        assert life.entry.status == "accepted"

    def test_it_leaves_again_before_what_happens_later(self, tmp_path: Path) -> None:
        """Though both are known when the refusal is recorded."""
        life = Life(tmp_path, asks("service"), Retry("busy", after=HOUR, provider="one")).ask(MORNING)
        life.told(MORNING + 2 * HOUR, paid()).until(LATER)
        kinds = [line[0].partition("/")[0] for line in life.bank.histories()["c-1"]]
        assert kinds.index("message.accepted") < kinds.index("transaction.posted")

    def test_the_reason_is_told_in_both_languages(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("care"), Retry("smtp 451", after=HOUR, provider="relay")).ask(MORNING)
        life.until(MORNING + HOUR / 2)
        assert life.entry.status == "postponed"
        assert life.entry.reason == "smtp 451"
        assert 'Rule "postponed"' in life.told_why()
        assert "smtp 451" in life.told_why()
        assert "relay" in life.told_why()
        assert "服务商未接收" in life.told_why("zh-CN")
        life.until(LATER)
        assert "had not taken the message (smtp 451)" in life.told_why()
        assert "服务商未接收消息（smtp 451）" in life.told_why("zh-CN")

    def test_at_once_means_judged_at_once(self, tmp_path: Path) -> None:
        again = Retry("circuit_open", after=timedelta(0), provider="one")
        life = Life(tmp_path, asks("marketing"), again).ask(MORNING).until(LATER)
        assert life.kinds() == ["requested", "sending", "postponed", "sending", "accepted"]
        assert life.provider.moments == [MORNING, MORNING]

    def test_the_next_try_rests_on_the_refusal_of_the_last_one(self, tmp_path: Path) -> None:
        again = Retry("busy", after=timedelta(0), provider="one")
        life = Life(tmp_path, asks("marketing"), again).ask(MORNING).until(LATER)
        causes = {line[0]: line[3] for line in life.bank.histories()["c-1"]}
        kinds = [line[0] for line in life.bank.histories()["c-1"]]
        assert kinds[causes["message.sending/1"] - 1] == "message.postponed/1"

    def test_all_who_did_not_take_it_are_remembered_in_their_order(self, tmp_path: Path) -> None:
        refusals = [Retry("busy", after=HOUR, provider=name) for name in ("one", "two", "one")]
        life = Life(tmp_path, asks("service"), *refusals).ask(MORNING).until(LATER)
        assert [message.refused_by for message in life.provider.given] == [
            (),
            ("one",),
            ("one", "two"),
            ("one", "two", "one"),
        ]

    def test_without_a_time_of_its_own_it_waits_longer_each_time(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("regulatory"), *[Retry("busy")] * 4).ask(MORNING).until(LATER)
        moments = life.provider.moments
        waits = [after - before for before, after in pairwise(moments)]
        assert len(waits) == 4
        assert all(2 * shorter < longer for shorter, longer in pairwise(waits))

    def test_at_night_it_waits_for_the_morning(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("care"), Retry("busy", after=HOUR)).ask(EVENING).until(LATER)
        assert life.provider.moments == [EVENING, at("2026-01-06 08:00")]

    def test_a_yes_that_was_withdrawn_meanwhile_counts(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("marketing"), Retry("busy", after=HOUR)).ask(MORNING)
        life.told(MORNING + HOUR / 2, withdrawn()).until(LATER)
        assert len(life.provider.given) == 1
        assert (life.entry.status, life.entry.reason) == ("suppressed", "consent_withdrawn")

    def test_what_has_lost_its_sense_before_anybody_took_it_ends_with_the_reason(
        self, tmp_path: Path
    ) -> None:
        refusals = [Retry("busy", after=HOUR, provider="one")] * 10
        life = Life(tmp_path, asks("service", valid_hours=3), *refusals).ask(MORNING).until(LATER)
        assert len(life.provider.given) == 4
        assert (life.entry.status, life.entry.reason) == ("suppressed", "postponed")
        assert "later than the message makes sense" in life.told_why()

    def test_tries_count_under_no_cap(self, tmp_path: Path) -> None:
        refusals = [Retry("busy", after=HOUR)] * 3
        life = Life(tmp_path, asks("marketing"), *refusals)
        # Three a week are allowed: three leave, whatever it takes, and the fourth does not.
        for number in range(4):
            life.ask(MORNING + number * timedelta(minutes=1))
        life.until(at("2026-01-06 12:00"))
        statuses = [entry.status for entry in life.bank.ledger()]
        assert sorted(statuses) == ["accepted", "accepted", "accepted", "suppressed"]


class TestRefused:
    def test_a_dead_address_is_not_written_to_again(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("service"), Rejected("smtp 550 5.1.1", refused="address", provider="one"))
        life.ask(MORNING).ask(MORNING + HOUR).until(LATER)
        assert [entry.status for entry in life.bank.ledger()] == ["rejected", "suppressed"]
        assert [entry.reason for entry in life.bank.ledger()] == ["smtp 550 5.1.1", "suppressed_address"]
        assert len(life.provider.given) == 1

    @pytest.mark.parametrize(
        ("refused", "follows", "in_chinese"),
        [
            ("address", "The address leads nowhere", "该地址无效"),
            ("opted_out", "Whoever has the address wants no more", "该地址的持有人不再接收"),
            ("message", "", ""),
        ],
    )
    def test_the_reason_and_what_follows_are_told_in_both_languages(
        self, refused: Refused, follows: str, in_chinese: str, tmp_path: Path
    ) -> None:
        no = Rejected("21610", refused=refused, provider="relay")
        life = Life(tmp_path, asks("service"), no).ask(MORNING).until(LATER)
        assert "The reason: 21610; provider: relay." in life.told_why()
        assert "原因：21610；服务商：relay。" in life.told_why("zh-CN")
        assert follows in life.told_why()
        assert in_chinese in life.told_why("zh-CN")
        assert ("address" in life.told_why()) == (refused != "message")

    def test_an_address_whose_owner_wants_no_more_gets_only_what_must_be_said(self, tmp_path: Path) -> None:
        no = Rejected("21610", refused="opted_out", provider="one")
        care, service = Life(tmp_path, asks("care"), no), Life(tmp_path / "2", asks("service"), no)
        care.ask(MORNING).ask(MORNING + HOUR).until(LATER)
        service.ask(MORNING).ask(MORNING + HOUR).until(LATER)
        assert [entry.reason for entry in care.bank.ledger()] == ["21610", "opted_out"]
        assert [entry.status for entry in service.bank.ledger()] == ["rejected", "accepted"]

    def test_it_is_counted_under_the_channel_by_which_it_was_refused(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("care", "wechat", "email"), Rejected("too long"))
        life.ask(MORNING).until(LATER)
        customer = replay(life.bank.tidings.history, "c-1").customer
        assert list(customer.message_days) == ["rejected/care/email/care/birthday-greeting"]

    def test_a_message_that_is_refused_says_nothing_of_the_address(self, tmp_path: Path) -> None:
        life = (
            Life(tmp_path, asks("care"), Rejected("too long")).ask(MORNING).ask(MORNING + HOUR).until(LATER)
        )
        assert [entry.status for entry in life.bank.ledger()] == ["rejected", "accepted"]


class TestNobodyKnows:
    @pytest.mark.parametrize("purpose", ["marketing", "care"])
    def test_it_is_asked_about_once_and_never_sent_again(self, purpose: Purpose, tmp_path: Path) -> None:
        life = Life(tmp_path, asks(purpose), Unknown("time_out", provider="one"))
        life.provider.answers = [Unknown("cannot be asked")]
        life.ask(MORNING).until(LATER)
        assert len(life.provider.given) == 1
        assert len(life.provider.asked) == 1
        assert (life.entry.status, life.entry.reason) == ("unknown", "time_out")
        assert "The reason: time_out; provider: one." in life.told_why()

    def test_what_the_provider_has_after_all_is_accepted(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("marketing"), Unknown("time_out"))
        life.provider.answers = [Accepted("p-1", provider="one")]
        life.ask(MORNING).until(LATER)
        assert len(life.provider.given) == 1
        assert life.entry.status == "accepted"

    def test_not_found_soon_after_a_time_out_is_no_proof_and_marketing_stays_unknown(
        self, tmp_path: Path
    ) -> None:
        life = Life(tmp_path, asks("marketing"), Unknown("time_out")).ask(MORNING).until(LATER)
        assert len(life.provider.given) == 1
        assert life.entry.status == "unknown"

    @pytest.mark.parametrize("purpose", ["service", "regulatory"])
    def test_what_must_be_said_goes_again_to_the_same_one_under_the_same_id(
        self, purpose: Purpose, tmp_path: Path
    ) -> None:
        life = Life(tmp_path, asks(purpose), Unknown("time_out", provider="one")).ask(MORNING).until(LATER)
        first, second = life.provider.given
        assert first.id == second.id
        assert (second.in_doubt, second.refused_by) == ("one", ())
        assert life.provider.asked == [first.id]
        assert life.kinds() == ["requested", "sending", "postponed", "deferred", "sending", "accepted"]

    def test_it_is_never_told_that_the_provider_had_not_taken_it(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("service"), Unknown("time_out", provider="one")).ask(MORNING)
        life.until(MORNING)
        assert 'Rule "postponed": whether the provider took it is not known' in life.told_why()
        assert "服务商是否已接收不得而知" in life.told_why("zh-CN")
        life.until(LATER)
        assert life.entry.status == "accepted"
        assert "not known whether the provider had taken the message (time_out)" in life.told_why()
        assert "服务商是否已接收消息不得而知（time_out）" in life.told_why("zh-CN")

    def test_it_is_asked_first_and_not_sent_where_it_has_arrived(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("service"), Unknown("time_out", provider="one"))
        life.provider.answers = [Accepted("p-1", provider="one")]
        life.ask(MORNING).until(LATER)
        assert len(life.provider.given) == 1
        assert life.entry.status == "accepted"

    def test_it_goes_by_no_other_channel_meanwhile(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("service", "email", "sms"), Unknown("time_out", provider="one"))
        life.ask(MORNING).until(MORNING)
        # The first channel of the step is gone; by the second one it would come twice.
        life.bank.take([envelope("c-1", MORNING, without_email())])
        life.until(LATER)
        assert [message.channel for message in life.provider.given] == ["email"]
        assert (life.entry.status, life.entry.reason) == ("suppressed", "no_address")

    def test_it_stays_in_doubt_though_a_later_try_certainly_did_not_arrive(self, tmp_path: Path) -> None:
        script: list[Outcome] = [
            Unknown("time_out", provider="one"),
            Retry("busy", after=HOUR, provider="one"),
        ]
        life = Life(tmp_path, asks("service"), *script)
        life.provider.answers = [Unknown("cannot be asked")] * 5
        life.ask(MORNING).until(LATER)
        assert [message.in_doubt for message in life.provider.given] == ["", "one", "one"]

    def test_it_is_tried_less_and_less_often(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("regulatory"), *[Unknown("time_out", provider="one")] * 4)
        life.provider.answers = [Unknown("cannot be asked")] * 9
        moments = life.ask(MORNING).until(LATER).provider.moments
        waits = [after - before for before, after in pairwise(moments)]
        assert len(waits) == 4
        assert all(2 * shorter < longer for shorter, longer in pairwise(waits))

    def test_it_is_left_to_a_person_in_the_end(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("regulatory"), *[Unknown("time_out", provider="one")] * 9)
        life.ask(MORNING).until(LATER)
        assert len({message.id for message in life.provider.given}) == 1
        assert len(life.provider.given) == 7
        assert life.entry.status == "unknown"


def test_after_a_crash_answers_are_recorded_in_the_order_of_the_intents(tmp_path: Path) -> None:
    """As they would have been without it, whatever the ids of the messages are."""
    go = EnterOnFact(fact="x.go/1")
    journeys = [replace(asks("service"), journey=f"j-{number}", enter=go) for number in range(6)]
    bank = Bank(
        tmp_path,
        partitions=1,
        documents=Documents(journeys, SHIPPED.templates, SHIPPED.policy, SHIPPED.calendars),
    )
    bank.channels = (provider := Scripted()).channels
    told = [envelope("c-1", MORNING - HOUR, registered())]
    told.append(Envelope("x.go/1", "c-1", MORNING, CustomFact(source="/test", id="go")))
    assert bank.take(told).refused == []
    while bank.sql("SELECT count(*) FROM outbox") == [(0,)]:
        assert bank.run_killed(MORNING, commits=1)
    assert provider.given == []
    bank.run(MORNING)
    lines = bank.histories()["c-1"]
    named = [(line[0], json.loads(bytes(line[4])).get("message")) for line in lines]
    intents = [message for kind, message in named if kind == "message.sending/1"]
    assert len(intents) == 6
    assert [message for kind, message in named if kind == "message.accepted/1"] == intents


def test_a_message_that_does_not_leave_holds_nobody_up(tmp_path: Path) -> None:
    """A step does not wait for its message, and what becomes of one is nothing to the next."""
    said = asks("service")
    first, end = said.steps
    second = replace(first, step="again", channels=("sms",))
    twice = replace(said, steps=(replace(first, next="again"), second, end))
    outcomes: list[Outcome] = [Retry("down", after=HOUR), Rejected("no"), Unknown("time_out")]
    for number, outcome in enumerate(outcomes):
        life = Life(tmp_path / str(number), twice, outcome).ask(MORNING).until(MORNING)
        kinds = [line[0] for line in life.bank.histories()["c-1"]]
        assert "enrolment.ended/1" in kinds
        assert [message.channel for message in life.provider.given] == ["email", "sms"]
        assert sorted(entry.status for entry in life.bank.ledger())[0] == "accepted"


class TestComesBack:
    """What is told of a message afterwards changes nothing of why it was sent."""

    @pytest.mark.parametrize(
        ("fact", "english", "chinese"),
        [
            (MessageDelivered, "it reached the customer", "已送达"),
            (MessageUndelivered, "could not be delivered", "未能送达"),
            (MessageOpened, "the customer opened it", "打开了"),
            (MessageClicked, "followed a link", "点击了"),
        ],
    )
    def test_it_is_told_beside_why_it_was_sent(
        self, fact: type[Fact], english: str, chinese: str, tmp_path: Path
    ) -> None:
        life = Life(tmp_path, asks("care")).ask(MORNING).until(MORNING + HOUR)
        back = fact(source="/test", id="back", message=life.entry.id)  # type: ignore[call-arg]
        life.told(MORNING + 2 * HOUR, back).until(LATER)
        assert "was sent: the provider accepted it" in life.told_why()
        assert english in life.told_why()
        assert chinese in life.told_why("zh-CN")

    def test_neither_address_nor_words_are_told_with_it(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("care")).ask(MORNING).until(MORNING + HOUR)
        address: dict[str, object] = {"channel": "email", "address": "one@example.com"}
        no = {**address, "provenance": "callback", "text": "STOP it"}
        for kind, given in ((ContactComplained, address), (ContactOptedOut, no)):
            told = kind(source="/test", id=kind.__name__, message=life.entry.id, **given)  # type: ignore[arg-type]
            life.told(MORNING + 2 * HOUR, told)
        returns = explanation_of(life.until(LATER).bank.tidings, life.entry.id).returns
        assert [link.kind for link in returns] == ["contact.complained/1", "contact.opted_out/1"]
        assert all(not {"address", "text"} & link.values.keys() for link in returns)
        assert all(link.values["channel"] == "email" for link in returns)

    def test_the_yes_that_it_rested_on_is_told_whatever_came_of_it(self, tmp_path: Path) -> None:
        life = Life(tmp_path, asks("marketing"), Retry("busy", after=HOUR)).ask(MORNING).until(LATER)
        consent = explanation_of(life.bank.tidings, life.entry.id).consent
        assert consent is not None
        assert consent.kind == "consent.granted/1"
