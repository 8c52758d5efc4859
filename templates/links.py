"""Links of a message: placeholders while it is hashed and recorded, a customer's own when it leaves.

So what was said can be proved without the keys that sign links, and does not change with them.
"""

import re
from collections.abc import Iterator
from html import escape, unescape
from typing import Protocol

UNSUBSCRIBE = "https://links.invalid/unsubscribe"
PREFERENCES = "https://links.invalid/preferences"
VIEW = "https://links.invalid/view"
# What every template may use without declaring it.
PLACEHOLDERS = {"unsubscribe_url": UNSUBSCRIBE, "preferences_url": PREFERENCES, "view_url": VIEW}
_OURS = "https://links.invalid/"
# No `<` inside a tag: each search ends at the next one, so that no text takes long to go through.
_OPENING = re.compile(r"""<!--|<(?:a|area)(?=[\s/])(?:[^<>"']|"[^"<]*"|'[^'<]*')*+>""", re.IGNORECASE)
_HREF = re.compile(
    r"""(?P<before>[\s"'/]href\s*=\s*)(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'>]+))""",
    re.IGNORECASE,
)


class LinkMaker(Protocol):
    """Makes the links of one message for one customer. All are plain URLs, not escaped for HTML."""

    @property
    def unsubscribe(self) -> str:
        """A page that takes the customer off this topic."""

    @property
    def preferences(self) -> str:
        """The customer's page of consents and channels."""

    @property
    def view(self) -> str:
        """The message in a browser."""

    def tracked(self, target: str, number: int) -> str:
        """A link that counts the click and leads on to ``target``; ``number`` counts from 1 in the HTML."""


def personalised(text: str, html: str, maker: LinkMaker) -> tuple[str, str]:
    """Text and HTML (or "") with placeholders filled in and the web links of the HTML tracked.

    Links in text stay as they are: readers see them. Neither ``mailto:`` and ``tel:`` nor the customer's own
    pages are tracked.
    """
    own = {UNSUBSCRIBE: maker.unsubscribe, PREFERENCES: maker.preferences, VIEW: maker.view}
    tracked = "".join(_tracked(html, maker))
    for placeholder, url in own.items():
        text = text.replace(placeholder, url)
        tracked = tracked.replace(placeholder, escape(url))
    return text, tracked


def links(html: str) -> list[str]:
    """The web links of the HTML that ``personalised`` tracks, in order."""
    found: list[str] = []

    class Listing:
        unsubscribe = preferences = view = ""

        def tracked(self, target: str, number: int) -> str:
            found.append(target)
            return target

    for _ in _tracked(html, Listing()):
        pass
    return found


def _tracked(html: str, maker: LinkMaker) -> Iterator[str]:
    """The HTML in pieces. What stands in comments (Outlook's own HTML does) is left as it is."""
    done, number = 0, 0
    while (tag := _OPENING.search(html, done)) is not None:
        yield html[done : tag.start()]
        if tag.group() == "<!--":
            end = html.find("-->", tag.start())
            done = len(html) if end < 0 else end + 3
            yield html[tag.start() : done]
            continue
        done = tag.end()
        href = _HREF.search(tag.group())
        target = unescape(_value(href)).strip() if href else ""
        if href is None or not target.lower().startswith(("http://", "https://")) or _is_ours(target):
            yield tag.group()
            continue
        number += 1
        url = escape(maker.tracked(target, number))
        yield f'{tag.group()[: href.start()]}{href["before"]}"{url}"{tag.group()[href.end() :]}'
    yield html[done:]


def _is_ours(target: str) -> bool:
    return target.lower().startswith(_OURS)


def _value(href: re.Match[str]) -> str:
    return next(value for value in href.group("double", "single", "bare") if value is not None)
