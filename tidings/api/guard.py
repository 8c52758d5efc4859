"""What holds for every request: security headers, limits on bodies, keys, and errors that give nothing away.

Nothing here or below it logs a path, a body or an error's text: paths are capabilities and hold ids.
"""

import asyncio
import hmac
import logging
import traceback
from hashlib import sha256
from http import HTTPStatus

import msgspec
from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import InputRefused, NotFound, StoreUnusable, TidingsError
from tidings.api.parts import ServiceSettings
from tidings.wording import Wording

BODY_SECONDS = 20
_RETRY_AFTER = {"inbox.full": "30", "web.unavailable": "5"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "Strict-Transport-Security": "max-age=31536000",
}
_log = logging.getLogger("tidings.api")


class Problem(Exception):
    """A request that is answered with an error: a status, a code of the text catalogue and its values."""

    def __init__(self, status: int, code: str, **values: object) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code
        self.values = values


class Guard:
    """Adds the headers to every response, and turns what nobody foresaw into a plain error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application around another."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except ClientDisconnect:
            return
        except Exception as error:
            # The one place for bugs: where it happened is logged, never what it happened to.
            _log.error("%s at %s", type(error).__name__, _where(error))
            if not begun:
                await problem_response(Problem(500, "web.failed"))(scope, receive, guarded)


def problem_of(error: Exception) -> Problem:
    """What a request is answered with whose handling ended in this error."""
    match error:
        case Problem():
            return error
        case HTTPException(status_code=404):
            return Problem(404, "web.not_found")
        case HTTPException(status_code=405):
            return Problem(405, "web.wrong_method")
        case HTTPException(status_code=status):
            return Problem(status, "web.bad_request")
        case NotFound(code=code, values=values):
            return Problem(404, code, **values)
        case InputRefused(code="inbox.full", values=values):
            return Problem(503, "inbox.full", **values)
        case InputRefused(code="link.forged"):
            return Problem(404, "link.forged")
        case InputRefused(code=code, values=values):
            return Problem(400, code, **values)
        case StoreUnusable(code=code) | TidingsError(code=code):
            _log.error("%s", code)
            return Problem(503, "web.unavailable")
    raise error


def problem_response(problem: Problem) -> Response:
    """The answer to a program. Source: RFC 9457 (problem details)."""
    told = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": Wording("en").tell(problem.code, problem.values),
        "code": problem.code,
    }
    headers = {"Content-Language": "en"}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if (after := _RETRY_AFTER.get(problem.code)) is not None:
        headers["Retry-After"] = after
    return Response(msgspec.json.encode(told), problem.status, headers, media_type="application/problem+json")


async def body_of(request: Request, *, limit: int) -> bytes:
    """The body, as long as it has no more than ``limit`` bytes and comes in time. Raises Problem."""
    told = request.headers.get("content-length", "0")
    if not told.isascii() or not told.isdigit():
        raise Problem(400, "web.bad_request")
    if int(told) > limit:
        raise Problem(413, "web.too_large", limit=limit)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                # A body may be longer than it says, or say nothing.
                if len(body) + len(chunk) > limit:
                    raise Problem(413, "web.too_large", limit=limit)
                body += chunk
    except TimeoutError as error:
        raise Problem(408, "web.too_slow") from error
    return bytes(body)


def check_key(request: Request, settings: ServiceSettings) -> None:
    """Raises Problem unless the request bears one of the keys; all are compared, each in constant time."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    digest = sha256(given.strip().encode()).digest()
    known = [hmac.compare_digest(sha256(key.encode()).digest(), digest) for key in settings.api_keys]
    if scheme.lower() != "bearer" or not any(known):
        raise Problem(401, "web.no_key")


def check_same_origin(request: Request, origin: str) -> None:
    """Raises Problem for a form that a page of somebody else sends.

    Browsers of before 2023 tell no Sec-Fetch-Site, and since our pages send no referrer they tell the origin
    as "null"; the link's token is what lets them in then, as it does everybody.
    """
    site = request.headers.get("sec-fetch-site")
    told = request.headers.get("origin", "null")
    foreign = site not in ("same-origin", "none") if site is not None else told not in ("null", origin)
    if foreign:
        raise Problem(403, "web.foreign_page")


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
