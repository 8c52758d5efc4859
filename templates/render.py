"""From a template and a customer's values to the exact words, the same for ever.

Templates run in Jinja2's sandbox: they see their variables and nothing of the program. An undeclared
variable is an error at publication, not at sending.
"""

from datetime import date
from functools import lru_cache
from hashlib import sha256

import msgspec
from babel.dates import format_date
from jinja2 import StrictUndefined, TemplateError, meta
from jinja2 import Template as Compiled
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct

from domain.catalogue import ChannelName
from domain.errors import InputRefused
from domain.events import Values
from templates.model import Template

_ALWAYS = frozenset({"words"})
# What a template may raise on values that it was not written for, such as a day that nobody told.
_FAILURES = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError)


class Rendered(Struct, frozen=True):
    """What one customer reads. ``sha256`` of it is recorded with the intent to send."""

    channel: ChannelName
    language: str
    heading: str
    text: str

    @property
    def sha256(self) -> str:
        """Hex digest over channel, language, heading and text."""
        return sha256(msgspec.json.encode(self)).hexdigest()


def render(template: Template, *, channel: ChannelName, language: str, variables: Values) -> Rendered:
    """The message by this channel, in the nearest language that the template has.

    Raises InputRefused where the template fails on these values.
    """
    chosen = template.language_for(language)
    words = template.languages[chosen].words
    try:
        heading, text = (
            _filled(_compiled(source, chosen), {**variables, "words": words})
            for source in template.parts(chosen, channel)
        )
    except _FAILURES as error:
        raise InputRefused("template.fails", template=template.template, reason=str(error)) from error
    return Rendered(channel, chosen, heading.strip(), text.strip() + "\n")


def undeclared(template: Template) -> list[str]:
    """The variables that some text of the template uses and the template does not declare, in order.

    Raises InputRefused for text that is no template.
    """
    channels: tuple[ChannelName, ...] = ("email", "sms", "push")
    used: set[str] = set()
    for language in template.languages:
        for channel in channels:
            for source in template.parts(language, channel):
                try:
                    used |= meta.find_undeclared_variables(_environment(language).parse(source))
                except TemplateError as error:
                    raise InputRefused(
                        "template.fails", template=template.template, reason=str(error)
                    ) from error
    return sorted(used - set(template.variables) - _ALWAYS)


def _filled(template: Compiled, values: dict[str, object]) -> str:
    # As ``render`` does, which would first copy the environment's globals, and there are none.
    return "".join(template.root_render_func(template.new_context(values, shared=True)))


@lru_cache(maxsize=16)
def _environment(language: str) -> ImmutableSandboxedEnvironment:
    # Plain text needs no escaping; HTML parts will get an environment of their own.
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.filters["day"] = lambda text: _day(str(text), language)
    return environment


@lru_cache(maxsize=512)
def _compiled(source: str, language: str) -> Compiled:
    return _environment(language).from_string(source)


@lru_cache(maxsize=4096)
def _day(iso: str, language: str) -> str:
    """A day as the language writes it in a letter."""
    return format_date(date.fromisoformat(iso), format="long", locale=language.replace("-", "_"))
