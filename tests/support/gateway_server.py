"""A stand-in for a text gateway of a bank: JSON or forms, an id that makes a message one, enquiries.

``/send`` with ``phone``, ``content`` and ``msgid`` answers ``{"code": 0, "data": {"msgid": ...}}``; the same
``msgid`` again is the same message. ``/query?msgid=`` says code 0 or 404. ``fails`` orders failures.
"""

from collections import Counter, deque
from itertools import count
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
from msgspec import Struct

from support.http_stand_in import Done, Reply, Request


class Text(Struct, frozen=True):
    """A message that the gateway took. ``fields`` are all that it was given."""

    number: str
    phone: str
    content: str
    fields: dict[str, object]


class GatewayStandIn:
    """Give it to ``serving``. It works on the server's loop: read it when an answer is there."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._failures: deque[tuple[Done, bool]] = deque()
        self.taken: dict[str, Text] = {}
        self.given: Counter[str] = Counter()
        self.requests: list[Request] = []

    def fails(self, done: Done, *, taken: bool = False) -> None:
        """The next request ends so, after its message was taken or without."""
        self._failures.append((done, taken))

    def __call__(self, request: Request) -> Done:
        self.requests.append(request)
        if self._failures:
            done, taken = self._failures.popleft()
            if taken:
                self._answered(request)
            return done
        return self._answered(request)

    def _answered(self, request: Request) -> Reply:
        parts = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/query":
            text = self.taken.get(query.get("msgid", ""))
            return _json({"code": 0, "data": {"msgid": text.number}} if text else {"code": 404})
        fields: dict[str, object] = {**query}
        if request.headers.get("content-type", "").startswith("application/json"):
            fields |= msgspec.json.decode(request.body, type=dict[str, object])
        else:
            fields |= dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        message = str(fields["msgid"])
        self.given[message] += 1
        if message not in self.taken:
            number = f"G{next(self._numbers)}"
            self.taken[message] = Text(number, str(fields["phone"]), str(fields["content"]), fields)
        return _json({"code": 0, "data": {"msgid": self.taken[message].number}})


def _json(content: object) -> Reply:
    return Reply(200, msgspec.json.encode(content), {"Content-Type": "application/json"})
