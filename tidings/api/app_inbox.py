"""/inbox/{customer}: messages for the inbox in the bank's own app, which calls this with a key."""

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from channels.provider import Callback, Receipt
from tidings.api.guard import Problem, check_key
from tidings.api.parts import Mailbox, Parts

SOURCE = "inbox"


def routes(parts: Parts) -> APIRouter:
    """The resource."""
    router = APIRouter()

    @router.get("/inbox/{customer}")
    async def listed(customer: str, request: Request) -> Response:
        """The customer's messages, newest first."""
        check_key(request, parts.settings)
        found = await run_in_threadpool(_mailbox(parts).letters, customer, parts.clock())
        return Response(msgspec.json.encode({"messages": found}), media_type="application/json")

    @router.post("/inbox/{customer}/{message}/read", status_code=204)
    async def read(customer: str, message: str, request: Request) -> Response:
        """The customer opened the message in the app; told twice it counts once."""
        check_key(request, parts.settings)
        await run_in_threadpool(_opened, parts, _mailbox(parts), customer, message)
        return Response(status_code=204)

    return router


def _mailbox(parts: Parts) -> Mailbox:
    if parts.mailbox is None:
        raise Problem(404, "web.not_found")
    return parts.mailbox


def _opened(parts: Parts, mailbox: Mailbox, customer: str, message: str) -> None:
    addressee = parts.receiver.addressees({message}).get(message)
    if addressee is None or addressee.customer != customer:
        raise Problem(404, "message.unknown", message=message)
    opened = Receipt(told="opened", key=f"{message}/read", channel="inbox", message=message)
    now = parts.clock()
    mailbox.read(customer, message, now)
    # Told also where it was noted before: a crash may have lost the fact, and told twice it counts once.
    parts.receiver.take(SOURCE, Callback("", {}, b"", now), [opened])
