"""POST /callbacks/{provider}: what providers tell of messages and of those who got them."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from channels.provider import Callback, Provider
from domain.errors import InputRefused
from stores.inbox import Refusal
from tidings.api.guard import Problem, body_of
from tidings.api.parts import Echo, Parts

BODY_BYTES = 1_048_576
_STATUS = {"callback.forged": 403, "callback.unreadable": 400}


def routes(parts: Parts) -> APIRouter:
    """The resource."""
    router = APIRouter()

    @router.post("/callbacks/{provider}", status_code=204)
    async def told(provider: str, request: Request) -> Response:
        """204 once what was told is committed, also where it was told before."""
        found = _provider(parts, provider)
        body = await body_of(request, limit=BODY_BYTES)
        headers = {name.lower(): value for name, value in request.headers.items()}
        callback = Callback(public_url_of(parts, request), headers, body, parts.clock())
        await run_in_threadpool(_take, parts, provider, found, callback)
        return Response(status_code=204)

    @router.get("/callbacks/{provider}")
    async def asked(provider: str, request: Request) -> Response:
        """A provider's question whether this address is ours, where it has one."""
        found = _provider(parts, provider)
        if not isinstance(found, Echo):
            raise Problem(405, "web.wrong_method")
        headers = {name.lower(): value for name, value in request.headers.items()}
        callback = Callback(public_url_of(parts, request), headers, b"", parts.clock())
        try:
            answer = found.echo(callback)
        except InputRefused as error:
            raise Problem(_STATUS.get(error.code, 400), error.code, **error.values) from error
        return Response(answer, media_type="text/plain")

    return router


def public_url_of(parts: Parts, request: Request) -> str:
    """The address that the provider was told to call, which it signs: ours, whatever the Host header says."""
    raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    path = raw_path.partition(b"?")[0].decode("latin-1")
    return f"{parts.links.public_url}{path}" + (f"?{query.decode('latin-1')}" if query else "")


def _provider(parts: Parts, name: str) -> Provider:
    found = parts.providers.get(name)
    if found is None:
        raise Problem(404, "web.unknown_provider")
    return found


def _take(parts: Parts, name: str, provider: Provider, callback: Callback) -> None:
    origin = f"callback/{name}"
    try:
        receipts = provider.receipts(callback)
    except InputRefused as error:
        refusal = Refusal("request", error.code, error.values, callback.body)
        parts.receiver.refuse(origin, refusal, at=callback.at)
        raise Problem(_STATUS.get(error.code, 400), error.code) from error
    parts.receiver.take(origin, callback, receipts)
