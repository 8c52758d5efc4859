"""Calls of other systems by journeys: made when that is recorded, answered once, never stuck."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook as Signer

from channels.webhook import Webhooks
from domain.errors import StoreUnusable
from stores.calls import Calls
from stores.inbox import Inbox
from support.house import HOUR, MORNING, SECOND, House
from support.postgres import fresh_database
from support.push_loopback import answers, drops
from support.push_servers import WEBHOOK_SECRET, WebhookServer
from support.service import serving
from tidings.calling import Courier


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.long])])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    with ExitStack() as stack:
        server = stack.enter_context(WebhookServer(tmp_path))
        house = House(tmp_path, server, fresh_database() if request.param == "postgresql" else None)
        yield house
        assert house.bank.verify().findings == []
        house.tidings.engine.dispose()


def test_an_answer_leads_on_with_its_values(house: House) -> None:
    assert house.go("c-1").live() == 1
    assert house.ends() == ["answered"]
    assert len(house.channel.given) == 1
    assert house.rows() == []
    (asked,) = house.server.asked
    assert msgspec.json.decode(asked.body)["data"] == {"amount": 7}
    house.server.values = {"score": 300}
    house.go("c-2").live()
    assert house.ends("c-2") == ["answered"]
    assert len(house.channel.given) == 1


def test_a_call_that_failed_leads_elsewhere(house: House) -> None:
    house.go("c-1").server.will(answers(422))
    house.live()
    assert house.ends() == ["failed"]
    assert house.rows() == []
    assert house.channel.given == []


def test_a_call_that_came_to_nothing_is_made_again_later_and_answered_once(house: House) -> None:
    house.go("c-1").server.will(drops(taken=True), answers(503))
    assert house.live() == 1
    assert [tries for _, tries in house.rows()] == [1]
    assert house.live() == 0
    assert house.live(MORNING + timedelta(minutes=1)) == 1
    assert house.live(MORNING + timedelta(minutes=10)) == 1
    assert house.ends() == ["answered"]
    assert house.answered() == 1
    assert len({asked.headers["webhook-id"] for asked in house.server.asked}) == 1
    assert house.rows() == []


def test_who_asks_to_be_called_at_once_is_not_called_over_and_over(house: House) -> None:
    house.go("c-1").server.will(answers(429, retry_after="0"), answers(429, retry_after="0"))
    assert house.live() == 1
    assert house.live(MORNING + SECOND) == 1
    assert house.live(MORNING + 2 * SECOND) == 1
    assert house.ends() == ["answered"]


def test_who_is_late_finds_the_journey_gone_on_and_the_call_forgotten(house: House) -> None:
    house.go("c-1").server.will(*[answers(503, retry_after="99999")] * 9)
    house.live()
    house.live(MORNING + 2 * HOUR)
    assert house.ends() == ["timeout"]
    assert house.rows() == []
    assert len(house.server.asked) == 1


def late(house: House, call: str, *, moment: datetime, score: int) -> dict[str, Any]:
    """An answer by a callback, as the endpoint would sign it."""
    body = msgspec.json.encode({"data": {"call": call, "values": {"score": score}}})
    return {
        "content": body,
        "headers": {
            "webhook-id": f"msg-{score}",
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Signer(WEBHOOK_SECRET).sign(f"msg-{score}", moment, body.decode()),
        },
    }


def test_an_answer_may_come_later_and_the_first_one_counts(house: House) -> None:
    house.go("c-1").server.will(answers(202))
    assert house.live() == 1
    ((call, _),) = house.rows()
    moment = MORNING + HOUR
    both = Webhooks({"scoring": house.settings, "other": house.settings}, clock=house.wall)
    wired = {"answers": both, "calls": Calls(house.tidings.engine)}
    with serving(house.bank, now=moment, **wired) as service:
        path = "/webhooks/scoring/answers"
        # Who may answer another call must not answer this one.
        stranger = service.client.post("/webhooks/other/answers", **late(house, call, moment=moment, score=1))
        assert stranger.status_code == 404
        for score in (710, 5):
            told = service.client.post(path, **late(house, call, moment=moment, score=score))
            assert told.status_code == 204
        assert service.client.post(path, **late(house, "no", moment=moment, score=1)).status_code == 404
    assert house.live(moment) == 0
    assert house.ends() == ["answered"]
    assert len(house.channel.given) == 1
    house.live(MORNING + 2 * HOUR)
    assert house.rows() == []
    assert len(house.server.asked) == 1


def test_an_answer_that_never_comes_is_waited_for_as_long_as_the_step_says(house: House) -> None:
    house.go("c-1").server.will(answers(202))
    house.live()
    assert house.live(MORNING + 2 * HOUR - SECOND) == 0
    assert house.ends() == []
    house.live(MORNING + 2 * HOUR)
    assert house.ends() == ["timeout"]
    assert house.rows() == []


class Killed(BaseException):
    """The process is no more."""


class Dying:
    """An inbox at whose door the courier dies."""

    def __init__(self, inbox: Inbox, *, takes: bool) -> None:
        self._inbox = inbox
        self._takes = takes

    def take(self, *given: object, **named: object) -> object:
        if self._takes:
            self._inbox.take(*given, **named)  # type: ignore[arg-type]
        raise Killed


@pytest.mark.parametrize("takes", [True, False])
def test_a_crash_between_answer_and_fact_loses_nothing_and_doubles_nothing(house: House, takes: bool) -> None:
    house.go("c-1")
    with pytest.raises(Killed):
        house.courier(Dying(house.tidings.inbox, takes=takes)).deliver()  # type: ignore[arg-type]
    house.server.values = {"score": 1}
    # Who has claimed a call and does not come back leaves it to the next one.
    assert house.live(MORNING + timedelta(minutes=1)) == 0
    assert house.live(MORNING + timedelta(minutes=3)) == 1
    assert house.answered() == 1
    assert house.ends() == ["answered"]
    assert len(house.channel.given) == (1 if takes else 0)
    assert house.rows() == []
    assert house.refusals() == []


def test_two_couriers_make_each_call_once(house: House) -> None:
    names = [f"c-{number}" for number in range(30)]
    house.go(*names)
    start = Barrier(2)
    made: list[int] = []

    def deliver() -> None:
        courier = house.courier()
        start.wait()
        made.append(courier.deliver())

    threads = [Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(made) == len(names)
    assert set(house.server.taken.values()) == {1}
    house.work()
    assert [house.ends(name) for name in names] == [["answered"]] * len(names)
    assert house.rows() == []
    assert house.refusals() == []


def test_two_couriers_with_one_call_have_one_answer(house: House) -> None:
    """The first one was so slow that another came to claim its call."""
    house.go("c-1")
    calls = Calls(house.tidings.engine)
    (slow,) = calls.claim(now=MORNING, limit=9)
    assert house.live(MORNING + timedelta(minutes=3)) == 1
    house.server.values = {"score": 1}
    asyncio.run(house.courier()._deliver([slow]))
    house.work()
    assert house.answered() == 1
    assert house.rows() == []
    assert house.refusals() == []


def test_an_endpoint_that_nobody_has_set_up_is_waited_for_in_vain(house: House) -> None:
    house.tidings.engine.dispose()
    house.tidings = house.opened()
    house.go("c-1")
    assert house.rows() == []
    assert house.live(MORNING + 2 * HOUR) == 0
    assert house.ends() == ["timeout"]


def test_an_endpoint_that_was_taken_away_meanwhile_fails(house: House) -> None:
    house.go("c-1")
    courier = Courier(Calls(house.tidings.engine), house.tidings.inbox, Webhooks({}), clock=house.wall)
    assert courier.deliver() == 1
    house.work()
    assert house.ends() == ["failed"]
    assert house.rows() == []


def test_one_call_that_breaks_does_not_stop_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house.go("c-1", "c-2")
    made: Callable[..., object] = Webhooks.call
    broken = house.rows()[0][0]

    def call(webhooks: Webhooks, endpoint: str, *, call: str, **given: object) -> object:
        if call == broken:
            raise RuntimeError("a bug")
        return made(webhooks, endpoint, call=call, **given)

    monkeypatch.setattr(Webhooks, "call", call)
    assert house.live() == 2
    assert [house.rows()[0][0], len(house.rows())] == [broken, 1]
    assert "a bug" in caplog.text
    monkeypatch.undo()
    house.live(MORNING + timedelta(minutes=1))
    assert [house.ends("c-1"), house.ends("c-2")] == [["answered"]] * 2


def test_a_store_that_fails_in_the_middle_leaves_the_calls_for_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.go("c-1")

    def fails(*_: object, **__: object) -> None:
        raise StoreUnusable("store.busy", store="it")

    monkeypatch.setattr(Calls, "end", fails)
    with pytest.raises(StoreUnusable):
        house.courier().deliver()
    monkeypatch.undo()
    assert house.live(MORNING + timedelta(minutes=3)) == 1
    assert house.answered() == 1
    assert house.rows() == []
