"""Of any life, by any journeys, on any day: every journey answers, and every answer is true of the record."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.catalogue import Envelope
from domain.clock import local_day
from domain.events import EnrolmentStarted, MessageRequested
from journeys.definition import Journey
from journeys.rulebook import Rules
from support.scenario import SHIPPED_RULEBOOK, Scenario
from support.silent import asked, life_of
from support.strategies import END, START, dense_lives, lives, own_journeys
from tidings.silence_sentences import answer_sentences, heading
from tidings.wording import LANGUAGES, Wording

some = settings(max_examples=40, deadline=None)
days = st.integers(0, 400).map(lambda number: START.date() + timedelta(days=number))


def lived(told: list[Envelope], journeys: list[Journey]) -> Scenario:
    """The life of the first customer."""
    rules = Rules(replace(SHIPPED_RULEBOOK, journeys=(*SHIPPED_RULEBOOK.journeys, *journeys)))
    own = [(e.occurred_at, e.fact) for e in told if e.subject == "c-1"]
    return Scenario(rules=rules).given(*own).until(END)


@some
@given((dense_lives() | lives(customers=1)), own_journeys(), days)
def test_every_journey_answers_and_nothing_is_unexplained(
    told: list[Envelope], journeys: list[Journey], day: date
) -> None:
    life = lived(told, journeys)
    found = asked(life, day.isoformat())
    assert not [answer for answer in found if answer.reason == "unexplained"]
    assert {a.journey for a in found} in ({""}, {j.journey for j in life.rules.rulebook.journeys})
    for answer in found:
        assert (answer.event is None) == (answer.chain == [])
        assert answer.basis == "reckoned" or answer.event is not None or answer.reason == "not_registered"
        for language in LANGUAGES:
            wording = Wording(language)
            for sentence in (heading(answer, wording), *answer_sentences(answer, wording)):
                # No code without a sentence, and no gap in one.
                assert "silence." not in sentence
                assert "?" not in sentence, sentence


@some
@given((dense_lives() | lives(customers=1)), own_journeys(), st.data())
def test_what_was_asked_for_is_never_taken_for_a_silence(
    told: list[Envelope], journeys: list[Journey], data: st.DataObject
) -> None:
    life = lived(told, journeys)
    happened = [event for event in life.history if isinstance(event.body, MessageRequested)]
    if not happened:
        return
    event = data.draw(st.sampled_from(happened))
    day = local_day(event.recorded_at, _zone(life, event.version)).isoformat()
    body = event.body
    assert isinstance(body, MessageRequested)
    assert body.message in {answer.message for answer in asked(life, day, journey=body.journey)}


@some
@given((dense_lives() | lives(customers=1)), own_journeys(), st.data())
def test_on_the_day_of_an_entry_nobody_is_told_of_another_day(
    told: list[Envelope], journeys: list[Journey], data: st.DataObject
) -> None:
    life = lived(told, journeys)
    entries = [event for event in life.history if isinstance(event.body, EnrolmentStarted)]
    if not entries:
        return
    event = data.draw(st.sampled_from(entries))
    body = event.body
    assert isinstance(body, EnrolmentStarted)
    day = local_day(event.recorded_at, _zone(life, event.version)).isoformat()
    found = asked(life, day, journey=body.journey)
    assert {answer.basis for answer in found} == {"record"}


def _zone(life: Scenario, version: int) -> str:
    """By which zone the day of an event is asked about: that of noon of its UTC day."""
    told = life_of(life)
    return told.zone_at(life.history[version - 1].recorded_at.date())
