"""What is wrong with the HTML or MJML of an e-mail as it was written."""

import re
from collections.abc import Collection
from html.parser import HTMLParser
from typing import Literal

from msgspec import Struct

_MJML = frozenset(
    (
        *(
            "mjml",
            "mj-head",
            "mj-attributes",
            "mj-all",
            "mj-class",
            "mj-preview",
            "mj-title",
            "mj-breakpoint",
        ),
        *("mj-style", "mj-body", "mj-wrapper", "mj-section", "mj-group", "mj-column", "mj-text", "mj-button"),
        *("mj-image", "mj-divider", "mj-spacer", "mj-table", "mj-hero", "mj-raw", "mj-html-attributes"),
        *("mj-selector", "mj-html-attribute", "mj-navbar", "mj-navbar-link"),
    )
)
_HTML = frozenset(
    (
        *(
            "html",
            "head",
            "title",
            "meta",
            "style",
            "body",
            "div",
            "span",
            "p",
            "br",
            "hr",
            "a",
            "img",
            "area",
        ),
        *("h1", "h2", "h3", "h4", "h5", "h6", "b", "strong", "i", "em", "u", "s", "small", "sub", "sup"),
        *("ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "code", "center", "font", "map", "abbr"),
        *("table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th", "colgroup", "col", "wbr", "bdi"),
        *("header", "footer", "main", "section", "article", "nav", "figure", "figcaption", "time", "address"),
    )
)
# What runs, asks for input or brings in something from elsewhere has no place in a mail.
_FORBIDDEN = frozenset(
    (
        *("script", "iframe", "frame", "frameset", "form", "input", "button", "select", "textarea", "object"),
        *("embed", "applet", "base", "link", "audio", "video", "source", "svg", "math", "template", "portal"),
        *("mj-include", "mj-font", "mj-accordion", "mj-carousel", "mj-social"),
    )
)
_LINKS = {"a": "href", "area": "href", "mj-button": "href", "mj-image": "href", "mj-navbar-link": "href"}
_PICTURES = {"img": "src", "mj-image": "src", "mj-hero": "background-url", "mj-section": "background-url"}
# A tag of the templates' own is no HTML: it is blanked, a value is one private character for each of its own.
_VALUE = "\ue000"
_TAGS = re.compile(r"\{%.*?%\}|\{#.*?#\}|\{\{(?P<value>.*?)\}\}", re.DOTALL)
_OUTSIDE = re.compile(r"@import|@font-face|url\(\s*['\"]?\s*(?:https?:)?//", re.IGNORECASE)
_UNQUOTED = re.compile(rf"=\s*[^\s\"'>]*{_VALUE}")
_OWN_LINKS = re.compile(r"\{\{\s*(?:unsubscribe|preferences|view)_url\s*\}\}")


class Found(Struct, frozen=True, kw_only=True):
    """One thing that is wrong, at a line of the source from 1."""

    code: str
    severity: Literal["error", "warning"]
    line: int
    values: dict[str, str] = {}


def markup_findings(source: str, *, mjml: bool, images: Collection[str]) -> list[Found]:
    """Everything that is wrong with the source; ``images`` are the names that ``cid:`` may show."""
    reader = _Reader(mjml=mjml, images=images)
    reader.feed(_blanked(source))
    reader.close()
    return reader.found


def _blanked(source: str) -> str:
    """The source with templates' tags blanked, so that every line and column stays where it is."""
    source = _OWN_LINKS.sub(lambda own: "https://x".ljust(len(own.group()), "x"), source)
    return _TAGS.sub(_blank, source)


def _blank(tag: re.Match[str]) -> str:
    sign = " " if tag["value"] is None else _VALUE
    return "".join("\n" if character == "\n" else sign for character in tag.group())


class _Reader(HTMLParser):
    def __init__(self, *, mjml: bool, images: Collection[str]) -> None:
        super().__init__()
        self.found: list[Found] = []
        self._known = _HTML | _MJML if mjml else _HTML
        self._images = images
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _FORBIDDEN:
            self._find("lint.tag_forbidden", tag=tag)
        elif tag not in self._known:
            self._find("lint.tag_unknown", tag=tag)
        given = {name: (value or "").strip() for name, value in attrs}
        for name in given:
            if name.startswith("on"):
                self._find("lint.handler", attribute=name)
        if any(_VALUE in name for name in given) or _UNQUOTED.search(self.get_starttag_text() or ""):
            self._find("lint.unquoted", tag=tag)
        if tag == "meta" and "refresh" in given.get("http-equiv", "").lower():
            self._find("lint.tag_forbidden", tag="meta refresh")
        if tag == "mj-style" and given.get("inline"):
            # Styles would be moved into tags before loops are filled in, and loops out of tables with them.
            self._find("lint.style_inline")
        self._look_at_style(given.get("style", ""))
        if (attribute := _LINKS.get(tag)) is not None and attribute in given:
            self._look_at_link(given[attribute])
        if (attribute := _PICTURES.get(tag)) is not None and attribute in given:
            self._look_at_picture(given[attribute])
        if tag in ("img", "mj-image") and "alt" not in given:
            self._find("lint.no_alt", severity="warning", tag=tag)
        if tag == "html" and not given.get("lang"):
            self._find("lint.no_lang", severity="warning")
        self._in_style = tag in ("style", "mj-style")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._in_style = False

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._look_at_style(data)

    def _look_at_style(self, style: str) -> None:
        if _OUTSIDE.search(style):
            self._find("lint.style_from_outside")
        if _VALUE in style:
            # What is safe in HTML is not safe in a style sheet.
            self._find("lint.value_in_style")

    def _look_at_link(self, target: str) -> None:
        scheme = "".join(target.split()).lower().partition(":")[0] if ":" in target else ""
        if target.startswith(_VALUE):
            self._find("lint.link_of_value", severity="warning")
        elif scheme == "http":
            self._find("lint.no_https", severity="warning", target=_shown(target))
        elif scheme not in ("https", "mailto", "tel"):
            self._find("lint.link_unsafe", target=_shown(target))

    def _look_at_picture(self, source: str) -> None:
        if source.startswith("cid:"):
            if source.removeprefix("cid:") not in self._images:
                self._find("lint.image_unknown", image=source.removeprefix("cid:"))
        elif source.lower().startswith("http:"):
            self._find("lint.no_https", severity="warning", target=_shown(source))
        elif not source.lower().startswith("https:"):
            self._find("lint.link_unsafe", target=_shown(source))

    def _find(self, code: str, *, severity: Literal["error", "warning"] = "error", **values: str) -> None:
        self.found.append(Found(code=code, severity=severity, line=self.getpos()[0], values=values))


def _shown(target: str) -> str:
    return target.replace(_VALUE, "…")[:80] or "-"
