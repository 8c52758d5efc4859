"""A stand-in for Twilio's Messages API of 2010-04-01, in JSON, with failures to order and signed callbacks.

In a test: ``twilio = TwilioStandIn()``, ``with serving(twilio) as base_url``; ``twilio.fails(...)`` says what
becomes of the next messages, ``twilio.taken`` holds those that it took, ``twilio.count()`` how often each.
As a process of its own, which survives its client being killed (tests/ must be on the path):

    PYTHONPATH=tests python -m support.twilio_server --taken taken.jsonl [--drop-every N] [--refuse-every N]

It prints its port on a line and appends a JSON line {"id", "sid", "to", "body"} for each message that it
takes, before it answers. Every Nth of ``--drop-every`` is then taken and never answered, every Nth of
``--refuse-every`` is refused with 503 and code 20503. SIGTERM ends it; ``with running(...)`` does all that.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import http.client
import operator
import os
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import msgspec
from msgspec import Struct

from support.http_stand_in import Cut, Done, Half, Reply, Request, port_of, serve

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "token-of-the-stand-in"  # noqa: S105 - nobody else's
# As Twilio's own test credentials have it.
_MAGIC = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
_JSON = {"Content-Type": "application/json"}


class Taken(Struct, frozen=True):
    """A message that was accepted. ``id`` is ours, from the status callback."""

    sid: str
    id: str
    to: str
    sender: str
    body: str
    callback: str
    fields: Mapping[str, str]
    at: datetime
    sent: bool = False


class Failure(Struct, frozen=True):
    """What becomes of one message: taken or not, and how it is answered.

    ``status`` 0 answers as if all were well, as far as ``cut`` lets it.
    """

    status: int = 0
    code: int | None = None
    retry_after: str = ""
    taken: bool = False
    cut: Cut | None = None
    half: bool = False
    body: bytes | None = None


class TwilioStandIn:
    """Give it to ``serving``. It works on the server's loop: read it when an answer is there."""

    def __init__(self, *, account: str = ACCOUNT, user: str = ACCOUNT, password: str = TOKEN) -> None:
        self._path = f"/2010-04-01/Accounts/{account}/Messages.json"
        self._account = account
        self._login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._numbers = count(1)
        self._failures: deque[Failure] = deque()
        self.taken: list[Taken] = []
        self.requests: list[Request] = []
        self.record: int | None = None
        # Twilio accounts may be set to keep no texts.
        self.keeps_bodies = True

    def fails(self, *failures: Failure) -> None:
        """The next requests end so, one each, whatever they ask; those after them are answered well."""
        self._failures.extend(failures)

    def count(self) -> Counter[tuple[str, str, str]]:
        """How often each (To, Body, our id) was taken."""
        return Counter((message.to, message.body, message.id) for message in self.taken)

    def __call__(self, request: Request) -> Done:
        self.requests.append(request)
        if self._failures:
            return self._failed(request, self._failures.popleft())
        return self._answered(request)

    def _answered(self, request: Request) -> Reply:
        if request.headers.get("authorization") != self._login:
            return _error(401, 20003)
        path, _, query = request.target.partition("?")
        if path != self._path:
            return _error(404, 20404)
        if request.method == "GET":
            return self._listed(parse_qs(query))
        fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        if (code := _MAGIC.get(fields.get("To", ""))) is not None:
            return _error(400, code)
        if not fields.get("Body") or len(fields["Body"]) > 1600:
            return _error(400, 21617 if fields.get("Body") else 21602)
        if not (fields.get("From") or fields.get("MessagingServiceSid")):
            return _error(400, 21603)
        return _json(201, self._resource(self._take(fields)))

    def _failed(self, request: Request, failure: Failure) -> Done:
        reply = self._answered(request) if failure.taken else Reply(201, b'{"sid": "SM0"}', _JSON)
        if failure.status:
            reply = _error(failure.status, failure.code)
        if failure.retry_after:
            reply = msgspec.structs.replace(
                reply, headers={**reply.headers, "Retry-After": failure.retry_after}
            )
        if failure.body is not None:
            reply = msgspec.structs.replace(reply, body=failure.body)
        return failure.cut or (Half(reply) if failure.half else reply)

    def _take(self, fields: Mapping[str, str]) -> Taken:
        callback = fields.get("StatusCallback", "")
        message = Taken(
            sid=f"SM{next(self._numbers):032x}",
            id=parse_qs(urlsplit(callback).query).get("message", [""])[0],
            to=fields["To"],
            sender=fields.get("From", ""),
            body=fields["Body"],
            callback=callback,
            fields=fields,
            at=datetime.now(UTC),
        )
        self.taken.append(message)
        if self.record is not None:
            line = {"id": message.id, "sid": message.sid, "to": message.to, "body": message.body}
            os.write(self.record, msgspec.json.encode(line) + b"\n")
        return message

    def _listed(self, asked: Mapping[str, list[str]]) -> Reply:
        """A page of the list, the newest first. A date asks for what was *sent* then, as Twilio has it."""
        found = [message for message in reversed(self.taken) if asked.get("To", [message.to]) == [message.to]]
        for name, fits in (("DateSent", operator.eq), ("DateSent<", operator.le), ("DateSent>", operator.ge)):
            if name in asked:
                on = asked[name][0][:10]
                found = [m for m in found if m.sent and fits(m.at.date().isoformat(), on)]
        size, page = int(asked.get("PageSize", ["50"])[0]), int(asked.get("Page", ["0"])[0])
        query = {name: values[0] for name, values in asked.items()} | {"Page": str(page + 1)}
        more = f"{self._path}?{urlencode(query)}" if (page + 1) * size < len(found) else None
        messages = [self._resource(message) for message in found[page * size : (page + 1) * size]]
        return _json(
            200,
            {"messages": messages, "next_page_uri": more, "page": page, "page_size": size, "uri": self._path},
        )

    def _resource(self, message: Taken) -> dict[str, object]:
        at = format_datetime(message.at)
        return {
            "sid": message.sid,
            "account_sid": self._account,
            "api_version": "2010-04-01",
            "body": message.body if self.keeps_bodies else "",
            "date_created": at,
            "date_sent": at if message.sent else None,
            "date_updated": at,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": message.sender or None,
            "messaging_service_sid": message.fields.get("MessagingServiceSid"),
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "status": "queued",
            "subresource_uris": {},
            "to": message.to,
            "uri": f"{self._path.removesuffix('.json')}/{message.sid}.json",
        }


def signature(url: str, fields: Mapping[str, str], *, token: str = TOKEN) -> str:
    """X-Twilio-Signature, as Twilio's documentation describes it."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def callback(url: str, fields: Mapping[str, str], *, token: str = TOKEN) -> tuple[dict[str, str], bytes]:
    """Headers and body of a signed callback to this URL."""
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "x-twilio-signature": signature(url, fields, token=token),
    }
    return headers, urlencode(fields).encode()


def status_fields(message: Taken, status: str, *, error: int | None = None) -> dict[str, str]:
    """What Twilio reports of a message's status."""
    fields = {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "From": message.sender,
        "MessageSid": message.sid,
        "MessageStatus": status,
        "SmsSid": message.sid,
        "SmsStatus": status,
        "To": message.to,
    }
    return fields if error is None else {**fields, "ErrorCode": str(error)}


def inbound_fields(sid: str, sender: str, text: str, **more: str) -> dict[str, str]:
    """What Twilio reports of a text that came in."""
    return {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "Body": text,
        "From": sender,
        "MessageSid": sid,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsMessageSid": sid,
        "SmsSid": sid,
        "SmsStatus": "received",
        "To": "+15005550006",
        **more,
    }


def post(url: str, fields: Mapping[str, str], *, token: str = TOKEN) -> int:
    """Call back over HTTP, signed; the status of the answer."""
    headers, body = callback(url, fields, token=token)
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request("POST", url[url.index(parts.netloc) + len(parts.netloc) :], body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _error(status: int, code: int | None) -> Reply:
    """Twilio's own error, or without a code the page of something in front of it."""
    if code is None:
        return Reply(status, b"<html>no</html>", {"Content-Type": "text/html"})
    return _json(
        status,
        {
            "code": code,
            "message": "no",
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        },
    )


def _json(status: int, content: object) -> Reply:
    return Reply(status, msgspec.json.encode(content), _JSON)


async def _run(arguments: argparse.Namespace) -> None:
    account = arguments.account
    stand_in = TwilioStandIn(account=account, user=account, password=arguments.token)
    if arguments.taken:
        stand_in.record = os.open(arguments.taken, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    numbers = count(1)

    def answered(request: Request) -> Done:
        if request.method == "POST":
            number = next(numbers)
            if arguments.drop_every and number % arguments.drop_every == 0:
                stand_in.fails(Failure(taken=True, cut="drop"))
            elif arguments.refuse_every and number % arguments.refuse_every == 0:
                stand_in.fails(Failure(status=503, code=20503))
        done = stand_in(request)
        # A long run must not keep what nobody here will read.
        stand_in.requests.clear()
        return done

    server = await serve(answered, set())
    sys.stdout.write(f"{port_of(server)}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    server.close()


@contextmanager
def running(*options: str) -> Iterator[str]:
    """The base URL of the stand-in as a process of its own, with these options."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.twilio_server", *options],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m support.twilio_server")
    parser.add_argument(
        "--taken", type=Path, help="the file that a line is appended to for each message taken"
    )
    parser.add_argument(
        "--drop-every", type=int, metavar="N", help="every Nth message is taken and not answered"
    )
    parser.add_argument("--refuse-every", type=int, metavar="N", help="every Nth message is refused with 503")
    parser.add_argument("--account", default=ACCOUNT)
    parser.add_argument("--token", default=TOKEN)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
