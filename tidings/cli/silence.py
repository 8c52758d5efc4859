"""tidings why --customer: why somebody heard nothing from a journey, or what they did hear."""

from msgspec import to_builtins

from audit.life import Life
from audit.replay import replay
from audit.ruling import RecordedShelf
from audit.silence import Question, answers
from domain.clock import from_micros
from domain.errors import NotFound
from domain.ports import History
from journeys.rulebook import Rules
from tidings.authoring import rules_of
from tidings.cli.moments import check_days
from tidings.cli.reading import AnyHistory
from tidings.cli.terminal import Terminal
from tidings.silence_sentences import answer_sentences, heading
from tidings.why_sentences import ruling_sentence


def tell_silence(terminal: Terminal, history: AnyHistory, customer: str, question: Question) -> None:
    """The answers to a question about a customer, as tables of sentences or JSON.

    Raises NotFound for an unknown customer, journey or template, InputRefused for days that nothing is known
    of.
    """
    rules = rules_of(history.rulebooks())
    _check_names(rules, question)
    try:
        life = life_of(history, customer, rules)
    except NotFound:
        near = history.similar_subjects(customer)
        raise NotFound("customer.unknown", customer=customer, near=near) from None
    zone = life.zone_at(question.first)
    check_days(history, life, question.first, question.last)
    found = answers(life, question)
    wording = terminal.wording
    named = {"customer": customer, "first": question.first, "last": question.last, "zone": zone}
    told = {
        "customer": customer,
        "journey": question.journey,
        "template": question.template,
        "purpose": question.purpose,
        "from": question.first,
        "to": question.last,
        "zone": zone,
        "answers": [to_builtins(a) | {"sentences": answer_sentences(a, wording)} for a in found],
    }
    terminal.json(told)
    terminal.tell("silence.title", **named)
    # Rules that all answers share are told once.
    rules_of_all = {answer.rules for answer in found}
    apart = len(found) == 1 or len(rules_of_all) > 1
    for answer in found:
        terminal.write()
        terminal.write(heading(answer, wording), style="bold")
        for sentence in answer_sentences(answer, wording, rules=apart):
            terminal.write(f"  {sentence}")
    if not apart and (shared := next(iter(rules_of_all))) is not None:
        terminal.write()
        terminal.write(ruling_sentence(shared, wording))


def life_of(history: History, customer: str, rules: dict[int, Rules]) -> Life:
    """A customer's life from a store or archive. Raises NotFound for an unknown customer."""
    replayed = replay(history, customer)
    return Life(
        customer,
        replayed.history,
        RecordedShelf(history, replayed.partition, replayed.stored, rules),
        reached=from_micros(history.reached(replayed.partition)),
        seqs=[stored.seq for stored in replayed.stored],
    )


def _check_names(rules: dict[int, Rules], question: Question) -> None:
    """The journey and the template must have been published at some time."""
    journeys = {journey.journey for book in rules.values() for journey in book.rulebook.journeys}
    if question.journey is not None and question.journey not in journeys:
        raise NotFound("journey.unknown", journey=question.journey, near=sorted(journeys))
    templates = {name for book in rules.values() for name in book.templates}
    if question.template is not None and question.template not in templates:
        raise NotFound("template.unknown", template=question.template, near=sorted(templates))
