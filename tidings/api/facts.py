"""POST /facts: facts in, as CloudEvents in JSON: one event, an array of them, or one a line."""

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from tidings.api.guard import body_of, check_key
from tidings.api.parts import Parts
from tidings.importing.cloudevents import read_events
from tidings.importing.reading import Imported, take_in
from tidings.wording import Wording

BODY_BYTES = 16 * 1_048_576
ORIGIN = "http"


def routes(parts: Parts) -> APIRouter:
    """The resource."""
    router = APIRouter()

    @router.post("/facts")
    async def told(request: Request) -> Response:
        """Counts as ``tidings import --json`` gives them, and the first refusals with their reasons."""
        check_key(request, parts.settings)
        body = await body_of(request, limit=BODY_BYTES)
        imported = await run_in_threadpool(_take, parts, body)
        return Response(msgspec.json.encode(_shown(imported)), media_type="application/json")

    return router


def _take(parts: Parts, body: bytes) -> Imported:
    now = parts.clock()
    items = read_events(body, now=now)
    return take_in(items, parts.tidings.inbox, origin=ORIGIN, at=now, progress=lambda _: None)


def _shown(imported: Imported) -> dict[str, object]:
    wording = Wording("en")
    refusals = [
        {"place": r.place, "code": r.code, "detail": wording.tell(r.code, r.values)}
        for r in imported.refusals
    ]
    return {
        "read": imported.read,
        "accepted": imported.accepted,
        "repeated": imported.repeated,
        "refused": imported.refused,
        "refusals": refusals,
    }
