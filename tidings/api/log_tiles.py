"""GET /checkpoint and /tile/...: the log's tree as C2SP tlog-tiles lays it out, as far as it is signed.

There are hashes only, which name nobody; how many events there are is what they tell.
"""

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from audit.tile_paths import TileName, read_path
from audit.tree import HASH_BYTES, TILE_WIDTH
from stores.tree import StoredTree
from tidings.api.guard import Problem
from tidings.api.parts import Parts
from tidings.publication import entry_bundle

_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def routes(parts: Parts) -> APIRouter:
    """The resource; without ``serves_log`` there is none."""
    router = APIRouter()
    if not parts.settings.serves_log:
        return router
    tree = StoredTree(parts.tidings.engine)

    @router.get("/checkpoint")
    @router.head("/checkpoint", include_in_schema=False)
    async def checkpoint() -> Response:
        """The newest signed head. It changes, so nobody should keep it for long."""
        last = await run_in_threadpool(tree.last_checkpoint)
        if last is None:
            raise Problem(404, "web.not_found")
        return Response(last.note.encode(), media_type="text/plain; charset=utf-8")

    @router.get("/tile/{rest:path}")
    @router.head("/tile/{rest:path}", include_in_schema=False)
    async def tile(rest: str) -> Response:
        """A tile of hashes or a bundle of entries, whole or as wide as is asked; it never changes."""
        name = read_path(f"tile/{rest}")
        content = None if name is None else await run_in_threadpool(_content, tree, name)
        if content is None:
            raise Problem(404, "web.not_found")
        return Response(content, headers=_FOR_EVER, media_type="application/octet-stream")

    return router


def _content(tree: StoredTree, name: TileName) -> bytes | None:
    """The bytes; None for what no checkpoint covers yet."""
    last = tree.last_checkpoint()
    hashes_there = (last.size if last else 0) // TILE_WIDTH ** (name.level or 0)
    if name.number * TILE_WIDTH + name.width > hashes_there:
        return None
    if name.level is None:
        return entry_bundle(tree, name)
    return tree.tile(name.level, name.number)[: name.width * HASH_BYTES] or None
