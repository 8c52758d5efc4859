"""Callbacks over HTTP: who may call, how much may be sent, what is answered, and what is never told."""

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from channels.provider import Callback, Receipt
from domain.errors import InputRefused
from support.bank import Bank
from support.service import (
    API_KEY,
    MORNING,
    Holders,
    ScriptedProvider,
    Service,
    bank_with_message,
    on_loopback,
    serving,
)
from tidings.api import ServiceSettings
from tidings.api.callbacks import BODY_BYTES
from tidings.wording import Wording

KEY = {"authorization": f"Bearer {API_KEY}"}
EVENT = (
    '{"specversion":"1.0","type":"session.started/1","source":"/app","id":"%s","subject":"c-1",'
    '"time":"2026-03-02T09:00:00+01:00","data":{"channel":"app"}}'
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    bank, _ = bank_with_message(tmp_path)
    with serving(bank) as found:
        yield found


def delivered(service: Service, key: str = "r-1") -> Receipt:
    (entry,) = service.bank.ledger()
    return Receipt(told="delivered", key=key, channel="email", message=entry.id)


def test_a_forged_callback_changes_nothing_and_is_noted(service: Service) -> None:
    answer = service.calls_back(delivered(service), signature="bad")
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": Wording("en").tell("callback.forged"),
        "code": "callback.forged",
    }
    assert service.waiting() == []
    ((origin, code, _, raw),) = service.dead_letters()
    assert (origin, code) == ("callback/post", "callback.forged")
    assert msgspec.json.decode(raw, type=list[Receipt]) == [delivered(service)]


def test_a_replayed_callback_counts_once(service: Service) -> None:
    answers = [service.calls_back(delivered(service)).status_code for _ in range(3)]
    assert answers == [204, 204, 204]
    assert len(service.waiting()) == 1
    assert service.dead_letters() == []


def test_many_callbacks_at_once_are_each_taken_once(service: Service) -> None:
    receipts = [delivered(service, key=f"r-{number % 12}") for number in range(36)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(service.calls_back, receipts))
    assert {answer.status_code for answer in answers} == {204}
    assert len(service.waiting()) == 12
    assert service.dead_letters() == []


def test_an_unreadable_callback_is_answered_400(service: Service) -> None:
    answer = service.client.post("/callbacks/post", content=b"{", headers={"x-signature": "good"})
    assert (answer.status_code, answer.json()["code"]) == (400, "callback.unreadable")
    assert [letter[1] for letter in service.dead_letters()] == ["callback.unreadable"]


def test_a_flood_of_forgeries_does_not_fill_the_store(service: Service) -> None:
    for _ in range(150):
        assert service.client.post("/callbacks/post", content=b"x" * 5_000).status_code == 403
    letters = service.dead_letters()
    assert len(letters) == 60
    assert max(len(letter[3]) for letter in letters) == 4_096
    service.client.__exit__(None, None, None)
    *_, (_, code, reason, _) = service.dead_letters()
    assert (code, reason.partition(",")[0]) == ("callback.more_refused", "count=90")
    service.client.__enter__()


def test_an_unknown_provider_is_answered_404_and_notes_nothing(service: Service) -> None:
    answer = service.client.post("/callbacks/nobody", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (404, "web.unknown_provider")
    assert service.dead_letters() == []


def test_what_says_that_it_is_too_large_is_refused_before_it_is_read(service: Service) -> None:
    answer = service.client.post("/callbacks/post", content=b"x" * (BODY_BYTES + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "web.too_large")


def test_what_turns_out_too_large_is_refused_while_it_is_read(service: Service) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for _ in range(1_000):
            read += 1
            yield b"x" * 65_536

    answer = service.client.post("/callbacks/post", content=endless())
    assert answer.status_code == 413
    assert service.dead_letters() == []


def test_a_real_server_answers_before_a_body_without_end_has_ended(service: Service) -> None:
    head = b"POST /callbacks/post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with on_loopback(service) as address, socket.create_connection(address, timeout=30) as caller:
        caller.sendall(head + chunk * (BODY_BYTES // 65_536 + 1))
        assert caller.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_a_real_server_sends_no_page_after_a_head(service: Service) -> None:
    path = service.path(service.links.preferences("c-1")).encode()
    with on_loopback(service) as address, socket.create_connection(address, timeout=30) as caller:
        caller.sendall(b"HEAD " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        told = b""
        while part := caller.recv(65_536):
            told += part
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b""


@pytest.mark.parametrize("length", ["-1", "+5", "x", "１"])
def test_a_nonsensical_length_is_refused(service: Service, length: str) -> None:
    answer = service.client.post("/callbacks/post", content=b"", headers={b"content-length": length.encode()})
    assert answer.status_code == 400


def test_the_signed_address_is_the_public_one_whatever_the_host_header_says(service: Service) -> None:
    service.client.post(
        "/callbacks/post?a=%2F&b=c%20d",
        content=b"[]",
        headers={"x-signature": "good", "host": "evil.example"},
    )
    assert service.provider.urls == ["https://care.bank.example/callbacks/post?a=%2F&b=c%20d"]


def test_a_full_inbox_asks_the_provider_to_call_again(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    bank.settings = type(bank.settings)(bank.settings.store, bank.settings.outbox, waiting_limit=1)
    receipts = [Receipt(told="delivered", key=key, channel="email", message=message) for key in ("a", "b")]
    with serving(bank) as service:
        assert service.calls_back(receipts[0]).status_code == 204
        answer = service.calls_back(receipts[1])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        service.run()
        assert service.calls_back(receipts[1]).status_code == 204


def test_a_bug_is_answered_without_a_trace_and_logged_without_what_it_happened_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(ScriptedProvider):
        def receipts(self, callback: Callback) -> list[Receipt]:
            raise RuntimeError("one@example.com")

    bank, _ = bank_with_message(tmp_path)
    with serving(bank, providers={"post": Broken()}) as service, caplog.at_level(logging.INFO):
        answer = service.client.post("/callbacks/post?secret=1", content=b"c-1")
    assert (answer.status_code, answer.json()["code"]) == (500, "web.failed")
    assert answer.headers["x-content-type-options"] == "nosniff"
    logged = " ".join(record.getMessage() for record in caplog.records if record.name == "tidings.api")
    assert "RuntimeError" in logged
    assert "test_api_callbacks.py" in logged
    assert not [word for word in ("one@example.com", "secret", "c-1") if word in logged]


def test_a_store_that_cannot_be_used_is_told_without_its_place(tmp_path: Path) -> None:
    bank, message = bank_with_message(tmp_path)
    with serving(bank) as service:
        bank.sql("DROP TABLE fact_keys")
        answer = service.calls_back(Receipt(told="delivered", key="a", channel="email", message=message))
    assert (answer.status_code, answer.json()["code"]) == (503, "web.unavailable")
    assert str(tmp_path) not in answer.text


def test_a_handshake_is_answered_where_the_provider_has_one(service: Service) -> None:
    good = service.client.get("/callbacks/post?signature=good&echostr=42")
    assert (good.status_code, good.text) == (200, "42")
    assert good.headers["content-type"].startswith("text/plain")
    assert service.client.get("/callbacks/post?signature=bad&echostr=<b>").status_code == 403


def test_a_provider_without_a_handshake_is_not_asked(tmp_path: Path) -> None:
    class Plain:
        name = "plain"

        def receipts(self, callback: Callback) -> list[Receipt]:
            raise InputRefused("callback.forged")

    with serving(Bank(tmp_path), providers={"plain": Plain()}, contacts=Holders()) as service:
        assert service.client.get("/callbacks/plain").status_code == 405


@pytest.mark.parametrize(
    "path", ["/health", "/nothing", "/callbacks/post", "/u/forged", "/p/x", "/l/x", "/facts"]
)
def test_every_answer_bears_the_headers(service: Service, path: str) -> None:
    headers = service.client.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_health_says_nothing_of_anybody(service: Service) -> None:
    assert service.client.get("/health").text == '{"status":"ok"}'
    assert service.client.get("/docs").status_code == 404
    assert service.client.get("/openapi.json").status_code == 404


def test_documentation_is_shown_where_it_was_asked_for(tmp_path: Path) -> None:
    with serving(Bank(tmp_path), settings=ServiceSettings(documented=True)) as service:
        page = service.client.get("/docs")
        assert page.status_code == 200
        assert "https://cdn.jsdelivr.net" in page.headers["content-security-policy"]
        paths = service.client.get("/openapi.json").json()["paths"]
    assert {"/callbacks/{provider}", "/u/{token}", "/p/{token}", "/l/{token}", "/facts"} <= set(paths)


# The app's inbox, webhooks and facts.


@pytest.mark.parametrize(
    "key", [None, b"Bearer", b"Bearer wrong", f"Basic {API_KEY}".encode(), "Bearer ключ".encode()]
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/inbox/c-1"), ("POST", "/inbox/c-1/m-1/read"), ("POST", "/facts")]
)
def test_programs_need_a_key(service: Service, method: str, path: str, key: bytes | None) -> None:
    headers = {} if key is None else {b"authorization": key}
    before = service.whole()
    answer = service.client.request(method, path, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert service.whole() == before


def test_the_app_lists_messages_and_tells_once_that_one_was_read(service: Service) -> None:
    (entry,) = service.bank.ledger()
    listed = service.client.get("/inbox/c-1", headers=KEY)
    assert listed.json() == {"messages": [{"message": "m-1", "title": "Dear c-1"}]}
    for _ in range(2):
        assert service.client.post(f"/inbox/c-1/{entry.id}/read", headers=KEY).status_code == 204
    assert [(kind, who, body["message"]) for kind, who, body in service.waiting()] == [
        ("message.opened/1", "c-1", entry.id)
    ]
    for customer, message in (("c-2", entry.id), ("c-1", "no-such-message")):
        assert service.client.post(f"/inbox/{customer}/{message}/read", headers=KEY).status_code == 404


def test_a_webhook_answers_later_and_once(service: Service) -> None:
    signed = {"webhook-signature": "good for score"}
    body = b'{"call":"call-1:c-1","ok":true,"values":{"score":7}}'
    for content in (body, body.replace(b"7", b"8")):
        assert (
            service.client.post("/webhooks/score/answers", content=content, headers=signed).status_code == 204
        )
    ((kind, customer, told),) = service.waiting()
    assert (kind, customer, told["call"], told["ok"], told["values"]) == (
        "webhook.answered/1", "c-1", "call-1:c-1", True, {"score": 7},
    )  # fmt: skip


def test_a_forged_or_unknown_answer_of_a_webhook_changes_nothing(service: Service) -> None:
    forged = service.client.post("/webhooks/score/answers", content=b"{}")
    unknown = service.client.post(
        "/webhooks/score/answers",
        content=b'{"call":"call-1","ok":true}',
        headers={"webhook-signature": "good for score"},
    )
    assert (forged.status_code, unknown.status_code) == (403, 404)
    assert service.waiting() == []
    assert [letter[:2] for letter in service.dead_letters()] == [("webhooks", "callback.forged")]


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        (EVENT % 1, (1, 1, 0, 0)),
        (msgspec.json.format(EVENT % 1), (1, 1, 0, 0)),
        (f"[{EVENT % 1},{EVENT % 2},{EVENT % 1}]", (3, 2, 1, 0)),
        (f"{EVENT % 1}\n\n{EVENT % 2}\n", (2, 2, 0, 0)),
        (f"{EVENT % 1}\n{{}}\n{(EVENT % 3).replace('c-1', 'nobody')}", (3, 1, 0, 2)),
        ("not json", (1, 0, 0, 1)),
    ],
)
def test_facts_come_in_as_the_command_line_takes_them(
    service: Service, body: str, counts: tuple[int, ...]
) -> None:
    answer = service.client.post("/facts", content=body.encode(), headers=KEY)
    assert answer.status_code == 200
    told = answer.json()
    assert tuple(told[name] for name in ("read", "accepted", "repeated", "refused")) == counts
    assert len(told["refusals"]) == counts[3]
    assert all(refusal["detail"] and refusal["place"] for refusal in told["refusals"])
    assert len(service.dead_letters()) == counts[3]


@pytest.mark.parametrize("body", [b"", b"[]", b"[{", b" \n "])
def test_facts_that_are_none_are_refused_whole(service: Service, body: bytes) -> None:
    answer = service.client.post("/facts", content=body, headers=KEY)
    assert answer.status_code == 400
    assert answer.json()["code"].startswith("import.")


def test_what_is_not_wired_is_not_there(tmp_path: Path) -> None:
    with serving(Bank(tmp_path), mailbox=None, answers=None, calls=None) as service:
        assert service.client.get("/inbox/c-1", headers=KEY).status_code == 404
        assert service.client.post("/webhooks/a/answers", content=b"{}").status_code == 404
    assert service.now == MORNING
