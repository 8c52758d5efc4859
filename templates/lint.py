"""What is wrong with a template, all of it at once: errors, which refuse it, and warnings, which do not."""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterator
from typing import Literal

from msgspec import UNSET, Struct

from domain.catalogue import ChannelName
from domain.errors import InputRefused
from templates.markup import markup_of
from templates.markup_lint import markup_findings
from templates.missing import MAY_COME
from templates.model import IMAGES_LIMIT, Fallback, Hold, Part, Template
from templates.render import render, undeclared, unreadable, uses
from templates.samples import samples

Severity = Literal["error", "warning"]
# Gmail shows so many bytes of a mail and hides the rest, the links at its end among it.
_CLIPPED_AT = 102 * 1024
_SUBJECT_LIMIT, _SEGMENTS = 78, 3
_SHOUTING = re.compile(r"[!！]{2,}|[$￥¥€£]{3,}|[?？]{3,}")
# As customers' languages are written: language, script, region (BCP 47).
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
# Either leads a reader out.
_LEAVES = {"unsubscribe_url", "preferences_url"}
_MAGIC = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8"}


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is wrong: ``line`` counts from 1 within the part's text, 0 where no line is to blame.

    ``language`` and ``part`` are "" where the whole template, or the whole language, is meant.
    """

    code: str
    severity: Severity
    language: str = ""
    part: str = ""
    line: int = 0
    values: dict[str, str] = {}


def lint(
    template: Template,
    *,
    segments: Callable[[str], int],
    languages: Collection[str] = (),
    channels: Collection[ChannelName] = (),
) -> list[Finding]:
    """Everything that is wrong, errors first.

    ``segments`` counts the segments of an SMS; ``languages`` are those that customers read, ``channels``
    those by which journeys send the template.
    """
    found = list(errors(template))
    # What has to be mended first cannot be filled, as everybody knows by then.
    found += [
        one for one in _warnings(template, segments, languages) if not found or one.code != "lint.fails"
    ]
    for language in template.languages:
        found += [
            _placed("lint.channel_missing", "error", language, values={"channel": f"{channel}"})
            for channel in channels
            if not _says(template, language, channel)
        ]
    return sorted(found, key=lambda one: (one.severity, one.language, one.part, one.line))


def errors(template: Template) -> Iterator[Finding]:
    """What must be mended before the template can be published."""
    readable = True
    for language in template.languages:
        if not _LANGUAGE.fullmatch(language):
            yield _placed("lint.no_language", "error", language)
        yield from _of_parts(template, language)
        yield from _of_markup(template, language, "error")
        for found in _of_syntax(template, language):
            readable = False
            yield found
    if readable:
        yield from _of_variables(template)
    yield from _of_missing(template)
    yield from _of_images(template)


def _of_syntax(template: Template, language: str) -> Iterator[Finding]:
    broken = list(unreadable(template, language))
    for text in broken:
        told = {"reason": text.reason}
        yield _placed("lint.unreadable", "error", language, text.part, text.line, told)
    if broken:
        return
    try:
        markup_of(template, language)
    except InputRefused as refused:
        told = {"reason": str(refused.values.get("reason"))}
        yield _placed("lint.unreadable", "error", language, "mjml", values=told)


def _of_variables(template: Template) -> Iterator[Finding]:
    try:
        names = undeclared(template)
    except InputRefused as refused:
        # What MJML made of the text is no template any more.
        yield Finding(
            code="lint.unreadable", severity="error", values={"reason": str(refused.values.get("reason"))}
        )
        return
    for name in names:
        language, part, line = _first_use(template, name)
        yield _placed("lint.undeclared", "error", language, part, line, {"variable": name})


def _first_use(template: Template, name: str) -> tuple[str, Part, int]:
    """Language, part and line of the first text that uses the variable."""
    return next(
        (language, part, 1 + source[: at.start()].count("\n") if (at := _word(name).search(source)) else 0)
        for language in template.languages
        for (part, names), (_, source) in zip(
            uses(template, language), template.sources(language), strict=True
        )
        if name in names
    )


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(name)}\b")


def _of_markup(template: Template, language: str, severity: Severity) -> Iterator[Finding]:
    source = template.markup(language)
    if source is None:
        return
    images = () if template.images is UNSET else tuple(template.images)
    for found in markup_findings(source.text, mjml=source.part == "mjml", images=images):
        if found.severity == severity:
            yield _placed(found.code, severity, language, source.part, found.line, found.values)
    if severity == "error" and template.promotional and not _LEAVES & _in(source.text):
        yield _placed("lint.no_unsubscribe", "error", language, source.part)


def _of_parts(template: Template, language: str) -> Iterator[Finding]:
    content = template.languages[language]
    has_mail = content.email is not UNSET or template.markup(language) is not None
    if content.html is not UNSET and content.mjml is not UNSET:
        yield Finding(code="lint.html_and_mjml", severity="error", language=language, part="mjml")
    if has_mail and content.subject is UNSET:
        yield Finding(code="lint.no_subject", severity="error", language=language)
    everywhere = {channel for name in template.languages for channel in _channels(template, name)}
    here = set(_channels(template, language))
    if not here:
        yield Finding(code="lint.empty", severity="error", language=language)
    for channel in sorted(everywhere - here) if here else ():
        told: dict[str, str] = {"channel": channel}
        yield Finding(code="lint.part_missing", severity="error", language=language, values=told)


def _channels(template: Template, language: str) -> list[ChannelName]:
    every: tuple[ChannelName, ...] = ("email", "sms", "push", "inbox", "wechat")
    return [channel for channel in every if _says(template, language, channel)]


def _says(template: Template, language: str, channel: ChannelName) -> bool:
    if channel == "wechat":
        return template.languages[language].wechat is not UNSET
    try:
        template.parts(language, channel)
    except InputRefused:
        return False
    return True


def _of_missing(template: Template) -> Iterator[Finding]:
    for name, rule in ({} if template.missing is UNSET else template.missing).items():
        told = {"variable": name}
        if name not in template.variables:
            yield Finding(code="lint.missing_undeclared", severity="error", values=told)
        if isinstance(rule, Hold) and name not in MAY_COME:
            expected = ", ".join(MAY_COME)
            yield Finding(code="lint.hold_in_vain", severity="error", values={**told, "expected": expected})
        if isinstance(rule, Fallback):
            for language in template.languages:
                if language not in rule.text:
                    yield Finding(code="lint.no_fallback", severity="error", language=language, values=told)


def _of_images(template: Template) -> Iterator[Finding]:
    total = 0
    for name, picture in ({} if template.images is UNSET else template.images).items():
        try:
            data = base64.b64decode(picture.base64, validate=True)
        except binascii.Error:
            data = b""
        total += len(data)
        if not data.startswith(_MAGIC[picture.media_type]):
            told = {"image": name, "media_type": picture.media_type}
            yield Finding(code="lint.no_image", severity="error", values=told)
    if total > IMAGES_LIMIT:
        told = {"found": str(total // 1024), "limit": str(IMAGES_LIMIT // 1024)}
        yield Finding(code="lint.images_too_large", severity="error", values=told)


def _warnings(
    template: Template, segments: Callable[[str], int], languages: Collection[str]
) -> Iterator[Finding]:
    for language in languages:
        if template.language_for(language).partition("-")[0] != language.partition("-")[0]:
            yield Finding(code="lint.language_missing", severity="warning", language=language)
    used: set[str] = set()
    shown: set[str] = set()
    for language in template.languages:
        source = template.markup(language)
        if source is not None:
            images = () if template.images is UNSET else tuple(template.images)
            shown |= {name for name in images if f"cid:{name}" in source.text}
        yield from _of_markup(template, language, "warning")
        try:
            used |= {name for _, names in uses(template, language) for name in names}
        except InputRefused:
            used |= set(template.variables)
            continue
        yield from _of_words(template, language, segments)
    for name in sorted(set(template.variables) - used):
        yield Finding(code="lint.unused", severity="warning", values={"variable": name})
    for name in sorted(set(() if template.images is UNSET else template.images) - shown):
        yield Finding(code="lint.unused_image", severity="warning", values={"image": name})


def _of_words(template: Template, language: str, segments: Callable[[str], int]) -> Iterator[Finding]:
    """What is to be seen only in the words themselves, filled with samples."""
    content, values = template.languages[language], samples(template, language)
    plain = content.email if template.promotional and template.markup(language) is None else UNSET
    if plain is not UNSET and not _LEAVES & _in(plain):
        yield _placed("lint.unsubscribe_in_header_only", "warning", language, "email")
    for channel in _channels(template, language):
        try:
            said = render(template, channel=channel, language=language, variables=values)
        except InputRefused as refused:
            told = {"channel": channel, "reason": str(refused.values.get("reason"))}
            yield _placed("lint.fails", "warning", language, values=told)
            continue
        if not said.text.strip():
            yield _placed("lint.says_nothing", "warning", language, values={"channel": channel})
        if channel == "sms" and (count := segments(said.text.strip())) > _SEGMENTS:
            told = {"found": str(count), "limit": str(_SEGMENTS)}
            yield _placed("lint.sms_segments", "warning", language, "sms", values=told)
        if channel != "email":
            continue
        if len(said.heading) > _SUBJECT_LIMIT:
            told = {"found": str(len(said.heading)), "limit": str(_SUBJECT_LIMIT)}
            yield _placed("lint.subject_long", "warning", language, "subject", values=told)
        if _SHOUTING.search(said.heading) or _in_capitals(said.heading):
            yield _placed("lint.subject_shouts", "warning", language, "subject")
        if (size := len(said.html.encode())) > _CLIPPED_AT:
            told = {"found": str(size // 1024), "limit": str(_CLIPPED_AT // 1024)}
            part = "mjml" if content.html is UNSET else "html"
            yield _placed("lint.html_clipped", "warning", language, part, values=told)


def _placed(
    code: str,
    severity: Severity,
    language: str,
    part: str = "",
    line: int = 0,
    values: dict[str, str] | None = None,
) -> Finding:
    return Finding(code=code, severity=severity, language=language, part=part, line=line, values=values or {})


def _in(source: str) -> set[str]:
    """The names in the text, whatever it does with them."""
    return set(re.findall(r"[a-z_]+", source))


def _in_capitals(subject: str) -> bool:
    cased = [letter for letter in subject if letter.isupper() or letter.islower()]
    return len(cased) > 5 and all(letter.isupper() for letter in cased)
