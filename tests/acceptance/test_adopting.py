"""A journey that is published later reaches the customers who are there already."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from audit.replay import replay
from domain.clock import to_micros
from domain.errors import InputRefused
from domain.events import KIND_OF, RulebookAdopted, TimersPlanned
from journeys import planning
from journeys.definition import (
    End,
    Enter,
    EnterOnBirthday,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnSilence,
    Journey,
    Send,
    Wait,
)
from stores.adoption import EVERYBODY
from support.bank import Bank
from support.facts import at, closed, erased, granted, noon, opened, paid, registered
from support.scenario import SHIPPED_RULEBOOK, envelope
from tidings import adopting

NEW_YEAR = at("2026-01-01 12:00")
FEBRUARY = at("2026-02-01 12:00")
NEXT_YEAR = at("2027-01-01 12:00")
ADOPTED = KIND_OF[RulebookAdopted]
GREETING = Send(step="greet", template="birthday-greeting", channels=("email",), next="end")
SILENT = EnterOnSilence(of="transaction.posted/1", days=50, at="10:00")


def journey(enter: Enter, *, version: int = 1, name: str = "own", greets: bool = False) -> Journey:
    return Journey(
        journey=name,
        version=version,
        title={"en": "Own"},
        purpose="care",
        topic="greetings",
        enter=enter,
        steps=(GREETING, End(step="end")) if greets else (End(step="end"),),
    )


def shipped_journey(name: str) -> Journey:
    return next(journey for journey in SHIPPED_RULEBOOK.journeys if journey.journey == name)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path)


def told(bank: Bank, subject: str, *kinds: str) -> list[tuple[str, datetime, Any]]:
    """Kind, recorded time and body of a customer's events of these kinds."""
    tidings = bank.tidings
    history = replay(tidings.history, subject).history
    tidings.engine.dispose()
    return [(e.kind, e.recorded_at, e.body) for e in history if e.kind in kinds]


def entered(bank: Bank, subject: str = "c-1", name: str = "own") -> list[tuple[int, datetime]]:
    """Version and instant of each entry into a journey."""
    started = told(bank, subject, "enrolment.started/1")
    return [(body.version, at) for _, at, body in started if body.journey == name]


def wake_ups(bank: Bank, subject: str = "c-1") -> dict[str, datetime]:
    tidings = bank.tidings
    timers = replay(tidings.history, subject).customer.timers
    tidings.engine.dispose()
    return {name: timer.due_at for name, timer in timers.items()}


def events_of(bank: Bank) -> int:
    return int(bank.sql("SELECT count(*) FROM events WHERE partition > 0")[0][0])


def test_a_birthday_journey_greets_who_was_there_before_it(bank: Bank) -> None:
    bank.take([envelope(f"c-{n}", NEW_YEAR, registered()) for n in (1, 2, 3)])
    assert bank.run(FEBRUARY).planned == 0
    bank.publish(journey(EnterOnBirthday(at="18:00"), greets=True))
    assert bank.run(FEBRUARY).planned == 3
    # On the customers' clock, not on that of the machine that published.
    times = bank.sql("SELECT DISTINCT occurred_at, recorded_at FROM events WHERE kind = ?", ADOPTED)
    assert times == [(to_micros(FEBRUARY), to_micros(FEBRUARY))]
    bank.run(NEXT_YEAR)
    sent = bank.tidings.ledger.messages(journey="own")
    assert [(m.customer, m.status, m.requested_at) for m in sent] == [
        (f"c-{n}", "accepted", to_micros(at("2026-05-03 18:00"))) for n in (1, 2, 3)
    ]
    assert bank.verify().findings == []


def test_a_maturity_journey_reaches_open_contracts_and_only_moments_ahead(bank: Bank) -> None:
    bank.take(
        [
            envelope("c-1", NEW_YEAR, registered()),
            envelope("c-1", NEW_YEAR, opened(holding="open", kind="card", matures_on=date(2026, 3, 1))),
            envelope("c-1", NEW_YEAR, opened(holding="gone", kind="card", matures_on=date(2026, 3, 1))),
            envelope("c-1", noon(date(2026, 1, 20)), closed("gone")),
        ]
    )
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnMaturity(kinds=("card",), offsets=(-40, -7), at="10:00")))
    bank.run(NEXT_YEAR)
    assert entered(bank) == [(1, at("2026-02-22 10:00"))]
    assert bank.verify().findings == []


def test_a_silence_journey_reaches_who_is_silent_from_now_on(bank: Bank) -> None:
    """c-2 has long been silent: moments that are past are nobody's, as for facts told late."""
    bank.take(
        [
            envelope("c-1", NEW_YEAR, registered()),
            envelope("c-2", NEW_YEAR, registered()),
            envelope("c-1", noon(date(2026, 1, 20)), paid()),
            envelope("c-2", noon(date(2026, 1, 20)), paid()),
            envelope("c-3", NEW_YEAR, registered()),
        ]
    )
    bank.run(FEBRUARY)
    bank.publish(journey(SILENT))
    assert bank.run(FEBRUARY).planned == 2
    bank.publish(journey(EnterOnSilence(of="transaction.posted/1", days=5, at="10:00"), name="short"))
    bank.run(NEXT_YEAR)
    assert entered(bank) == [(1, at("2026-03-12 10:00"))]
    assert [entered(bank, subject, "short") for subject in ("c-1", "c-2", "c-3")] == [[], [], []]
    assert bank.verify().findings == []


def test_a_shorter_silence_brings_forward_who_is_waited_for(bank: Bank) -> None:
    bank.take([envelope("c-1", NEW_YEAR, registered()), envelope("c-1", noon(date(2026, 1, 12)), paid())])
    bank.publish(journey(SILENT))
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnSilence(of="transaction.posted/1", days=5, at="15:00"), version=2))
    bank.run(NEXT_YEAR)
    assert entered(bank) == [(2, at("2026-02-01 15:00"))]
    assert bank.verify().findings == []


def test_a_longer_silence_leaves_the_wake_up_which_looks_again(bank: Bank) -> None:
    bank.take([envelope("c-1", NEW_YEAR, registered()), envelope("c-1", noon(date(2026, 1, 12)), paid())])
    bank.publish(journey(SILENT))
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnSilence(of="transaction.posted/1", days=60, at="10:00"), version=2))
    assert bank.run(FEBRUARY).planned == 0
    bank.run(NEXT_YEAR)
    assert entered(bank) == [(2, at("2026-03-14 10:00"))]


def test_another_hour_moves_the_wake_up(bank: Bank) -> None:
    bank.take([envelope("c-1", NEW_YEAR, registered())])
    bank.run(FEBRUARY)
    first = shipped_journey("birthday")
    bank.publish(journey(EnterOnBirthday(at="18:00"), version=2, name=first.journey, greets=True))
    bank.run(FEBRUARY)
    assert wake_ups(bank)["enter:birthday"] == at("2026-05-03 18:00")
    bank.run(NEXT_YEAR)
    assert entered(bank, name="birthday") == [(2, at("2026-05-03 18:00"))]
    assert bank.verify().findings == []


@pytest.mark.parametrize(
    ("enter", "left"),
    [
        (EnterOnFact(fact="transaction.posted/1"), []),
        (EnterOnMaturity(kinds=("card",), offsets=(0,), at="10:00"), ["enter:own:d-1:0"]),
    ],
)
def test_another_way_to_enter_drops_the_wake_ups_of_the_one_before(
    bank: Bank, enter: Enter, left: list[str]
) -> None:
    bank.take(
        [
            envelope("c-1", NEW_YEAR, registered()),
            envelope("c-1", NEW_YEAR, opened(kind="card", matures_on=date(2026, 3, 1))),
        ]
    )
    bank.publish(journey(EnterOnBirthday(at="18:00")))
    bank.run(FEBRUARY)
    assert "enter:own" in wake_ups(bank)
    bank.publish(journey(enter, version=2))
    assert bank.run(FEBRUARY).planned == 1
    assert [name for name in wake_ups(bank) if name.startswith("enter:own")] == left
    (plan,) = told(bank, "c-1", "timers.planned/1")[-1:]
    assert plan[2].dropped == ("enter:own",)
    bank.run(NEXT_YEAR)
    assert bank.verify().findings == []


def test_who_is_inside_keeps_their_version_and_their_wait(bank: Bank) -> None:
    waits = Wait(step="wait", days=300, at="12:00", next="end")
    enter = EnterOnBirthday(at="18:00")
    own = Journey(**{**as_fields(journey(enter)), "steps": (waits, End(step="end"))})
    bank.take([envelope("c-1", NEW_YEAR, registered())])
    bank.publish(own)
    bank.run(at("2026-06-01 12:00"))
    before = {name: due_at for name, due_at in wake_ups(bank).items() if name.startswith("wait:")}
    bank.publish(journey(EnterOnFact(fact="transaction.posted/1"), version=2))
    bank.run(at("2026-06-01 12:00"))
    assert {n: due_at for n, due_at in wake_ups(bank).items() if n.startswith("wait:")} == before
    bank.run(at("2027-12-31 12:00"))
    assert [at for _, at, body in told(bank, "c-1", "enrolment.ended/1") if body.reason == "end"]
    assert bank.verify().findings == []


def as_fields(own: Journey) -> dict[str, Any]:
    return {name: getattr(own, name) for name in own.__struct_fields__}


def test_who_has_nothing_to_wait_for_gets_no_event(bank: Bank) -> None:
    bank.take(
        [
            envelope("c-1", NEW_YEAR, registered(birth_date=None)),
            envelope("c-2", NEW_YEAR, paid()),
            envelope("c-3", NEW_YEAR, registered()),
            envelope("c-3", NEW_YEAR + timedelta(days=1), erased()),
        ]
    )
    bank.run(FEBRUARY)
    before = events_of(bank)
    bank.publish(journey(EnterOnBirthday(at="18:00")))
    assert bank.run(FEBRUARY).planned == 0
    assert events_of(bank) == before


@pytest.mark.parametrize("until", ["2026-05-03 09:00", "2026-05-03 09:01"])
def test_a_moment_at_which_the_clock_stands_does_not_come_twice(bank: Bank, until: str) -> None:
    silent = EnterOnSilence(of="transaction.posted/1", days=30, at="09:00")
    bank.publish(journey(silent))
    bank.take([envelope("c-1", NEW_YEAR, registered()), envelope("c-1", at("2026-04-03 09:00"), paid())])
    bank.run(at(until))
    bank.publish(journey(EnterOnBirthday(at="09:00"), name="other"))
    bank.run(at("2026-12-31 12:00"))
    assert entered(bank) == [(1, at("2026-05-03 09:00"))]
    assert entered(bank, name="birthday") == [(1, at("2026-05-03 09:00"))]
    assert told(bank, "c-1", "admission.refused/1") == []
    assert told(bank, "c-1", ADOPTED) != []


def test_a_wake_up_that_is_due_this_very_instant_is_not_lost(tmp_path: Path) -> None:
    """A run is killed between a fact and a wake-up of one instant, and other rules come before the next."""
    bank = Bank(tmp_path, partitions=1)
    moment = at("2026-05-03 09:00")
    bank.take([envelope("c-1", NEW_YEAR, registered()), envelope("c-1", moment, paid())])
    bank.run(FEBRUARY)
    assert bank.run_killed(NEXT_YEAR, commits=1, batch=1)
    assert wake_ups(bank)["enter:birthday"] == moment
    bank.publish(journey(EnterOnBirthday(at="18:00")))
    bank.run(NEXT_YEAR)
    assert entered(bank, name="birthday") == [(1, moment)]
    assert entered(bank) == [(1, at("2026-05-03 18:00"))]
    assert bank.verify().findings == []


def test_rules_that_ask_for_the_same_wake_ups_cost_no_look_at_anybody(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.take([envelope("c-1", NEW_YEAR, registered())])
    bank.run(FEBRUARY)

    def looked(*_: object, **__: object) -> Iterator[int]:
        raise AssertionError("a customer was looked at")

    monkeypatch.setattr(adopting, "customers_after", looked)
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnFact(fact="transaction.posted/1")))
    bank.run(FEBRUARY)
    assert bank.sql(
        "SELECT DISTINCT adopted_rulebook, adopted_stream FROM partitions WHERE partition > 0"
    ) == [(2, EVERYBODY)]
    bank.publish(journey(EnterOnBirthday(at="18:00"), version=2))
    with pytest.raises(AssertionError, match="looked at"):
        bank.run(FEBRUARY)


def test_facts_do_not_wait_for_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Bank(tmp_path, partitions=1)
    bank.take([envelope(f"c-{n}", NEW_YEAR, registered()) for n in range(30)])
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnBirthday(at="18:00")))
    bank.take([envelope("c-0", FEBRUARY + timedelta(days=n), paid()) for n in range(1, 11)])
    monkeypatch.setattr(adopting, "SLICE", 2)
    last = bank.sql("SELECT max(seq) FROM events WHERE partition = 1")[0][0]
    bank.run(FEBRUARY + timedelta(days=20), batch=1)
    kinds = [
        row[0]
        for row in bank.sql("SELECT kind FROM events WHERE partition = 1 AND seq > ? ORDER BY seq", last)
    ]
    facts = [place for place, kind in enumerate(kinds) if kind == "transaction.posted/1"]
    stretches = [kinds[a:b].count(ADOPTED) for a, b in zip([0, *facts], facts, strict=False)]
    assert kinds.count(ADOPTED) == 30
    assert len(facts) == 10
    assert set(stretches) == {2}


def test_rules_that_come_during_a_sweep_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Bank(tmp_path, partitions=1)
    bank.take([envelope(f"c-{n}", NEW_YEAR, registered()) for n in range(10)])
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnBirthday(at="18:00")))
    monkeypatch.setattr(adopting, "SLICE", 3)
    assert bank.run_killed(FEBRUARY, commits=3)
    assert bank.sql("SELECT adopted_rulebook, adopted_stream FROM partitions WHERE partition = 1") == [(2, 6)]
    bank.publish(journey(EnterOnBirthday(at="20:00"), version=2))
    bank.run(NEXT_YEAR)
    assert [entered(bank, f"c-{n}") for n in range(10)] == [[(2, at("2026-05-03 20:00"))]] * 10
    assert [len(told(bank, f"c-{n}", ADOPTED)) for n in range(10)] == [2] * 6 + [1] * 4
    assert bank.verify().findings == []


def test_a_worker_with_older_rules_leaves_a_partition_that_has_gone_on(bank: Bank) -> None:
    bank.take([envelope("c-1", NEW_YEAR, registered())])
    bank.sql("UPDATE partitions SET adopted_rulebook = 2 WHERE partition = 1")
    with pytest.raises(InputRefused, match=r"run\.rules_changed"):
        bank.run(FEBRUARY)
    assert bank.sql("SELECT owner FROM partitions WHERE partition = 1") == [(None,)]


def test_an_adoption_from_which_nothing_follows_is_a_difference(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.take([envelope("c-1", NEW_YEAR, registered(birth_date=None))])
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnBirthday(at="18:00")))
    without_ground = [TimersPlanned(due={"enter:own": NEXT_YEAR}, reason="birthday")]
    monkeypatch.setattr(planning, "adopted", lambda *_, **__: iter(without_ground))
    bank.run(FEBRUARY)
    monkeypatch.undo()
    found = bank.verify().findings
    assert [(f.code, f.values.get("kind")) for f in found[:2]] == [
        ("audit.decision_unfounded", ADOPTED),
        ("audit.decision_unfounded", "timers.planned/1"),
    ]


def test_the_rulebook_is_named_by_its_digest(bank: Bank) -> None:
    bank.take([envelope("c-1", NEW_YEAR, registered())])
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnBirthday(at="18:00")))
    bank.run(FEBRUARY)
    ((_, _, body),) = told(bank, "c-1", ADOPTED)
    ((digest,),) = bank.sql("SELECT digest FROM rulebooks WHERE partition = 0 AND number = 2")
    assert body.rulebook == digest


def test_rules_are_no_fact_that_a_customer_is_known_by(bank: Bank) -> None:
    bank.take([envelope("c-1", NEW_YEAR, registered())])
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnBirthday(at="18:00")))
    bank.run(FEBRUARY)
    tidings = bank.tidings
    known = replay(tidings.history, "c-1").customer.last_at
    tidings.engine.dispose()
    assert known.keys() == {"customer.registered/1"}


@pytest.mark.parametrize("batch", [1, 2_000])
def test_a_wake_up_that_the_rules_ask_for_comes_before_facts_that_wait_behind_it(
    bank: Bank, batch: int
) -> None:
    # Nothing that was planned before the rules comes before it, so nothing else leads the worker to it.
    bank.take(
        [
            envelope("c-1", NEW_YEAR, registered()),
            envelope("c-1", NEW_YEAR, opened(kind="card", matures_on=date(2026, 4, 20))),
        ]
    )
    bank.run(FEBRUARY)
    bank.publish(journey(EnterOnMaturity(kinds=("card",), offsets=(0,), at="10:00")))
    bank.take([envelope("c-1", noon(date(2026, 4, day)), granted()) for day in (10, 25)])
    bank.run(NEXT_YEAR, batch=batch)
    assert entered(bank) == [(1, at("2026-04-20 10:00"))]
    kinds = [kind for kind, _, _ in told(bank, "c-1", "consent.granted/1", "enrolment.started/1")]
    assert kinds[:3] == ["consent.granted/1", "enrolment.started/1", "consent.granted/1"]
    assert bank.verify().findings == []


def test_an_answer_that_a_crash_left_owing_comes_before_the_rules(tmp_path: Path) -> None:
    bank = Bank(tmp_path, partitions=1)
    bank.take([envelope("c-1", NEW_YEAR, registered())])
    bank.run(FEBRUARY)
    assert bank.run_killed(at("2026-06-01 12:00"), commits=1)
    bank.publish(journey(EnterOnBirthday(at="18:00")))
    bank.run(at("2026-06-01 12:00"))
    kinds = [kind for kind, _, _ in told(bank, "c-1", "message.sending/1", "message.accepted/1", ADOPTED)]
    assert kinds == ["message.sending/1", "message.accepted/1", ADOPTED]
    assert entered(bank) == [(1, at("2026-05-03 18:00"))]
    assert bank.verify().findings == []


@pytest.mark.parametrize("days", [30, 250])
def test_a_silence_that_led_in_before_another_entry_does_not_again(bank: Bank, days: int) -> None:
    bank.publish(journey(SILENT))
    bank.take([envelope("c-1", NEW_YEAR, registered()), envelope("c-1", noon(date(2026, 1, 12)), paid())])
    bank.run(at("2026-04-01 12:00"))
    bank.publish(journey(EnterOnBirthday(at="18:00"), version=2))
    bank.run(at("2026-06-01 12:00"))
    bank.publish(journey(EnterOnSilence(of="transaction.posted/1", days=days, at="10:00"), version=3))
    bank.take([envelope("c-1", noon(date(2026, 1, 2)), paid())])
    bank.run(NEXT_YEAR)
    assert [version for version, _ in entered(bank)] == [1, 2]
    assert wake_ups(bank).keys() == {"enter:birthday"}
    assert bank.verify().findings == []


def test_who_is_inside_a_silence_journey_is_not_planned_for_until_they_leave(bank: Bank) -> None:
    waits = Wait(step="wait", days=60, at="12:00", next="end")
    own = Journey(**{**as_fields(journey(SILENT)), "steps": (waits, End(step="end"))})
    bank.publish(own)
    bank.take(
        [
            envelope("c-1", NEW_YEAR, registered()),
            envelope("c-1", noon(date(2026, 1, 2)), paid()),
            envelope("c-1", noon(date(2026, 3, 1)), paid()),
        ]
    )
    bank.run(at("2026-03-05 12:00"))
    assert entered(bank) == [(1, at("2026-02-22 10:00"))]
    bank.publish(journey(EnterOnSilence(of="transaction.posted/1", days=20, at="10:00"), version=2))
    assert bank.run(at("2026-03-05 12:00")).planned == 0
    bank.run(NEXT_YEAR)
    assert entered(bank)[1:] == [(2, at("2026-04-23 12:00"))]
    assert bank.verify().findings == []
