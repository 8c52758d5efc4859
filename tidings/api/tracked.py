"""/l/{token}: a link of a message that tells us when it is followed.

A GET changes nothing: scanners of mail follow every link. The page that it gives goes on by itself.
"""

import logging
import re
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from channels.provider import Callback, Receipt
from domain.errors import TidingsError
from tidings.api.pages import language_of, page
from tidings.api.parts import Parts
from tidings.links import Opened

SOURCE = "links"
_HOST = re.compile(r"[A-Za-z0-9.-]+")
_log = logging.getLogger("tidings.api")


def routes(parts: Parts) -> APIRouter:
    """The resource."""
    router = APIRouter()

    @router.get("/l/{token}")
    @router.head("/l/{token}", include_in_schema=False)
    async def shown(token: str, request: Request) -> Response:
        """A page with the target, a button, and a script that presses it."""
        link = parts.links.opened("tracked", token)
        return page(
            parts,
            "leaving",
            language_of(request),
            {"target": link.target, "host": urlsplit(link.target).hostname or ""},
            forms_to=_origin(link.target),
            scripted=True,
        )

    @router.post("/l/{token}")
    async def followed(token: str) -> Response:
        """Count the click, once for each link of a message, and go on to the target that the link has."""
        link = parts.links.opened("tracked", token)
        try:
            await run_in_threadpool(_count, parts, link)
        except TidingsError as error:
            # Whoever follows a link gets there, whether it can be counted or not.
            _log.warning("a click was not counted: %s", error.code)
        return RedirectResponse(link.target, status_code=303)

    return router


def _count(parts: Parts, link: Opened) -> None:
    """A click is told as a receipt is: with all others of the moment, and once."""
    key = f"{link.message}/{link.number}"
    clicked = Receipt(told="clicked", key=key, channel="email", message=link.message, link=link.target)
    parts.receiver.take(SOURCE, Callback("", {}, b"", parts.clock()), [clicked])


def _origin(target: str) -> tuple[str, ...]:
    """For the page's policy: a browser follows a form's redirection only to where the policy allows it."""
    parts = urlsplit(target)
    try:
        host = (parts.hostname or "").encode("idna").decode()
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ()
    # Nothing else of an address may get into a header.
    return (f"{parts.scheme}://{host}{port}",) if _HOST.fullmatch(host) else ()
