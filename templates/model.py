"""A template document: what is said by each channel, in each language, with declared variables.

Fields that came later are left out of the canonical bytes where they are not written, so that every
published version keeps its digest.
"""

from collections.abc import Collection, Iterator
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from domain.catalogue import ChannelName
from domain.errors import InputRefused

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Part = Literal[
    "subject",
    "email",
    "html",
    "mjml",
    "sms",
    "push.title",
    "push.body",
    "inbox.title",
    "inbox.body",
    "wechat",
]
# What the text of a picture may take in a document, and pictures of a template together as bytes.
_BASE64_LIMIT = 140_000
IMAGES_LIMIT = 256 * 1024


class Push(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an app shows. The inbox shows it too where a language has no ``inbox``."""

    title: str
    body: str


class InboxEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in the inbox of the bank's own app or site: there is room for more than in a push."""

    title: str
    body: str


class WeChat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message of a WeChat official account, whose own template of ``template_id`` has the words around.

    ``data`` are the texts by the names that WeChat's template has; ``kind`` is template (a template
    message) or subscribe (a subscription notification, which the customer asked for).
    """

    template_id: str
    data: dict[str, str]
    kind: Literal["template", "subscribe"] = "template"
    url: str = ""


class Content(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One language. ``words`` names the values of variables, as in ``words[kind]``.

    An e-mail has a ``subject`` and ``email`` (plain text), ``html`` or ``mjml`` (which becomes HTML that
    every mail program shows alike), or text beside one of them; without text it is made from the HTML.
    """

    subject: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    sms: str | UnsetType = UNSET
    push: Push | UnsetType = UNSET
    words: dict[str, str] = {}
    html: str | UnsetType = UNSET
    mjml: str | UnsetType = UNSET
    inbox: InboxEntry | UnsetType = UNSET
    wechat: WeChat | UnsetType = UNSET


class _Missing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    pass


class Fallback(_Missing, tag="fallback", frozen=True, kw_only=True):
    """Write this instead, by language."""

    text: Annotated[dict[str, str], Meta(min_length=1)]


class Hold(_Missing, tag="hold", frozen=True, kw_only=True):
    """Wait for it till so many hours after the message was asked for; then it is not sent."""

    hours: Annotated[int, Meta(ge=1, le=720)]


class Skip(_Missing, tag="skip", frozen=True, kw_only=True):
    """Do not send the message."""


class Picture(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture that travels inside the e-mail; HTML shows it as ``cid:<name>``."""

    media_type: Literal["image/png", "image/jpeg", "image/gif"]
    base64: Annotated[str, Meta(min_length=1, max_length=_BASE64_LIMIT)]


class Source(NamedTuple):
    """One text of a template, as it was written."""

    part: Part
    text: str


class Template(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a template. A promotional one may be used by marketing journeys only.

    ``missing`` says, by variable, what becomes of a message for which the variable has no value; without it
    the text itself has to cope. ``images`` are pictures by name, together 256 KiB at most.
    """

    template: Name
    version: Annotated[int, Meta(ge=1)]
    promotional: bool
    variables: tuple[str, ...]
    languages: Annotated[dict[str, Content], Meta(min_length=1)]
    missing: dict[str, Fallback | Hold | Skip] | UnsetType = UNSET
    images: dict[Name, Picture] | UnsetType = UNSET

    def language_for(self, wanted: str) -> str:
        """The language to write in: the wanted one, a sister of it, English, or the first there is."""
        return nearest(wanted, self.languages)

    def parts(self, language: str, channel: ChannelName) -> tuple[str, str]:
        """Sources of the heading ("" where the channel has none) and of the text ("" where HTML says all).

        Raises InputRefused where the language has nothing to say by this channel.
        """
        content = self.languages[language]
        match channel:
            case "email" if content.subject is not UNSET and content.email is not UNSET:
                return content.subject, content.email
            case "email" if content.subject is not UNSET and self.markup(language):
                return content.subject, ""
            case "sms" if content.sms is not UNSET:
                return "", content.sms
            case "inbox" if content.inbox is not UNSET:
                return content.inbox.title, content.inbox.body
            case "push" | "inbox" if content.push is not UNSET:
                return content.push.title, content.push.body
            case _:
                raise InputRefused(
                    "template.no_content", template=self.template, language=language, channel=channel
                )

    def markup(self, language: str) -> Source | None:
        """The HTML or MJML of the language's e-mail; None where it is plain text."""
        content = self.languages[language]
        if content.html is not UNSET:
            return Source("html", content.html)
        return None if content.mjml is UNSET else Source("mjml", content.mjml)

    def sources(self, language: str) -> Iterator[Source]:
        """Every text of the language that variables are filled into."""
        content = self.languages[language]
        plain: tuple[tuple[Part, str | UnsetType], ...] = (
            ("subject", content.subject),
            ("email", content.email),
            ("html", content.html),
            ("mjml", content.mjml),
            ("sms", content.sms),
        )
        for part, text in plain:
            if text is not UNSET:
                yield Source(part, text)
        if content.push is not UNSET:
            yield from (Source("push.title", content.push.title), Source("push.body", content.push.body))
        if content.inbox is not UNSET:
            yield from (Source("inbox.title", content.inbox.title), Source("inbox.body", content.inbox.body))
        if content.wechat is not UNSET:
            yield from (
                Source("wechat", text) for text in (*content.wechat.data.values(), content.wechat.url)
            )


def nearest(wanted: str, languages: Collection[str]) -> str:
    """Of the languages the wanted one, a sister of it, English, or the first there is."""
    if wanted in languages:
        return wanted
    base = wanted.partition("-")[0]
    sisters = sorted(name for name in languages if name.partition("-")[0] == base)
    return [*sisters, *(name for name in languages if name == "en"), *languages][0]


def decode_template(body: bytes) -> Template:
    """A published template from its canonical bytes."""
    return msgspec.json.decode(body, type=Template)
