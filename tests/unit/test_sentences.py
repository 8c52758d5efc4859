"""What conditions and entries read like, in both languages."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalogue import HoldingKind, HoldReason
from journeys.definition import CareHeld, Condition, Enter, Exit, Not, Step
from support.documents import condition, entry
from support.made_up import steps
from support.strategies import conditions
from tidings.documents import shipped
from tidings.entry_sentences import entry_sentence
from tidings.sentences import clause
from tidings.step_sentences import exit_sentence, step_sentence
from tidings.wording import LANGUAGES, Wording

ENGLISH, CHINESE = Wording("en"), Wording("zh-CN")
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "sentences.toml"
SAID: dict[str, list[dict[str, str]]] = tomllib.loads(GOLDEN.read_text(encoding="utf-8"))
# A code of the catalogue for which it has no text is told as it is.
STEP_CODE = re.compile(r"\b(?:step|count|weekday|channel)\.[a-z]")
CODE = re.compile(r"\b(?:condition|bounds|count|list|contract|hold|purpose|channel)\.[a-z]")


@pytest.mark.parametrize("said", SAID["condition"], ids=lambda said: said["is"])
def test_a_condition_reads_so(said: dict[str, str]) -> None:
    assert clause(condition(said["is"]), ENGLISH) == said["en"]
    assert clause(condition(said["is"]), CHINESE) == said["zh-CN"]


@pytest.mark.parametrize("said", SAID["entry"], ids=lambda said: said["by"])
def test_an_entry_reads_so(said: dict[str, str]) -> None:
    assert entry_sentence(entry(said["by"]), ENGLISH) == said["en"]
    assert entry_sentence(entry(said["by"]), CHINESE) == said["zh-CN"]


def test_every_sort_of_condition_and_entry_is_among_them() -> None:
    assert {type(condition(said["is"])) for said in SAID["condition"]} == set(get_args(Condition))
    assert {type(entry(said["by"])) for said in SAID["entry"]} == set(get_args(Enter))


@settings(max_examples=200, deadline=None)
@given(conditions)
def test_every_condition_has_a_sentence_without_a_gap_and_not_has_another(tree: Condition) -> None:
    for language in LANGUAGES:
        wording = Wording(language)
        told = clause(tree, wording)
        # A value that is missing is a question mark.
        assert not CODE.search(told)
        assert not any(sign in told for sign in ("?", "None", "{"))
        assert clause(Not(of=tree), wording) != told
        assert clause(Not(of=Not(of=tree)), wording) == told


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_name_of_a_closed_list_has_a_word(language: str) -> None:
    wording = Wording(language)
    assert all(wording.has(f"contract.{kind}") for kind in get_args(HoldingKind))
    assert all(wording.has(f"hold.{reason}") for reason in get_args(HoldReason))


def test_shipped_entries_have_sentences() -> None:
    for journey in shipped().journeys:
        assert entry_sentence(journey.enter, ENGLISH).endswith(".")
        assert entry_sentence(journey.enter, CHINESE).endswith("。")


@settings(max_examples=200, deadline=None)
@given(st.one_of(*steps("one", st.just("two")).values()))
def test_every_step_has_a_sentence_without_a_gap(step: Step) -> None:
    for language in LANGUAGES:
        told = step_sentence(step, Wording(language))
        assert told[-1] in ".。"
        assert not STEP_CODE.search(told)
        assert not any(sign in told for sign in ("?", "None", "{"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "way",
    [
        Exit(exit="out", fact="consent.withdrawn/1"),
        Exit(exit="out", fact="consent.withdrawn/1", when=CareHeld()),
        Exit(exit="out", when=CareHeld()),
    ],
)
def test_every_exit_has_a_sentence_without_a_gap(way: Exit, language: str) -> None:
    told = exit_sentence(way, Wording(language))
    assert told.startswith("out")
    assert not any(sign in told for sign in ("?", "None", "{"))
