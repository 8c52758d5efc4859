"""/u/{token}: one click says no to messages such as the one that the link stood in.

A GET changes nothing. A POST counts, from a mail program without any page (RFC 8058) or from our page.
"""

from datetime import datetime, timedelta
from typing import get_args
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool

from domain.catalogue import ChannelName, Purpose
from domain.errors import InputRefused
from tidings.api.guard import Problem, body_of, check_same_origin
from tidings.api.pages import FORM_BYTES, form_of, language_of, page, text_version
from tidings.api.parts import Parts
from tidings.choices import CHOSEN, Cell, Occasion, Standing
from tidings.links import Opened
from tidings.wording import Wording

SOURCE = "unsubscribe"
_UNDO_WITHIN = timedelta(days=1)
_FIELD, _ONE_CLICK = "List-Unsubscribe", "One-Click"


def routes(parts: Parts) -> APIRouter:
    """The resource."""
    router = APIRouter()

    @router.get("/u/{token}")
    @router.head("/u/{token}", include_in_schema=False)
    async def asked(token: str, request: Request) -> Response:
        """A page with a button."""
        link = parts.links.opened("unsubscribe", token)
        return await run_in_threadpool(_ask, parts, request, link)

    @router.post("/u/{token}")
    async def said(token: str, request: Request) -> Response:
        """Say no, or take it back by the button of the page that said so."""
        link = parts.links.opened("unsubscribe", token)
        body = await body_of(request, limit=FORM_BYTES)
        if is_one_click(body):
            return await run_in_threadpool(_unsubscribe, parts, request, link, one_click=True)
        form = dict(form_of(body))
        if form.get("action") == "unsubscribe":
            return await run_in_threadpool(_unsubscribe, parts, request, link, one_click=False)
        if form.get("action") == "undo":
            check_same_origin(request, parts.origin)
            return await run_in_threadpool(_undo, parts, request, link, form.get("undo", ""))
        raise Problem(400, "web.bad_request")

    return router


def is_one_click(body: bytes) -> bool:
    """Whether a mail program says ``List-Unsubscribe=One-Click``, as a form of either kind.

    Read leniently: the standard's own example of a multipart body lacks the dashes before its boundary
    (RFC 8058 section 8.3, errata 5117), and whoever followed it must be able to unsubscribe.
    """
    text = body.decode(errors="replace").strip()
    if not text.startswith("--"):
        return (
            any(
                (name.strip(), value.strip()) == (_FIELD, _ONE_CLICK)
                for name, value in parse_qsl(text, max_num_fields=20)
            )
            if text.count("&") < 20
            else False
        )
    lines = [line.strip() for line in text.splitlines()]
    named = (
        n for n, line in enumerate(lines) if line.lower().startswith("content-disposition") and _FIELD in line
    )
    return any(
        next((line for line in lines[n + 1 :] if line and ":" not in line), "") == _ONE_CLICK for n in named
    )


def _ask(parts: Parts, request: Request, link: Opened) -> Response:
    standing = parts.choices.standing(link.customer, now=parts.clock())
    return _page(parts, request, standing, link, "confirm", _purposes(parts, link))


def _unsubscribe(parts: Parts, request: Request, link: Opened, *, one_click: bool) -> Response:
    now = parts.clock()
    standing = parts.choices.standing(link.customer, now=now)
    purposes, channel = _purposes(parts, link), _channel(link)
    occasion = _occasion(now, language_of(request, standing.customer.language), one_click=one_click)
    facts = [fact for purpose in purposes for fact in standing.withdrawn(purpose, channel, occasion)]
    parts.receiver.tell(facts, at=now)
    undo = ""
    if facts and not one_click:
        kept = [choice for purpose in purposes for choice in standing.kept(purpose, channel)]
        plan = tuple((cell.purpose, cell.topic, on) for cell, on in kept)
        undo = parts.links.undo(replace(link, at=int(now.timestamp()), plan=plan))
    return _page(parts, request, standing, link, "done", purposes, undone=False, undo=undo)


def _undo(parts: Parts, request: Request, link: Opened, token: str) -> Response:
    now = parts.clock()
    undo = parts.links.opened("undo", token)
    if replace(undo, at=0, plan=()) != link:
        raise InputRefused("link.forged")
    if now.timestamp() - undo.at > _UNDO_WITHIN.total_seconds():
        raise Problem(410, "web.undo_expired")
    channel = _channel(link)
    choices = [(Cell(_purpose(purpose), channel, topic), on) for purpose, topic, on in undo.plan]
    standing = parts.choices.standing(link.customer, now=now)
    version = text_version(SOURCE, language_of(request, standing.customer.language))
    occasion = Occasion(SOURCE, "undo on the unsubscribe page", now, "web", version)
    parts.receiver.tell(standing.changed(choices, occasion), at=now)
    purposes = tuple(dict.fromkeys(cell.purpose for cell, _ in choices))
    return _page(parts, request, standing, link, "done", purposes, undone=True, undo="")


def _occasion(now: datetime, language: str, *, one_click: bool) -> Occasion:
    if one_click:
        return Occasion(SOURCE, "one-click", now, "mail program")
    return Occasion(SOURCE, "unsubscribe page", now, "web", text_version(SOURCE, language))


def _purposes(parts: Parts, link: Opened) -> tuple[Purpose, ...]:
    """What the customer says no to: the message's purpose; all that can be chosen where it is neither."""
    addressee = parts.receiver.addressees({link.message}).get(link.message)
    return (addressee.purpose,) if addressee and addressee.purpose in CHOSEN else CHOSEN


def _channel(link: Opened) -> ChannelName:
    found: tuple[ChannelName, ...] = get_args(ChannelName)
    return next(channel for channel in found if channel == link.channel)


def _purpose(name: str) -> Purpose:
    return next(purpose for purpose in CHOSEN if purpose == name)


def _page(
    parts: Parts,
    request: Request,
    standing: Standing,
    link: Opened,
    name: str,
    purposes: tuple[Purpose, ...],
    **values: object,
) -> Response:
    language = language_of(request, standing.customer.language)
    wording = Wording(language)
    what = wording.tell("web.and").join(wording.tell(f"web.what.{purpose}") for purpose in purposes)
    return page(
        parts,
        name,
        language,
        {
            "what": what,
            "by": wording.tell(f"web.by.{link.channel}"),
            "preferences": parts.links.preferences(standing.customer.subject),
            **values,
        },
    )
