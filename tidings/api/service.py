"""Builds the HTTP service around an open store; nothing is opened or started before it is asked for."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from channels.provider import Provider
from domain.errors import TidingsError
from tidings.api import (
    app_inbox,
    callbacks,
    facts,
    health,
    log_tiles,
    preferences,
    tracked,
    unsubscribe,
    view,
    webhooks,
)
from tidings.api.guard import Guard, Problem, problem_of, problem_response
from tidings.api.pages import is_page, problem_page
from tidings.api.parts import Answers, Calls, Mailbox, Parts, ServiceSettings
from tidings.bootstrap import Tidings, wall_clock
from tidings.choices import Choices
from tidings.dead_letters import BoundedLetters
from tidings.links import Links
from tidings.receiving import Contacts, Receiver

_DOCS_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; style-src https://cdn.jsdelivr.net;"
    " img-src data: https://fastapi.tiangolo.com; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_RESOURCES = (
    callbacks,
    unsubscribe,
    preferences,
    tracked,
    view,
    app_inbox,
    webhooks,
    facts,
    health,
    log_tiles,
)


def application(
    tidings: Tidings,
    *,
    providers: Mapping[str, Provider],
    links: Links,
    contacts: Contacts,
    settings: ServiceSettings | None = None,
    mailbox: Mailbox | None = None,
    answers: Answers | None = None,
    calls: Calls | None = None,
    clock: Callable[[], datetime] = wall_clock,
) -> FastAPI:
    """The service. ``providers`` are called back by their names; what is not wired answers 404.

    Customers reach it through a proxy that ends TLS; ``links`` has the address by which they do. Run it
    without an access log: paths hold links that let whoever has them in.
    """
    receiver = Receiver(tidings, contacts, BoundedLetters())
    parts = Parts(
        tidings=tidings,
        settings=settings or ServiceSettings(),
        providers=providers,
        links=links,
        receiver=receiver,
        choices=Choices(tidings),
        clock=clock,
        mailbox=mailbox,
        answers=answers,
        calls=calls,
    )

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(receiver.close, at=clock())

    documented = parts.settings.documented
    app = FastAPI(
        title="Tidings",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if documented else None,
        lifespan=living,
    )

    async def told(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        return problem_page(parts, request, problem) if is_page(request) else problem_response(problem)

    for kind in (TidingsError, Problem, HTTPException):
        app.add_exception_handler(kind, told)
    for resource in _RESOURCES:
        app.include_router(resource.routes(parts))
    if documented:
        app.get("/docs", include_in_schema=False)(_docs)
    app.add_middleware(Guard)
    return app


async def _docs() -> Response:
    """The library's own page, under a policy that lets its scripts in from where they lie."""
    page = get_swagger_ui_html(openapi_url="openapi.json", title="Tidings")
    page.headers["Content-Security-Policy"] = _DOCS_POLICY
    return page
