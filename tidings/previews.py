"""Messages of a template made to be looked at, with samples or for a real customer; nothing is recorded."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args
from urllib.parse import quote

from msgspec import UNSET, Struct

from audit.replay import Replayed
from domain.catalogue import ChannelName
from domain.customer import Customer
from domain.errors import InputRefused, StoreUnusable
from domain.events import MessageRequested, Value, Values
from journeys.rulebook import CUSTOMER_VARIABLES
from templates.images import pictures
from templates.missing import Held, Skipped, completed, has_value
from templates.model import Template
from templates.render import Rendered, render
from templates.samples import samples

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,15}")


class Preview(Struct, frozen=True):
    """One message; ``outcome`` is what is made of it, or what becomes of it for want of a variable."""

    template: Template
    channel: ChannelName
    language: str
    outcome: Rendered | Held | Skipped


def preview(
    template: Template,
    *,
    channel: ChannelName,
    language: str,
    given: Values,
    customer: Customer | None = None,
) -> Preview:
    """The message as it would be written with these values, the customer's name, and samples for the rest.

    Raises InputRefused for a variable that the template does not declare, and where it fails.
    """
    for name in given:
        if name not in template.variables:
            expected = ", ".join(template.variables) or "-"
            raise InputRefused(
                "template.no_variable", template=template.template, found=name, expected=expected
            )
    chosen = template.language_for(language)
    values = samples(template, chosen)
    if customer is not None:
        values |= {name: getattr(customer, name) for name in CUSTOMER_VARIABLES if name in values}
    words = completed(template, channel=channel, language=chosen, variables={**values, **given})
    if isinstance(words, Held | Skipped):
        return Preview(template, channel, chosen, words)
    return Preview(
        template, channel, chosen, render(template, channel=channel, language=chosen, variables=words)
    )


def channels_of(template: Template, language: str) -> list[ChannelName]:
    """The channels by which the template says something in the language, or in the nearest that it has."""
    found: list[ChannelName] = []
    for channel in get_args(ChannelName):
        content = template.languages[template.language_for(language)]
        if channel == "wechat":
            found += [channel] if content.wechat is not UNSET else []
            continue
        try:
            template.parts(template.language_for(language), channel)
        except InputRefused:
            continue
        found.append(channel)
    return found


def told_to(replayed: Replayed, template: str) -> Values:
    """The values of the customer's last message of the template; none where they never had one."""
    asked = [event.body for event in replayed.history if isinstance(event.body, MessageRequested)]
    return next((body.variables for body in reversed(asked) if body.template == template), {})


def value_of(text: str) -> Value:
    """A value as a command line writes it: a whole number is one."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def merged(template: Template, told: Values, replayed: Replayed) -> Values:
    """What the last message was told with, and the name of now where it was told none."""
    known = {name: value for name, value in told.items() if name in template.variables}
    now: Mapping[str, Value] = {name: getattr(replayed.customer, name) for name in CUSTOMER_VARIABLES}
    late = {n: v for n, v in now.items() if n in template.variables and not has_value(known, n)}
    return {**known, **late}


def written(shown: Preview, folder: Path, name: str) -> list[Path]:
    """The files that show the message: its text, and its HTML with pictures in it, as a browser shows it.

    Raises StoreUnusable where the folder cannot be written.
    """
    if not isinstance(shown.outcome, Rendered):
        return []
    heading = f"{shown.outcome.heading}\n\n" if shown.outcome.heading else ""
    texts = {".txt": heading + shown.outcome.text}
    if shown.outcome.html:
        texts[".html"] = _with_pictures(shown.template, shown.outcome.html)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = {folder / f"{quote(name, safe='')}{suffix}": text for suffix, text in texts.items()}
        for path, text in paths.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreUnusable("outbox.unwritable", folder=str(folder), reason=str(error)) from error
    return sorted(paths)


def _with_pictures(template: Template, html: str) -> str:
    for picture in pictures(template, html):
        shown = f"data:{picture.media_type};base64,{b64encode(picture.data).decode()}"
        html = html.replace(f"cid:{picture.name}", shown)
    return html


def names(text: str) -> Sequence[str]:
    """The names in a list such as ``a,b``, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
