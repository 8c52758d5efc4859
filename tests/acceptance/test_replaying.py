"""A customer as of any instant or event: by what was on record, and by what had happened."""

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from audit.changes import changes
from audit.replay import replay
from audit.ruling import RecordedShelf
from audit.standing import standing
from domain.catalogue import Envelope
from domain.clock import from_micros, to_micros
from domain.codec import restored
from domain.customer import Customer
from domain.errors import InputRefused
from domain.fold import folded
from stores.archive.writing import write_archive
from support.bank import Bank
from support.documents import first_programmes
from support.facts import at, balance, granted, opened, paid, registered
from support.scenario import envelope
from tidings.authoring import all_rules
from tidings.cli import run

NEW_YEAR, MARCH, JUNE = at("2026-01-01 12:00"), at("2026-03-01 12:00"), at("2026-06-01 12:00")
LATER = at("2026-05-20 12:00")
HAPPENED, TOLD = at("2026-02-01 12:00"), at("2026-04-01 12:00")


def life() -> list[Envelope]:
    growth = [(f"2026-0{month}-15 12:00", str(1000 * 2**month)) for month in (1, 2, 3, 4)]
    return [
        envelope("c-1", NEW_YEAR, registered()),
        envelope("c-1", NEW_YEAR, granted()),
        envelope("c-1", at("2026-01-05 12:00"), opened(kind="loan")),
        *(envelope("c-1", at(when), balance(amount)) for when, amount in growth),
        envelope("c-2", NEW_YEAR, registered()),
        envelope("c-3", LATER, registered()),
    ]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Three customers; of the first a contract of 1 February is told on 1 April, under other rules."""
    folder = tmp_path_factory.mktemp("bank")
    made = Bank(folder, partitions=1)
    made.take(life())
    made.run(TOLD)
    (journey,) = [j for j in first_programmes().journeys if j.journey == "birthday"]
    later = replace(journey, version=journey.version + 1, topic="other")
    made.publish(later, replace(journey, journey="own"))
    made.take([envelope("c-1", HAPPENED, opened(holding="d-9")), envelope("c-1", HAPPENED, paid())])
    made.run(JUNE)
    return made


class TestTwoTimes:
    def test_by_recorded_time_it_is_what_was_known(self, bank: Bank) -> None:
        known = replay(bank.tidings.history, "c-1", as_of=MARCH)
        assert known.customer.holdings.keys() == {"d-1"}
        assert all(event.recorded_at <= MARCH for event in known.history)

    def test_by_business_time_what_had_happened_and_was_told_later_is_there(self, bank: Bank) -> None:
        known = replay(bank.tidings.history, "c-1", as_of=MARCH)
        was = replay(bank.tidings.history, "c-1", as_of=MARCH, by="business")
        assert was.customer.holdings.keys() == {"d-1", "d-9"}
        assert was.customer.last_at["transaction.posted/1"] == HAPPENED
        late = was.history[len(known.history) :]
        assert [event.kind for event in late] == ["holding.opened/1", "transaction.posted/1"]
        # What was decided is what had been decided; nothing is known of later than the instant.
        assert was.customer.timers == known.customer.timers
        assert was.customer.clock_at == MARCH

    def test_before_it_happened_it_is_there_by_neither(self, bank: Bank) -> None:
        early = HAPPENED - timedelta(seconds=1)
        history = bank.tidings.history
        known, was = (replay(history, "c-1", as_of=early, by=by) for by in ("recorded", "business"))
        assert known == was

    def test_once_all_is_told_both_are_the_same(self, bank: Bank) -> None:
        history = bank.tidings.history
        known, was = (replay(history, "c-1", as_of=JUNE, by=by) for by in ("recorded", "business"))
        assert known == was


class TestStepByStep:
    def test_every_version_is_the_fold_of_what_came_before(self, bank: Bank) -> None:
        history = bank.tidings.history
        found = history.find("c-1")
        assert found is not None
        events = [restored(stored) for stored in history.history(*found)]
        for version in range(1, len(events) + 1):
            replayed = replay(history, "c-1", version=version)
            assert replayed.customer == folded(Customer("c-1"), events[:version])
            assert replayed.last_version == len(events)
        for version in (0, len(events) + 1):
            with pytest.raises(InputRefused, match="no_version"):
                replay(history, "c-1", version=version)

    def test_what_events_changed_adds_up_to_the_state(self, bank: Bank) -> None:
        replayed = replay(bank.tidings.history, "c-1")
        told: dict[str, Any] = to_builtins(Customer("c-1"))
        for made in changes("c-1", replayed.history):
            for change in made:
                *above, name = change.path
                part = told
                for step in above:
                    part = part[step]
                assert part.get(name) == change.before
                part[name] = change.after
        state: dict[str, Any] = to_builtins(replayed.customer)
        counted = ("fact_days", "message_days", "version", "clock_at")
        assert _known(told, without=counted) == _known(state, without=counted)
        balances = [event for event in replayed.history if event.kind == "balance.recorded/1"]
        assert told["fact_days"]["balance.recorded/1"] == len(balances)


def _known(state: Any, *, without: tuple[str, ...] = ()) -> Any:
    """The parts of a state that there are: what is gone and what never was are the same."""
    if not isinstance(state, dict):
        return state
    parts = {name: _known(part) for name, part in state.items() if name not in without}
    return {name: part for name, part in parts.items() if part is not None}


class TestStanding:
    def test_caps_are_counted_by_the_policy_of_then(self, bank: Bank) -> None:
        history = bank.tidings.history
        handed = next(e for e in replay(history, "c-1").history if e.kind == "message.sending/1")
        for moment, used in ((handed.recorded_at, 1), (handed.recorded_at + timedelta(days=7), 0)):
            replayed = replay(history, "c-1", as_of=moment)
            shelf = shelf_of(bank, "c-1")
            book = shelf.at(moment)
            assert book is not None
            stands = standing(replayed.customer, at=moment, policy=book.rules.policy, ruling=book.ruling)
            (cap,) = [cap for cap in stands.caps if cap.cap == "marketing-week"]
            assert (cap.used, cap.left) == (used, cap.at_most - used)
            assert sum(cap.days.values()) == used

    def test_the_rules_of_any_moment_are_those_that_the_partition_cited_last(self, bank: Bank) -> None:
        history = bank.tidings.history
        all_of_them = list(history.events(1, upto=history.last_seq(1)))
        # Of somebody who came late nothing of their own says which rules were in force before.
        shelf = shelf_of(bank, "c-3")
        numbers = set()
        for event in all_of_them:
            for micros in (event.recorded_at - 1, event.recorded_at, event.recorded_at + 1):
                cited = [e.rulebook for e in all_of_them if e.recorded_at <= micros]
                book = shelf.at(from_micros(micros))
                assert (book.number if book else 0) == (cited[-1] if cited else 0)
                numbers.add(book.number if book else 0)
        assert len(numbers) == 3
        assert history.reached(1) == to_micros(JUNE)


def shelf_of(bank: Bank, subject: str) -> RecordedShelf:
    tidings = bank.tidings
    whole = replay(tidings.history, subject)
    return RecordedShelf(tidings.history, whole.partition, whole.stored, all_rules(tidings.engine))


class TestTheCommand:
    def told(self, bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
        store = ["--store", bank.settings.store]
        assert run(["replay", *arguments, *store]) == code
        out = capsys.readouterr()
        return out.out if code == 0 else out.err

    def test_one_event_on_and_back(self, bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
        def place(*arguments: str) -> tuple[int, list[int], Any]:
            told = json.loads(self.told(bank, capsys, "c-1", *arguments, "--json"))
            return told["state"]["version"], [e["version"] for e in told["events"]], told["next"]

        assert place("--at-version", "5") == (5, [5], 6)
        assert place("--at-version", "5", "--next") == (6, [6], 7)
        assert place("--at-version", "5", "--previous") == (4, [4], 5)
        assert place("--at-version", "5", "--from-version", "3")[1] == [3, 4, 5]
        last = place()[0]
        assert place("--previous")[0] == last - 1
        assert "has no event" in self.told(bank, capsys, "c-1", "--next", code=1)

    def test_the_text_names_changes_and_no_person(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for language in ("en", "zh-CN"):
            text = self.told(bank, capsys, "c-1", "--diff", "--lang", language)
            assert "one@example.com" not in text
            assert "1980-05-03" not in text
            assert "holdings.d-9" in text
        told = json.loads(self.told(bank, capsys, "c-1", "--diff", "--json"))
        (first, *_) = told["events"]
        assert {"addresses", "birth_date"} <= {change["path"][0] for change in first["changes"]}

    def test_by_business_time_the_json_says_so(self, bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
        asked = ("c-1", "--as-of", MARCH.isoformat(), "--json")
        known = json.loads(self.told(bank, capsys, *asked))
        was = json.loads(self.told(bank, capsys, *asked, "--time", "business"))
        assert ("d-9" in known["standing"]["holdings"], "d-9" in was["standing"]["holdings"]) == (False, True)
        assert (known["time"], was["time"]) == ("recorded", "business")

    @pytest.mark.parametrize(
        ("arguments", "code", "complaint"),
        [
            (["c-"], 1, "Did you mean c-1, c-2, c-3?"),
            (["c-1", "--as-of", "2199-01-01T00:00:00Z"], 1, "lies ahead"),
            (["c-1", "--as-of", "1999-01-01T00:00:00Z"], 1, "before the record, which begins at 2026-01-01"),
            (["c-1", "--as-of", "2026-13-01"], 2, "is no ISO 8601 instant"),
            (["c-1", "--at-version", "0"], 2, "not in the range"),
            (["c-1", "--at-version", "9999"], 1, "has no event 9999"),
            (["c-1", "--time", "business"], 2, "belongs to --as-of"),
            (["c-1", "--as-of", "2026-03-01T00:00:00Z", "--at-version", "3"], 2, "give one of them"),
        ],
    )
    def test_what_cannot_be_answered_is_refused_in_a_line(
        self, bank: Bank, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, complaint: str
    ) -> None:
        assert complaint in self.told(bank, capsys, *arguments, code=code)


class TestWhyOfNothing:
    def told(self, bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
        assert run(["why", *arguments, "--store", bank.settings.store]) == code
        out = capsys.readouterr()
        return out.out if code == 0 else out.err

    def test_the_rules_of_the_day_are_named(self, bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
        for day, version in (("2026-03-09", 1), ("2026-05-04", 2)):
            asked = ("--customer", "c-1", "--journey", "birthday", "--on", day, "--json")
            (answer,) = json.loads(self.told(bank, capsys, *asked))["answers"]
            assert (answer["reason"], answer["version"]) == ("not_the_day", version)
            assert answer["rules"]["rulebook"] == version
            assert answer["sentences"][0].startswith("It was not their day")

    def test_a_journey_that_came_later_was_not_in_force(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for day, reason in (
            ("2026-03-09", "not_in_force"),
            ("2026-05-02", "not_the_day"),
            ("2026-05-03", "sent"),
        ):
            asked = ("--customer", "c-1", "--journey", "own", "--on", day, "--json")
            (answer,) = json.loads(self.told(bank, capsys, *asked))["answers"]
            assert answer["reason"] == reason

    def test_rules_that_all_answers_share_are_told_once(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = self.told(bank, capsys, "--customer", "c-1", "--on", "2026-05-02")
        assert text.count("Journey ") == 5
        assert text.count("Rules of then") == 1

    def test_a_message_is_known_by_the_beginning_of_its_id(
        self, bank: Bank, capsys: pytest.CaptureFixture[str]
    ) -> None:
        message = bank.ledger()[0].id
        told = json.loads(self.told(bank, capsys, message[:8], "--json"))
        assert told["message"] == message
        assert told["rules"]["policy"] == "standard"
        assert "is known" in self.told(bank, capsys, message[:3], code=1)

    @pytest.mark.parametrize(
        ("arguments", "code", "complaint"),
        [
            (["--customer", "c-", "--on", "2026-05-03"], 1, "Did you mean c-1, c-2, c-3?"),
            (
                ["--customer", "c-1", "--journey", "birthdya", "--on", "2026-05-03"],
                1,
                "Did you mean birthday",
            ),
            (["--customer", "c-1", "--template", "tier", "--on", "2026-05-03"], 1, "no template tier"),
            (["--customer", "c-1", "--on", "2199-05-03"], 1, "2199-05-03 lies ahead"),
            (["--customer", "c-1", "--on", "1999-05-03"], 1, "before the record"),
            (["--customer", "c-1", "--on", "3 May"], 2, "is no day such as 2026-05-03"),
            (["--customer", "c-1"], 2, "name the days"),
            (["--customer", "c-1", "--from", "2026-05-03", "--to", "2026-05-02"], 2, "name the days"),
            (["--on", "2026-05-03"], 2, "give a message"),
            (["m-1", "--customer", "c-1", "--on", "2026-05-03"], 2, "give a message"),
            (["0123456789"], 1, "no message 0123456789 is known"),
        ],
    )
    def test_what_cannot_be_answered_is_refused_in_a_line(
        self, bank: Bank, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, complaint: str
    ) -> None:
        assert complaint in self.told(bank, capsys, *arguments, code=code)


def test_an_archive_answers_as_its_store_does(
    bank: Bank, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Beside the store, as everything that belongs to it.
    monkeypatch.chdir(bank.path.parent)
    tidings, folder = bank.tidings, bank.path.parent / "archive"
    write_archive(tidings.history, folder, before=None, progress=lambda _: None, rows_in_file=20)
    for command in (
        ["replay", "c-1", "--as-of", MARCH.isoformat()],
        ["replay", "c-2", "--diff"],
        ["why", "--customer", "c-1", "--on", "2026-05-03"],
        ["why", "--customer", "c-2", "--from", "2026-03-01", "--to", "2026-03-10"],
    ):
        told = []
        for where in (["--store", bank.settings.store], ["--archive", str(folder)]):
            assert run([*command, *where, "--json"]) == 0
            told.append(capsys.readouterr().out)
        assert told[0] == told[1]
