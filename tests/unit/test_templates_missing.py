"""A value that is missing: written around, waited for once, or a reason not to send."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from domain.catalogue import CustomerChanged
from domain.events import Values
from journeys.definition import End, EnterOnFact, Journey, Send
from support.bank import Bank
from support.facts import at, granted, registered
from support.scenario import SHIPPED_RULEBOOK, envelope
from templates.missing import Held, Skipped, completed
from templates.model import Content, Fallback, Hold, Push, Skip, Template
from tidings.documents import Documents
from tidings.wording import LANGUAGES, Wording

START = at("2026-03-02 10:00")
TEXT = "Dear {{ given_name }} of {{ product }}"


def template(**missing: Fallback | Hold | Skip) -> Template:
    content = Content(subject="s", email=TEXT, sms="Hello", push=Push(title="t", body="{{ product }}"))
    return Template(
        template="own",
        version=1,
        promotional=False,
        variables=("given_name", "product"),
        languages={"en": content, "zh-CN": content},
        missing=missing,
    )


def told(made: Template, language: str = "en", channel: str = "email", **values: object) -> object:
    return completed(made, channel=channel, language=language, variables=values)  # type: ignore[arg-type]


def test_without_rules_nothing_changes() -> None:
    plain = Template(
        template="own",
        version=1,
        promotional=False,
        variables=("given_name",),
        languages={"en": Content(sms="x")},
    )
    values: Values = {"given_name": ""}
    assert completed(plain, channel="sms", language="en", variables=values) is values


@pytest.mark.parametrize("nothing", ["", "  ", None])
def test_a_fallback_stands_in_for_nothing_in_the_language_of_the_message(nothing: str | None) -> None:
    made = template(given_name=Fallback(text={"en": "customer", "zh-CN": "客户"}))
    assert told(made, given_name=nothing, product="p") == {"given_name": "customer", "product": "p"}
    assert told(made, "zh-TW", given_name=nothing) == {"given_name": "客户"}
    assert told(made, given_name="Jana") == {"given_name": "Jana"}
    assert told(made, given_name=0) == {"given_name": 0}


def test_a_fallback_never_mixes_another_language_into_the_message() -> None:
    made = template(given_name=Fallback(text={"en": "customer", "fr": "client"}))
    assert told(made, "fr", product="p") == {"given_name": "customer", "product": "p"}


def test_only_what_the_channel_says_can_be_missing() -> None:
    made = template(given_name=Hold(hours=4), product=Skip())
    assert told(made, channel="sms") == {}
    assert told(made, channel="push") == told(made, channel="inbox") == Skipped("product")
    assert told(made, product="p") == Held("given_name", 4)


def test_what_cannot_be_done_without_comes_first_then_the_longest_wait() -> None:
    both = template(given_name=Hold(hours=4), product=Hold(hours=9))
    assert told(both) == Held("product", 9)
    assert told(template(given_name=Hold(hours=4), product=Skip())) == Skipped("product")


def documents(made: Template) -> Documents:
    journey = Journey(
        journey="own",
        version=1,
        title={"en": "Own"},
        purpose="service",
        topic="own",
        enter=EnterOnFact(fact="customer.registered/1"),
        steps=(
            Send(step="send", template="own", channels=("email",), next="end"),
            End(step="end"),
        ),
    )
    return Documents([journey], [made], SHIPPED_RULEBOOK.policy, SHIPPED_RULEBOOK.calendars)


def only_name(rule: Fallback | Hold | Skip) -> Template:
    content = Content(subject="s", email="Dear {{ given_name }}")
    return replace(template(given_name=rule), variables=("given_name",), languages={"en": content})


def lived(folder: Path, made: Template, *, named_after: float | None = None, until: str) -> Bank:
    """One customer without a name, who tells it so many hours later."""
    bank = Bank(folder, documents=documents(made), partitions=1)
    facts = [envelope("c-1", START, registered()), envelope("c-1", START, granted())]
    if named_after is not None:
        named = CustomerChanged(source="/t", id="named", given_name="Jana")
        facts.append(envelope("c-1", START + timedelta(hours=named_after), named))
    bank.take(facts)
    bank.run(at(until))
    assert bank.verify().findings == []
    return bank


def judged(bank: Bank) -> list[tuple[str, object]]:
    """What was decided on the message, in order, with the hours since the start."""
    (history,) = bank.histories().values()
    kinds = ("message.sending/1", "message.deferred/1", "message.suppressed/1")
    start = int(START.timestamp() * 1e6)
    return [
        (kind.split(".")[1], (recorded_at - start) / 3.6e9)
        for kind, _, recorded_at, *_ in history
        if kind in kinds
    ]


def test_a_message_waits_once_and_takes_the_name_that_came(tmp_path: Path) -> None:
    made = only_name(Hold(hours=3))
    bank = lived(tmp_path, made, named_after=1, until="2026-03-05 12:00")
    assert judged(bank) == [("deferred/1", 0.0), ("sending/1", 3.0)]
    (mail,) = bank.outbox.rglob("*.eml")
    assert mail.read_text().endswith("Dear Jana\n")


def test_a_message_whose_name_does_not_come_is_not_sent_and_says_why(tmp_path: Path) -> None:
    bank = lived(tmp_path, only_name(Hold(hours=3)), until="2026-03-05 12:00")
    assert judged(bank) == [("deferred/1", 0.0), ("suppressed/1", 3.0)]
    (entry,) = bank.tidings.ledger.messages(journey="own")
    assert (entry.status, entry.reason) == ("suppressed", "missing_data")
    for language in LANGUAGES:
        sentence = Wording(language).tell("rule.missing_data", {"template": "own", "variable": "given_name"})
        assert "given_name" in sentence


def test_a_name_that_comes_too_late_comes_to_nothing(tmp_path: Path) -> None:
    bank = lived(tmp_path, only_name(Hold(hours=3)), named_after=4, until="2026-03-05 12:00")
    assert [word for word, _ in judged(bank)] == ["deferred/1", "suppressed/1"]


def test_a_wait_never_outlasts_the_sense_of_a_message(tmp_path: Path) -> None:
    bank = lived(tmp_path, only_name(Hold(hours=700)), until="2026-06-01 12:00")
    (_, first), (word, last) = judged(bank)
    hours = SHIPPED_RULEBOOK.policy.valid_hours.get("service", 72)
    assert (first, word, last) == (0.0, "suppressed/1", float(hours))


def test_who_is_skipped_is_told_at_once_and_who_has_a_fallback_gets_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    skipped = lived(tmp_path / "a", only_name(Skip()), until="2026-03-05 12:00")
    assert judged(skipped) == [("suppressed/1", 0.0)]
    spoken = lived(tmp_path / "b", only_name(Fallback(text={"en": "customer"})), until="2026-03-05 12:00")
    (mail,) = spoken.outbox.rglob("*.eml")
    assert mail.read_text().endswith("Dear customer\n")
