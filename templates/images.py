"""Pictures that travel inside an e-mail."""

import base64
import re
from functools import lru_cache

from msgspec import UNSET, Struct

from templates.model import Template

_SHOWN = re.compile(r"cid:([a-z][a-z0-9-]{0,62})")


class Shown(Struct, frozen=True):
    """A picture that the HTML shows as ``cid:<name>``."""

    name: str
    media_type: str
    data: bytes


def pictures(template: Template, html: str) -> list[Shown]:
    """The template's pictures that this HTML shows, in the order in which it does."""
    if template.images is UNSET or "cid:" not in html:
        return []
    names = dict.fromkeys(_SHOWN.findall(html))
    return [
        Shown(name, template.images[name].media_type, _decoded(template.images[name].base64))
        for name in names
        if name in template.images
    ]


@lru_cache(maxsize=256)
def _decoded(text: str) -> bytes:
    return base64.b64decode(text)
