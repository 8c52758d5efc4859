"""From templates to words, and what a template can never do."""

import re

import pytest

from domain.catalogue import ChannelName
from domain.errors import InputRefused
from domain.events import Values
from support.scenario import TEMPLATES
from templates.model import Content, Push, Template
from templates.render import render, undeclared

VALUES: Values = {
    "given_name": "Jana",
    "age": 46,
    "kind": "loan",
    "product": "home",
    "holding": "l-1",
    "matures_on": "2026-07-01",
    "offset_days": -7,
    "days": 60,
    "last_at": "2026-01-10",
    "fact": "f",
    "account": "A-17",
    "period": "2026-Q1",
    "complaint": "Q-4",
    "years": 5,
    "valid_until": "2026-08-31",
    "old_level": 2,
    "new_level": 4,
    "holdings": "l-1",
    "count": 1,
    "last_matures_on": "2026-07-01",
}
SEVERAL: Values = {"holdings": "l-1, d-1", "count": 2, "last_matures_on": "2026-07-05"}
# What a bank need not tell.
LEFT_OUT: Values = {"given_name": "", "product": "", "account": None, "period": None, "old_level": None}
# A sign of Western writing right behind a Chinese one.
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,.;:!?()]|[,;:!?()][\u4e00-\u9fff]")


def template(text: str, *, variables: tuple[str, ...] = ("given_name",)) -> Template:
    content = Content(subject="s", email=text, sms=text, push=Push(title="t", body=text))
    return Template(
        template="made-up", version=1, promotional=False, variables=variables, languages={"en": content}
    )


@pytest.mark.parametrize("name", sorted(TEMPLATES))
@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("channel", ["email", "sms", "push"])
def test_every_shipped_template_reads_well_in_every_form(
    name: tuple[str, int], language: str, channel: ChannelName
) -> None:
    shipped = TEMPLATES[name]
    for kind in ("loan", "term_deposit", "wealth_product", "policy"):
        known = {**VALUES, "kind": kind}
        for values in (known, {**known, "years": 1, **LEFT_OUT}, {**known, **SEVERAL}):
            rendered = render(shipped, channel=channel, language=language, variables=values)
            assert rendered.language == language
            assert "{" not in rendered.text + rendered.heading
            assert "None" not in rendered.text + rendered.heading
            assert not HALF_WIDTH.search(rendered.text + rendered.heading)
            assert "  " not in rendered.text.replace("\n  ", "\n")
            assert bool(rendered.heading) == (channel != "sms")


def test_the_same_values_give_the_same_digest_and_others_another() -> None:
    shipped = TEMPLATES["birthday-greeting", 1]
    first = render(shipped, channel="email", language="en", variables=VALUES)
    again = render(shipped, channel="email", language="en", variables=dict(reversed(VALUES.items())))
    other = render(shipped, channel="email", language="en", variables={**VALUES, "given_name": "Eva"})
    assert first.sha256 == again.sha256 != other.sha256


@pytest.mark.parametrize(("wanted", "given"), [("en", "en"), ("en-GB", "en"), ("zh", "zh-CN"), ("cs", "en")])
def test_the_nearest_language_is_taken(wanted: str, given: str) -> None:
    assert TEMPLATES["birthday-greeting", 1].language_for(wanted) == given


@pytest.mark.parametrize(
    "text",
    [
        "{{ given_name.__class__.__mro__ }}",
        "{{ ''.__class__.__subclasses__() }}",
        "{{ words.update({'a': 1}) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{{ self.__init__ }}{{ undeclared_thing }}",
    ],
)
def test_a_template_cannot_reach_out(text: str) -> None:
    with pytest.raises(InputRefused):
        render(template(text), channel="email", language="en", variables={"given_name": "Jana"})


@pytest.mark.parametrize("text", ["{{ day | day }}", "{{ day + 1 }}", "{{ 1 / 0 }}", "{{ words['none'].x }}"])
def test_values_that_a_template_was_not_written_for_are_refused_and_stop_nothing(text: str) -> None:
    with pytest.raises(InputRefused, match=r"template\.fails"):
        render(template(text, variables=("day",)), channel="email", language="en", variables={"day": None})


def test_what_a_template_uses_it_must_declare() -> None:
    assert undeclared(template("{{ given_name }} {{ balance }} {{ words.x }}")) == ["balance"]


def test_text_that_is_no_template_is_refused() -> None:
    with pytest.raises(InputRefused):
        undeclared(template("{% if %}"))


def test_nobody_ever_reads_that_a_value_is_not_there() -> None:
    """Without a word in the template on what is missing, the message is not sent rather than sent so."""
    bare = template("Dear {{ given_name }},")
    with pytest.raises(InputRefused, match=r"template\.fails"):
        render(bare, channel="sms", language="en", variables={"given_name": None})
    guarded = template("Dear {{ given_name or 'customer' }},")
    said = render(guarded, channel="sms", language="en", variables={"given_name": None})
    assert said.text == "Dear customer,\n"
