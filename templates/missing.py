"""What becomes of a message for which a declared variable has no value."""

from typing import assert_never

from msgspec import UNSET, Struct

from domain.catalogue import ChannelName
from domain.events import Values
from templates.model import Fallback, Hold, Skip, Template, nearest
from templates.render import needed

# The variables that can come while a message waits: who the customer is, not what led into the journey.
MAY_COME = ("given_name", "family_name")


class Held(Struct, frozen=True):
    """The message waits for this variable, till so many hours after it was asked for."""

    variable: str
    hours: int


class Skipped(Struct, frozen=True):
    """The message is not sent, for want of this variable."""

    variable: str


def completed(
    template: Template, *, channel: ChannelName, language: str, variables: Values
) -> Values | Held | Skipped:
    """The variables with what is written where one has no value, or what becomes of the message instead.

    No value is none, or a text of nothing but spaces. Only variables that texts of this channel use count.
    Of several, one that the message cannot do without comes first, then the one that it waits for longest.
    Without ``missing`` the variables come back as they are. Raises InputRefused as ``undeclared``.
    """
    if template.missing is UNSET:
        return variables
    chosen = template.language_for(language)
    used = needed(template, channel=channel, language=chosen)
    filled, held = dict(variables), list[Held]()
    for name, rule in sorted(template.missing.items()):
        if name not in used or has_value(variables, name):
            continue
        match rule:
            case Skip():
                return Skipped(name)
            case Hold(hours=hours):
                held.append(Held(name, hours))
            case Fallback(text=text):
                filled[name] = text[nearest(chosen, text)]
            case _:
                assert_never(rule)
    return max(held, key=lambda waiting: waiting.hours) if held else filled


def has_value(variables: Values, name: str) -> bool:
    """Whether the variable says anything."""
    value = variables.get(name)
    return value is not None and not (isinstance(value, str) and not value.strip())
