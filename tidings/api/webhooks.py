"""POST /webhooks/{endpoint}/answers: what a journey's webhook answers later."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from channels.provider import Callback
from domain.errors import InputRefused
from stores.inbox import Refusal
from tidings.api.guard import Problem, body_of
from tidings.api.parts import Answers, Calls, Parts
from tidings.calling import answer_of

BODY_BYTES = 65_536
_STATUS = {"callback.forged": 403}


def routes(parts: Parts) -> APIRouter:
    """The resource."""
    router = APIRouter()

    @router.post("/webhooks/{endpoint}/answers", status_code=204)
    async def answered(endpoint: str, request: Request) -> Response:
        """204 once the answer is committed; the first answer to a call counts."""
        if parts.answers is None or parts.calls is None:
            raise Problem(404, "web.not_found")
        body = await body_of(request, limit=BODY_BYTES)
        headers = {name.lower(): value for name, value in request.headers.items()}
        callback = Callback("", headers, body, parts.clock())
        await run_in_threadpool(_take, parts, parts.answers, parts.calls, endpoint, callback)
        return Response(status_code=204)

    return router


def _take(parts: Parts, answers: Answers, calls: Calls, endpoint: str, callback: Callback) -> None:
    now = callback.at
    try:
        answer = answers.verify(endpoint, callback)
    except InputRefused as error:
        # One origin for all: who calls chooses the name of the endpoint.
        refusal = Refusal("request", error.code, error.values, callback.body)
        parts.receiver.refuse("webhooks", refusal, at=now)
        raise Problem(_STATUS.get(error.code, 400), error.code, **error.values) from error
    customer = calls.customer_of(answer.call, endpoint=endpoint)
    if customer is None:
        raise Problem(404, "webhook.unknown_call", call=answer.call)
    told = answer_of(answer.call, endpoint, customer, answer.values, ok=answer.ok, at=now)
    parts.receiver.tell([told.envelope], at=now)
