"""What lint says of templates: each fault by its name and place, all of them at once."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from domain.errors import InputRefused
from domain.events import Value
from journeys.rulebook import CUSTOMER_VARIABLES
from support.bank import PUBLISHED_AT, Bank
from support.documents import first_programmes
from templates.language import FILTERS, TESTS
from templates.lint import Finding, errors, lint
from templates.missing import MAY_COME
from templates.model import Content, Fallback, Hold, Picture, Skip, Template
from templates.samples import samples
from templates.sandbox import Sandbox
from tidings.authoring import publish
from tidings.documents import Documents, decode, parse_document, read_documents, shipped
from tidings.template_checks import looked_through, segments, template_faults
from tidings.wording import LANGUAGES, Wording

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "templates"
OUT = '<p><a href="{{ unsubscribe_url }}">u</a></p>'


def template(*, promotional: bool = False, languages: tuple[str, ...] = ("en",), **parts: object) -> Template:
    given = {"subject": "Hello {{ given_name }}", **parts}
    content = msgspec.convert({n: text for n, text in given.items() if text is not msgspec.UNSET}, Content)
    return Template(
        template="made-up",
        version=1,
        promotional=promotional,
        variables=("given_name",),
        languages=dict.fromkeys(languages, content),
    )


def found(made: Template, **given: object) -> list[Finding]:
    return lint(made, segments=segments, **given)  # type: ignore[arg-type]


def codes(made: Template, **given: object) -> list[str]:
    return [f"{one.severity[0]} {one.code.removeprefix('lint.')}" for one in found(made, **given)]


@pytest.mark.parametrize(
    ("html", "told"),
    [
        ("<script>alert(1)</script>", "e tag_forbidden"),
        ("<iframe src='https://x'></iframe>", "e tag_forbidden"),
        ("<form action='https://x'></form>", "e tag_forbidden"),
        ("<input>", "e tag_forbidden"),
        ("<link rel=stylesheet href='https://x'>", "e tag_forbidden"),
        ("<base href='https://x'>", "e tag_forbidden"),
        ("<svg onload='x()'></svg>", "e tag_forbidden"),
        ("<meta http-equiv='Refresh' content='0'>", "e tag_forbidden"),
        ("<p onclick='x()'>x</p>", "e handler"),
        ("<P ONCLICK=x()>x</P>", "e handler"),
        ("<blink>x</blink>", "e tag_unknown"),
        ("<mj-text>x</mj-text>", "e tag_unknown"),
        ('<a href="javascript:alert(1)">x</a>', "e link_unsafe"),
        ("<a href=' java\tscript:x'>x</a>", "e link_unsafe"),
        ("<a href='/here'>x</a>", "e link_unsafe"),
        ("<a href='http://x.example'>x</a>", "w no_https"),
        ("<a href='{{ given_name }}'>x</a>", "w link_of_value"),
        ("<a href={{ given_name }}>x</a>", "e unquoted"),
        ("<p class={{ given_name }}>x</p>", "e unquoted"),
        ("<p {{ given_name }}>x</p>", "e unquoted"),
        ("<style>@import url(https://x)</style>", "e style_from_outside"),
        ("<p style='background: url(https://x)'>x</p>", "e style_from_outside"),
        ("<style>p { color: {{ given_name }} }</style>", "e value_in_style"),
        ("<p style='color: {{ given_name }}'>x</p>", "e value_in_style"),
        ("<img src='https://x/a.png'>", "w no_alt"),
        ("<img src='http://x/a.png' alt=''>", "w no_https"),
        ("<img src='data:image/png;base64,AA' alt=''>", "e link_unsafe"),
        ("<img src='cid:logo' alt=''>", "e image_unknown"),
        ("<html><body>x</body></html>", "w no_lang"),
    ],
)
def test_what_has_no_place_in_a_mail_is_found(html: str, told: str) -> None:
    assert told in codes(template(html=f"{{{{ given_name }}}}{html}"))


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ("<mj-include path='x.mjml' />", "tag_forbidden"),
        ("<mj-font name='x' href='https://x' />", "tag_forbidden"),
        ("<mj-txt>x</mj-txt>", "tag_unknown"),
        ("<mj-style inline='inline'>p {}</mj-style>", "style_inline"),
        ("<mj-text><script>x</script></mj-text>", "tag_forbidden"),
    ],
)
def test_what_mjml_would_take_in_silence_is_found(inside: str, told: str) -> None:
    made = template(mjml=f"<mjml>\n<mj-body>\n{inside}</mj-body></mjml>")
    (one,) = [one for one in found(made) if one.code == f"lint.{told}"]
    assert (one.severity, one.language, one.part, one.line) == ("error", "en", "mjml", 3)


def test_a_conditional_tag_is_no_html_and_shifts_no_line() -> None:
    html = "{% if given_name\n > '<blink>' %}\n<p title='{{ given_name }}'>x</p>\n{% endif %}\n<blink>"
    assert [(one.code, one.line) for one in errors(template(html=html))] == [("lint.tag_unknown", 5)]


def test_a_promotional_mail_needs_a_way_out() -> None:
    assert "e no_unsubscribe" in codes(template(promotional=True, html="<p>{{ given_name }}</p>"))
    assert codes(template(promotional=True, html=OUT)) == []
    assert codes(template(html="<p>x</p>")) == []
    assert codes(template(promotional=True, email="Buy")) == ["w unsubscribe_in_header_only"]
    assert codes(template(promotional=True, email="Buy. {{ preferences_url }}")) == []


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ("{{ given_name }}" + "x" * 90, ["w subject_long"]),
        ("{{ given_name }} WIN NOW", []),
        ("WIN NOW{{ '' if given_name else '' }}", ["w subject_shouts"]),
        ("{{ given_name }} free!!", ["w subject_shouts"]),
        ("{{ given_name }}，限时优惠！！", ["w subject_shouts"]),
        ("{{ given_name }}，生日快乐！", []),
    ],
)
def test_subjects_that_are_cut_off_or_shout_are_warned_of(subject: str, told: list[str]) -> None:
    assert codes(template(subject=subject, email="x")) == told


def test_long_messages_are_warned_of_in_their_channel() -> None:
    assert codes(template(subject=msgspec.UNSET, sms="{{ given_name }}" + "x" * 450)) == []
    assert codes(template(subject=msgspec.UNSET, sms="{{ given_name }}" + "好" * 200)) == ["w sms_segments"]
    assert codes(template(html="<p>{{ given_name }}</p>" + "<p>好</p>" * 12_000)) == ["w html_clipped"]


def test_variables_are_declared_and_used() -> None:
    made = replace(template(email="{{ product }}"), variables=("given_name", "kind"))
    assert codes(made) == ["e undeclared", "w unused"]


def test_languages_and_channels_are_complete() -> None:
    made = template(email="x", sms="x {{ given_name }}")
    assert codes(made, languages=("en", "zh-CN")) == ["w language_missing"]
    assert codes(made, channels=("email", "push")) == ["e channel_missing"]
    chinese = msgspec.convert({"subject": "x", "email": "x"}, Content)
    both = replace(made, languages={**made.languages, "zh-CN": chinese})
    assert codes(both) == ["e part_missing"]
    assert codes(template(subject=msgspec.UNSET, html="<p>{{ given_name }}</p>"))[0] == "e no_subject"
    assert "e html_and_mjml" in codes(template(html=OUT, mjml="<mjml><mj-body></mj-body></mjml>"))
    assert "e empty" in codes(template())


def test_what_is_said_of_missing_values_must_hold() -> None:
    made = replace(
        template(email="{{ given_name }}"),
        missing={
            "given_name": Fallback(text={"zh-CN": "客户"}),
            "kind": Hold(hours=3),
            "product": Skip(),
        },
    )
    assert sorted(codes(made)) == [
        "e hold_in_vain",
        "e missing_undeclared",
        "e missing_undeclared",
        "e no_fallback",
    ]


def test_pictures_are_what_they_say_and_not_too_large() -> None:
    made = template(html="<img src='cid:a' alt=''>{{ given_name }}")
    broken = Picture(media_type="image/png", base64="????")
    large = Picture(media_type="image/gif", base64="R0lGOD" + "A" * 138_998)
    assert codes(replace(made, images={"a": broken})) == ["e no_image"]
    assert codes(replace(made, images={"a": large})) == []
    assert codes(replace(made, images=dict.fromkeys("abc", large))) == [
        "e images_too_large",
        "w unused_image",
        "w unused_image",
    ]


def test_all_is_told_at_once_errors_first_with_sentences_in_both_languages() -> None:
    made = template(promotional=True, html="<blink onclick='x'><a href='http://x'>x</a>")
    told = found(made, languages=("en", "zh-CN"))
    assert [one.severity for one in told] == ["error"] * 3 + ["warning"] * 2
    for language in LANGUAGES:
        wording = Wording(language)
        for one in looked_through(made):
            assert "?" not in wording.tell(one.finding.code, one.values)


def test_the_line_is_that_of_the_file() -> None:
    text = (
        "template: t\nversion: 1\npromotional: false\nvariables: []\n"
        "languages:\n  en:\n    subject: s\n"
        "    html: |\n      <p>x</p>\n      <blink>x</blink>\n"
    )
    _, (fault,) = template_faults(parse_document(text, name="t.yaml"))
    assert (fault.document, fault.line, fault.code) == ("t.yaml", 10, "lint.tag_unknown")


def test_shipped_templates_and_examples_have_no_errors() -> None:
    known = [*shipped().templates, *first_programmes().templates]
    examples = [decode(document, Template) for document in read_documents([EXAMPLES])]
    assert [(t.template, list(errors(t))) for t in [*known, *examples] if list(errors(t))] == []
    assert [found(t, languages=LANGUAGES) for t in examples] == [[]] * 4
    newest = {t.template: t.version for t in known}
    assert all(t.version > newest[t.template] for t in examples)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("{{ x | day }}", "x", "2026-12-31"),
        ("{{ -x }}", "x", 3),
        ("{% if (x or 1) > 1 %}{% endif %}", "x", 3),
        ("{{ words[x] }}", "x", "loan.ahead"),
        ('{{ words[x ~ ".ahead"] }}', "x", "loan"),
        ("{{ x }}", "x", "Alexandra"),
    ],
)
def test_samples_fit_what_a_text_does_with_them(text: str, name: str, value: Value) -> None:
    content = Content(subject="s", email=text, words={"loan.ahead": "a loan"})
    made = replace(template(), variables=(name,), languages={"en": content})
    assert samples(made, "en") == {name: value}


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 1), ("x" * 160, 1), ("x" * 161, 2), ("€" * 80, 1), ("好" * 70, 1), ("好" * 71, 2)],
)
def test_segments_are_counted_as_networks_cut(text: str, count: int) -> None:
    assert segments(text) == count


def test_the_language_names_what_there_is() -> None:
    plain = Sandbox(str, html=True)
    assert FILTERS.keys() <= plain.filters.keys()
    assert plain.tests.keys() == TESTS
    assert MAY_COME == CUSTOMER_VARIABLES


def test_a_template_with_an_error_is_not_published_by_any_way(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    own = Documents(journeys=[], templates=[template(html="<script>x</script>")])
    with pytest.raises(InputRefused, match=r"template\.invalid"):
        publish(bank.tidings.engine, own, at=PUBLISHED_AT)


def test_a_text_that_is_no_template_is_told_by_its_part_and_line_in_one_line_each() -> None:
    made = template(html="<p>a</p>\n<p>{{ given_name }</p>", sms="{{ given_name | uper }}")
    told = [(one.code, one.part, one.line, one.values["reason"]) for one in found(made)]
    assert told == [
        ("lint.unreadable", "html", 2, "unexpected '}'"),
        ("lint.unreadable", "sms", 1, "no filter named 'uper'"),
    ]


def test_mjml_that_is_none_is_told_once() -> None:
    (told,) = found(template(mjml="<mjml><mj-body>"))
    assert (told.code, told.severity, told.language, told.part) == ("lint.unreadable", "error", "en", "mjml")


def test_an_undeclared_variable_is_told_where_it_is_used_first() -> None:
    made = template(html="<p>{{ given_name }}</p>\n<p>{{ surname }}</p>", languages=("cs", "en"))
    (told,) = [one for one in found(made) if one.severity == "error"]
    assert (told.code, told.language, told.part, told.line) == ("lint.undeclared", "cs", "html", 2)


@pytest.mark.parametrize("language", ["zh_CN", "chinese", "EN", "zh-cn", "e"])
def test_a_language_that_no_customer_can_have_is_an_error(language: str) -> None:
    assert codes(template(sms="x", languages=(language,)))[0] == "e no_language"


@pytest.mark.parametrize("language", ["en", "zh-CN", "zh-Hant-TW", "es-419", "fil"])
def test_languages_are_told_as_they_are_written(language: str) -> None:
    assert "e no_language" not in codes(template(sms="x", languages=(language,)))


def test_a_channel_that_says_nothing_is_a_warning() -> None:
    assert codes(template(sms=" ")) == ["w says_nothing"]
