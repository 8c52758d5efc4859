"""Made-up journeys on a real store: replayed byte for byte, in any batches, and nothing said twice."""

import json
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import catalogue as facts
from domain.catalogue import Envelope
from domain.clock import to_micros
from journeys.definition import EnterOnFact, Journey
from support.bank import Bank
from support.made_up import journeys, runs_to_its_end
from support.strategies import END, START, lives

MIDDLE = START + timedelta(days=300)
LONGEST = timedelta(days=400)
TERMINAL = {"message.accepted/1", "message.rejected/1", "message.unknown/1", "message.suppressed/1"}


def published() -> st.SearchStrategy[tuple[Journey, ...]]:
    """Two journeys that may start, tell and wait for each other's facts."""
    paid = EnterOnFact(fact="transaction.posted/1", values=("amount",))
    told = EnterOnFact(fact="x.told/1")
    return st.tuples(
        journeys("made-up", enter=paid).filter(runs_to_its_end),
        journeys("other", enter=told, purpose="care").filter(runs_to_its_end),
    )


def answers(bank: Bank) -> list[Envelope]:
    """Every task that is open is done, and every call answered, at the same instant."""
    told: list[Envelope] = []
    for task in bank.tidings.ledger.tasks():
        done = facts.TaskDone(source="/desk", id=task.id, task=task.id, outcome="approved")
        told.append(Envelope("task.done/1", task.customer, MIDDLE, done))
    for customer, history in bank.histories().items():
        for kind, *_, body, _ in history:
            if kind == "webhook.called/1":
                call = json.loads(body)["call"]
                answer = facts.WebhookAnswered(source="/scores", id=call, call=call, ok=True)
                told.append(Envelope("webhook.answered/1", customer, MIDDLE, answer))
    return told


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(published(), lives(most=8), st.integers(1, 5))
def test_made_up_journeys_keep_what_every_history_keeps(
    own: tuple[Journey, ...], told: list[Envelope], batch: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole, split = (
            Bank(Path(folder), name="whole", partitions=1),
            Bank(Path(folder), name="split", partitions=3),
        )
        said: list[Envelope] = []
        for bank, size in ((whole, 2_000), (split, batch)):
            bank.publish(*own)
            bank.take(told)
            bank.run(MIDDLE, batch=size)
            said = said or answers(bank)
            bank.take(said)
            bank.run(END + LONGEST, batch=size)
        assert split.histories() == whole.histories()
        assert whole.verify().findings == []
        events = [(line[0], line[2], json.loads(line[4])) for h in whole.histories().values() for line in h]
        purposes = {b["message"]: b["purpose"] for kind, _, b in events if kind == "message.requested/1"}
        asked = Counter(body["message"] for kind, _, body in events if kind == "message.requested/1")
        sent = Counter(body["message"] for kind, _, body in events if kind == "message.sending/1")
        # What a provider put off, or leaves in doubt where the purpose must reach, is handed over again.
        sent -= Counter(body["message"] for kind, _, body in events if kind == "message.postponed/1")
        twice = {"service", "regulatory"}
        for kind, _, body in events:
            if kind == "message.postponed/1" and body["in_doubt"]:
                assert purposes[body["message"]] in twice
        over = Counter(body["message"] for kind, _, body in events if kind in TERMINAL)
        assert set(asked.values()) <= {1}
        assert set(sent.values()) <= {1}
        assert over == asked
        begun = {
            b["enrolment"] for kind, at, b in events if kind == "enrolment.started/1" and at < to_micros(END)
        }
        ended = Counter(b["enrolment"] for kind, _, b in events if kind == "enrolment.ended/1")
        assert begun <= ended.keys()
        assert set(ended.values()) <= {1}
