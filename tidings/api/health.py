"""GET /health: whether the store answers; nothing about anybody."""

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from tidings.api.parts import Parts


def routes(parts: Parts) -> APIRouter:
    """The resource."""
    router = APIRouter()

    @router.get("/health")
    @router.head("/health", include_in_schema=False)
    async def health() -> Response:
        """200 where the store can be read, else 503."""
        await run_in_threadpool(parts.tidings.history.customer_partitions)
        return Response(b'{"status":"ok"}', media_type="application/json")

    return router
