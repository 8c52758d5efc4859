"""HTML of e-mails: MJML made into what every mail program shows alike, and HTML made into its text.

MJML is compiled before variables are filled in, once for each published version, so that no value of a
customer can change the layout and compiling costs nothing for the second customer.
"""

import re
from functools import lru_cache

import mrml
from inscriptis import get_text  # type: ignore[import-untyped]
from inscriptis.css_profiles import CSS_PROFILES  # type: ignore[import-untyped]
from inscriptis.html_properties import Display  # type: ignore[import-untyped]
from inscriptis.model.config import ParserConfig  # type: ignore[import-untyped]
from inscriptis.model.html_element import HtmlElement  # type: ignore[import-untyped]

from domain.errors import InputRefused
from templates.model import Template

# No web fonts: a mail program that loads them tells somebody else who reads what and when.
_OPTIONS = mrml.RenderOptions(disable_comments=True, fonts={})
# Laying tables out could make much out of little: the reader gets rows, with two spaces between cells.
_TABLES = (
    (re.compile(r"<(/?)(?:table|thead|tbody|tfoot|tr|caption)(?=[\s/>])", re.IGNORECASE), r"<\1section"),
    (re.compile(r"<t[dh](?=[\s/>])", re.IGNORECASE), "<span"),
    (re.compile(r"</t[dh](?=[\s/>])", re.IGNORECASE), "\u00a0\u00a0</span"),
)
_READ_AT_MOST = 256 * 1024
# MJML makes a ``div`` of each paragraph.
_PARAGRAPH = HtmlElement(display=Display.block, margin_before=1, margin_after=1)
_ROW = HtmlElement(display=Display.block)
_LAYOUT = ParserConfig(
    css={**CSS_PROFILES["relaxed"], "div": _PARAGRAPH, "section": _ROW}, display_links=True
)
_ROOT = re.compile(r"<mjml(?P<attributes>[^>]*)>")
_LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\((?P<url>[^()\s]*)\)")
_SPACES = re.compile(r"[ \t\u00a0\u200b\u200c]{2,}")
_EMPTY_LINES = re.compile(r"\n{3,}")


def markup_of(template: Template, language: str) -> str | None:
    """The HTML of a language's e-mail before variables are filled in; None where it is plain text.

    Raises InputRefused for MJML that cannot be compiled.
    """
    source = template.markup(language)
    if source is None or source.part == "html":
        return None if source is None else source.text
    try:
        return compiled(source.text, language)
    except ValueError as error:
        raise InputRefused("template.fails", template=template.template, reason=str(error)) from error


@lru_cache(maxsize=256)
def compiled(mjml: str, language: str) -> str:
    """The HTML that MJML makes, told to be in the language. Raises ValueError saying where it cannot be."""
    root = _ROOT.search(mjml)
    if root is not None and "lang=" not in root["attributes"]:
        # Screen readers choose their voice by it.
        mjml = f'{mjml[: root.end() - 1]} lang="{language}">{mjml[root.end() :]}'
    try:
        return str(mrml.to_html(mjml, None, _OPTIONS).content)
    except OSError as error:
        raise ValueError(f"MJML: {error}") from error


def text_of(html: str) -> str:
    """The text of a filled HTML document, with each link's address behind its words.

    Raises ValueError where the HTML is too long, or nested too deeply, to be read.
    """
    if len(html) > _READ_AT_MOST:
        raise ValueError(f"the HTML has more than {_READ_AT_MOST} characters: give the text beside it")
    for tag, plain in _TABLES:
        html = tag.sub(plain, html)
    try:
        laid_out = get_text(html, _LAYOUT)
    except RecursionError:
        raise ValueError("the HTML is nested too deeply") from None
    lines = (_SPACES.sub("  ", line).strip() for line in laid_out.splitlines())
    text = _EMPTY_LINES.sub("\n\n", _LINK.sub(_with_address, "\n".join(lines))).strip()
    if len(text) > _READ_AT_MOST:
        raise ValueError(f"the text has more than {_READ_AT_MOST} characters")
    return text


def _with_address(link: re.Match[str]) -> str:
    text, url = link["text"].strip(), link["url"]
    return url if text in ("", url) else f"{text} ({url})"
