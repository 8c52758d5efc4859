"""From a template and a customer's values to the exact words, the same for ever.

Templates run in a sandbox (``templates.sandbox``): they see their variables and nothing of the program. An
undeclared variable is an error at publication, not at sending.
"""

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from hashlib import sha256

import msgspec
from babel.dates import format_date
from jinja2 import Template as Compiled
from jinja2 import TemplateError, meta
from msgspec import UNSET, Struct

from domain.catalogue import ChannelName
from domain.errors import InputRefused
from domain.events import Values
from templates.links import PLACEHOLDERS
from templates.markup import markup_of, text_of
from templates.model import Part, Template
from templates.sandbox import WORKING, Sandbox, Work

_ALWAYS = frozenset({"words", *PLACEHOLDERS})
_KIB = 1024
# How long a text may become, in characters.
HEADING_LIMIT = 1_000
HTML_LIMIT = 512 * _KIB
TEXT_LIMITS: dict[ChannelName, int] = {
    "email": 256 * _KIB,
    "sms": 10 * _KIB,
    "push": 10 * _KIB,
    "inbox": 64 * _KIB,
    "wechat": 10 * _KIB,
}
# What a template may raise on values that it was not written for, such as a day that nobody told.
_FAILURES = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError)


class Rendered(Struct, frozen=True, omit_defaults=True):
    """What one customer reads. ``sha256`` of it is recorded with the intent to send.

    ``html`` is a whole document, "" where there is none. Links are placeholders still (``templates.links``).
    """

    channel: ChannelName
    language: str
    heading: str
    text: str
    html: str = ""

    @property
    def sha256(self) -> str:
        """Hex digest over channel, language, heading and text, and HTML where there is some."""
        return sha256(msgspec.json.encode(self)).hexdigest()


def render(template: Template, *, channel: ChannelName, language: str, variables: Values) -> Rendered:
    """The message by this channel, in the nearest language that the template has.

    Raises InputRefused where the template fails on these values, or has nothing to say by this channel.
    """
    chosen = template.language_for(language)
    values: dict[str, object] = {**PLACEHOLDERS, **variables, "words": template.languages[chosen].words}
    values[WORKING] = Work()
    limit = TEXT_LIMITS[channel]
    try:
        if channel == "wechat":
            return Rendered(channel, chosen, "", _wechat(template, chosen, values))
        heading, text = template.parts(chosen, channel)
        markup = markup_of(template, chosen) if channel == "email" else None
        html = "" if markup is None else _filled(markup, chosen, values, limit=HTML_LIMIT, html=True)
        said = _filled(text, chosen, values, limit=limit) if text or not html else text_of(html)
        title = _filled(heading, chosen, values, limit=HEADING_LIMIT)
    except _FAILURES as error:
        raise InputRefused("template.fails", template=template.template, reason=str(error)) from error
    return Rendered(channel, chosen, title.strip(), said.strip() + "\n", html.strip())


def undeclared(template: Template) -> list[str]:
    """The variables that some text of the template uses and the template does not declare, in order.

    Raises InputRefused for text that is no template, or does what no template may.
    """
    used: set[str] = set()
    for language in template.languages:
        for part, names in uses(template, language):
            used |= names
            if part == "mjml":
                # What MJML makes of it has to be a template still.
                markup = markup_of(template, language) or ""
                _read(template, markup, language, html=True)
    return sorted(used - set(template.variables) - _ALWAYS)


def uses(template: Template, language: str) -> Iterator[tuple[Part, frozenset[str]]]:
    """Each text of a language, by its part, with the variables that it uses. Raises as ``undeclared``."""
    for part, source in template.sources(language):
        yield part, _read(template, source, language, html=part in ("html", "mjml"))


class Unreadable(Struct, frozen=True):
    """A text that is no template: the part, the line of its text from 1, and what is wrong there."""

    part: Part
    line: int
    reason: str


def unreadable(template: Template, language: str) -> Iterator[Unreadable]:
    """Every text of the language that is no template, or does what no template may."""
    for part, source in template.sources(language):
        try:
            _variables(source, language, html=part in ("html", "mjml"))
        except TemplateError as error:
            yield Unreadable(part, getattr(error, "lineno", 0), error.message or str(error))


def needed(template: Template, *, channel: ChannelName, language: str) -> frozenset[str]:
    """The variables that the texts of this channel use, in the language as the template has it."""
    parts: dict[ChannelName, tuple[str, ...]] = {
        "email": ("subject", "email", "html", "mjml"),
        "sms": ("sms",),
        "push": ("push.title", "push.body"),
        "inbox": ("inbox.title", "inbox.body"),
        "wechat": ("wechat",),
    }
    wanted = parts[channel]
    if channel == "inbox" and template.languages[language].inbox is UNSET:
        wanted = parts["push"]
    return frozenset().union(*(names for part, names in uses(template, language) if part in wanted))


def _read(template: Template, source: str, language: str, *, html: bool) -> frozenset[str]:
    try:
        return _variables(source, language, html=html)
    except TemplateError as error:
        raise InputRefused("template.fails", template=template.template, reason=str(error)) from error


@lru_cache(maxsize=1024)
def _variables(source: str, language: str, *, html: bool) -> frozenset[str]:
    environment = _environment(language, html=html)
    environment.program(source)
    return frozenset(meta.find_undeclared_variables(environment.tree(source)))


def _wechat(template: Template, language: str, values: dict[str, object]) -> str:
    """The message as its channel takes it: JSON with ``template_id``, ``kind``, ``url`` and ``data``."""
    content = template.languages[language].wechat
    if content is UNSET:
        raise InputRefused(
            "template.no_content", template=template.template, language=language, channel="wechat"
        )
    limit = TEXT_LIMITS["wechat"]
    data = {n: _filled(text, language, values, limit=limit).strip() for n, text in content.data.items()}
    url = _filled(content.url, language, values, limit=limit).strip()
    said = {"template_id": content.template_id, "kind": content.kind, "url": url, "data": data}
    return msgspec.json.encode(said).decode()


def _filled(source: str, language: str, values: dict[str, object], *, limit: int, html: bool = False) -> str:
    """The text with its variables filled in. Raises ValueError where it becomes longer than the limit."""
    template = _compiled(source, language, html=html)
    # As ``render`` does, which would first copy the environment's globals, and there are none.
    pieces, length = list[str](), 0
    for piece in template.root_render_func(template.new_context(values, shared=True)):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            raise ValueError(f"the text has more than {limit} characters")
    return "".join(pieces)


@lru_cache(maxsize=32)
def _environment(language: str, *, html: bool) -> Sandbox:
    return Sandbox(lambda text: _day(text, language), html=html)


@lru_cache(maxsize=512)
def _compiled(source: str, language: str, *, html: bool) -> Compiled:
    return _environment(language, html=html).program(source)


@lru_cache(maxsize=4096)
def _day(iso: str, language: str) -> str:
    """A day as the language writes it in a letter."""
    return format_date(date.fromisoformat(iso), format="long", locale=language.replace("-", "_"))
