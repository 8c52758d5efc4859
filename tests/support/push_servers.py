"""Stand-ins for push services, WeChat and a webhook's receiver, speaking the real protocols on loopback.

In a test: ``with FcmServer(folder) as server``. As a process of its own, with ``tests/`` on the path::

    PYTHONPATH=.:tests python -m support.push_servers fcm --folder DIR --log FILE [--first 503,drop]

It prints its port and serves until it is killed. ``--folder`` gets the keys that an adapter needs; each
message that was taken is a line of JSON (``key``, ``to``) in the log; ``--first`` says how the first
messages are answered: a status, or silent, drop, half (``silent-taken`` and ``drop-taken`` after taking).
"""

import argparse
import asyncio
import base64
import functools
import hashlib
import hmac
import json
import time
import urllib.parse
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import http_ece  # type: ignore[import-untyped]
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support.push_apns import ApnsServer
from support.push_loopback import Asked, Fault, Given, Loopback, answers, drops, half, silent

PROJECT, ACCOUNT = "bank", "push@bank.iam.gserviceaccount.com"
APPID, APPSECRET, WECHAT_TOKEN = "wx0123456789abcdef", "app-secret", "callback-token"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


class FcmServer(Loopback):
    """Firebase Cloud Messaging and Google's token endpoint; ``folder`` gets ``service-account.json``.

    ``life_seconds`` is how long tokens live, ``ahead`` how far its clock is before the wall's; ``shown`` is
    what each device shows, by tag.
    """

    def __init__(self, folder: Path, *, port: int = 0, log: Path | None = None) -> None:
        super().__init__(port=port, log=log)
        self.account_file = folder / "service-account.json"
        self.account_file.write_text(json.dumps(_account()))
        self.life_seconds = 3600
        self.ahead = timedelta(0)
        self.tokens: list[str] = []
        self.valid: set[str] = set()
        self.token_faults: list[Given] = []
        self.shown: dict[str, dict[str, dict[str, object]]] = {}

    def is_message(self, asked: Asked) -> bool:
        """As Google has it."""
        return asked.path == f"/v1/projects/{PROJECT}/messages:send"

    def take(self, asked: Asked) -> Given:
        """Tokens of access are checked first."""
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.valid:
            return fcm_error(401, "", status_word="UNAUTHENTICATED")
        message = json.loads(asked.body)["message"]
        key = message["data"]["message"]
        self.note(key, message["token"])
        shown = self.shown.setdefault(message["token"], {})
        shown[message["android"]["notification"]["tag"]] = message
        return _json(200, {"name": f"projects/{PROJECT}/messages/0:{self.taken.total()}"})

    def other(self, asked: Asked) -> Given:
        """Lend a token for a signed assertion (RFC 7523)."""
        if asked.path != "/token":
            return Given(404)
        if self.token_faults:
            return self.token_faults.pop(0)
        form = urllib.parse.parse_qs(asked.body.decode())
        try:
            claims = jwt.decode(
                form["assertion"][0],
                _rsa().public_key(),
                algorithms=["RS256"],
                audience="https://oauth2.googleapis.com/token",
                options={"verify_exp": False, "verify_iat": False, "require": ["iss", "iat", "exp", "scope"]},
            )
        except (jwt.PyJWTError, KeyError):
            return _json(400, {"error": "invalid_grant"})
        now = time.time() + self.ahead.total_seconds()
        if claims["iss"] != ACCOUNT or not claims["iat"] - 300 < now < claims["exp"]:
            return _json(400, {"error": "invalid_grant"})
        self.tokens.append(f"token-{len(self.tokens) + 1}")
        self.valid.add(self.tokens[-1])
        lent = {"access_token": self.tokens[-1], "expires_in": self.life_seconds, "token_type": "Bearer"}
        return _json(200, lent)


def fcm_error(
    status: int, code: str, *, status_word: str = "", field: str = "", message: str = "", **headers: str
) -> Given:
    """An error as FCM words it."""
    details: list[object] = []
    if code:
        details += [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]
    if field:
        violation = {"field": field, "description": "invalid"}
        details += [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
    error = {"code": status, "status": status_word or code, "message": message, "details": details}
    given = _json(status, {"error": error})
    return Given(status, given.body, {name.replace("_", "-"): value for name, value in headers.items()})


class WebPushServer(Loopback):
    """A push service of browsers: it checks VAPID, decrypts, and keeps one message for each topic."""

    def __init__(self, folder: Path, *, port: int = 0, log: Path | None = None) -> None:
        super().__init__(port=port, log=log)
        self.key_file = folder / "vapid.pem"
        self._vapid = ec.generate_private_key(ec.SECP256R1())
        self.key_file.write_bytes(_pem(self._vapid))
        self._browser = ec.generate_private_key(ec.SECP256R1())
        self._auth = b"0123456789abcdef"
        self.waiting: dict[tuple[str, str], dict[str, object]] = {}
        self.authorized: list[str] = []

    def subscription(self, name: str = "one", *, endpoint: str = "") -> str:
        """What a browser would give its site, as JSON."""
        keys = {"p256dh": _base64(_point(self._browser.public_key())), "auth": _base64(self._auth)}
        return json.dumps({"endpoint": endpoint or f"{self.url}/push/{name}", "keys": keys})

    def is_message(self, asked: Asked) -> bool:
        """As RFC 8030 has it."""
        return asked.method == "POST" and asked.path.startswith("/push/")

    def take(self, asked: Asked) -> Given:
        """Source: RFC 8292 section 2 for the token, RFC 8030 section 5 for TTL and topic."""
        scheme, _, given = asked.headers.get("authorization", "").partition(" ")
        parts = dict(part.strip().split("=", 1) for part in given.split(","))
        self.authorized.append(parts.get("t", ""))
        try:
            claims = jwt.decode(parts["t"], self._vapid.public_key(), algorithms=["ES256"], audience=self.url)
        except (jwt.PyJWTError, KeyError):
            return Given(403)
        own = parts["k"] == _base64(_point(self._vapid.public_key()))
        if scheme != "vapid" or not own or claims["exp"] > time.time() + 24 * 3600 or "sub" not in claims:
            return Given(403)
        if "ttl" not in asked.headers or asked.headers.get("content-encoding") != "aes128gcm":
            return Given(400)
        if len(asked.body) > 4096:
            return Given(413)
        content = json.loads(
            http_ece.decrypt(
                asked.body, private_key=self._browser, auth_secret=self._auth, version="aes128gcm"
            )
        )
        self.waiting[asked.path, asked.headers["topic"]] = content
        self.note(content["id"], asked.path)
        return Given(201, headers={"location": f"{self.url}/message/{self.taken.total()}"})


class WeChatServer(Loopback):
    """WeChat's side of official accounts; one client_msg_id to one open id is one message."""

    def __init__(self, folder: Path, *, port: int = 0, log: Path | None = None) -> None:
        super().__init__(port=port, log=log)
        (folder / "app-secret").write_text(APPSECRET)
        self.tokens = ["ACCESS-1"]
        self.expired: set[str] = set()
        self.lent = 0
        self.token_faults: list[Given] = []
        self.sent: dict[tuple[str, str], int] = {}
        self.shown: list[dict[str, object]] = []

    def is_message(self, asked: Asked) -> bool:
        """Template and subscription messages."""
        path = asked.path.partition("?")[0]
        return path in ("/cgi-bin/message/template/send", "/cgi-bin/message/subscribe/bizsend")

    def take(self, asked: Asked) -> Given:
        """Everything is answered with 200; the errcode tells."""
        path, _, query = asked.path.partition("?")
        token = dict(urllib.parse.parse_qsl(query)).get("access_token", "")
        if token in self.expired:
            return _json(200, {"errcode": 42001, "errmsg": "access_token expired rid: 1"})
        if token != self.tokens[-1]:
            return _json(200, {"errcode": 40001, "errmsg": "invalid credential rid: 1"})
        message = json.loads(asked.body)
        self.shown.append(message)
        if path.endswith("bizsend"):
            self.note("subscription", message["touser"])
            return _json(200, {"errcode": 0, "errmsg": "ok"})
        key = message["client_msg_id"]
        if (message["touser"], key) not in self.sent:
            self.sent[message["touser"], key] = 1000 + len(self.sent)
            self.note(key, message["touser"])
        return _json(200, {"errcode": 0, "errmsg": "ok", "msgid": self.sent[message["touser"], key]})

    def other(self, asked: Asked) -> Given:
        """Lend the stable token: the same one until it is over or a new one is forced."""
        if asked.path != "/cgi-bin/stable_token":
            return Given(404)
        if self.token_faults:
            return self.token_faults.pop(0)
        said = json.loads(asked.body)
        if (said["grant_type"], said["appid"], said["secret"]) != ("client_credential", APPID, APPSECRET):
            return _json(200, {"errcode": 40125, "errmsg": "invalid appsecret rid: 1"})
        self.lent += 1
        if said.get("force_refresh") or self.tokens[-1] in self.expired:
            self.tokens.append(f"ACCESS-{len(self.tokens) + 1}")
        return _json(200, {"access_token": self.tokens[-1], "expires_in": 7200})


class WebhookServer(Loopback):
    """A receiver that checks signatures and answers ``values``, the same to the same call."""

    def __init__(self, folder: Path, *, port: int = 0, log: Path | None = None) -> None:
        super().__init__(port=port, log=log)
        (folder / "webhook-secret").write_text(WEBHOOK_SECRET)
        self.values: Mapping[str, object] = {"score": 710, "ok": True, "tier": "gold", "note": None}

    def is_message(self, asked: Asked) -> bool:
        """Any call."""
        return asked.method == "POST"

    def take(self, asked: Asked) -> Given:
        """Source: Standard Webhooks, Signature scheme, computed here without its library."""
        call = asked.headers["webhook-id"]
        signed = f"{call}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
        key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
        due = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        if due not in asked.headers["webhook-signature"].split(" "):
            return Given(401)
        self.note(call, asked.path)
        return _json(200, dict(self.values))


def _json(status: int, body: object) -> Given:
    return Given(status, json.dumps(body).encode(), {"content-type": "application/json"})


@functools.cache
def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _account() -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": _pem(_rsa()).decode(),
        "client_email": ACCOUNT,
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_SERVERS = {
    "fcm": FcmServer,
    "apns": ApnsServer,
    "webpush": WebPushServer,
    "wechat": WeChatServer,
    "webhook": WebhookServer,
}
_FAULTS = {
    "silent": silent(taken=False),
    "silent-taken": silent(taken=True),
    "drop": drops(taken=False),
    "drop-taken": drops(taken=True),
    "half": half(),
}


def _fault(word: str) -> Fault:
    return _FAULTS[word] if word in _FAULTS else answers(int(word), {}, retry_after="1")


def main() -> None:
    """Serve one of them until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kind", choices=_SERVERS)
    parser.add_argument("--folder", type=Path, required=True, help="where keys are written")
    parser.add_argument("--log", type=Path, help="a line for each message taken")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first", default="", help="how the first messages are answered")
    said = parser.parse_args()
    server = _SERVERS[said.kind](said.folder, port=said.port, log=said.log)
    server.will(*(_fault(word) for word in said.first.split(",") if word))
    with server:
        if isinstance(server, WebPushServer):
            (said.folder / "subscription.json").write_text(server.subscription())
        print(server.port, flush=True)  # noqa: T201 - whoever started it reads the port here
        asyncio.run(asyncio.Event().wait())


if __name__ == "__main__":
    main()
