"""A template document: what is said by each channel, in each language, with declared variables."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from domain.catalogue import ChannelName
from domain.errors import InputRefused

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class Push(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str
    body: str


class Content(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One language. ``words`` names the values of variables, as in ``words[kind]``."""

    subject: str
    email: str
    sms: str
    push: Push
    words: dict[str, str] = {}


class Template(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a template. A promotional one may be used by marketing journeys only."""

    template: Name
    version: Annotated[int, Meta(ge=1)]
    promotional: bool
    variables: tuple[str, ...]
    languages: Annotated[dict[str, Content], Meta(min_length=1)]

    def language_for(self, wanted: str) -> str:
        """The language to write in: the wanted one, a sister of it, English, or the first there is."""
        if wanted in self.languages:
            return wanted
        base = wanted.partition("-")[0]
        sisters = sorted(name for name in self.languages if name.partition("-")[0] == base)
        return next(iter([*sisters, *(name for name in self.languages if name == "en"), *self.languages]))

    def parts(self, language: str, channel: ChannelName) -> tuple[str, str]:
        """Sources of the heading ("" where the channel has none) and of the text."""
        content = self.languages[language]
        match channel:
            case "email":
                return content.subject, content.email
            case "sms":
                return "", content.sms
            case "push" | "inbox":
                return content.push.title, content.push.body
            case "wechat":
                raise InputRefused("template.no_content", template=self.template, channel=channel)


def decode_template(body: bytes) -> Template:
    """A published template from its canonical bytes."""
    return msgspec.json.decode(body, type=Template)
