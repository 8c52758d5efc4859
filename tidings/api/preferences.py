"""/p/{token}: where customers choose what they get by which channel; each change is a fact of its own.

The link's token is the capability: whoever has it chooses for the customer and learns nothing else of them.
"""

from collections.abc import Sequence
from typing import get_args

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from msgspec import Struct
from starlette.concurrency import run_in_threadpool

from domain.catalogue import Purpose
from domain.consent import ANY
from tidings.api.guard import Problem, body_of, check_same_origin
from tidings.api.pages import FORM_BYTES, form_of, language_of, page, text_version
from tidings.api.parts import Parts
from tidings.choices import CHANNELS, CHOSEN, Cell, Occasion, Standing
from tidings.wording import LANGUAGES, Wording

SOURCE = "preferences"


class _Row(Struct, frozen=True):
    label: str
    value: str
    was: str
    on: bool
    topic: bool


class _Group(Struct, frozen=True):
    title: str
    why: str
    rows: list[_Row]


def routes(parts: Parts) -> APIRouter:
    """The resource."""
    router = APIRouter()

    @router.get("/p/{token}")
    @router.head("/p/{token}", include_in_schema=False)
    async def shown(token: str, request: Request) -> Response:
        """What the customer gets now, with a box for all that can be chosen."""
        customer = parts.links.opened("preferences", token).customer
        return await run_in_threadpool(_show, parts, request, customer)

    @router.post("/p/{token}")
    async def chosen(token: str, request: Request) -> Response:
        """Tell what the customer changed, and show it."""
        customer = parts.links.opened("preferences", token).customer
        check_same_origin(request, parts.origin)
        form = form_of(await body_of(request, limit=FORM_BYTES))
        language = await run_in_threadpool(_save, parts, request, customer, form)
        # Relative, so that it holds below whatever address a proxy gives us.
        return RedirectResponse(f"?lang={language}&saved=1", status_code=303)

    return router


def _show(parts: Parts, request: Request, subject: str) -> Response:
    standing = parts.choices.standing(subject, now=parts.clock())
    customer = standing.customer
    language = language_of(request, customer.language)
    wording = Wording(language)
    fixed = [purpose for purpose in get_args(Purpose) if standing.rules[purpose] == "not_needed"]
    notes = [
        wording.tell("web.preferences.opted_out", {"channel": wording.tell(f"web.channel.{channel}")})
        for channel in CHANNELS
        if customer.addresses.get(channel) in customer.opted_out
    ]
    values = {
        "languages": [(code, Wording(code).tell("web.language.name")) for code in LANGUAGES],
        "saved": "saved" in request.query_params,
        "gone": customer.gone,
        "notes": notes,
        "groups": _groups(standing, wording),
        "always": [(wording.tell(f"web.purpose.{p}"), wording.tell(f"web.always.{p}")) for p in fixed],
    }
    return page(parts, "preferences", language, values)


def _groups(standing: Standing, wording: Wording) -> Sequence[_Group]:
    cells = standing.cells()
    groups = []
    for purpose in CHOSEN:
        rows = [_row(standing, cell, wording) for cell in cells if cell.purpose == purpose]
        if rows:
            title, why = wording.tell(f"web.purpose.{purpose}"), wording.tell(f"web.why.{purpose}")
            groups.append(_Group(title, why, rows))
    return groups


def _row(standing: Standing, cell: Cell, wording: Wording) -> _Row:
    channel = wording.tell(f"web.channel.{cell.channel}")
    topic = cell.topic != ANY
    label = wording.tell("web.on_topic", {"channel": channel, "topic": cell.topic}) if topic else channel
    on = standing.is_on(cell)
    value = f"{cell.purpose}/{cell.channel}/{cell.topic}"
    return _Row(label, value, f"{int(on)}/{value}", on, topic)


def _save(parts: Parts, request: Request, subject: str, form: list[tuple[str, str]]) -> str:
    """Tell the facts of what differs from what was shown; gives the language it was shown in."""
    now = parts.clock()
    standing = parts.choices.standing(subject, now=now)
    language = language_of(request, standing.customer.language)
    known = {f"{cell.purpose}/{cell.channel}/{cell.topic}": cell for cell in standing.cells()}
    on = {value for name, value in form if name == "on"}
    shown = [value.partition("/")[::2] for name, value in form if name == "was"]
    if not shown:
        raise Problem(400, "web.bad_request")
    choices: list[tuple[Cell, bool]] = []
    for state, value in shown:
        cell, wanted = known.get(value), value in on
        # What the customer changed, and what stands as it was shown: a broader word must not take it along.
        # What was said elsewhere since the page was shown stays.
        if cell is not None and ((state == "1") != wanted or standing.is_on(cell) == wanted):
            choices.append((cell, wanted))
    occasion = Occasion(SOURCE, "preference page", now, "web", text_version("preferences", language))
    if not standing.customer.gone:
        parts.receiver.tell(standing.changed(choices, occasion), at=now)
    return language
