"""E-mails that are HTML or MJML, their texts, their pictures, and links that are a customer's own."""

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputRefused
from domain.events import Values
from journeys.rulebook import canonical, digest
from templates.images import pictures
from templates.links import PREFERENCES, UNSUBSCRIBE, VIEW, links, personalised
from templates.markup import text_of
from templates.model import Content, Picture, Push, Template, decode_template
from templates.render import Rendered, render, undeclared
from tidings.documents import decode, read_document

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "templates"
MJML = """<mjml><mj-body><mj-section><mj-column>
<mj-text>Dear {{ given_name }}, &amp; all</mj-text>
{% for n in [1, 2] %}<mj-text>row {{ n }}</mj-text>{% endfor %}
<mj-button href="https://bank.example/?a=1&amp;b=2">Go</mj-button>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>"""
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def template(*, language: str = "en", **parts: object) -> Template:
    content = msgspec.convert({"subject": "Hello {{ given_name }}", **parts}, Content)
    return Template(
        template="made-up",
        version=1,
        promotional=True,
        variables=("given_name",),
        languages={language: content},
    )


def mail(made: Template, given_name: str = "Jana", *, language: str = "en") -> Rendered:
    return render(made, channel="email", language=language, variables={"given_name": given_name})


class Maker:
    """Links that show what they were made from."""

    unsubscribe = 'https://l.example/u?a=1&b="2"'
    preferences = "https://l.example/p"
    view = "https://l.example/v"

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def tracked(self, target: str, number: int) -> str:
        self.asked.append((target, number))
        return f"https://l.example/c?n={number}&t=x"


def test_mjml_becomes_html_with_values_filled_in_and_escaped() -> None:
    html = mail(template(mjml=MJML), "<b>Jana</b>").html
    assert html.startswith("<!doctype html>")
    assert "Dear &lt;b&gt;Jana&lt;/b&gt;, &amp; all" in html
    assert html.count(">row ") == 2
    assert "mj-" not in html.replace("mj-column", "").replace("mj-outlook", "").replace("mj-full", "")
    assert 'lang="en"' in html
    assert "fonts.googleapis" not in html


def test_the_text_is_made_of_the_html_unless_the_template_has_its_own() -> None:
    text = mail(template(mjml=MJML)).text
    assert text.startswith("Dear Jana, & all\n\nrow 1\n\nrow 2\n")
    assert "Go (https://bank.example/?a=1&b=2)" in text
    assert f"Unsubscribe ({UNSUBSCRIBE})" in text
    both = mail(template(mjml=MJML, email="Own words for {{ given_name }}"))
    assert (both.text, both.html) == ("Own words for Jana\n", mail(template(mjml=MJML)).html)


def test_the_same_mail_has_the_same_digest_and_one_without_html_that_of_before() -> None:
    made = template(mjml=MJML)
    assert mail(made).sha256 == mail(made).sha256 != mail(made, "Eva").sha256
    plain = mail(template(email="Hello"))
    before = {"channel": "email", "language": "en", "heading": "Hello Jana", "text": "Hello\n"}
    assert plain.sha256 == sha256(msgspec.json.encode(before)).hexdigest()


@pytest.mark.parametrize(
    "html",
    [
        "<table><tr><td>" + "<br>x" * 20_000 + "</td><td>" + "y" * 100_000 + "</td></tr></table>",
        "<table><tr><td>" * 15_000,
        "<ul><li>" * 250 + "<br>x" * 40_000,
        "<td>x" * 40_000,
    ],
)
def test_no_layout_makes_a_text_that_is_longer_than_its_html(html: str) -> None:
    assert len(text_of(html)) <= len(html)


def test_html_that_is_too_long_to_be_read_wants_its_text_beside_it() -> None:
    html = "<p>{{ given_name }}</p>" + "x" * 260_000
    with pytest.raises(InputRefused, match=r"template\.fails"):
        mail(template(html=html + "y" * 5_000))
    assert mail(template(html=html[:250_000], email="short")).text == "short\n"


def test_a_template_without_the_new_fields_keeps_its_bytes() -> None:
    body = (
        b'{"template":"old","version":1,"promotional":false,"variables":["given_name"],"languages":{"en":'
        b'{"subject":"s","email":"e","sms":"m","push":{"title":"t","body":"b"},"words":{}}}}'
    )
    assert canonical(decode_template(body)) == body


@pytest.mark.parametrize(
    "mjml", ["<mjml><mj-body>", "no MJML", "<mjml><mj-body>{% if 1 < 2 %}x{% endif %}</mj-body></mjml>"]
)
def test_mjml_that_cannot_be_read_is_refused_by_name(mjml: str) -> None:
    with pytest.raises(InputRefused, match=r"template\.fails"):
        undeclared(template(mjml=mjml))


def test_a_part_that_is_not_written_is_refused_and_an_inbox_falls_back_on_the_push() -> None:
    made = template(push={"title": "T", "body": "B"})
    assert render(made, channel="inbox", language="en", variables={}).text == "B\n"
    for channel in ("email", "sms", "wechat"):
        with pytest.raises(InputRefused, match=r"template\.no_content"):
            render(made, channel=channel, language="en", variables={})
    own = template(push={"title": "T", "body": "B"}, inbox={"title": "I", "body": "J"})
    assert render(own, channel="inbox", language="en", variables={}).heading == "I"


def test_a_wechat_message_is_json_of_filled_texts() -> None:
    wechat = {
        "template_id": "T1",
        "data": {"first": '{{ given_name }} "hi"', "b": "x"},
        "url": "{{ view_url }}",
    }
    said = render(template(wechat=wechat), channel="wechat", language="en", variables={"given_name": "Jana"})
    assert msgspec.json.decode(said.text) == {
        "template_id": "T1",
        "kind": "template",
        "url": VIEW,
        "data": {"first": 'Jana "hi"', "b": "x"},
    }


def test_links_are_filled_in_and_tracked_when_the_mail_leaves_and_never_before() -> None:
    html = (
        "<a href=\"https://a.example/?x=1&amp;y=2\">one</a> <A class=b HREF='http://b.example'>two</A>"
        '<a href=https://c.example/p>three</a><a href="mailto:x@y.example">m</a><a href="tel:+1">t</a>'
        f'<a href="{UNSUBSCRIBE}">u</a><a href="{PREFERENCES}">p</a><a name="x">n</a>'
        '<!-- <a href="https://d.example">no</a> --><abbr href="https://e.example">no</abbr>'
    )
    maker = Maker()
    text, made = personalised(f"Leave: {UNSUBSCRIBE} https://a.example", html, maker)
    assert maker.asked == [
        ("https://a.example/?x=1&y=2", 1),
        ("http://b.example", 2),
        ("https://c.example/p", 3),
    ]
    assert links(html) == [target for target, _ in maker.asked]
    assert text == f"Leave: {Maker.unsubscribe} https://a.example"
    assert '<a href="https://l.example/c?n=1&amp;t=x">one</a>' in made
    assert '<A class=b HREF="https://l.example/c?n=2&amp;t=x">two</A>' in made
    assert '<a href="https://l.example/u?a=1&amp;b=&quot;2&quot;">u</a>' in made
    assert made.endswith(html[html.index('<a name="x">') :])


def test_a_mail_without_links_comes_out_as_it_went_in() -> None:
    html = mail(template(html="<p>Hello {{ given_name }} 5 < 6</p>")).html
    assert personalised("text", html, Maker()) == ("text", html)


@given(
    st.lists(st.sampled_from(["<a ", 'href="', "https://x", '"', "'", ">", "<!--", "-->", "x", " ", "&amp;"]))
)
def test_no_html_makes_tracking_fail_or_lose_what_is_no_link(pieces: list[str]) -> None:
    html = "".join(pieces)
    _, made = personalised("", html, Maker())
    if not links(html):
        assert made == html


def test_links_are_found_in_time_that_grows_with_the_html_only() -> None:
    for evil in ('<a "', "<!--", "<a href='", '<a href="https://x" '):
        html = evil * 100_000
        assert personalised("", html, Maker())[1]


def test_pictures_are_those_that_the_html_shows_once_each() -> None:
    picture = Picture(media_type="image/png", base64=PIXEL)
    made = msgspec.structs.replace(
        template(html='<img src="cid:dot" alt=""><img src="cid:dot" alt=""><img src="cid:none" alt="">'),
        images={"dot": picture, "other": picture},
    )
    (shown,) = pictures(made, mail(made).html)
    assert (shown.name, shown.media_type, shown.data[:4]) == ("dot", "image/png", b"\x89PNG")
    assert pictures(template(html="<p>x</p>"), "<p>cid:dot</p>") == []


# An upgrade of mrml or inscriptis that changes what is said changes the digests of messages on their way.
SAID = {
    "birthday-greeting": "83627af66f06cc59",
    "onboarding-welcome": "c0987a6dce511ff1",
    "tier-course": "59506dd2c795769a",
    "win-back-offer": "5480aa3a05a48d78",
}


@pytest.mark.parametrize("name", sorted(SAID))
def test_the_examples_say_exactly_this(name: str) -> None:
    made = decode(read_document(EXAMPLES / f"{name}.yaml"), Template)
    values: Values = {"given_name": "Jana"}
    both = [
        render(made, channel="email", language=language, variables=values).sha256
        for language in ("en", "zh-CN")
    ]
    assert sha256("".join(both).encode()).hexdigest()[:16] == SAID[name]
    assert decode_template(canonical(made)) == made
    assert digest(made) == digest(decode_template(canonical(made)))


def test_a_push_alone_is_a_template_too() -> None:
    made = Content(push=Push(title="t", body="b"))
    assert canonical(made) == b'{"push":{"title":"t","body":"b"},"words":{}}'
