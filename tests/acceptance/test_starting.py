"""Journeys that are started by hand, by a program, and by a broadcast to every customer."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from journeys.definition import (
    Assets,
    EnterOnBirthday,
    EnterOnFact,
    EnterOnRequest,
)
from stores import customers as customers_of_store
from stores.customers import every_customer, how_many
from stores.inbox import Inbox, Taken
from support.bank import Bank
from support.facts import at, balance, opened, registered
from support.postgres import fresh_database
from support.scenario import envelope
from support.strategies import entered
from tidings import cli
from tidings.bootstrap import wall_clock
from tidings.broadcasting import announce, broadcast_of, facts_of
from tidings.importing import reading
from tidings.importing.cloudevents import parse_event
from tidings.starting import value_of

NEW_YEAR = at("2026-01-01 12:00")
FEBRUARY = at("2026-02-01 12:00")
TIME = ("--time", FEBRUARY.isoformat())
CALL = EnterOnRequest(values=("amount", "branch"))
CUT = EnterOnFact(fact="x.rate_cut/1", when=Assets(at_least="100"), values=("rate",))


def made(folder: Path, *, customers: int = 3, **given: Any) -> Bank:
    """A bank with customers, every second one with assets, and two journeys of its own."""
    bank = Bank(folder, **given)
    bank.publish(entered("call", CALL), entered("cut", CUT), entered("greet", EnterOnBirthday(at="09:00")))
    told = []
    for number in range(customers):
        facts = [registered(birth_date=None), *([] if number % 2 else [balance("500.00")])]
        for index, fact in enumerate(facts):
            told.append(envelope(f"c-{number}", NEW_YEAR, replace(fact, id=f"{number}-{index}")))
    bank.take(told)
    bank.run(at("2026-01-31 12:00"))
    return bank


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return made(tmp_path)


def tidings(
    bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    """What a command prints on stdout and stderr; it must end with this exit code."""
    found = cli.run([*arguments, "--store", bank.settings.store, "--outbox", str(bank.outbox)])
    out, err = capsys.readouterr()
    assert found == code, (out, err)
    return out, err


def started(bank: Bank) -> list[dict[str, Any]]:
    """What each enrolment was entered with, by customer."""
    lines = [(subject, line) for subject, history in bank.histories().items() for line in history]
    return [
        {"customer": subject, **json.loads(line[4])["entry"]}
        for subject, line in lines
        if line[0] == "enrolment.started/1"
    ]


class TestStart:
    request = ("journeys", "start", "call", "--value", "amount=12.5", "--value", "branch=007")

    def test_those_who_are_named_enter_with_the_values_at_the_next_run(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        who = ("--customer", "c-0", "--customer", "c-2", "--by", "Eva")
        out, _ = tidings(bank, capsys, *self.request, *who, "--reason", "asked", *TIME, "--json")
        told = json.loads(out)
        assert (told["journey"], told["accepted"], told["repeated"]) == ("call", 2, 0)
        assert bank.run(at("2026-02-02 12:00")).journeys == {"call": 2}
        values = {"amount": 12.5, "branch": "007", "requested_by": "Eva"}
        assert started(bank) == [{"customer": c, "fact": c, **values} for c in ("c-0", "c-2")]
        out, _ = tidings(bank, capsys, "messages", "--journey", "call", "--json")
        why, _ = tidings(bank, capsys, "why", json.loads(out)[0]["id"])
        assert "Eva asked that the customer enter the journey call" in why
        assert bank.verify().ok

    def test_the_same_request_counts_once_and_another_one_again(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        who = ("--customer", "c-0", "--customer", "c-0", "--json")
        for accepted, repeated, ident in ((1, 0, "a"), (0, 1, "a"), (1, 0, "b")):
            out, _ = tidings(bank, capsys, *self.request, *who, *TIME, "--id", ident)
            assert json.loads(out) == {
                "journey": "call",
                "id": ident,
                "accepted": accepted,
                "repeated": repeated,
            }

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("call", "--customer", "c-9", "--value", "amount=1", "--value", "branch=7"), "no customer c-9"),
            (("cal", "--customer", "c-0"), "no journey cal is in force. Did you mean"),
            (("greet", "--customer", "c-0"), "not entered by request but by birthday"),
            (("call", "--customer", "c-0"), "has the values -; expected amount, branch"),
            (("call", "--customer", "c-0", "--value", "amount"), "amount is no value"),
            (("call", "--customer", "c-0", "--value", "a=1", "--value", "a=2"), "a=2 is no value"),
            ((*request[2:], "--customer", "c-0", "--by", "x" * 201), "no name that can be recorded"),
            ((*request[2:], "--customer", "c-0", "--time", "2199-01-01T00:00:00Z"), "more than a year ahead"),
        ],
    )
    def test_what_is_not_known_is_one_line_and_nobody_is_asked_for(
        self, bank: Bank, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
    ) -> None:
        for language in ("en", "zh-CN"):
            known = ("--customer", "c-1", "--lang", language)
            _, err = tidings(bank, capsys, "journeys", "start", *arguments, *known, code=1)
            assert len(err.strip().splitlines()) == 1
            assert language != "en" or said in err
        assert (
            bank.sql("SELECT count(*) FROM inbox") == bank.sql("SELECT count(*) FROM dead_letters") == [(0,)]
        )

    def test_a_program_may_tell_the_same_fact(self, bank: Bank) -> None:
        event = {
            "specversion": "1.0",
            "id": "77",
            "source": "/app",
            "type": "journey.requested/1",
            "subject": "c-1",
            "time": FEBRUARY.isoformat(),
            "data": {"journey": "call", "values": {"amount": 3, "branch": "x"}, "requested_by": "the app"},
        }
        bank.take([parse_event(json.dumps(event).encode(), now=wall_clock())])
        assert bank.run(at("2026-02-02 12:00")).journeys == {"call": 1}
        assert started(bank)[0]["amount"] == 3

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("7", 7),
            ("-0.50", -0.5),
            ("007", "007"),
            ("1e5", "1e5"),
            ("", ""),
            ("9" * 16, "9" * 16),
            (" 7", " 7"),
        ],
    )
    def test_what_json_writes_as_a_number_is_one(self, text: str, value: object) -> None:
        assert value_of(text) == value
        assert type(value_of(text)) is type(value)


class TestBroadcast:
    def command(self, ident: str = "cut-1", data: str = '{"rate": "3.25"}') -> tuple[str, ...]:
        return ("broadcast", "x.rate_cut/1", "--id", ident, "--data", data)

    def test_every_customer_is_told_of_and_the_entry_picks_who_is_concerned(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, _ = tidings(bank, capsys, *self.command(), *TIME, "--json")
        told = json.loads(out)
        assert (told["customers"], told["accepted"], told["repeated"]) == (3, 3, 0)
        assert bank.run(at("2026-02-02 12:00")).journeys == {"cut": 2}
        assert started(bank) == [{"customer": c, "fact": c, "rate": "3.25"} for c in ("c-0", "c-2")]
        assert bank.verify().ok

    def test_an_audience_is_told_of_by_a_condition(
        self, bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bank.take(
            [envelope("c-loan", NEW_YEAR, registered()), envelope("c-loan", NEW_YEAR, opened(kind="loan"))]
        )
        bank.run(at("2026-01-02 12:00"))
        where = tmp_path / "borrowers.yaml"
        where.write_text("{is: holds, kinds: [loan]}")
        out, _ = tidings(bank, capsys, *self.command(), *TIME, "--where", str(where), "--json")
        assert json.loads(out)["customers"] == 1
        assert bank.sql("SELECT count(*) FROM inbox") == [(1,)]
        where.write_text("{is: days_since, fact: nothing/1, at_most: 3}")
        _, err = tidings(bank, capsys, *self.command("cut-2"), "--where", str(where), code=1)
        assert "there is no fact nothing/1" in err
        assert bank.sql("SELECT count(*) FROM inbox") == [(1,)]

    def test_repeated_it_adds_nothing_whenever_it_is_repeated_but_for_who_came_since(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        first = json.loads(tidings(bank, capsys, *self.command(), "--json")[0])
        again = json.loads(tidings(bank, capsys, *self.command(), "--json")[0])
        assert again == {**first, "accepted": 0, "repeated": 3}
        bank.take([envelope("c-new", NEW_YEAR, registered())])
        assert json.loads(tidings(bank, capsys, *self.command(), "--json")[0])["accepted"] == 1
        assert bank.sql("SELECT count(*) FROM dead_letters") == [(0,)]

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("x.rate_cut/1", "--id", "cut-1", "--data", '{"rate": "9"}'), "with other data"),
            (("x.other/1", "--id", "cut-1", "--data", '{"rate": "3.25"}'), "with other data"),
            (("x.rate_cut/1", "--id", "cut-1", "--data", '{"rate": "3.25"}', "--time", "2026-03-01T00:00Z"),
             "repeat it without --time"),
            (("session.started/1", "--id", "a", "--data", "{}"), "a bank's own type"),
            (("rate_cut", "--id", "a"), "there is no fact type rate_cut"),
            (("x.rate_cut/1", "--id", "a", "--data", "{"), "broken JSON at column"),
            (("x.rate_cut/1", "--id", "a", "--data", "[1]"), "expected object"),
            (("x.rate_cut/1", "--id", "a", "--data", '{"rate": [1]}'), "$[...]"),
            (("x.rate_cut/1", "--id", ""), "cannot be broadcast as"),
            (("x.rate_cut/1", "--id", "a" * 151), "cannot be broadcast as"),
            (("x.rate_cut/1", "--id", "a", "--time", "2199-01-01T00:00:00Z"), "more than a year ahead"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_meant_is_one_line_and_nobody_is_told_of(
        self, bank: Bank, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
    ) -> None:
        tidings(bank, capsys, *self.command(), *TIME)
        bank.run(at("2026-02-02 12:00"))
        _, err = tidings(bank, capsys, "broadcast", *arguments, code=1)
        assert said in err
        assert len(err.strip().splitlines()) == 1
        assert (
            bank.sql("SELECT count(*) FROM inbox") == bank.sql("SELECT count(*) FROM dead_letters") == [(0,)]
        )

    @pytest.mark.parametrize("store", ["sqlite", "postgresql"])
    def test_broken_off_anywhere_it_goes_on_when_it_is_repeated(self, tmp_path: Path, store: str) -> None:
        url = fresh_database() if store == "postgresql" else None
        bank = made(tmp_path, customers=23, partitions=3, url=url)
        whole = made(tmp_path, customers=23, partitions=3, name="whole")
        for number, one in enumerate((bank, whole)):
            engine = one.tidings.engine
            said = broadcast_of("cut-1", "x.rate_cut/1", '{"rate": "1"}', time=FEBRUARY, now=wall_clock())
            told = announce(engine, said, anytime=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(customers_of_store, "_PAGE", 4)
                patch.setattr(reading, "CHUNK", 5)
                if number == 0:
                    patch.setattr(Inbox, "take", dying_after(2))
                    with pytest.raises(KeyboardInterrupt):
                        take(one, told)
                    patch.setattr(Inbox, "take", TAKE)
                    assert one.sql("SELECT count(*) FROM inbox") == [(10,)]
                    assert take(one, announce(engine, said, anytime=True)) == (23, 13, 10)
                else:
                    assert take(one, told) == (23, 23, 0)
            one.run(at("2026-02-02 12:00"))
            engine.dispose()
        assert bank.histories() == whole.histories()

    def test_every_customer_is_read_once_in_pages_of_any_size(self, tmp_path: Path) -> None:
        bank = made(tmp_path, customers=17, partitions=3)
        engine = bank.tidings.engine
        for page in (1, 2, 17, 18):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(customers_of_store, "_PAGE", page)
                found = list(every_customer(engine))
            assert sorted(found) == sorted(f"c-{n}" for n in range(17))
        assert how_many(engine) == 17

    def test_memory_does_not_grow_with_the_audience(self) -> None:
        said = broadcast_of("cut-1", "x.rate_cut/1", "{}", time=FEBRUARY, now=wall_clock())

        def peak(customers: int) -> int:
            tracemalloc.start()
            for _ in facts_of(said, (f"c-{n}" for n in range(customers)), now=wall_clock()):
                pass
            highest = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return highest

        peak(100)
        assert peak(20_000) < 2 * peak(1_000)


TAKE = Inbox.take


def dying_after(chunks: int) -> Any:
    """Taking in that is interrupted after so many chunks."""
    left = [chunks]

    def take_or_die(inbox: Inbox, *items: Any, **given: Any) -> Taken:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return TAKE(inbox, *items, **given)

    return take_or_die


def take(bank: Bank, told: Any) -> tuple[int, int, int]:
    """Tell of every customer; how many there were, how many facts were new and how many repeated."""
    tidings = bank.tidings
    facts = facts_of(told, every_customer(tidings.engine), now=wall_clock())
    taken = reading.take_in(facts, tidings.inbox, origin="x", at=wall_clock(), progress=lambda _: None)
    tidings.engine.dispose()
    return taken.read, taken.accepted, taken.repeated
