"""A year of a made-up bank: every shipped programme speaks, and what is promised holds for everybody."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from stores.inbox import Told
from support.bank import Bank
from support.promises import check_consent_and_holds_kept, check_policy_kept
from tidings.documents import shipped
from tidings.synthetic import synthetic_bank

pytestmark = pytest.mark.slow
START, DAYS, CUSTOMERS = date(2026, 1, 1), 365, 200
# It notes something for others and says nothing.
SILENT = {"birthday-calendar"}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    bank = Bank(tmp_path_factory.mktemp("year"), documents=shipped())
    tidings = bank.tidings
    told = synthetic_bank(customers=CUSTOMERS, days=DAYS, start=START, seed=1)
    taken = tidings.inbox.take([Told(e, f"fact {n}") for n, e in enumerate(told)], origin="test", at=0)
    assert taken.refused == []
    tidings.engine.dispose()
    bank.run(datetime(2026, 1, 1, tzinfo=UTC))
    bank.run(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=DAYS + 66))
    return bank


def test_every_programme_is_entered_and_speaks(bank: Bank) -> None:
    journeys = {journey.journey for journey in shipped().journeys}
    bodies = [(line[0], json.loads(line[4])) for h in bank.histories().values() for line in h]
    entered = Counter(body["journey"] for kind, body in bodies if kind == "enrolment.started/1")
    assert entered.keys() == journeys
    spoke = Counter(entry.journey for entry in bank.ledger() if entry.status == "accepted")
    assert spoke.keys() == journeys - SILENT


def test_every_text_is_sent_to_somebody_or_the_year_has_no_case_for_it(bank: Bank) -> None:
    templates = {template.template for template in shipped().templates}
    sent = {entry.template for entry in bank.ledger() if entry.status == "accepted"}
    # Nobody in the made-up bank does a task that approves.
    assert templates - sent <= {"tier-introduction"}


def test_policy_consent_and_holds_are_kept(bank: Bank) -> None:
    for history in bank.histories().values():
        check_policy_kept(history)
        check_consent_and_holds_kept(history)


def test_the_record_can_be_checked(bank: Bank) -> None:
    verified = bank.verify()
    assert verified.findings == []
    assert verified.replayed > 5_000


def test_no_text_of_care_or_service_is_promotional() -> None:
    documents = shipped()
    promotional = {template.template for template in documents.templates if template.promotional}
    for journey in documents.journeys:
        used = {step.template for step in journey.steps if hasattr(step, "template")}
        assert journey.purpose == "marketing" or not used & promotional
