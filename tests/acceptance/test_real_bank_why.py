"""Three years of a real bank's records: why for messages and for silences, each beside another reckoning.

What audit says is compared with the raw tables of the bank and with the stored events as rows, by code that
shares nothing with audit. The records are not part of the project; without them the tests are left out.
"""

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from audit.life import Answer, Life
from audit.silence import Question, answers
from audit.why import Explanation
from support.berka_oracle import Customer, has_grown, read_customers
from support.berka_silence import JOURNEYS, SPOKEN, Silence, age, card_days, local, why_silent
from tidings.authoring import rules_of
from tidings.bootstrap import Tidings, bootstrap
from tidings.cli.silence import life_of
from tidings.cli.why import explanation_of
from tidings.settings import Settings

BERKA = Path(__file__).resolve().parents[3] / "shared" / "data" / "berka"
UNTIL = "1996-01-01T00:00:00+01:00"
SEED = int(os.environ.get("TIDINGS_TEST_SEED", "20260503"))
HOW_MANY = 200
LAST_DAY = date(1995, 12, 31)
# Reasons that so many silences always hold, whatever the seed.
OFTEN = {
    "not_the_day",
    "not_silent",
    "condition",
    "waiting",
    "fact_not_told",
    "no_contract",
    "refused",
}

pytestmark = [
    pytest.mark.skipif(not BERKA.is_dir(), reason="the real bank's records are not beside the project"),
    pytest.mark.slow,
    pytest.mark.long,
]


class Raw:
    """One customer's events as rows, read without Tidings."""

    def __init__(self, path: Path, subject: str) -> None:
        connection = sqlite3.connect(path)
        rows = connection.execute(
            "SELECT e.version, e.kind, e.cause, e.recorded_at, e.body FROM events e "
            "JOIN streams s USING (partition, stream) WHERE s.partition > 0 AND s.subject = ? ORDER BY 1",
            (subject,),
        ).fetchall()
        connection.close()
        self.cause = {version: cause for version, _, cause, _, _ in rows}
        self.kind = {version: kind for version, kind, _, _, _ in rows}
        self.at = {v: datetime.fromtimestamp(at / 1_000_000, UTC) for v, _, _, at, _ in rows}
        self.body: dict[int, dict[str, Any]] = {v: json.loads(body) for v, _, _, _, body in rows}

    def about(self, message: str) -> list[int]:
        """The versions of the events that speak of a message."""
        return [version for version, body in self.body.items() if body.get("message") == message]

    def to_the_first_cause(self, version: int) -> list[int]:
        """The way back, the first cause first."""
        way = [version]
        while self.cause[way[-1]]:
            way.append(self.cause[way[-1]])
        return way[::-1]

    def spoken(self, journey: str, day: date) -> bool:
        """Whether a message of the journey was asked for, judged or sent on this day."""
        asked = {
            body["message"]
            for version, body in self.body.items()
            if self.kind[version] == "message.requested/1" and body["journey"] == journey
        }
        return any(
            local(self.at[version]) == day
            for version, body in self.body.items()
            if body.get("message") in asked and self.kind[version].startswith("message.")
        )

    def handed_over(self, purpose: str, first: date, last: date) -> int:
        """How many messages of a purpose left on these days."""
        purposes = {
            body["message"]: body["purpose"]
            for version, body in self.body.items()
            if self.kind[version] == "message.requested/1"
        }
        return sum(
            purposes[body["message"]] == purpose and first <= local(self.at[version]) <= last
            for version, body in self.body.items()
            if self.kind[version] == "message.sending/1"
        )


class Lived:
    """The bank after three years, beside what its files say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tidings: Tidings = bootstrap(Settings(f"sqlite:///{path}", path.parent / "outbox"))
        self.rules = rules_of(self.tidings.history.rulebooks())
        self.customers = {customer.client_id: customer for customer in read_customers(BERKA)}
        self.cards = card_days(BERKA)

    def life(self, subject: str) -> Life:
        return life_of(self.tidings.history, subject, self.rules)

    def asked(self, subject: str, journey: str, day: date) -> list[Answer]:
        return answers(self.life(subject), Question(day, day, journey))

    def silence(self, customer: Customer, journey: str, day: date) -> Silence:
        return why_silent(customer, journey, day, cards=self.cards.get(customer.client_id, ()))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("bank")
    for arguments in (
        ["init"],
        ["import", "berka", str(BERKA), "--assume-consent", "marketing"],
        ["run", "--until", UNTIL],
    ):
        command = [sys.executable, "-m", "tidings", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    bank = Lived(folder / "tidings.db")
    yield bank
    bank.tidings.engine.dispose()


def test_why_of_200_messages_is_what_files_and_rows_say(lived: Lived) -> None:
    chance = random.Random(SEED)
    entries = lived.tidings.ledger.messages()
    # Few are suppressed: those are drawn besides.
    suppressed = [entry for entry in entries if entry.status == "suppressed"]
    sample = chance.sample(entries, HOW_MANY - 50) + chance.sample(suppressed, 50)
    for entry in sample:
        explanation = explanation_of(lived.tidings, entry.id)
        raw = Raw(lived.path, entry.customer)
        check_record(explanation, raw)
        check_rule(explanation, raw, lived.customers[entry.customer])
        check_day(lived, explanation, raw)
    assert Counter(entry.status for entry in sample)["suppressed"] >= 50


def check_record(explanation: Explanation, raw: Raw) -> None:
    """The chain is the one that the rows' causes make, and the status the last event's."""
    versions = raw.about(explanation.message)
    assert [link.version for link in explanation.chain] == raw.to_the_first_cause(versions[-1])
    assert explanation.status == raw.kind[versions[-1]].removeprefix("message.").removesuffix("/1")
    request = raw.body[versions[0]]
    assert (explanation.journey, explanation.template) == (request["journey"], request["template"])
    assert explanation.rules is not None
    assert (explanation.rules.rulebook, explanation.rules.policy_version) == (1, 1)


def check_rule(explanation: Explanation, raw: Raw, customer: Customer) -> None:
    """The policy by hand: marketing needs a yes and eighteen years, and three in a week are the most."""
    day = local(explanation.chain[-1].recorded_at)
    years = age(customer.born, day)
    if explanation.status == "suppressed":
        assert (explanation.purpose, explanation.rule) == ("marketing", "too_young")
        assert explanation.values == {"age": years, "at_least": 18, "purpose": "marketing"}
        assert years < 18
        return
    assert (explanation.status, explanation.rule) == ("accepted", None)
    if explanation.purpose == "marketing":
        assert years >= 18
        assert raw.handed_over("marketing", day - timedelta(days=6), day) <= 3
        assert explanation.consent is not None
        assert raw.kind[explanation.consent.version] == "consent.granted/1"


def check_day(lived: Lived, explanation: Explanation, raw: Raw) -> None:
    """The day is one on which the files ask for the message, and a question about it finds it."""
    day = local(explanation.chain[-1].recorded_at)
    customer = lived.customers[explanation.customer]
    if explanation.journey in JOURNEYS:
        assert lived.silence(customer, explanation.journey, day) == SPOKEN
    if explanation.journey == "birthday":
        started = next(link for link in explanation.chain if link.kind == "enrolment.started/1")
        assert started.values["entry"] == f"age={day.year - customer.born.year}"
    found = [a for a in lived.asked(customer.client_id, explanation.journey, day) if a.message]
    assert explanation.message in [answer.message for answer in found]
    status = {"accepted": "sent", "suppressed": "suppressed"}[explanation.status]
    assert {answer.reason for answer in found if answer.message == explanation.message} == {status}


def test_why_of_200_silences_is_what_the_files_say(lived: Lived) -> None:
    chance = random.Random(SEED)
    seen = Counter[str]()
    pools = {journey: pool_of(lived, journey) for journey in JOURNEYS}
    while seen.total() < HOW_MANY:
        journey = chance.choice(JOURNEYS)
        customer = chance.choice(chance.choice(pools[journey]))
        day = chance.choice(list(days_of(customer, journey, chance)))
        if not date(1993, 1, 2) <= day <= LAST_DAY:
            continue
        expected = lived.silence(customer, journey, day)
        raw = Raw(lived.path, customer.client_id)
        asked = (customer.client_id, journey, day)
        assert raw.spoken(journey, day) == (expected == SPOKEN), asked
        if expected != SPOKEN:
            found = lived.asked(customer.client_id, journey, day)
            check_silence(found, expected, raw, asked)
            seen[expected.reason] += 1
    assert seen.keys() >= OFTEN, seen


def pool_of(lived: Lived, journey: str) -> list[list[Customer]]:
    """All customers of these years, and those of them of whom the journey has something to say."""
    everybody = [c for _, c in sorted(lived.customers.items()) if c.registered <= LAST_DAY]
    match journey:
        case "maturity":
            concerned = [customer for customer in everybody if customer.loans]
        case "tier-upgrade":
            concerned = [c for c in everybody if sum(has_grown(c, month) for month in c.balances) > 1]
        case "win-back":
            concerned = [customer for customer in everybody if customer.transactions]
        case _:
            concerned = everybody
    return [everybody, concerned]


def days_of(customer: Customer, journey: str, chance: random.Random) -> Iterator[date]:
    """Days of which something may be said, and those around them; and some that are nothing special."""
    yield customer.registered + timedelta(days=chance.randrange(-30, 900))
    near = timedelta(days=chance.choice((-1, 0, 0, 1, 2)))
    match journey:
        case "birthday":
            born = customer.born
            yield date(chance.choice((1993, 1994, 1995)), born.month, min(born.day, 28)) + near
        case "maturity":
            for loan in customer.loans:
                for offset in (-30, -7, -1, 1):
                    yield loan.matures + timedelta(days=offset) + near
                yield loan.opened + near
        case "tier-upgrade":
            for month, (told, _) in customer.balances.items():
                yield told + near
                if has_grown(customer, month):
                    yield from [told] * len(customer.balances)
        case "win-back":
            # In these records nobody who fell silent for so long came back.
            for told in (*customer.transactions[:1], *customer.transactions[-1:] * 3):
                yield told + timedelta(days=chance.choice((0, 1, 59, 60, 61, 73, 74, 75, 88, 89)))
        case "onboarding":
            yield customer.registered + timedelta(days=chance.randrange(0, 40))
        case "festival-spring-festival":
            yield chance.choice((date(1994, 2, 10), date(1995, 1, 31))) + near
        case _:
            yield customer.registered + near


def check_silence(found: list[Answer], expected: Silence, raw: Raw, asked: tuple[str, str, date]) -> None:
    """One reason, the expected one, with the values that follow from the files, citing an event on record."""
    assert [answer.reason for answer in found] == [expected.reason], asked
    (answer,) = found
    assert answer.values.items() >= expected.values.items(), (asked, answer.values, expected.values)
    for name in ("last_day", "next_day", "last_at"):
        assert (name in answer.values) == (name in expected.values) or name == "last_at", asked
    if expected.unmet is not None:
        seen = [leaf.seen for leaf in answer.unmet if leaf.seen in expected.unmet or leaf.wanted]
        assert [_plain(value) for value in seen] == [_plain(value) for value in expected.unmet], asked
    cited = {
        "waiting": "enrolment.waiting/1",
        "left": "enrolment.ended/1",
        "left_before": "enrolment.ended/1",
        "ended_without": "enrolment.ended/1",
        "refused": "admission.refused/1",
        "not_silent": "transaction.posted/1",
        "not_yet_registered": "customer.registered/1",
        "other_way": "branch.taken/1",
    }.get(expected.reason)
    if cited is not None:
        assert answer.event is not None
        assert raw.kind[answer.event] == cited, asked


def _plain(value: object) -> object:
    """Amounts as numbers: 1000 and 1000.00 are the same."""
    if not isinstance(value, str) or ": " not in value:
        return value
    told = dict(part.split(": ") for part in value.split(", "))
    return {month: Decimal(amount) for month, amount in told.items()}


def test_the_command_line_says_it_in_both_languages(lived: Lived) -> None:
    folder = lived.path.parent
    customer = next(c for c in lived.customers.values() if c.registered < date(1993, 6, 1))
    day = customer.registered.replace(year=1995) + timedelta(days=5)
    for language, word in (("en", "not their day"), ("zh-CN", "当天不是其日子")):
        arguments = ["why", "--customer", customer.client_id, "--journey", "birthday", "--on", str(day)]
        command = [sys.executable, "-m", "tidings", *arguments, "--lang", language]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert word in done.stdout
