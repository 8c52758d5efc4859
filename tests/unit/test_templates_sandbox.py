"""Templates as an attacker would write them: nothing reaches out, hangs, eats memory or shows chance."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.errors import InputRefused
from domain.events import Values
from templates.model import Content, Push, Template
from templates.render import TEXT_LIMITS, render, undeclared

VALUES: Values = {"given_name": "Jana", "count": 3, "amount": 2.5, "none": None, "long": "ab" * 8_000}
NAMES = tuple(VALUES)


def template(text: str, *, html: bool = False) -> Template:
    push = Push(title="t", body="b")
    content = (
        Content(subject="s", html=text, sms="x", push=push)
        if html
        else Content(subject="s", email=text, sms=text, push=push, words={"a": "b"})
    )
    return Template(
        template="made-up", version=1, promotional=False, variables=NAMES, languages={"en": content}
    )


def filled(text: str, *, html: bool = False) -> str:
    rendered = render(template(text, html=html), channel="email", language="en", variables=VALUES)
    return rendered.html if html else rendered.text


@pytest.mark.parametrize(
    "text",
    [
        "{{ given_name.__class__ }}",
        "{{ given_name['__class__'] }}",
        "{{ given_name['__cl' ~ 'ass__'] }}",
        "{{ given_name | attr('__class__') }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ words.update({'a': 1}) }}",
        "{{ words.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ cycler('a').next() }}",
        "{{ joiner(',')() }}",
        "{{ namespace(a=1).a }}",
        "{{ lipsum(n=100) }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ dict(a=1) }}",
        "{{ '{0.__class__}'.format(given_name) }}",
        "{{ '{a.__class__}'.format_map({'a': given_name}) }}",
        "{{ '%s' | format(given_name) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%s' % given_name }}",
        "{{ ['a'] | map('upper') | join }}",
        "{{ ['a'] | map(attribute='__class__') | list }}",
        "{{ ['b', 'a'] | sort(attribute='__class__') }}",
        "{{ ['a'] | join(attribute='__class__') }}",
        "{{ ['a'] | groupby('__class__') }}",
        "{{ ['a'] | selectattr('__class__') | list }}",
        "{{ given_name | pprint }}",
        "{{ given_name | tojson }}",
        "{{ given_name | safe }}",
        "{{ [1, 2] | random }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{% macro a() %}{% endmacro %}{{ a() }}",
        "{% call given_name() %}{% endcall %}",
        "{% autoescape false %}{{ given_name }}{% endautoescape %}",
        "{% filter upper %}x{% endfilter %}",
        "{% set x %}y{% endset %}",
        "{% with x = 1 %}{{ x }}{% endwith %}",
        "{% set words.a = 1 %}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ given_name is sameas given_name }}",
        "{{ given_name is filter }}",
        "{{ loop.__init__ }}",
        "{% for a in [1] %}{{ loop.__init__ }}{% endfor %}",
        "{% for a in [1] %}{{ loop._iterable }}{% endfor %}",
        "{{ given_name.upper(*[1]) }}",
        "{{ given_name | upper(*[1]) }}",
        "{{ {'a': 1} }}",
        "{{ given_name.encode() }}",
        "{{ words.copy() }}",
    ],
)
@pytest.mark.parametrize("html", [False, True])
def test_what_could_reach_out_is_refused(text: str, html: bool) -> None:
    with pytest.raises(InputRefused, match=r"template\.fails"):
        filled(text, html=html)


@pytest.mark.parametrize(
    "text",
    [
        "{{ given_name.upper }}",
        "{{ words.items }}",
        "{{ words }}",
        "{{ [1, 2] }}",
        "{% for a in [1] %}{{ loop }}{% endfor %}",
    ],
)
def test_what_would_show_an_address_in_memory_is_never_written_out(text: str) -> None:
    with pytest.raises(InputRefused, match=r"template\.fails"):
        filled(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 10**9 }}",
        "{{ 'x' * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{{ 10**10**10 }}",
        "{{ 999999999999 * 999999999999 * 999999999999 }}",
        "{{ 9" + "9" * 5_000 + " }}",
        "{{ ('9' * 9) | int }}",
        "{{ 'x'.center(1000000000) }}",
        "{{ 'x' | center(1000000000) }}",
        "{{ 'x'.ljust(1000000000) }}",
        "{{ 'x'.zfill(1000000000) }}",
        "{{ '\t'.expandtabs(1000000000) }}",
        "{{ 'x' | indent(1000000000, first=true) }}",
        "{{ 'a b' | wordwrap(1) }}",
        "{{ 'x' | batch(1000000000, 'y') | list }}",
        "{{ ['x'] | slice(1000000000) | list }}",
        "{{ 1.5 | round(1000000000) }}",
        "{{ 1.5 | round(-1000000000, 'ceil') }}",
        "{{ 1.5 | round(precision=1000000000, method='floor') }}",
        "{{ 5 % 0 }}",
        "{{ 1 | xmlattr }}",
        "{% for i in range(10) %}x{% endfor %}",
        "{% set x = 'x' %}" + "{% set x = x ~ x %}" * 60 + "{{ x | length }}",
        "{% set x = 'x' %}" + "{% set x = x + x %}" * 60 + "{{ x | length }}",
        "{% set x = [1, 1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x == x }}",
        "{% set x = (1, 1) %}" + "{% set x = (x, x) %}" * 60 + "{{ x == x }}",
        "{% set x = long %}" + "{% set x = x.replace('a', 'aaaa') %}" * 20,
        "{% set x = long %}" + "{% set x = x | replace('a', 'aaaa') %}" * 20,
        "{% set x = long %}" + "{% set x = x | replace('', x) %}" * 3,
        "{% set x = long.split('a') %}{{ x | join(long) }}",
        "{% set x = long %}" + "{% set x = x.split('b') | join(x) %}" * 3,
        "{% set x = '&' %}" + "{% set x = x | escape | string | replace('&', '&&&&&') %}" * 30,
        "{% set x = '&' %}" + "{% set x = x | urlencode %}{% set x = x ~ x ~ x ~ x %}" * 30,
        "{% for a in long %}{% endfor %}",
        (
            "{% for a in long[:900] %}{% for b in long[:900] %}{% for c in long[:900] %}"
            "{% endfor %}{% endfor %}{% endfor %}"
        ),
        "{% for a in long[:900] %}{% for b in long[:900] %}{{ long }}{% endfor %}{% endfor %}",
        "{% for a in long[:900] %}{% if long == long %}{% endif %}" + "{{ a }}" * 100 + "{% endfor %}",
        "{% for a in long[:900] %}{{ long | upper | length }}{% endfor %}",
        "{% for a in long[:900] %}{{ long }}{% endfor %}",
        "{{ long }}" * 40,
        "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
        "{% if 1 %}" * 200 + "{% endif %}" * 200,
        "{{ " + "(" * 500 + "1" + ")" * 500 + " | upper " * 100 + "}}",
        "{{ " + "not " * 3_000 + "1 }}",
        "{{ " + "-" * 3_000 + "1 }}",
        "{{ " + "[" * 3_000 + "]" * 3_000 + " }}",
        "{{ 1" + " + 1" * 3_000 + " }}",
        "{{ given_name" + " | upper" * 3_000 + " }}",
        "{{ given_name" + ".a" * 3_000 + " }}",
        "{{ 1" + " if 1 else 1" * 3_000 + " }}",
        "{{ 1 }}" * 50_000,
        "x" * 300_000,
    ],
)
def test_nothing_hangs_and_nothing_eats_memory(text: str) -> None:
    with pytest.raises(InputRefused, match=r"template\.fails"):
        filled(text)


def test_an_sms_has_less_room_than_a_letter() -> None:
    text = "{{ long }}"
    assert len(filled(text)) > TEXT_LIMITS["sms"]
    with pytest.raises(InputRefused, match=r"template\.fails"):
        render(template(text), channel="sms", language="en", variables=VALUES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ given_name.upper() }} {{ given_name | lower }}", "JANA jana"),
        (
            (
                "{% for n in given_name.split('a') %}{{ loop.index }}{{ n }}{"
                "% if not loop.last %},{% endif %}{% endfor %}"
            ),
            "1J,2n,3",
        ),
        ("{% for a, b in [('x', 1), ('y', 2)] %}{{ a }}{{ b }}{% endfor %}", "x1y2"),
        (
            (
                "{% for k, v in words.items() %}{{ k }}={{ v }}{% endfor %}"
                "{{ words.a }}{{ words['a'] }}{{ words.get('z', '-') }}"
            ),
            "a=bbb-",
        ),
        (
            "{% for a in [1, 2, 3] if a != 2 %}{{ loop.cycle('o', 'e') }}{{ a }}{% else %}none{% endfor %}",
            "o1e3",
        ),
        (
            (
                "{{ count * 2 + 1 }} {{ -count }} {{ 7 // 2 }} {{ 7 % "
                "4 }} {{ amount | round(1) }} {{ 'a' + 'b' }}"
            ),
            "7 -3 3 3 2.5 ab",
        ),
        ("{{ none or 'x' }}{{ 'yes' if count is divisibleby 3 else 'no' }}", "xyes"),
        (
            "{{ [3, 1, 2] | sort | join(', ') }} {{ [1, 1, 2] | unique | join }} {{ [1, 2] | sum }}",
            "1, 2, 3 12 3",
        ),
        ("{% set x = given_name ~ '!' %}{{ x }}{{ x[:2] }}{{ 'Ja' in x }}", "Jana!JaTrue"),
        (
            (
                "{{ 'a,b' | replace(',', ';') }} "
                "{{ 'long text' | truncate(4, true, '.', 0) }} {{ 'x y' | urlencode }}"
            ),
            "a;b lon. x%20y",
        ),
        ("{{ 'x' | default('y') }}{{ '' | d('z', true) }}{{ '12' | int + 1 }}", "xz13"),
    ],
)
def test_what_letters_need_is_there(text: str, said: str) -> None:
    assert undeclared(template(text)) == []
    assert filled(text) == said + "\n"


def test_values_are_escaped_in_html_whatever_way_they_take() -> None:
    values: Values = {**VALUES, "given_name": "<img src=x onerror='alert(1)'>\"&"}
    ways = (
        "{{ given_name }}{{ given_name ~ 'x' }}{{"
        " 'x' + given_name }}{{ given_name | upper }}{{ [given_name] | join }}"
        "{{ '<p>' | replace('p', given_name) }}{{ given_name | truncate(40) }}{{ given_name.strip() }}"
        "{{ given_name or 'x' }}{% set x = given_name %}{{ x }}{% for c in [given_name] %}{{ c }}{% endfor %}"
    )
    html = render(template(ways, html=True), channel="email", language="en", variables=values).html
    assert not set(html) & set("<>\"'")


_ATOMS = st.sampled_from(
    [
        "given_name",
        "count",
        "long",
        "none",
        "words",
        "loop",
        "'a'",
        "3",
        "10**9",
        "[1, given_name]",
        "words.a",
        "''",
        "x",
    ]
)
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda below: st.one_of(
        st.tuples(
            below,
            st.sampled_from(["~", "+", "-", "*", "/", "//", "%", "**", "==", "<", "in", "and", "or"]),
            below,
        ).map(" ".join),
        st.tuples(
            below,
            st.sampled_from(
                [
                    "upper",
                    "length",
                    "join",
                    "replace(long,long)",
                    "list",
                    "sort",
                    "first",
                    "e",
                    "urlencode",
                    "round",
                    "int",
                    "attr('x')",
                    "center(10**9)",
                ]
            ),
        ).map(" | ".join),
        st.tuples(
            below,
            st.sampled_from(
                [
                    "upper()",
                    "split('a')",
                    "replace('a',long)",
                    "x",
                    "items()",
                    "format(1)",
                    "__class__",
                    "join(long)",
                ]
            ),
        ).map(".".join),
        st.tuples(below, below).map(lambda pair: f"({pair[0]})[{pair[1]}]"),
        below.map(lambda inner: f"({inner})"),
    ),
    max_leaves=8,
)
_STATEMENTS = st.recursive(
    st.one_of(
        _EXPRESSIONS.map(lambda e: "{{ " + e + " }}"),
        _EXPRESSIONS.map(lambda e: "{% set x = " + e + " %}"),
        st.text(max_size=5),
    ),
    lambda below: st.one_of(
        st.tuples(_EXPRESSIONS, below).map(lambda p: "{% for a in " + p[0] + " %}" + p[1] + "{% endfor %}"),
        st.tuples(_EXPRESSIONS, below).map(lambda p: "{% if " + p[0] + " %}" + p[1] + "{% endif %}"),
        st.lists(below, max_size=4).map("".join),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(_STATEMENTS, st.booleans())
@example("{{ ", False)
@example("{% set x = long %}" * 3 + "{{ x.__class__ }}", True)
def test_any_text_is_refused_or_gives_the_same_short_words_twice(text: str, html: bool) -> None:
    try:
        first = filled(text, html=html)
    except InputRefused:
        return
    assert first == filled(text, html=html)
    assert len(first) <= 2 * TEXT_LIMITS["email"]
    assert " object at 0x" not in first
