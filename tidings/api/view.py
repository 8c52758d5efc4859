"""/view/{token}: a message in a browser, for whom a mail program shows it badly."""

from base64 import b64encode

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from channels.base import Outgoing
from tidings.api.guard import Problem
from tidings.api.pages import language_of, page
from tidings.api.parts import Parts
from tidings.as_sent import as_sent
from tidings.personalising import with_links

# What a mail may show: its own styles and pictures, and nothing from elsewhere.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; sandbox allow-popups allow-top-navigation-by-user-activation"
)


def routes(parts: Parts) -> APIRouter:
    """The resource."""
    router = APIRouter()

    @router.get("/view/{token}")
    async def shown(token: str, request: Request) -> Response:
        """The message as it was sent, made again from the record."""
        link = parts.links.opened("view", token)
        message = await run_in_threadpool(_sent, parts, link.message)
        if not message.html:
            words = {"heading": message.heading, "text": message.text}
            return page(parts, "viewed", language_of(request, message.language), words)
        headers = {"Content-Security-Policy": _POLICY, "Content-Language": message.language}
        return Response(_with_pictures(message), media_type="text/html", headers=headers)

    return router


def _sent(parts: Parts, message: str) -> Outgoing:
    addressee = parts.receiver.addressees({message}).get(message)
    if addressee is None:
        raise Problem(404, "web.not_found")
    return with_links(as_sent(parts.tidings, addressee.customer, message), parts.links)


def _with_pictures(message: Outgoing) -> str:
    html = message.html
    for image in message.images:
        shown = f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
        html = html.replace(f"cid:{image.name}", shown)
    return html
