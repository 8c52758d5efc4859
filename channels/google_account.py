"""A Google service account, and the access tokens that it is lent (RFC 7523)."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
from google.auth import exceptions, transport
from google.oauth2 import service_account

from channels.borrowed import Lent, NotLent
from channels.calling import Clock, decoded, verification, wall_clock, word_of
from channels.secret import Secret
from domain.errors import InputRefused

# A token is let go this long before its end, so that it is not refused on its way.
_MARGIN = timedelta(minutes=5)


class GoogleAccount:
    """The account of a key file (JSON). Raises InputRefused, without quoting the key, where it is none."""

    def __init__(
        self,
        key: Secret,
        *,
        scope: str,
        token_uri: str | None,
        timeout_seconds: float,
        ca_file: str | None,
        clock: Clock,
    ) -> None:
        self._credentials, self.project = _credentials(key, scope)
        if token_uri is not None:
            self._credentials = self._credentials.with_token_uri(token_uri)
        self._timeout = timeout_seconds
        self._verification = verification(ca_file)
        self._clock = clock

    async def fetch(self) -> Lent | NotLent:
        """Another access token, asked for once."""
        try:
            # google-auth is synchronous; once in 55 minutes a thread is cheap. An answer that trickles in
            # would keep it longer than any one timeout of its client.
            async with asyncio.timeout(self._timeout):
                await asyncio.to_thread(self._refresh)
        except TimeoutError:
            return NotLent("google token: timeout")
        except exceptions.GoogleAuthError as error:
            return NotLent(f"google token: {_reason(error)}")
        expires_at = self._credentials.expiry  # naive UTC, by the clock on the wall
        life = expires_at - wall_clock().replace(tzinfo=None) if expires_at else 2 * _MARGIN
        return Lent(str(self._credentials.token), self._clock() + life - _MARGIN)

    def _refresh(self) -> None:
        with httpx2.Client(
            timeout=self._timeout, follow_redirects=False, verify=self._verification
        ) as client:
            self._credentials.refresh(_Request(client))  # type: ignore[no-untyped-call]


class _Request(transport.Request):
    """How google-auth asks for tokens: with our client, and once, for to try again is the engine's."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> "_Response":
        try:
            response = self._client.request(method, url, content=body, headers=headers)
        except httpx2.HTTPError as error:
            raise exceptions.TransportError(type(error).__name__) from error  # type: ignore[no-untyped-call]
        if not _is_token_answer(response):
            raise exceptions.TransportError("unreadable")  # type: ignore[no-untyped-call]
        return _Response(response)


class _Response(transport.Response):
    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        """As google-auth reads it."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """As google-auth reads them."""
        return self._response.headers

    @property
    def data(self) -> bytes:
        """As google-auth reads it."""
        return self._response.content


def _is_token_answer(response: httpx2.Response) -> bool:
    """Whether google-auth can read it: it tries again by itself at some others and fails in others."""
    if response.status_code >= 500 or response.status_code == 429:
        return False
    answer = decoded(response.content, dict[str, Any])
    if answer is None:
        return False
    return response.status_code != 200 or isinstance(answer.get("access_token"), str)


def _credentials(key: Secret, scope: str) -> tuple[service_account.Credentials, str]:
    text = key.reveal()
    try:
        info = msgspec.json.decode(text, type=dict[str, Any])
        account = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            info, scopes=[scope]
        )
        return account, str(info["project_id"])
    except (msgspec.MsgspecError, ValueError, KeyError, exceptions.GoogleAuthError) as error:
        # The error's own words could quote the key.
        reason = f"not the key of a service account ({type(error).__name__})"
        raise InputRefused("secret.unreadable", place=key.file or f"${key.env}", reason=reason) from None


def _reason(error: exceptions.GoogleAuthError) -> str:
    """The OAuth error's code (RFC 6749 section 5.2), else the kind of failure: other words may tell more."""
    answer = error.args[1] if len(error.args) > 1 else None
    code = answer.get("error") if isinstance(answer, dict) else None
    return (word_of(code) if isinstance(code, str) else "") or type(error).__name__
