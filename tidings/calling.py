"""Calls of endpoints: rows beside the event that asks for one, made when it is committed, answered as facts.

A call may be made more than once, always under its own id, which the endpoint can tell repetitions by
(Standard Webhooks). The journey waits as long as its step says; whoever is late finds it gone on.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from channels.webhook import Again, Answered, Failed, Later, Webhooks
from domain.catalogue import WebhookAnswered
from domain.clock import to_micros
from domain.codec import decode_body
from domain.events import KIND_OF, WebhookCalled
from scheduler.backoff import delay
from stores.calls import Call, Calls
from stores.inbox import Inbox, Told
from tidings.importing.facts import Header, enveloped, shape_of

log = logging.getLogger("tidings.calling")
_AT_ONCE = 100
# An endpoint that asks to be called again at once is not called over and over.
_SOONEST = timedelta(seconds=1)
_CALLED = KIND_OF[WebhookCalled]
_ANSWERED = "webhook.answered/1"
Scalar = str | int | bool | None


class Courier:
    """Makes the calls that are due and takes their answers in as facts."""

    def __init__(
        self, calls: Calls, inbox: Inbox, webhooks: Webhooks, *, clock: Callable[[], datetime]
    ) -> None:
        """``clock`` is the one on the wall (aware UTC)."""
        self._calls = calls
        self._inbox = inbox
        self._webhooks = webhooks
        self._clock = clock

    def deliver(self) -> int:
        """Make what is due; gives how many calls were made. One at a time of it is enough."""
        made = 0
        while due := self._calls.claim(now=self._clock(), limit=_AT_ONCE):
            asyncio.run(self._deliver(due))
            made += len(due)
        return made

    async def _deliver(self, due: Sequence[Call]) -> None:
        begun = self._clock()
        awaited = [call for call in due if call.expires_at > begun]
        ended = [call for call in due if call.expires_at <= begun]
        try:
            answers = await asyncio.gather(*(self._call(call) for call in awaited))
        finally:
            await self._webhooks.close()
        now = self._clock()
        told: list[Told] = []
        again: list[tuple[Call, datetime]] = []
        for call, answer in zip(awaited, answers, strict=True):
            match answer:
                case Answered(values=values):
                    told.append(answer_of(call.call, call.endpoint, call.customer, values, ok=True, at=now))
                    ended.append(call)
                case Failed():
                    told.append(answer_of(call.call, call.endpoint, call.customer, {}, ok=False, at=now))
                    ended.append(call)
                case Later():
                    # It is kept so that the answer finds whom it is for, and then let go.
                    again.append((call, call.expires_at))
                case Again(after=after):
                    wait = delay(call.tries + 1, key=call.call) if after is None else max(after, _SOONEST)
                    again.append((call, min(now + wait, call.expires_at)))
        # The facts first: what is ended before they are taken in would be lost by a crash.
        self._inbox.take(told, origin="webhook", at=to_micros(now))
        self._calls.end(ended)
        self._calls.put_off(again)

    async def _call(self, call: Call) -> Answered | Later | Failed | Again:
        body = decode_body(_CALLED, call.body)
        assert isinstance(body, WebhookCalled)  # noqa: S101 - by its kind
        try:
            return await self._webhooks.call(
                call.endpoint, call=call.call, at=self._clock(), values=body.values, asked_at=call.made_at
            )
        except Exception as error:
            # A bug, told as loudly as one: but one call must not stop the others.
            log.error("the call of %s failed", call.endpoint, exc_info=error)
            return Again("webhook: failed")


def answer_of(
    call: str, endpoint: str, customer: str, values: dict[str, Scalar], *, ok: bool, at: datetime
) -> Told:
    """An answer as a fact of the customer whose journey waits for it; the first one counts."""
    header = Header(type=_ANSWERED, source=f"webhook/{endpoint}", id=call, subject=customer)
    fact = WebhookAnswered(source=header.source, id=call, call=call, ok=ok, values=values)
    envelope = enveloped(shape_of(_ANSWERED), header, at=at, fact=fact, now=at)
    return Told(envelope, f"webhook {endpoint}", once=True)
