"""Histories written by released versions come out again for ever; changing one is a breaking change.

The first life runs on the documents in ``golden/first-programmes``, so that new programmes and versions leave
it as it was; the second on all that are shipped, so that a change of what they say is seen. Each is lived by
every version of the engine: those that decide it alike share one file. What a version decides otherwise has a
life of its own, with a file for each.
``python tests/acceptance/test_golden.py`` writes those that are missing, and never touches one that is there.
"""

import json
import sys
import tempfile
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from domain import catalogue as facts
from domain.catalogue import Envelope, Fact
from journeys.engine_versions import ENGINES
from stores.vault import open_state, vault_of
from support import in_doubt
from support.all_programmes import all_programmes
from support.bank import Bank
from support.engines import name_engine
from support.facts import at, noon
from support.scenario import envelope
from tidings.documents import shipped
from tidings.memory import Room

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
UNTIL = at("2027-06-30 12:00")


def first_programmes() -> list[Envelope]:
    """One customer who meets the first versions of the first four programmes, refusals among them."""

    def told(day: date, fact: type[Fact], name: str, **given: object) -> Envelope:
        made = fact(source="/golden", id=name, **given)
        return envelope("c-1", noon(day), made)

    start = date(2026, 1, 5)
    amounts = ("100.00", "121.00", "146.00", "176.00", "212.00")
    months = [date(2026, month, 28) for month in range(1, 6)]
    return [
        told(
            start,
            facts.CustomerRegistered,
            "person",
            birth_date=date(1992, 2, 29),
            given_name="Jana",
            zone="Europe/Prague",
            email="jana@example.com",
            phone="+420601000001",
        ),
        told(start, facts.ConsentGranted, "yes", channel="sms", provenance="branch form 7"),
        told(
            start, facts.HoldingOpened, "deposit", holding="d-1", kind="policy", matures_on=date(2026, 7, 1)
        ),
        told(date(2026, 6, 10), facts.HoldingChanged, "moved", holding="d-1", matures_on=date(2026, 9, 1)),
        *(
            told(day, facts.BalanceRecorded, f"balance-{day}", account="a-1", amount=Decimal(amount))
            for day, amount in zip(months, amounts, strict=True)
        ),
        told(date(2026, 3, 1), facts.TransactionPosted, "paid", account="a-1", amount=Decimal("-1.00")),
        told(date(2026, 5, 10), facts.TransactionPosted, "back", account="a-1", amount=Decimal("-1.00")),
        told(date(2026, 7, 12), facts.ConsentWithdrawn, "no", provenance="preference page"),
        told(start + timedelta(days=400), facts.CareHoldPlaced, "hold", reason="bereavement"),
    ]


LIVES = {"first-programmes": first_programmes, "all-programmes": all_programmes}
DOCUMENTS = {"first-programmes": None, "all-programmes": shipped()}
# By life and engine the file that tells it.
FILES = {(name, engine): f"{name}.jsonl" for name in LIVES for engine in ENGINES} | {
    ("in-doubt", 1): "in-doubt.engine-1.jsonl",
    ("in-doubt", 2): "in-doubt.engine-2.jsonl",
}


def begun(name: str, folder: Path) -> Bank:
    if name == "in-doubt":
        return in_doubt.bank(folder)
    bank = Bank(folder, partitions=1, documents=DOCUMENTS[name])
    assert bank.take(LIVES[name]()).refused == []
    return bank


def lived(name: str, engine: int, folder: Path) -> str:
    bank = begun(name, folder)
    name_engine(bank, engine)
    bank.run(UNTIL)
    assert bank.verify().findings == []
    lines = [
        {
            "kind": kind,
            "occurred_at": occurred_at,
            "recorded_at": recorded_at,
            "cause": cause,
            "body": json.loads(body),
        }
        for history in bank.histories().values()
        for kind, occurred_at, recorded_at, cause, body, _ in history
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


@pytest.mark.parametrize(("name", "engine"), sorted(FILES))
def test_the_same_life_has_the_same_history(name: str, engine: int, tmp_path: Path) -> None:
    golden = (GOLDEN / FILES[name, engine]).read_text(encoding="utf-8")
    assert lived(name, engine, tmp_path) == golden


def test_every_version_of_the_engine_has_a_history_of_its_own() -> None:
    told = [{file for (_, engine), file in FILES.items() if engine == version} for version in sorted(ENGINES)]
    for former, later in pairwise(told):
        assert later - former


def test_the_second_life_meets_every_programme_and_every_text() -> None:
    lines = (GOLDEN / "all-programmes.jsonl").read_text(encoding="utf-8").splitlines()
    bodies = [event["body"] for event in map(json.loads, lines) if event["kind"] == "enrolment.started/1"]
    assert {body["journey"] for body in bodies} | {"birthday"} == {j.journey for j in shipped().journeys}
    asked = {body["template"] for body in (json.loads(line)["body"] for line in lines) if "template" in body}
    left_out = {"birthday-greeting", "complaint-delayed"} - asked
    assert asked | left_out == {template.template for template in shipped().templates}


@pytest.mark.parametrize("name", sorted(LIVES))
def test_a_fold_that_means_something_else_has_another_number(name: str, tmp_path: Path) -> None:
    """Raise ``domain.fold.FOLD`` before the states of a golden life are written anew."""
    known = json.loads((GOLDEN / f"{name}.state.json").read_text(encoding="utf-8"))
    assert known == state(name, tmp_path)


def state(name: str, folder: Path) -> dict[str, object]:
    bank = Bank(folder, partitions=1, documents=DOCUMENTS[name])
    bank.take(LIVES[name]())
    bank.run(UNTIL, room=Room(10, events_between_snapshots=1))
    ((form, stream, version, stored),) = bank.sql("SELECT form, stream, version, state FROM snapshots")
    key = vault_of(bank.tidings.engine).keys(1, [stream])[stream]
    assert key is not None
    return {"form": form, "state": sha256(open_state(key, stored, version=version)).hexdigest()}


def _write_missing() -> None:
    for (name, engine), file in FILES.items():
        path = GOLDEN / file
        if not path.exists():
            path.write_text(lived(name, engine, Path(tempfile.mkdtemp())), encoding="utf-8")
            sys.stdout.write(f"{path}\n")
    for name in LIVES:
        path = GOLDEN / f"{name}.state.json"
        if not path.exists():
            path.write_text(json.dumps(state(name, Path(tempfile.mkdtemp()))) + "\n", encoding="utf-8")
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    _write_missing()
