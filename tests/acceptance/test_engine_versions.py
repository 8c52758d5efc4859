"""A decision is made again by the version of the engine that its rulebook names, whatever is in force now."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import msgspec
import pytest
from msgspec.structs import replace

from audit.verify import verify
from domain.errors import StoreUnusable
from journeys.engine_versions import ENGINE_VERSION, ENGINES
from journeys.rulebook import Rulebook, Rules
from support import in_doubt
from support.bank import Bank
from support.engines import alter_engine, name_engine, publish_again
from support.scenario import SHIPPED_RULEBOOK
from tidings.authoring import all_rules, all_templates
from tidings.bootstrap import preparer
from tidings.serving import Serving

NEWER = max(ENGINES) + 1


def kinds(bank: Bank) -> list[str]:
    return [line[0] for line in bank.histories()[in_doubt.SUBJECT]]


def tidings(bank: Bank, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidings", *arguments, "--store", bank.settings.store, "--lang", "en"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


@pytest.mark.parametrize(("engine", "waits"), [(1, False), (2, True)])
def test_what_is_in_doubt_counts_under_caps_since_version_2(tmp_path: Path, engine: int, waits: bool) -> None:
    bank = in_doubt.bank(tmp_path)
    name_engine(bank, engine)
    bank.run(in_doubt.SOON)
    assert kinds(bank)[-1].startswith("message.deferred" if waits else "message.accepted")
    assert bank.verify().findings == []


def test_a_rulebook_in_force_names_the_newest_engine() -> None:
    assert max(ENGINES) == ENGINE_VERSION
    assert Rulebook(journeys=(), templates=(), policy=SHIPPED_RULEBOOK.policy).engine == ENGINE_VERSION
    assert sorted(ENGINES) == list(range(1, ENGINE_VERSION + 1))


def test_a_running_store_comes_to_the_new_engine_by_the_next_publication(tmp_path: Path) -> None:
    bank = in_doubt.bank(tmp_path)
    name_engine(bank, 1)
    bank.run(in_doubt.MORNING)
    assert publish_again(bank) == [("engine", "engine", ENGINE_VERSION)]
    assert publish_again(bank) == []
    bank.run(in_doubt.UNTIL)
    rulebooks = dict(bank.sql("SELECT number, body FROM rulebooks ORDER BY number"))
    named = {number: msgspec.json.decode(body)["engine"] for number, body in rulebooks.items()}
    cited = bank.sql("SELECT DISTINCT rulebook FROM events WHERE partition = 1 ORDER BY rulebook")
    assert [named[number] for (number,) in cited] == [1, 2]
    assert bank.verify().findings == []


def test_the_same_history_by_another_engine_is_a_difference_told_field_by_field(tmp_path: Path) -> None:
    """The switch is what decides: verified with the other version's switch, the one decision differs."""
    bank = in_doubt.bank(tmp_path)
    name_engine(bank, 1)
    bank.run(in_doubt.SOON)
    opened = bank.tidings
    rules = all_rules(opened.engine)
    wrong = {number: Rules(replace(one.rulebook, engine=2)) for number, one in rules.items()}
    verified = verify(opened.history, wrong, preparer(all_templates(opened.engine)), progress=lambda _: None)
    (found,) = verified.findings
    assert (found.code, verified.differences) == ("audit.decision_differs", 1)
    fields = {str(field["path"]): field for field in found.values["fields"]}  # type: ignore[attr-defined]
    assert fields["kind"]["expected"] == "message.deferred/1"
    assert fields["kind"]["found"] == "message.sending/1"
    assert fields["body.rule"] == {"path": "body.rule", "expected": "cap", "found": None}


def test_another_engine_under_the_same_number_breaks_every_link_that_cites_it(tmp_path: Path) -> None:
    """The digest that links are chained over covers the engine's version."""
    bank = in_doubt.bank(tmp_path)
    bank.run(in_doubt.UNTIL)
    alter_engine(bank, 1)
    broken = [found for found in bank.verify().findings if found.code == "audit.hash_differs"]
    assert len(broken) == len(kinds(bank))


def test_an_engine_that_this_program_has_not_got_is_refused_in_one_line(tmp_path: Path) -> None:
    bank = in_doubt.bank(tmp_path)
    name_engine(bank, NEWER)
    # A worker that comes upon it, published meanwhile, ends with it and does not try for ever.
    with pytest.raises(StoreUnusable, match=r"store\.newer_engine"):
        Serving(bank.tidings, clock=lambda: in_doubt.UNTIL).work(Event())
    for command in (["run", "--until", "2026-01-08T12:00:00Z"], ["serve"], ["init"]):
        done = tidings(bank, *command)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        (line,) = done.stderr.strip().splitlines()
        assert f"version {NEWER} of the engine" in line
    assert bank.histories() == {}


def test_an_older_program_puts_no_older_engine_in_force(tmp_path: Path) -> None:
    bank = in_doubt.bank(tmp_path)
    name_engine(bank, NEWER)
    before = bank.sql("SELECT number FROM rulebooks")
    with pytest.raises(StoreUnusable, match=r"store\.newer_engine"):
        publish_again(bank)
    assert bank.sql("SELECT number FROM rulebooks") == before


def test_what_a_newer_engine_decided_is_one_finding_and_its_links_are_checked(tmp_path: Path) -> None:
    bank = in_doubt.bank(tmp_path)
    bank.run(in_doubt.SOON)
    before = bank.verify().replayed
    name_engine(bank, NEWER)
    verified = bank.verify()
    (found,) = verified.findings
    assert (found.code, found.values["found"]) == ("audit.newer_engine", NEWER)
    assert verified.replayed == before
    done = tidings(bank, "audit", "verify")
    assert done.returncode == 1
    assert f"names version {NEWER} of the engine" in done.stderr
